"""The page on the drive of a board leads to the cloud and the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iotprovision.boards.board import Debugger, Page
from iotprovision.boards.program import Program
from iotprovision.errors import StoreError, UsageError
from iotprovision.findings import CannotKnowError, Finding, State
from iotprovision.steps.step import About, Progress, Step
from iotprovision.steps.stored import Keeper
from iotprovision.store import backups

ACTION = "links"


@dataclass(frozen=True)
class Link:
    """Where the page leads to.

    :param page: one of those of the board
    :param device: gives what the page is told about the board, hex digits, or None as long as that is not known.
        Without it, what the board holds is left
    :param called: what a person calls that
    """

    page: str
    device: Callable[[], str | None] | None = None
    called: str = "thing name"


class LinksOnDrive(Step):
    """Board registers that make CLICK-ME.HTM lead to the page of the cloud and the device."""

    title = "Links on the kit's drive"
    action = ACTION
    about = About.KIT
    proof = "registers read back"
    would = "save the board registers and write CLICK_ME_TYPE, KEY2 and KEY2_LEN"

    def __init__(self, page: Page, link: Link, keeper: Keeper, device_is_coming: bool) -> None:
        self._page = page
        self._link = link
        self._keeper = keeper
        self._device_is_coming = device_is_coming
        self.needs = page.needs

    def prepare(self) -> None:
        if self._link.page not in self._page.names:
            raise UsageError(
                f"{self._page.kit_name} has no page for this cloud",
                f"Its links lead to: {', '.join(self._page.names)}. Nothing was changed.",
                "leave out the action links",
            )
        if self._link.device is not None and not self._device_is_coming and self._link.device() is None:
            raise StoreError(
                f"The {self._link.called} of kit {self._keeper.files.folder.name} is not in the store",
                "The links carry it, and it is kept there when the kit is provisioned.",
                "run with the action provision first",
            )
        self._page.check()

    def check(self, progress: Progress) -> Finding:
        device = self._device()
        different = self._page.differences(self._link.page, device)
        if not different:
            return Finding(State.IN_PLACE, self._link.page + (f", {device}" if device else ""))
        found = ", ".join(f"{name} {_shown(old)}" for name, (old, _) in different.items())
        expected = ", ".join(f"{name} {_shown(new)}" for name, (_, new) in different.items())
        return Finding(State.DIFFERENT, found, expected)

    def apply(self, progress: Progress) -> str:
        name = backups.file_name(self._page.kind, self._keeper.clock(), "bin")
        written = self._page.write(
            self._link.page,
            self._device(),
            keep=lambda block: backups.save(self._keeper.files, name, block, self._keeper.saved_by),
        )
        return f"saved the old ones as {name}, wrote {', '.join(written)}"

    def _device(self) -> str | None:
        if self._link.device is None:
            return None
        device = self._link.device()
        if device is None:
            raise CannotKnowError(f"the {self._link.called} is not known yet")
        return device


class DebuggerRestarted(Step):
    """The debugger reads board registers when it starts, and systems keep the old page until it comes back.

    :param written: the step that may have changed registers
    """

    title = "Debugger restarted"
    about = About.KIT
    proof = "the kit left USB and came back"
    would = "restart it"
    needs = Program.ANY

    def __init__(self, debugger: Debugger, written: Step) -> None:
        self._debugger = debugger
        self._written = written
        self.action = written.action
        self._restarted = False

    def check(self, progress: Progress) -> Finding:
        found = self._written.found
        if found is None:
            raise CannotKnowError("depends on the links")
        if self._restarted:
            return Finding(State.IN_PLACE, "started with the new links")
        if found.in_place and not self._written.applied:
            return Finding(State.IN_PLACE, "no link changed", proof="not needed")
        return Finding(State.MISSING, "links changed since it started")

    def apply(self, progress: Progress) -> str:
        self._debugger.restart()
        self._restarted = True
        return "restarted"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0").hex() or "empty"
    return f"0x{value:02X}" if isinstance(value, int) else repr(value)
