"""AVR parts with UPDI: what a programmer has to know of them (from their datasheets)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class UpdiPart:
    """One AVR: sizes in bytes, addresses in its data space.

    :param information_block: the 32 characters that the part tells of itself over UPDI
    :param flash_start: beyond 0xFFFF for parts whose flash is programmed with addresses of 24 bits
    :param unlocked: what the lock bits hold while the part can be programmed
    :param eeprom_save_fuse: fuse number and mask of EESAVE: where it is set, a chip erase spares the EEPROM
    """

    name: str
    signature: bytes
    revision: int
    information_block: bytes
    flash_size: int
    flash_page: int
    flash_start: int
    eeprom_start: int
    eeprom_size: int
    eeprom_page: int
    fuses_start: int
    factory_fuses: bytes
    lock_start: int
    signature_start: int
    user_row_start: int
    user_row_size: int
    memory_start: int
    memory_size: int
    unlocked: bytes
    revision_address: int = 0x0F01
    eeprom_save_fuse: tuple[int, int] = (5, 0x01)

    @property
    def erased_flash(self) -> bytes:
        """The flash of a new part."""
        return b"\xff" * self.flash_size

    @property
    def factory_user_row(self) -> bytes:
        """What the factory leaves in the user row: nothing."""
        return b"\xff" * self.user_row_size


ATMEGA4808 = UpdiPart(
    name="ATmega4808",
    signature=bytes.fromhex("1e9650"),
    revision=0x01,
    information_block=b"megaAVR P:0D:1-3M2 (01.59B14.0)\x00",
    flash_size=0xC000,
    flash_page=0x80,
    flash_start=0x4000,
    eeprom_start=0x1400,
    eeprom_size=0x100,
    eeprom_page=0x40,
    fuses_start=0x1280,
    factory_fuses=bytes.fromhex("000001ff00e4070000"),
    lock_start=0x128A,
    signature_start=0x1100,
    user_row_start=0x1300,
    user_row_size=0x40,
    memory_start=0x2800,
    memory_size=0x1800,
    unlocked=b"\xc5",
)

AVR128DB48 = UpdiPart(
    name="AVR128DB48",
    signature=bytes.fromhex("1e970c"),
    revision=0x10,
    information_block=b"AVR     P:2D:1-3M2 (01.59B20.0)\x00",
    flash_size=0x20000,
    flash_page=0x200,
    flash_start=0x800000,
    eeprom_start=0x1400,
    eeprom_size=0x200,
    eeprom_page=0x01,
    fuses_start=0x1050,
    factory_fuses=bytes.fromhex("0000000000c0080000"),
    lock_start=0x1040,
    signature_start=0x1100,
    user_row_start=0x1080,
    user_row_size=0x20,
    memory_start=0x4000,
    memory_size=0x4000,
    unlocked=bytes.fromhex("5cc5c55c"),
)

AVR128DB64 = replace(AVR128DB48, name="AVR128DB64", signature=bytes.fromhex("1e970b"))
