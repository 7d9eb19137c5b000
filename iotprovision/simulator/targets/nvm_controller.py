"""The flash controller (NVMCTRL) of a SAM D21 on the memories of a board: page buffer, commands, lock regions.

Registers and commands: SAM D21 data sheet, "Non-Volatile Memory Controller".
"""

from __future__ import annotations

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.targets.swd_part import SwdPart

CTRLA, CTRLB, PARAM, INTFLAG, STATUS, ADDR, LOCK = 0x00, 0x04, 0x08, 0x14, 0x18, 0x1C, 0x20
KEY = 0xA5
ERASE_ROW, WRITE_PAGE, ERASE_AUXILIARY_ROW, WRITE_AUXILIARY_PAGE = 0x02, 0x04, 0x05, 0x06
LOCK_REGION, UNLOCK_REGION, CLEAR_PAGE_BUFFER = 0x40, 0x41, 0x44
MANUAL_WRITE = 0x80
READY, ERROR = 0x01, 0x02
PROGRAM_ERROR, LOCK_ERROR = 0x04, 0x08

USER_ROW = 0x804000
ROW_PAGES = 4
LOCK_REGIONS = 16
LOCK_BITS = slice(6, 8)  # of the user row; a region is locked where its bit is 0
_ERASED = b"\xff"
_PAGE_SIZE_CODE = 3  # 8 << 3 bytes


class NvmController:
    """Flash and user row as a program or a debugger on the bus of the MCU writes them."""

    def __init__(self, board: Board, part: SwdPart) -> None:
        self._board = board
        self._part = part
        self._buffer = bytearray()
        self.reset()

    def reset(self) -> None:
        """A reset of the MCU: lock regions and registers are as the user row says."""
        self._control = 0
        self._address = 0
        self._status = 0
        self._failed = False
        self._unlocked = int.from_bytes(self._board.user_row[LOCK_BITS], "little")
        self._clear_buffer()

    def read(self, offset: int) -> int:
        """A register, 32 bits."""
        pages = self._part.flash_size // self._part.flash_page
        values = {
            CTRLB: self._control,
            PARAM: _PAGE_SIZE_CODE << 16 | pages,
            INTFLAG: READY | (ERROR if self._failed else 0),
            STATUS: self._status,
            ADDR: self._address,
            LOCK: self._unlocked,
        }
        return values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register, 32 bits."""
        if offset == CTRLA:
            self._command(value)
        elif offset == CTRLB:
            self._control = value
        elif offset == ADDR:
            self._address = value & 0x3FFFFF
        elif offset == INTFLAG and value & ERROR:
            self._failed = False
        elif offset == STATUS:
            self._status &= ~value

    def write_memory(self, address: int, value: int) -> None:
        """A word to flash or user row: into the page buffer, and with its last word the page, unless that is manual."""
        page = self._part.flash_page
        start = address % page
        self._buffer[start : start + 4] = value.to_bytes(4, "little")
        self._address = address >> 1
        if start == page - 4 and not self._control & MANUAL_WRITE:
            self._write_page()

    def _clear_buffer(self) -> None:
        self._buffer[:] = _ERASED * self._part.flash_page

    def _command(self, value: int) -> None:
        if value >> 8 & 0xFF != KEY:
            self._fail(PROGRAM_ERROR)
            return
        command = value & 0x7F
        region = 1 << (2 * self._address) // (self._part.flash_size // LOCK_REGIONS) % LOCK_REGIONS
        if command in (WRITE_AUXILIARY_PAGE, ERASE_AUXILIARY_ROW):
            # ADDR has 22 bits, too few for the address of the user row: these commands imply it.
            self._address = (USER_ROW + 2 * self._address % self._part.user_row_size) >> 1
        if command in (WRITE_PAGE, WRITE_AUXILIARY_PAGE):
            self._write_page()
        elif command == CLEAR_PAGE_BUFFER:
            self._clear_buffer()
        elif command in (ERASE_ROW, ERASE_AUXILIARY_ROW):
            self._erase_row()
        elif command == LOCK_REGION:
            self._unlocked &= ~region
        elif command == UNLOCK_REGION:
            self._unlocked |= region
        else:
            self._fail(PROGRAM_ERROR)

    def _fail(self, cause: int) -> None:
        self._failed = True
        self._status |= cause

    def _memory(self) -> tuple[bytearray, int] | None:
        """The memory that ADDR lies in, and the place in it; None where there is none, or where it is locked."""
        address = 2 * self._address
        if USER_ROW <= address < USER_ROW + self._part.user_row_size:
            return self._board.user_row, address - USER_ROW
        if address >= self._part.flash_size:
            self._fail(PROGRAM_ERROR)
            return None
        if not self._unlocked >> address // (self._part.flash_size // LOCK_REGIONS) & 1:
            self._fail(LOCK_ERROR)
            return None
        return self._board.flash, address

    def _erase_row(self) -> None:
        place = self._memory()
        if place:
            memory, start = place
            size = ROW_PAGES * self._part.flash_page
            start -= start % size
            memory[start : start + size] = _ERASED * size
            self._board.meters.count("target_flash_erases")

    def _write_page(self) -> None:
        place = self._memory()
        if place:
            memory, start = place
            start -= start % self._part.flash_page
            end = start + self._part.flash_page
            # A write without an erase can only clear bits.
            memory[start:end] = bytes(old & new for old, new in zip(memory[start:end], self._buffer, strict=True))
            if memory is self._board.flash:
                self._board.meters.count("target_flash_page_writes")
                if self._board.faults.strikes("target_flip_after_writes"):
                    memory[start] ^= 0x01
        self._clear_buffer()
