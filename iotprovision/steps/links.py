"""The action ``links``: where the page on the kit's drive leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.board import Target
from iotprovision.errors import StoreError, UsageError
from iotprovision.findings import Finding, State
from iotprovision.steps.step import About, CannotKnowError, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "links"
KIND = "board-config"


@dataclass(frozen=True)
class Link:
    """Where the page on a kit's drive leads to.

    :param cloud: which of the kit's link codes (``kits.yaml``)
    :param device: gives what the page is told about the kit, hex digits, or None as long as that is not known. Without
        it, what the board holds is left
    :param called: what a person calls that
    """

    cloud: str
    device: Callable[[], str | None] | None = None
    called: str = "thing name"


class LinksOnDrive(Step):
    """Board registers that make CLICK-ME.HTM lead to the page of the cloud and the device."""

    title = "Links on the kit's drive"
    action = ACTION
    about = About.KIT
    proof = "registers read back"
    would = "save the board registers and write CLICK_ME_TYPE, KEY2 and KEY2_LEN"

    def __init__(
        self,
        target: Target,
        link: Link,
        files: Store,
        clock: Callable[[], datetime],
        device_is_coming: bool,
    ) -> None:
        self._target = target
        self._kit = target.kit
        self._link = link
        self._files = files
        self._clock = clock
        self._device_is_coming = device_is_coming
        self.changed = False
        self.differ: bool | None = None
        """What the last check found; None before it."""

    def prepare(self) -> None:
        if self._link.cloud not in self._kit.kit.links:
            raise UsageError(
                f"{self._kit.name} has no page for this cloud",
                f"Its links lead to: {', '.join(self._kit.kit.links)}. Nothing was changed.",
                "leave out the action links",
            )
        if self._link.device is not None and not self._device_is_coming and self._link.device() is None:
            raise StoreError(
                f"The {self._link.called} of kit {self._kit.serial_number} is not in the store",
                "The links carry it, and it is kept there when the kit is provisioned.",
                "run with the action provision first",
            )

    def check(self, progress: Progress) -> Finding:
        wanted = self._wanted()
        self._target.free_debugger()
        different = registers.differences(self._kit.serial_number, wanted.registers)
        self.differ = bool(different)
        if not different:
            return Finding(State.IN_PLACE, self._link.cloud + (f", {wanted.key2.hex()}" if wanted.key2 else ""))
        found = ", ".join(f"{name} {_shown(old)}" for name, (old, _) in different.items())
        expected = ", ".join(f"{name} {_shown(new)}" for name, (_, new) in different.items())
        return Finding(State.DIFFERENT, found, expected)

    def apply(self, progress: Progress) -> str:
        name = backups.file_name(KIND, self._clock(), "bin")
        written = registers.write(
            self._kit.serial_number,
            self._wanted().registers,
            keep=lambda block: backups.save(self._files, name, block, ACTION),
        )
        self.changed = True
        return f"saved the old ones as {name}, wrote {', '.join(written.changed)}"

    def _wanted(self) -> registers.LinkRegisters:
        code = self._kit.kit.links[self._link.cloud]
        if self._link.device is None:
            return registers.LinkRegisters(code)
        device = self._link.device()
        if device is None:
            raise CannotKnowError(f"the {self._link.called} is not known yet")
        return registers.LinkRegisters.for_device(code, device)


class ChangesLinks(Protocol):
    """A step that may change registers which the debugger reads when it starts."""

    changed: bool
    differ: bool | None


class DebuggerRestarted(Step):
    """The debugger reads its link registers when it starts, and systems keep the old page until it comes back."""

    title = "Debugger restarted"
    action = ACTION
    about = About.KIT
    proof = "the kit left USB and came back"
    would = "restart it"

    def __init__(self, target: Target, links: ChangesLinks) -> None:
        self._target = target
        self._links = links
        self._restarted = False

    def check(self, progress: Progress) -> Finding:
        if self._links.differ is None:
            raise CannotKnowError("depends on the links")
        if self._links.differ or (self._links.changed and not self._restarted):
            return Finding(State.MISSING, "links changed since it started")
        if not self._links.changed:
            return Finding(State.IN_PLACE, "no link changed", proof="not needed")
        return Finding(State.IN_PLACE, "started with the new links")

    def apply(self, progress: Progress) -> str:
        self._target.reboot_debugger()
        self._restarted = True
        return "restarted"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0").hex() or "empty"
    return f"0x{value:02X}" if isinstance(value, int) else repr(value)
