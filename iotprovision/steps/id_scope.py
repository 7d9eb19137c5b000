"""Data that a demo reads from the secure element."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.errors import ChipRefusedError
from iotprovision.findings import Finding, State
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT, slot_size
from iotprovision.formats.id_scope import STORED_SIZE, IdScope
from iotprovision.steps.credentials import ACTION
from iotprovision.steps.identity import running_link
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

SLOT_KIND = f"ecc608-slot-{PROVISIONING_DATA_SLOT}"


class IdScopeInSlot(Step):
    """The ID scope at the beginning of slot 8; the rest of the slot stays as it was."""

    title = "Slot 8 of the secure element with the ID scope"
    action = ACTION
    about = About.KIT
    proof = "read back, the rest of the slot as it was"
    would = "save the slot and write the ID scope"
    forced_by = frozenset({"force"})

    def __init__(self, target: Target, id_scope: IdScope, backups: Store, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._id_scope = id_scope
        self._backups = backups
        self._clock = clock
        self._rest: bytes | None = None

    def check(self, progress: Progress) -> Finding:
        """Once something was written, the whole slot is looked at."""
        wanted = self._id_scope.stored()
        size = STORED_SIZE if self._rest is None else slot_size(PROVISIONING_DATA_SLOT)
        found = running_link(self._target).read_slot(PROVISIONING_DATA_SLOT, size)
        if not found.startswith(wanted):
            return Finding(State.DIFFERENT, _shown(found[:STORED_SIZE]), self._id_scope.text)
        if self._rest is not None and found[STORED_SIZE:] != self._rest:
            return Finding(State.DIFFERENT, "other bytes behind the ID scope", "those that were there before")
        return Finding(State.IN_PLACE, self._id_scope.text)

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        before = link.read_slot(PROVISIONING_DATA_SLOT)
        name = backups.file_name(SLOT_KIND, self._clock(), "bin")
        backups.save(self._backups, name, before, ACTION)
        try:
            with interrupts.held():
                link.write_slot(PROVISIONING_DATA_SLOT, self._id_scope.stored())
        except ChipRefusedError as error:
            raise ChipRefusedError(
                f"The ID scope could not be written: the secure element refuses slot {PROVISIONING_DATA_SLOT}",
                f"{error.why}\nA slot that was locked can never be written again; this one holds "
                f"{_shown(before[:STORED_SIZE])}.",
                f"leave --id-scope out, and type `idscope {self._id_scope.text}` at the console of the demo",
                error.status,
            ) from error
        self._rest = before[STORED_SIZE:]
        return f"saved the slot as {name}, wrote {self._id_scope.text}"


def _shown(start: bytes) -> str:
    if set(start) in ({0xFF}, {0}):
        return "nothing"
    text = start.rstrip(b"\0")
    return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else start.hex()
