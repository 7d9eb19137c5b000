"""The action ``rootcerts``: the authorities whose servers the Wi-Fi module trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.errors import ProofError, StoreError
from iotprovision.findings import Finding, State
from iotprovision.formats import root_store
from iotprovision.formats.root_store import Root
from iotprovision.formats.winc_flash import ERASED, PAGE, ROOT_STORE
from iotprovision.steps.identity import running_link
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "rootcerts"
RESTORED_BY = "rootcerts --rrc"
KIND = "winc-root-certificates"


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


class RootCertificates(Step):
    """The root certificate store in the flash of the Wi-Fi module.

    :param load: reads and judges what is wanted; called before anything on the kit is changed
    :param files: the kit's folder in the store
    """

    title = "Root certificates in the Wi-Fi module"
    action = ACTION
    about = About.KIT
    proof = "read back, every entry equal"
    would = "save what is there, erase the sector and write them"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        load: Callable[[], WantedRoots],
        files: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._target = target
        self._load = load
        self._files = files
        self._clock = clock
        self._wanted: WantedRoots | None = None
        self._sector = b""
        self._written: bytes | None = None

    def prepare(self) -> None:
        self._wanted = self._load()
        self._sector = root_store.build(self._wanted.roots)

    def check(self, progress: Progress) -> Finding:
        """By content: neither the order of the roots nor the bytes that mean nothing make a difference.

        What this run wrote is compared byte for byte.
        """
        assert self._wanted is not None, "a step is prepared before it is checked"
        found = running_link(self._target).winc_read_range(ROOT_STORE.address, ROOT_STORE.size, progress)
        expected = f"{len(self._wanted.roots)} roots, {self._wanted.source}"
        if self._written is not None and found != self._written:
            return Finding(State.DIFFERENT, "other bytes than were written", expected)
        try:
            roots = root_store.parse(found)
        except ProofError as error:
            return Finding(State.DIFFERENT, f"no readable store: {error.why}", expected)
        if set(roots) == set(self._wanted.roots):
            return Finding(State.IN_PLACE, f"{expected}{self._remark()}")
        if not roots:
            return Finding(State.MISSING, "none", expected)
        missing = [self._wanted.name(root) for root in self._wanted.roots if root not in roots]
        more = [root.name for root in roots if root not in self._wanted.roots]
        parts = [f"without {', '.join(missing)}"] if missing else []
        parts += [f"with {', '.join(more)}"] if more else []
        return Finding(State.DIFFERENT, f"{len(roots)} roots, {' and '.join(parts)}", expected)

    def apply(self, progress: Progress) -> str:
        assert self._wanted is not None, "a step is prepared before it is applied"
        link = running_link(self._target)
        before = link.winc_read_range(ROOT_STORE.address, ROOT_STORE.size)
        saved = self._save(before, self._wanted.saved_by)
        used = len(self._sector.rstrip(bytes([ERASED])))
        pages = range(0, used, PAGE)
        with interrupts.held():
            link.winc_erase_sector(ROOT_STORE.address)
            for offset in pages:
                link.winc_write(ROOT_STORE.address + offset, self._sector[offset : offset + PAGE])
                progress(min(offset + PAGE, used), used)
        self._written = self._sector
        return f"{saved}wrote {len(self._wanted.roots)} roots{self._remark()}"

    def _remark(self) -> str:
        assert self._wanted is not None
        expired = self._wanted.expired(self._clock())
        return f"; expired: {', '.join(expired)}" if expired else ""

    def _save(self, before: bytes, saved_by: str) -> str:
        """Keep what is about to be erased.

        :returns: a half sentence for the report, empty where there was nothing
        """
        if before.count(ERASED) == len(before):
            return ""
        same = backups.saved_before(self._files, KIND, before, saved_by)
        if same is not None:
            return f"the old ones were saved before as {same.name}, "
        name = backups.file_name(next_kind(self._files), self._clock(), "bin")
        backups.save(self._files, name, before, saved_by)
        return f"saved the old ones as {name}, "


def number_of(backup: backups.Backup) -> int:
    """The number in the name of a backup of root certificates, 0 where it has none."""
    digits = backup.kind.removeprefix(f"{KIND}-")
    return int(digits) if digits.isdigit() else 0


def next_kind(files: Store) -> str:
    """What the next backup of root certificates is called: with the number behind the highest that there is."""
    return f"{KIND}-{max((number_of(backup) for backup in backups.find(files, KIND)), default=0) + 1:03}"


def backup_of_roots(files: Store, number: int | None, as_it_is: bool, tell: Callable[[str], None]) -> WantedRoots:
    """The roots in a backup.

    :param number: which; None is the newest that was saved when other roots were put in place of these, and that is
        whole: after a write that was broken off, the module held none
    :param tell: called with what a person is to know of each that is passed over
    :raises StoreError: there is none, or it is damaged or of another kit
    """
    found = backups.find(files, KIND)
    chosen = [
        backup
        for backup in found
        if (backup.saved_by not in backups.RESTORING if number is None else number_of(backup) == number)
    ]
    if not chosen:
        have = ", ".join(str(number_of(backup)) for backup in reversed(found))
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
