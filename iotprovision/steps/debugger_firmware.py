"""The action ``dbgupgrade``: the firmware of the kit's debugger."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.boards.board import Debugger
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.findings import Finding, State
from iotprovision.firmware.debugger_archive import DebuggerArchive, parse_version
from iotprovision.steps.step import About, Progress, Step

ACTION = "dbgupgrade"


class DebuggerFirmware(Step):
    """The debugger runs the firmware of an archive, or newer.

    :param load: reads and judges the archive; called before anything on the kit is changed
    :param turn: taken while a debugger is in boot mode
    :param is_written: this run has put the archive into the debugger already, because it was in boot mode
    :param ask_again: do not rely on what the debugger said when it was found
    """

    title = "Debugger firmware"
    action = ACTION
    about = About.KIT
    proof = "the debugger says its version"
    would = "write it, by way of the debugger's boot mode"

    def __init__(
        self,
        debugger: Debugger,
        load: Callable[[], DebuggerArchive],
        turn: UpgradeTurn,
        is_written: bool = False,
        ask_again: bool = False,
    ) -> None:
        self._debugger = debugger
        self._load = load
        self._turn = turn
        self._ask_again = ask_again
        self._archive: DebuggerArchive | None = None
        self._written = is_written
        self.forced_by = frozenset() if is_written else frozenset({"force"})

    def prepare(self) -> None:
        self._archive = self._load()

    def check(self, progress: Progress) -> Finding:
        if self._ask_again:
            self._debugger.ask_again()
        found, offered = self._debugger.version, self._wanted.version
        if found == offered:
            return Finding(State.IN_PLACE, found)
        # What was written must be what runs; before that, newer is as good.
        if not self._written and parse_version(found) > parse_version(offered):
            return Finding(State.IN_PLACE, f"{found}, newer than {offered}")
        return Finding(State.DIFFERENT, found, offered)

    def apply(self, progress: Progress) -> str:
        self._debugger.upgrade(self._wanted, self._turn, progress)
        self._written = True
        return f"wrote {self._wanted.version}"

    @property
    def _wanted(self) -> DebuggerArchive:
        if self._archive is None:  # a proof is not prepared
            self._archive = self._load()
        return self._archive
