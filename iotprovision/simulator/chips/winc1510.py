"""A simulated WINC1510: registers, shared memory and the controller of its 1 MiB NOR flash.

Register addresses and the order of things are those that the WINC driver 19.3.0 uses, as far as the kits' firmware
goes: the start of the firmware, download mode, version block and flash. The SPI side is in ``winc1510_bus.py``, what
the firmware does once it runs in ``winc1510_firmware.py``.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from iotprovision.formats.winc_flash import BOOT_FIRMWARE, CONTROL, FIRMWARE, PAGE, SECTOR, FlashArea
from iotprovision.formats.winc_flash import SIZE as FLASH_SIZE
from iotprovision.formats.winc_image import control_section_version, is_blank
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.conditions.meters import Meters

Version = tuple[int, int, int]

# What a module with nothing in the place of its firmware reports: a fresh simulated kit needs no image of it.
FIRMWARE_VERSION: Version = (19, 7, 7)
DRIVER_VERSION: Version = (19, 3, 0)
# Firmware and driver version by the SHA-256 of boot sector and firmware. Nothing else starts.
KNOWN_FIRMWARE: dict[str, tuple[Version, Version]] = {
    "b9a79d0c1167b5e37c7678a5023585ee9634063b576f73762f0e27a46b01e153": ((19, 7, 6), (19, 3, 0)),
    "244f7c30e7f294570d540487ba2278caa216bc3e59a9fb345aa7cffd3f658d88": ((19, 7, 7), (19, 3, 0)),
}

# Registers.
CHIP_ID, EFUSE_0, STATE, RESET_CONTROL = 0x1000, 0x1014, 0x108C, 0x1400
CLOCK_STATUS, RF_REVISION, SPI_PROTOCOL_CONFIG = 0x0F, 0x13F4, 0xE824
VERSION_POINTER, BOOT_ROM = 0xC0008, 0xC000C
FLASH_CONTROLLER = 0x10200
FLASH_COMMAND_COUNT, FLASH_DATA_COUNT = FLASH_CONTROLLER + 0x04, FLASH_CONTROLLER + 0x08
FLASH_COMMAND_LOW, FLASH_COMMAND_HIGH = FLASH_CONTROLLER + 0x0C, FLASH_CONTROLLER + 0x10
FLASH_TRANSFER_DONE, FLASH_DMA_ADDRESS = FLASH_CONTROLLER + 0x18, FLASH_CONTROLLER + 0x1C

# Values that driver and chip exchange while the chip starts.
CHIP_ID_VALUE = 0x1003A0
BOOT_ROM_DONE, START_FIRMWARE, FIRMWARE_RUNS = 0x10ADD09E, 0xEF522F61, 0x02532636
CPU_RUNS = 1 << 10

# Where this model keeps the version block; the driver follows two pointers to it.
SHARED_MEMORY = 0x30000
_POINTERS, _VERSION_BLOCK = SHARED_MEMORY + 0x1000, SHARED_MEMORY + 0x2000
_MEMORY_SIZE = 1 << 20

# Opcodes of the NOR flash.
PROGRAM, WRITE_DISABLE, READ_STATUS, WRITE_ENABLE = 0x02, 0x04, 0x05, 0x06
FAST_READ, ERASE_SECTOR, READ_ID = 0x0B, 0x20, 0x9F
_FLASH_ID = bytes.fromhex("c8401400")  # third byte: 2 to the power 0x14 bytes


class Winc1510:
    """The module. ``flash`` (1 MiB) is what it keeps without power.

    ``meters`` counts ``winc_sector_erases`` and ``winc_page_writes``. ``faults.winc_silent`` makes it answer nothing,
    ``faults.winc_flip_after_writes`` makes a page go bad. ``register_written`` is told the address and value of what is
    written to registers that this model knows nothing of: the host interface is there.
    """

    def __init__(self, flash: bytes | bytearray | None = None) -> None:
        """:raises ValueError: the flash content is not 1 MiB"""
        self.flash = bytearray(b"\xff" * FLASH_SIZE) if flash is None else bytearray(flash)
        if len(self.flash) != FLASH_SIZE:
            raise ValueError(f"the flash of a WINC1510 has {FLASH_SIZE} bytes, not {len(self.flash)}")
        self.meters = Meters()
        self.faults = Faults()
        self.memory = bytearray(_MEMORY_SIZE)
        self.registers: dict[int, int] = {}
        self.register_written: Callable[[int, int], None] | None = None
        self.crc_enabled = True
        self._write_enabled = False
        self.reset()

    @property
    def present(self) -> bool:
        """False when the module answers nothing."""
        return not self.faults.winc_silent

    @property
    def versions(self) -> tuple[Version, Version] | None:
        """Versions of the firmware in flash and of the driver that it asks for; None where no firmware would start."""
        if is_blank(self._area(CONTROL)) and is_blank(self._area(FIRMWARE)):
            return FIRMWARE_VERSION, DRIVER_VERSION
        if control_section_version(self._area(CONTROL)) is None:
            return None
        firmware = self._area(BOOT_FIRMWARE) + self._area(FIRMWARE)
        return KNOWN_FIRMWARE.get(hashlib.sha256(firmware).hexdigest())

    def _area(self, area: FlashArea) -> bytes:
        return bytes(self.flash[area.address : area.end])

    def reset(self) -> None:
        """RESET_N was low: registers as after power-up, flash and shared memory unchanged."""
        self.registers = {
            CHIP_ID: CHIP_ID_VALUE,
            EFUSE_0: 0x80000000,
            VERSION_POINTER: _POINTERS & 0xFFFF,
            RF_REVISION: 0x3A0,
            CLOCK_STATUS: 0x04,
            BOOT_ROM: BOOT_ROM_DONE,
        }
        self.crc_enabled = True
        self._write_enabled = False

    # --- shared memory and registers -----------------------------------------------------------------------------

    def read_memory(self, address: int, length: int) -> bytes:
        """Bytes of the shared memory; addresses beyond it wrap."""
        start = address % _MEMORY_SIZE
        piece = bytes(self.memory[start : start + length])
        return piece + bytes(length - len(piece))

    def write_memory(self, address: int, data: bytes) -> None:
        """Bytes into the shared memory; what does not fit is lost."""
        start = address % _MEMORY_SIZE
        fits = data[: _MEMORY_SIZE - start]
        self.memory[start : start + len(fits)] = fits

    def read_register(self, address: int) -> int:
        """32 bits; 0 where nothing was ever written."""
        return self.registers.get(address, 0)

    def write_register(self, address: int, value: int) -> None:
        """32 bits into a register, and what it sets off."""
        before = self.registers.get(address, 0)
        self.registers[address] = value
        if address == SPI_PROTOCOL_CONFIG:
            self.crc_enabled = bool(value & 0x0C)
        elif address == RESET_CONTROL and value & CPU_RUNS and not before & CPU_RUNS:
            self.registers[BOOT_ROM] = BOOT_ROM_DONE
        elif address == BOOT_ROM and value == START_FIRMWARE:
            self._start_firmware()
        elif address == FLASH_COMMAND_COUNT and value & 0x80:
            self._run_flash_command(value)
        elif self.register_written:
            self.register_written(address, value)

    def _start_firmware(self) -> None:
        versions = self.versions
        if versions is None:
            return
        firmware, driver = versions
        self.write_memory(_POINTERS, struct.pack("<II", 0, _VERSION_BLOCK & 0xFFFF))
        built = b"Jan  1 2022\0" + b"00:00:00\0"
        self.write_memory(_VERSION_BLOCK, struct.pack("<I6B", 0x1503A0, *firmware, *driver) + built + bytes(16))
        self.registers[STATE] = FIRMWARE_RUNS

    # --- flash ---------------------------------------------------------------------------------------------------

    def _run_flash_command(self, control: int) -> None:
        length = control & 0x7F
        words = (self.registers.get(FLASH_COMMAND_LOW, 0), self.registers.get(FLASH_COMMAND_HIGH, 0))
        command = struct.pack("<II", *words)[:length]
        address = int.from_bytes(command[1:4], "big") if length >= 4 else 0
        count = self.registers.get(FLASH_DATA_COUNT, 0)
        target = self.registers.get(FLASH_DMA_ADDRESS, 0)
        answer = b""
        opcode = command[0] if command else 0
        if opcode == READ_STATUS:
            answer = bytes([0x02 if self._write_enabled else 0x00])
        elif opcode == READ_ID:
            answer = _FLASH_ID[:count]
        elif opcode == FAST_READ:
            answer = self.read_flash(address, count)
        elif opcode in (WRITE_ENABLE, WRITE_DISABLE):
            self._write_enabled = opcode == WRITE_ENABLE
        elif opcode == ERASE_SECTOR and self._write_enabled:
            self.erase_sector(address)
            self._write_enabled = False
        elif opcode == PROGRAM and self._write_enabled:
            self.program_page(address, self.read_memory(target, control >> 8))
            self._write_enabled = False
        if answer and target < SHARED_MEMORY:
            self.registers[target] = int.from_bytes(answer[:4], "little")
        elif answer:
            self.write_memory(target, answer)
        self.registers[FLASH_TRANSFER_DONE] = 1

    def read_flash(self, address: int, length: int) -> bytes:
        """Bytes of the flash; the address wraps at its end, as the chip's address counter does."""
        start = address % FLASH_SIZE
        piece = bytes(self.flash[start : start + length])
        return piece if len(piece) == length else piece + self.read_flash(0, length - len(piece))

    def erase_sector(self, address: int) -> None:
        """All bytes 0xFF in the 4096-byte sector that the address lies in."""
        start = address % FLASH_SIZE // SECTOR * SECTOR
        self.flash[start : start + SECTOR] = b"\xff" * SECTOR
        self.meters.count("winc_sector_erases")

    def program_page(self, address: int, data: bytes) -> None:
        """Clear bits of one 256-byte page; past the end of the page it goes on at the page's beginning."""
        first = address % FLASH_SIZE
        page = first // PAGE * PAGE
        for index, byte in enumerate(data):
            self.flash[page + (first + index) % PAGE] &= byte
        if data and self.faults.strikes("winc_flip_after_writes"):
            self.flash[first] ^= 0x01
        self.meters.count("winc_page_writes")
