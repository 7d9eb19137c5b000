"""Many kits on one simulated bus, in every state that a debugger can be in; a test plugs in those it wants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotprovision.simulator.debugger.board_config import DEVNAME, KITNAME, USER_BLOCK, Register
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import KitState
from iotprovision.simulator.usb.foreign_devices import ForeignDevice, plugged_in
from iotprovision.simulator.usb.host import KitAnnouncement, KitProcess, attached, start_kits

# Kits as they come, by the name in their registers
HEALTHY = {
    "avr-iot-wa": "AVR-IoT WA",
    "pic-iot-wg": "PIC-IoT WG",
    "sam-iot-wx": "SAMD21-IoT Wx",
    "avr-iot-cellular-mini": "AVR-IoT Cellular Mini",
}
BLANK, BLANK_TOO = "avr-iot-wg", "sam-iot-wg"
NANO, NANO_NAME = "pic-iot-wa", "ATmega4809 CNANO"
BOOT_MODE, BOOT_MODE_TOO = "avr-iot-wa#2", "avr-iot-wg#2"
IN_USE = "avr-iot-wg#3"
HIDDEN, HIDDEN_TOO = "avr-iot-wa#3", "avr-iot-wa#4"
BLANK_NUMBER = "F" * 20
ALL = (*HEALTHY, BLANK, BLANK_TOO, NANO, BOOT_MODE, BOOT_MODE_TOO, IN_USE, HIDDEN, HIDDEN_TOO)


class MixedBus:
    """The kits by their simulated names; none is plugged in outside :meth:`with_kits`."""

    def __init__(self, folder: Path, process: KitProcess) -> None:
        self.folder = folder
        self.process = process
        self._kits = {kit.kit: kit for kit in process.kits}

    def __getitem__(self, name: str) -> KitAnnouncement:
        return self._kits[name]

    def serial(self, name: str) -> str:
        return self._kits[name].serial_number

    def written(self) -> int:
        """Everything that was written to any of the kits, in all."""
        counters = ("dfu_transfers", "register_writes", "target_flash_erases", "target_flash_page_writes")
        return sum(self.process.meters(name)[counter] for name in ALL for counter in counters)

    @contextmanager
    def with_kits(self, *names: str, foreign: tuple[ForeignDevice, ...] = ()) -> Iterator[MixedBus]:
        """These are connected, and nothing else."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(plugged_in(self.folder, *foreign))
            for name in names:
                self.process.plug_in(name)
                stack.callback(self.process.unplug, name)
            yield self


def set_register(folder: Path, register: Register, text: str) -> None:
    """Write a text register of a kit that is not served."""
    content = bytearray((folder / "board-config.bin").read_bytes())
    start = USER_BLOCK.address + register.offset
    content[start : start + register.size] = text.encode("ascii").ljust(register.size, b"\0")
    (folder / "board-config.bin").write_bytes(content)


def erase_registers(folder: Path) -> None:
    """Leave the board registers of a kit that is not served as erased flash."""
    content = bytearray((folder / "board-config.bin").read_bytes())
    content[USER_BLOCK.address :] = b"\xff" * (len(content) - USER_BLOCK.address)
    (folder / "board-config.bin").write_bytes(content)


def erase_debugger(folder: Path) -> None:
    """Leave nothing for the boot loader of the debugger to start."""
    file = folder / "debugger-flash.bin"
    file.write_bytes(b"\xff" * file.stat().st_size)


@contextmanager
def mixed_bus(folder: Path) -> Iterator[MixedBus]:
    """The kits, made in a folder, on the bus of this program."""
    names = [SimulatedKitName.parse(name) for name in ALL]
    for name in names:
        KitState.load_or_create(folder, name)
    for name in (BLANK, BLANK_TOO):
        erase_registers(folder / name)
    for name in (BOOT_MODE, BOOT_MODE_TOO):
        erase_debugger(folder / name)
    set_register(folder / NANO, KITNAME, NANO_NAME)
    set_register(folder / NANO, DEVNAME, "ATmega4809")
    with start_kits(names, folder) as process, attached(folder):
        process.faults(IN_USE, hid_open_denied=True)
        for name in (HIDDEN, HIDDEN_TOO):
            process.faults(name, usb_access_denied=True)
        for name in ALL:
            process.unplug(name)
        yield MixedBus(folder, process)
