"""What has to be known about an MCU to judge and to program an image for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pymcuprog.deviceinfo.deviceinfo import DeviceMemoryInfo, getdeviceinfo
from pymcuprog.deviceinfo.deviceinfokeys import DeviceMemoryInfoKeys

from iotprovision.errors import UsageError

FLASH = "flash"
FUSES = "fuses"
EEPROM = "eeprom"
USER_ROW = "user_row"
LOCK_BITS = "lockbits"

# Areas that an image may fill; the others (RAM, signatures) cannot be programmed.
IMAGE_AREAS = (FLASH, EEPROM, FUSES, LOCK_BITS, USER_ROW)


@dataclass(frozen=True)
class Area:
    """One memory of an MCU.

    :param hex_address: where Intel HEX files put it
    :param size: bytes
    :param page_size: bytes written at once
    :param unit: bytes that can only be read together
    """

    name: str
    hex_address: int
    size: int
    page_size: int
    unit: int = 1

    @property
    def hex_end(self) -> int:
        return self.hex_address + self.size


@dataclass(frozen=True)
class Mcu:
    """An MCU.

    :param architecture: ``avr8x``, ``PIC24``, ``CORTEX-M0PLUS``: decides what a program begins with
    :param fuse_bits: the bits that exist in each fuse, by its number; a fuse that is not named is reserved
    :param unlocked: what its lock bits hold while it can be read and programmed; None where unknown
    :param user_row_bits: the bits of the user row that settings are made of, by the number of the byte; the others are
        the factory's, and keep their value. Empty where the whole user row is the user's
    :param ram: its start and its end, where a program begins with a stack pointer; None where unknown
    :param vectors: how many interrupt vectors the largest member of the family has; None where unknown
    :param erased: what erased flash reads as, over and over
    :param device_id: how it answers when its debugger asks for its signature or device id
    :param device_id_mask: the bits of that which do not depend on the revision of the chip
    :param programmed_with_scripts: whether pymcuprog needs the vendor's scripts for it
    """

    name: str
    architecture: str
    areas: Mapping[str, Area]
    fuse_bits: Mapping[int, int] = field(default_factory=dict)
    user_row_bits: Mapping[int, int] = field(default_factory=dict)
    ram: tuple[int, int] | None = None
    vectors: int | None = None
    unlocked: bytes | None = None
    erased: bytes = b"\xff"
    device_id: int = 0
    device_id_mask: int = 0
    programmed_with_scripts: bool = False

    @property
    def flash(self) -> Area:
        return self.areas[FLASH]

    def erased_flash(self, offset: int, size: int) -> bytes:
        """What so many bytes of erased flash hold."""
        start = offset % len(self.erased)
        return (self.erased * (size // len(self.erased) + 2))[start : start + size]

    def is_erased(self, data: bytes, offset: int = 0) -> bool:
        """Whether these bytes of flash, from that offset on, are erased."""
        return data == self.erased_flash(offset, len(data))

    def without_erased_end(self, flash: bytes) -> bytes:
        """A flash content from address 0 on, without what is erased at its end."""
        return without_erased_end(flash, self.erased)


def without_erased_end(flash: bytes, erased: bytes) -> bytes:
    """A flash content without the erased bytes at its end; of an instruction that is not erased nothing is left out."""
    if len(erased) == 1:
        return flash.rstrip(erased)
    end = len(flash) - len(flash) % len(erased)
    if end == len(flash):
        while end and flash[end - len(erased) : end] == erased:
            end -= len(erased)
        return flash[:end]
    return flash


# ATmega4808/4809 data sheet, "Fuses": WDTCFG, BODCFG, OSCCFG, SYSCFG0, SYSCFG1, APPEND, BOOTEND; 3 and 4 are reserved.
_MEGA0_FUSES = {0: 0xFF, 1: 0xFF, 2: 0x83, 5: 0xC9, 6: 0x07, 7: 0xFF, 8: 0xFF}
_MEGA0_VECTORS = 40
_MEGA0_UNLOCKED = b"\xc5"
# AVR128DB48/64 data sheet, "Fuses": WDTCFG, BODCFG, OSCCFG, SYSCFG0, SYSCFG1, CODESIZE, BOOTSIZE; 3 and 4 are reserved.
_AVR_DB_FUSES = {0: 0xFF, 1: 0xFF, 2: 0x07, 5: 0xED, 6: 0x1F, 7: 0xFF, 8: 0xFF}
# The lock bits of this family are a key of four bytes.
_AVR_DB_UNLOCKED = bytes.fromhex("5cc5c55c")
# Of the four bytes that an instruction takes, the last does not exist.
_PIC24 = {"erased": b"\xff\xff\xff\x00", "programmed_with_scripts": True}
_FAMILIES: dict[str, dict[str, Any]] = {"PIC24": _PIC24}
_FUSE_BITS = {"atmega4808": _MEGA0_FUSES, "avr128db48": _AVR_DB_FUSES, "avr128db64": _AVR_DB_FUSES}
_VECTORS = {"atmega4808": _MEGA0_VECTORS}
_UNLOCKED = {"atmega4808": _MEGA0_UNLOCKED, "avr128db48": _AVR_DB_UNLOCKED, "avr128db64": _AVR_DB_UNLOCKED}

# SAM D21 data sheet, "NVM User Row Mapping": BOOTPROT, EEPROM, BOD33, WDT, LOCK. Reserved are the bits 3, 7, 17 to 24
# and 41 to 47: "factory calibration - do not change". The vendor's images hold 0 there.
_SAMD21_USER_ROW = dict(enumerate(bytes.fromhex("77ff01feff01ffff")))
_SAMD21G18_RAM = (0x20000000, 0x20008000)
_USER_ROW_BITS = {"atsamd21g18a": _SAMD21_USER_ROW}
# SAM D21 data sheet, DSU register DID: processor, family, series and device; die and revision lie between them.
_SAM_ID_MASK = 0xFFFF00FF
_SAM_IDS = {"atsamd21g18a": 0x10010005}
_RAM = {"atsamd21g18a": _SAMD21G18_RAM}


@cache
def mcu_by_name(name: str) -> Mcu:
    """What is known about an MCU; letter case does not matter.

    :raises UsageError: nothing is known about it
    """
    lower = name.lower()
    try:
        description = getdeviceinfo(lower)
    except (ImportError, ValueError) as error:
        raise UsageError(f"The MCU {name} is not known") from error
    memories = DeviceMemoryInfo(description)
    areas = {}
    for area in IMAGE_AREAS:
        if area in memories.mem_by_name:
            memory = memories.memory_info_by_name(area)
            areas[area] = Area(
                name=area,
                hex_address=memory[DeviceMemoryInfoKeys.HEXFILE_ADDRESS],
                size=memory[DeviceMemoryInfoKeys.HEXFILE_SIZE],
                page_size=memory[DeviceMemoryInfoKeys.PAGE_SIZE],
                unit=memory[DeviceMemoryInfoKeys.READ_SIZE],
            )
    return Mcu(
        name=lower,
        architecture=description["architecture"],
        areas=areas,
        fuse_bits=_FUSE_BITS.get(lower, {}),
        user_row_bits=_USER_ROW_BITS.get(lower, {}),
        ram=_RAM.get(lower),
        vectors=_VECTORS.get(lower),
        unlocked=_UNLOCKED.get(lower),
        device_id=_device_id(lower, description),
        device_id_mask=_SAM_ID_MASK if lower in _SAM_IDS else 0xFFFFFFFF,
        **_FAMILIES.get(description["architecture"], {}),
    )


def _device_id(name: str, description: Mapping[str, Any]) -> int:
    """pymcuprog writes those of PICs as hexadecimal text, and knows none of a SAM."""
    known = description.get("device_id")
    return int(known, 16) if isinstance(known, str) else known or _SAM_IDS[name]
