"""What the processor of a board holds: an image in its flash."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.boards.board import Programmer
from iotprovision.boards.program import Program
from iotprovision.findings import Finding, State
from iotprovision.firmware.hex_image import HexImage
from iotprovision.steps.step import About, Progress, Step


class ProgramInFlash(Step):
    """Flash and fuses of the processor hold an image.

    :param load: reads and judges the image; called before anything on the board is changed
    :param name: what a person calls the image
    """

    about = About.KIT
    proof = "flash and fuses read back, every byte equal"
    would = "erase the MCU and program it"
    forced_by = frozenset({"force"})
    needs: Program | None = Program.NONE

    def __init__(self, programmer: Programmer, load: Callable[[], HexImage], name: str) -> None:
        self._programmer = programmer
        self._load = load
        self.name = name
        self._image: HexImage | None = None

    def prepare(self) -> None:
        self._image = self._load()

    def check(self, progress: Progress) -> Finding:
        difference = self._programmer.first_difference(self._wanted, progress)
        if difference is None:
            return Finding(State.IN_PLACE, self.name)
        place = f"{difference.area} 0x{difference.address:04X}"
        return Finding(
            State.DIFFERENT, f"other content, from {place} on", f"{self.name}, 0x{difference.expected:02X} at {place}"
        )

    def apply(self, progress: Progress) -> str:
        self._programmer.program(self._wanted, progress)
        return f"programmed {self.name}"

    @property
    def _wanted(self) -> HexImage:
        assert self._image is not None, "a step is prepared before it is checked"
        return self._image


class Application(ProgramInFlash):
    """The program that the board runs from now on: the demo, or the user's own."""

    title = "Application"
    action = "application"
    brings = Program.APPLICATION


class ApplicationRestored(Application):
    """The program that the board runs from now on comes out of a backup."""

    title = "Application from the backup"
    action = "restore"


class ProvisioningFirmware(ProgramInFlash):
    """The firmware that lets the tool talk to the chips.

    :param check_port: raises where the port to talk through cannot be opened
    :param is_there: the user says that the processor holds it
    """

    title = "Provisioning firmware"
    action = "provision"
    brings = Program.PROVISIONING

    def __init__(
        self,
        programmer: Programmer,
        load: Callable[[], HexImage],
        name: str,
        check_port: Callable[[], None],
        is_there: bool = False,
    ) -> None:
        super().__init__(programmer, load, name)
        self._check_port = check_port
        self._is_there = is_there
        if is_there:
            self.forced_by = frozenset()
            self.needs = None

    def prepare(self) -> None:
        super().prepare()
        self._check_port()

    def check(self, progress: Progress) -> Finding:
        if self._is_there:
            return Finding(State.IN_PLACE, "taken as it is")
        return super().check(progress)


class BridgeFirmware(ProgramInFlash):
    """The firmware that opens the flash of the Wi-Fi module to the tool."""

    title = "Bridge to the Wi-Fi module"
    action = "wincupgrade"
    brings = Program.BRIDGE
    # The image is compared in any case; to write it once more would prove nothing about the module.
    forced_by: frozenset[str] = frozenset()

    def __init__(
        self, programmer: Programmer, load: Callable[[], HexImage], name: str, check_port: Callable[[], None]
    ) -> None:
        super().__init__(programmer, load, name)
        self._check_port = check_port

    def prepare(self) -> None:
        super().prepare()
        self._check_port()
