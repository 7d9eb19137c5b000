"""PICs that are programmed over ICSP: what a programmer has to know of them (from their datasheets)."""

from __future__ import annotations

from dataclasses import dataclass

ERASED_INSTRUCTION = b"\xff\xff\xff\x00"
"""An instruction has 24 bits; a fourth byte, always 0, stands behind it in hex files and in what pymcuprog reads."""


@dataclass(frozen=True)
class IcspPart:
    """One PIC24. It has no memory but flash; the configuration words are its last page.

    :param flash_size: bytes, four an instruction
    :param row_size: instructions that one programming operation writes
    :param page_size: instructions that one page erase takes
    """

    name: str
    device_id: int
    revision: int
    flash_size: int
    row_size: int
    page_size: int
    eeprom_size: int = 0
    factory_fuses: bytes = b""
    factory_user_row: bytes = b""
    unlocked: bytes = b""

    @property
    def erased_flash(self) -> bytes:
        """The flash of a new part."""
        return ERASED_INSTRUCTION * (self.flash_size // len(ERASED_INSTRUCTION))


# PIC24FJ256GA705 family data sheet and its flash programming specification
PIC24FJ128GA705 = IcspPart(
    name="PIC24FJ128GA705",
    device_id=0x750B,
    revision=0x0003,
    flash_size=0x2C000,
    row_size=128,
    page_size=1024,
)
