"""SAM D21 parts: what a programmer has to know of them (from their data sheet)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SwdPart:
    """One SAM D21: sizes in bytes.

    :param identification: DSU register DID
    :param flash_page: written at once; erased are rows of four pages
    :param factory_user_row: what the factory leaves in the user row: fuses and calibration in its first 8 bytes
    """

    name: str
    identification: int
    flash_size: int
    factory_user_row: bytes
    flash_page: int = 64
    eeprom_size: int = 0
    factory_fuses: bytes = b""
    unlocked: bytes = b""

    @property
    def erased_flash(self) -> bytes:
        """The flash of a new part."""
        return b"\xff" * self.flash_size

    @property
    def user_row_size(self) -> int:
        return len(self.factory_user_row)


ATSAMD21G18A = SwdPart(
    name="ATSAMD21G18A",
    identification=0x10010305,
    flash_size=0x40000,
    factory_user_row=bytes.fromhex("ffc7e0d85dfcffff").ljust(256, b"\xff"),
)
