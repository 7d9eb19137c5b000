"""The action ``links``: where the page on the kit's drive leads to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from iotprovision.actions.identity import Identity
from iotprovision.errors import StoreError
from iotprovision.findings import Finding, State
from iotprovision.kit import registers
from iotprovision.kit.detection import FoundKit
from iotprovision.kit.target import Target
from iotprovision.steps import CannotKnowError, Progress, Step
from iotprovision.store import Store

ACTION = "links"


class LinksOnDrive(Step):
    """Board registers that make CLICK-ME.HTM lead to the page of the cloud and the thing."""

    title = "Links on the kit's drive"
    action = ACTION
    proof = "registers read back"
    would = "save the board registers and write CLICK_ME_TYPE, KEY2 and KEY2_LEN"

    def __init__(
        self,
        kit: FoundKit,
        identity: Identity,
        cloud: str,
        files: Store,
        clock: Callable[[], datetime],
        certificate_is_coming: bool,
    ) -> None:
        self._kit = kit
        self._identity = identity
        self._cloud = cloud
        self._files = files
        self._clock = clock
        self._certificate_is_coming = certificate_is_coming
        self.changed = False

    def prepare(self) -> None:
        if not self._certificate_is_coming and self._identity.thing_name is None:
            raise StoreError(
                f"No device certificate of kit {self._kit.serial_number} is in the store",
                "The links carry the thing name, which comes from the device certificate.",
                "run with the action provision first",
            )

    def check(self, progress: Progress) -> Finding:
        wanted = self._wanted()
        different = registers.differences(self._kit.serial_number, wanted.registers)
        if not different:
            return Finding(State.IN_PLACE, f"thing {wanted.key2.hex()}")
        found = ", ".join(f"{name} {_shown(old)}" for name, (old, _) in different.items())
        expected = ", ".join(f"{name} {_shown(new)}" for name, (_, new) in different.items())
        return Finding(State.DIFFERENT, found, expected)

    def apply(self, progress: Progress) -> str:
        name = f"board-config-{self._clock():%Y%m%dT%H%M%S%f}.bin"
        written = registers.write(
            self._kit.serial_number, self._wanted().registers, keep=lambda block: self._files.write(name, block)
        )
        self.changed = True
        return f"saved the old ones as {name}, wrote {', '.join(written.changed)}"

    def _wanted(self) -> registers.LinkRegisters:
        thing = self._identity.thing_name
        if thing is None:
            raise CannotKnowError("there is no device certificate yet")
        return registers.LinkRegisters.for_thing(self._kit.kit.links[self._cloud], thing)


class DebuggerRestarted(Step):
    """The debugger reads its link registers when it starts, and systems keep the old page until it comes back."""

    title = "Debugger restarted"
    action = ACTION
    proof = "the kit left USB and came back"
    would = "restart it, if a link changes"

    def __init__(self, target: Target, links: LinksOnDrive) -> None:
        self._target = target
        self._links = links
        self._restarted = False

    def check(self, progress: Progress) -> Finding:
        if self._links.changed and not self._restarted:
            return Finding(State.MISSING, "links changed since it started")
        return Finding(State.IN_PLACE, "no link changed" if not self._links.changed else "started with the new links")

    def apply(self, progress: Progress) -> str:
        self._target.reboot_debugger()
        self._restarted = True
        return "restarted"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0").hex() or "empty"
    return f"0x{value:02X}" if isinstance(value, int) else repr(value)
