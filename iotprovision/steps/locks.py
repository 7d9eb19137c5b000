"""The certificate slots of a secure element, locked behind what was proved."""

from __future__ import annotations

from iotprovision.boards.board import LockableSlots
from iotprovision.boards.program import Program
from iotprovision.findings import Finding, State
from iotprovision.steps.step import About, Progress, Step


class SlotsLocked(Step):
    """They are locked. Nothing can undo it."""

    action = "provision"
    about = About.KIT
    proof = "the chip answered OK to each lock"
    would = "lock them; this cannot be undone"
    irreversible = True
    unaskable = "no command of the firmware tells"
    needs = Program.PROVISIONING

    def __init__(self, slots: LockableSlots) -> None:
        self.title = f"{slots.called[0].upper()}{slots.called[1:]} locked"
        self._slots = slots

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        self._slots.lock()
        return "locked; one that was locked before stays as it was"
