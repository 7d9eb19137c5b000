"""The core of a PIC24 as ICSP uses it: single instructions are clocked in, and one register is clocked out.

Only the instructions of the vendor's programming scripts are there (16-bit MCU and DSC Programmer's Reference Manual);
NVM operations are those of the family's flash programming specification.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack_into, unpack_from

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.targets.icsp_part import ERASED_INSTRUCTION, IcspPart

# Addresses of special function registers
TBLPAG = 0x0054
NVMCON = 0x0760
NVMADR, NVMADRU = 0x0762, 0x0764
VISI = 0x0784

WRITE_BIT = 7  # NVMCON.WR is bit 15, which is bit 7 of the upper byte
ROW_WRITE, PAGE_ERASE, CHIP_ERASE = 0x2, 0x3, 0xE
WRITE_ENABLED = 0x4000

DATA_MEMORY = 0x1000
DEVICE_ID, REVISION = 0xFF0000, 0xFF0002
ERASED = 0xFFFFFF
BYTES = len(ERASED_INSTRUCTION)


class UnknownInstructionError(Exception):
    """The core has no such instruction."""


class Pic24Core:
    """Working registers, some data memory and table access to program memory.

    :param readable: whether code protection lets program memory be read
    """

    def __init__(self, board: Board, part: IcspPart, readable: Callable[[], bool]) -> None:
        self._board = board
        self._part = part
        self._readable = readable
        self._memory = bytearray(DATA_MEMORY)
        self._latches: dict[int, int] = {}

    def word(self, address: int) -> int:
        """A register by its address; W0 to W15 are at 0, 2, 4 and so on."""
        value: int = unpack_from("<H", self._memory, address % DATA_MEMORY & ~1)[0]
        return value

    def set_word(self, address: int, value: int) -> None:
        pack_into("<H", self._memory, address % DATA_MEMORY & ~1, value & 0xFFFF)

    def working(self, number: int) -> int:
        """The content of W0 to W15."""
        return self.word(2 * number)

    def set_working(self, number: int, value: int) -> None:
        self.set_word(2 * number, value)

    def execute(self, instruction: int) -> None:
        """Execute one instruction of 24 bits.

        :raises UnknownInstructionError: it is none of those that programming needs
        """
        first = instruction >> 16
        if first in (0x00, 0x04):  # NOP; GOTO, which only moves a program counter that nothing here looks at
            return
        if first >> 4 == 0x2:  # MOV #literal, Wn
            self.set_working(instruction & 0xF, instruction >> 4)
        elif first >> 3 == 0x88 >> 3:  # MOV Wn, f
            self.set_word((instruction >> 4 & 0x7FFF) << 1, self.working(instruction & 0xF))
        elif first == 0xEB:  # CLR Wn
            self.set_working(instruction >> 7 & 0xF, 0)
        elif first == 0x78:  # MOV Ws, Wd
            value = self._read_operand(instruction >> 4 & 7, instruction & 0xF)
            self._write_operand(instruction >> 11 & 7, instruction >> 7 & 0xF, value, 2)
        elif first == 0xBA:
            self._table_read(instruction)
        elif first == 0xBB:
            self._table_write(instruction)
        elif first == 0xA8:  # BSET.B f, #bit
            self._set_bit(instruction & 0x1FFF, instruction >> 13 & 7)
        else:
            raise UnknownInstructionError(f"{instruction:06X}")

    def _effective_address(self, mode: int, number: int, size: int) -> int:
        """The address an indirect operand means; the register moves on as its mode says."""
        present = self.working(number)
        step = {1: 0, 2: -size, 3: size, 4: -size, 5: size}.get(mode)
        if step is None:
            raise UnknownInstructionError(f"addressing mode {mode}")
        self.set_working(number, present + step)
        return self.working(number) if mode in (4, 5) else present

    def _read_operand(self, mode: int, number: int) -> int:
        return self.working(number) if mode == 0 else self.word(self._effective_address(mode, number, 2))

    def _write_operand(self, mode: int, number: int, value: int, size: int) -> None:
        if mode == 0:
            self.set_working(number, value)
            return
        address = self._effective_address(mode, number, size)
        if size == 2:
            self.set_word(address, value)
        else:
            self._memory[address % DATA_MEMORY] = value & 0xFF

    def _table_read(self, instruction: int) -> None:
        high, byte = instruction >> 15 & 1, instruction >> 14 & 1
        size = 1 if byte else 2
        pointer = self._effective_address(instruction >> 4 & 7, instruction & 0xF, size)
        word = self._program_word(self.word(TBLPAG) << 16 & 0xFF0000 | pointer & ~1)
        value = word >> 16 if high else word & 0xFFFF
        if byte:
            value = value >> 8 if pointer & 1 else value & 0xFF
        self._write_operand(instruction >> 11 & 7, instruction >> 7 & 0xF, value, size)

    def _table_write(self, instruction: int) -> None:
        high, byte = instruction >> 15 & 1, instruction >> 14 & 1
        size = 1 if byte else 2
        source = self._effective_address(instruction >> 4 & 7, instruction & 0xF, size)
        value = self._memory[source % DATA_MEMORY] if byte else self.word(source)
        pointer = self._effective_address(instruction >> 11 & 7, instruction >> 7 & 0xF, size)
        latch = self._latches.get(pointer & ~1, ERASED)
        if not high:
            latch = latch & 0xFF0000 | value
        elif not (byte and pointer & 1):  # the byte behind an instruction does not exist
            latch = latch & 0x00FFFF | (value & 0xFF) << 16
        self._latches[pointer & ~1] = latch

    def _program_word(self, address: int) -> int:
        if address == DEVICE_ID:
            given = self._board.faults.target_device_id
            return self._part.device_id if given is None else given
        if address == REVISION:
            return self._part.revision
        start = address * 2
        if start >= self._part.flash_size:
            return ERASED
        if not self._readable():
            return 0
        return int.from_bytes(self._board.flash[start : start + 3], "little")

    def _set_bit(self, address: int, bit: int) -> None:
        self._memory[address % DATA_MEMORY] |= 1 << bit
        if address == NVMCON + 1 and bit == WRITE_BIT:
            self._operate()
            self._memory[NVMCON + 1] &= ~(1 << WRITE_BIT) & 0xFF

    def _operate(self) -> None:
        """The operation that NVMCON selects; done at once."""
        control = self.word(NVMCON)
        if not control & WRITE_ENABLED:
            return
        address = self.word(NVMADRU) << 16 | self.word(NVMADR)
        operation, board = control & 0xF, self._board
        if operation == CHIP_ERASE:
            board.flash[:] = self._part.erased_flash
            board.faults.target_locked = False
            board.meters.count("target_flash_erases")
        elif operation == PAGE_ERASE:
            size = self._part.page_size * BYTES
            start = address * 2 // size * size
            if start < self._part.flash_size:
                board.flash[start : start + size] = ERASED_INSTRUCTION * self._part.page_size
                board.meters.count("target_flash_erases")
        elif operation == ROW_WRITE:
            self._write_row(address)

    def _write_row(self, address: int) -> None:
        """Bits that are 1 can become 0."""
        board, latches = self._board, self._latches
        self._latches = {}
        row = address * 2
        if row >= self._part.flash_size:
            return
        for pointer, word in latches.items():
            start = row + pointer % (2 * self._part.row_size) * 2
            for index, byte in enumerate(word.to_bytes(3, "little")):
                board.flash[start + index] &= byte
        board.meters.count("target_flash_page_writes")
        if board.faults.strikes("target_flip_after_writes"):
            board.flash[row] ^= 0x01
