"""Numbers of the AVR8 handler of Microchip's debuggers, as far as programming goes (pyedbglib ``avr8protocol``)."""

from __future__ import annotations

from enum import IntEnum


class Command(IntEnum):
    """Commands of the AVR8 handler that a programmer sends."""

    QUERY = 0x00
    SET = 0x01
    GET = 0x02
    ACTIVATE_PHYSICAL = 0x10
    DEACTIVATE_PHYSICAL = 0x11
    GET_ID = 0x12
    ENTER_PROGRAMMING = 0x15
    LEAVE_PROGRAMMING = 0x16
    ERASE = 0x20
    READ = 0x21
    WRITE = 0x23
    RESET = 0x30


class Failure(IntEnum):
    """Failure codes of the AVR8 handler."""

    NO_TARGET_POWER = 0x22
    PHYSICAL_STATE = 0x31
    ILLEGAL_STATE = 0x32
    CONFIGURATION = 0x33
    MEMORY_TYPE = 0x34
    SIZE = 0x35
    ADDRESS = 0x36
    ALIGNMENT = 0x37
    RANGE = 0x38
    VALUE = 0x39
    LOCKED = 0x44
    NOT_SUPPORTED = 0x90


class Memory(IntEnum):
    """Memory types of the AVR8 handler."""

    DATA_SPACE = 0x20
    EEPROM = 0x22
    FLASH_PAGE = 0xB0
    EEPROM_PAGE = 0xB1
    FUSES = 0xB2
    LOCK_BITS = 0xB3
    SIGNATURE = 0xB4
    EEPROM_ATOMIC = 0xC4
    USER_ROW = 0xC5
    CALIBRATION = 0xC6
    CONTROL_STATUS = 0xD0
    INFORMATION_BLOCK = 0xD3


class Erase(IntEnum):
    """Erase modes of the AVR8 handler."""

    CHIP = 0
    EEPROM = 3
    FLASH_PAGE = 4
    BOOT_PAGE = 5
    EEPROM_PAGE = 6
    USER_ROW = 7
