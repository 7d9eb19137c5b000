"""The authorities whose servers a board trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from iotprovision.boards.memory import RootMemory
from iotprovision.errors import ProofError, StoreError
from iotprovision.formats import root_store
from iotprovision.formats.root_store import Root
from iotprovision.steps.stored import Keeper, Stored
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "rootcerts"
RESTORED_BY = "rootcerts --rrc"


@dataclass(frozen=True)
class WantedRoots:
    """What the module shall hold.

    :param source: where it comes from, for a person
    :param names: what a person calls each root, where that is not known from the root itself
    """

    roots: tuple[Root, ...]
    source: str
    saved_by: str = ACTION
    names: Mapping[Root, str] = field(default_factory=dict)

    def name(self, root: Root) -> str:
        return self.names.get(root, root.name)

    def expired(self, moment: datetime) -> list[str]:
        """The names of those that are out of date."""
        return [f"{self.name(root)} ({root.not_after:%Y-%m-%d})" for root in self.roots if root.has_expired(moment)]


class RootCertificates(Stored):
    """The root certificates in the memory of a board are those that are wanted, and no others."""

    proof = "read back, every entry equal"

    def __init__(self, memory: RootMemory, wanted: WantedRoots, keeper: Keeper) -> None:
        memory.names.update(wanted.names)
        expired = wanted.expired(keeper.clock())
        remark = f"; expired: {', '.join(expired)}" if expired else ""
        super().__init__(
            memory,
            lambda: root_store.build(wanted.roots),
            keeper,
            source=f"{len(wanted.roots)} roots, {wanted.source}{remark}",
        )


def backup_of_roots(
    files: Store, kind: str, number: int | None, as_it_is: bool, tell: Callable[[str], None]
) -> WantedRoots:
    """The roots in a backup.

    :param kind: how they are called
    :param number: which; None is the newest that was saved when other roots were put in place of these, and that is
        whole: after a write that was broken off, the module held none
    :param tell: called with what a person is to know of each that is passed over
    :raises StoreError: there is none, or it is damaged or of another kit
    """
    found = backups.find(files, kind)
    chosen = [
        backup
        for backup in found
        if (backup.saved_by not in backups.RESTORING if number is None else backup.number == number)
    ]
    if not chosen:
        have = ", ".join(str(backup.number) for backup in reversed(found))
        raise StoreError(
            f"There is no backup {'of root certificates' if number is None else number} of the kit {files.folder.name}",
            f"There are the numbers {have}."
            if have
            else f"{files.folder} has none: one is made when roots are written.",
            "put the vendor's roots back: iotprovision rootcerts --rrc factory",
        )
    for backup in chosen:
        try:
            roots = root_store.parse(backups.read(files, backup, as_it_is))
        except ProofError as error:
            if backup is not chosen[-1]:
                tell(f"{backup.name} is passed over, for it holds no whole store: {error.why}")
                continue
            raise StoreError(
                f"The backup {files.path(backup.name)} holds no root certificate store",
                error.why,
                "name another number",
            ) from error
        break
    return WantedRoots(roots, f"as in {backup.name}", RESTORED_BY)
