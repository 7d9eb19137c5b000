"""An AVR with UPDI behind the debugger: the commands of the AVR8 handler, on the memories of the board.

What is refused, and with which code: pyedbglib ``avr8protocol`` and ``avr8protocolerrors``.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import error as StructError  # noqa: N812
from struct import unpack_from

from iotprovision.simulator.board.board import Board, Microcontroller
from iotprovision.simulator.targets.avr8 import Command, Erase, Failure, Memory
from iotprovision.simulator.targets.updi_part import UpdiPart

ERASED = 0xFF
MAXIMUM_TRANSFER = 512
DATA_SPACE_SIZE = 0x10000
MAPPED_FLASH_SIZE = 0x8000
SUCCESS = b"\x80\x00"
DATA = b"\x84\x00"
FAILURE = b"\xa0\x00"
TRAILING_STATUS = b"\x00"
VARIANT = (0, 0)
INTERFACE = (1, 0)
UPDI_VARIANT = 5
UPDI_INTERFACE = 8
CHIP_ERASE_TO_ENTER = (3, 7)
PDI_REVISION = 0x30  # status byte A: revision 3 in the high nibble


class Refused(Exception):  # noqa: N818
    """The command ends with a failure code."""

    def __init__(self, code: Failure) -> None:
        super().__init__(code.name)
        self.code = code


class UpdiTarget:
    """The target side of a debugger for one board.

    :param part: the part that is on the board
    :param microcontroller: runs and halts with programming mode
    """

    def __init__(self, board: Board, part: UpdiPart, microcontroller: Microcontroller) -> None:
        self.board = board
        self.part = part
        self.microcontroller = microcontroller
        self.programming = False
        self._halted = False
        self._physical = False
        self._parameters: dict[tuple[int, int], bytes] = {}
        self._memory = bytearray(part.memory_size)
        self._commands: dict[int, Callable[[bytes], bytes]] = {
            Command.QUERY: lambda _: b"\x81\x00" + bytes(Command),
            Command.SET: self._set,
            Command.GET: self._get,
            Command.ACTIVATE_PHYSICAL: self._activate,
            Command.DEACTIVATE_PHYSICAL: self._deactivate,
            Command.GET_ID: self._identify,
            Command.ENTER_PROGRAMMING: self._enter,
            Command.LEAVE_PROGRAMMING: self._leave,
            Command.ERASE: self._erase,
            Command.READ: self._read,
            Command.WRITE: self._write,
            Command.RESET: self._reset,
        }

    @property
    def _signature_row(self) -> bytes:
        given = self.board.faults.target_device_id
        signature = self.part.signature if given is None else given.to_bytes(len(self.part.signature), "big")
        return (signature + bytes(range(0x30, 0x3A))).ljust(0x40, b"\xff")

    @property
    def millivolts(self) -> int:
        """The supply of the target as the debugger measures it."""
        return 0 if self.board.faults.target_unpowered else 3300

    def avr8(self, command: bytes) -> bytes:
        """Answer one command of the AVR8 handler: command, version, payload → response, version, payload."""
        handler = self._commands.get(command[0]) if command else None
        try:
            if handler is None:
                raise Refused(Failure.NOT_SUPPORTED)
            return handler(command)
        except Refused as refused:
            return FAILURE + bytes([refused.code])
        except (IndexError, StructError):
            return FAILURE + bytes([Failure.SIZE])

    def report(self, report: bytes) -> bytes | None:
        """Reports that are the target's own (SWD, ATI): an AVR knows none."""
        return None

    def end_session(self) -> None:
        """The host ended its session, or the debugger restarts: the interface is released and the target runs."""
        self._physical = False
        self._parameters.clear()
        if self._halted:
            self._run()

    def _run(self) -> None:
        self.programming = self._halted = False
        if not self.board.faults.target_unpowered:
            self.microcontroller.start()

    def _set(self, command: bytes) -> bytes:
        context, offset, count = command[2:5]
        data = command[5 : 5 + count]
        if len(data) != count:
            raise Refused(Failure.SIZE)
        self._parameters[(context, offset)] = data
        return SUCCESS

    def _get(self, command: bytes) -> bytes:
        context, offset, count = command[2:5]
        value = self._parameters.get((context, offset), bytes(count))
        return DATA + value[:count].ljust(count, b"\x00") + TRAILING_STATUS

    def _activate(self, _: bytes) -> bytes:
        if self.board.faults.target_unpowered:
            raise Refused(Failure.NO_TARGET_POWER)
        if self._physical:
            raise Refused(Failure.PHYSICAL_STATE)
        chosen = (self._parameters.get(VARIANT), self._parameters.get(INTERFACE))
        if chosen != (bytes([UPDI_VARIANT]), bytes([UPDI_INTERFACE])):
            raise Refused(Failure.CONFIGURATION)
        self._physical = True
        return DATA + self.part.information_block[:4] + TRAILING_STATUS

    def _deactivate(self, _: bytes) -> bytes:
        self._physical = self.programming = False
        return SUCCESS

    def _need_physical(self) -> None:
        if self.board.faults.target_unpowered:
            raise Refused(Failure.NO_TARGET_POWER)
        if not self._physical:
            raise Refused(Failure.PHYSICAL_STATE)

    def _need_programming(self) -> None:
        self._need_physical()
        if not self.programming:
            raise Refused(Failure.ILLEGAL_STATE)

    def _identify(self, _: bytes) -> bytes:
        self._need_physical()
        return DATA + self.part.information_block[:4] + TRAILING_STATUS

    def _enter(self, _: bytes) -> bytes:
        self._need_physical()
        if self.board.faults.target_locked or self._lock_bits != self.part.unlocked:
            if self._parameters.get(CHIP_ERASE_TO_ENTER) != b"\x01":
                raise Refused(Failure.LOCKED)
            self._erase_chip()
        if not self._halted:
            self.microcontroller.stop()
        self.programming = self._halted = True
        return SUCCESS

    def _leave(self, _: bytes) -> bytes:
        self._need_physical()
        if self._halted:
            self._run()
        return SUCCESS

    def _reset(self, _: bytes) -> bytes:
        self._need_physical()
        if not self._halted:
            self.microcontroller.start()
        return SUCCESS

    def _erase(self, command: bytes) -> bytes:
        self._need_programming()
        mode, address = unpack_from("<BI", command, 2)
        part, board = self.part, self.board
        if mode == Erase.CHIP:
            self._erase_chip()
        elif mode in (Erase.FLASH_PAGE, Erase.BOOT_PAGE):
            if address >= part.flash_size:
                raise Refused(Failure.RANGE)
            start = address - address % part.flash_page
            board.flash[start : start + part.flash_page] = bytes([ERASED]) * part.flash_page
            board.meters.count("target_flash_erases")
        elif mode == Erase.EEPROM:
            board.eeprom[:] = bytes([ERASED]) * part.eeprom_size
        elif mode == Erase.EEPROM_PAGE:
            start = address - part.eeprom_start
            if not 0 <= start < part.eeprom_size:
                raise Refused(Failure.RANGE)
            start -= start % part.eeprom_page
            board.eeprom[start : start + part.eeprom_page] = bytes([ERASED]) * part.eeprom_page
        elif mode == Erase.USER_ROW:
            board.user_row[:] = bytes([ERASED]) * part.user_row_size
        else:
            raise Refused(Failure.VALUE)
        return SUCCESS

    def _erase_chip(self) -> None:
        board = self.board
        board.flash[:] = bytes([ERASED]) * self.part.flash_size
        index, mask = self.part.eeprom_save_fuse
        if not board.fuses[index] & mask:
            board.eeprom[:] = bytes([ERASED]) * self.part.eeprom_size
        self._lock_bits = self.part.unlocked
        board.faults.target_locked = False
        board.meters.count("target_flash_erases")

    @property
    def _lock_bits(self) -> bytes:
        return self.board.lock_bits.to_bytes(len(self.part.unlocked), "little")

    @_lock_bits.setter
    def _lock_bits(self, value: bytes) -> None:
        self.board.lock_bits = int.from_bytes(value, "little")

    def _read(self, command: bytes) -> bytes:
        kind, address, count = unpack_from("<BII", command, 2)
        if not 0 < count <= MAXIMUM_TRANSFER:
            raise Refused(Failure.SIZE)
        if kind == Memory.INFORMATION_BLOCK:
            self._need_physical()
            return DATA + self._slice(self.part.information_block, address, count) + TRAILING_STATUS
        if kind == Memory.CONTROL_STATUS:
            self._need_physical()
            return DATA + self._slice(bytes([PDI_REVISION]).ljust(16, b"\x00"), address, count) + TRAILING_STATUS
        self._need_programming()
        return DATA + self._content(kind, address, count) + TRAILING_STATUS

    @staticmethod
    def _slice(content: bytes | bytearray, start: int, count: int) -> bytes:
        if start < 0 or start + count > len(content):
            raise Refused(Failure.RANGE)
        return bytes(content[start : start + count])

    def _content(self, kind: int, address: int, count: int) -> bytes:
        part, board = self.part, self.board
        if kind == Memory.DATA_SPACE:
            return self._slice(self._data_space(), address, count)
        areas: dict[int, tuple[int, bytes | bytearray]] = {
            Memory.FLASH_PAGE: (0, board.flash),
            Memory.EEPROM: (part.eeprom_start, board.eeprom),
            Memory.EEPROM_PAGE: (part.eeprom_start, board.eeprom),
            Memory.EEPROM_ATOMIC: (part.eeprom_start, board.eeprom),
            Memory.FUSES: (part.fuses_start, board.fuses),
            Memory.LOCK_BITS: (part.lock_start, self._lock_bits),
            Memory.USER_ROW: (part.user_row_start, board.user_row),
            Memory.SIGNATURE: (part.signature_start, self._signature_row),
            Memory.CALIBRATION: (part.signature_start, self._signature_row),
        }
        if kind not in areas:
            raise Refused(Failure.MEMORY_TYPE)
        start, content = areas[kind]
        return self._slice(content, address - start, count)

    def _data_space(self) -> bytearray:
        part, board = self.part, self.board
        space = bytearray(DATA_SPACE_SIZE)
        for start, content in (
            (part.revision_address, bytes([part.revision])),
            (part.signature_start, self._signature_row),
            (part.fuses_start, board.fuses),
            (part.lock_start, self._lock_bits),
            (part.user_row_start, board.user_row),
            (part.eeprom_start, board.eeprom),
            (part.memory_start, self._memory),
            self._mapped_flash(),
        ):
            space[start : start + len(content)] = content
        return space

    def _mapped_flash(self) -> tuple[int, bytes | bytearray]:
        """Where the CPU sees flash in its data space: all of it, or the last 32 KiB of a larger one."""
        part, flash = self.part, self.board.flash
        if part.flash_start + part.flash_size <= DATA_SPACE_SIZE:
            return part.flash_start, flash
        return DATA_SPACE_SIZE - MAPPED_FLASH_SIZE, flash[-MAPPED_FLASH_SIZE:]

    def _write(self, command: bytes) -> bytes:
        self._need_programming()
        kind, address, count = unpack_from("<BII", command, 2)
        data = command[12 : 12 + count]
        if not 0 < count <= MAXIMUM_TRANSFER or len(data) != count:
            raise Refused(Failure.SIZE)
        part, board = self.part, self.board
        if kind == Memory.FLASH_PAGE:
            self._write_flash_page(address, data)
        elif kind in (Memory.EEPROM, Memory.EEPROM_PAGE, Memory.EEPROM_ATOMIC):
            start = address - part.eeprom_start
            if start % part.eeprom_page + count > part.eeprom_page:
                raise Refused(Failure.SIZE)
            present = self._slice(board.eeprom, start, count)
            replaced = kind == Memory.EEPROM_ATOMIC
            board.eeprom[start : start + count] = data if replaced else _cleared(present, data)
        elif kind == Memory.FUSES:
            self._need_one_byte(count)
            self._slice(board.fuses, address - part.fuses_start, count)
            board.fuses[address - part.fuses_start] = data[0]
        elif kind == Memory.LOCK_BITS:
            self._need_one_byte(count)
            self._slice(part.unlocked, address - part.lock_start, count)
            lock_bits = bytearray(self._lock_bits)
            lock_bits[address - part.lock_start] = data[0]
            self._lock_bits = bytes(lock_bits)
        elif kind == Memory.USER_ROW:
            start = address - part.user_row_start
            present = self._slice(board.user_row, start, count)
            board.user_row[start : start + count] = _cleared(present, data)
        elif kind == Memory.DATA_SPACE:
            start = address - part.memory_start
            self._slice(self._memory, start, count)
            self._memory[start : start + count] = data
        else:
            raise Refused(Failure.MEMORY_TYPE)
        return SUCCESS

    @staticmethod
    def _need_one_byte(count: int) -> None:
        if count != 1:
            raise Refused(Failure.SIZE)

    def _write_flash_page(self, address: int, data: bytes) -> None:
        part, board = self.part, self.board
        if len(data) != part.flash_page:
            raise Refused(Failure.SIZE)
        if address % part.flash_page:
            raise Refused(Failure.ALIGNMENT)
        present = self._slice(board.flash, address, len(data))
        board.flash[address : address + len(data)] = _cleared(present, data)
        board.meters.count("target_flash_page_writes")
        if board.faults.strikes("target_flip_after_writes"):
            board.flash[address] ^= 0x01


def _cleared(present: bytes, data: bytes) -> bytes:
    """A write without an erase can only clear bits."""
    return bytes(old & new for old, new in zip(present, data, strict=True))
