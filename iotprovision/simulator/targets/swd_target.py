"""A SAM D21 with SWD behind the debugger: CMSIS-DAP reports, debug port, and what a debugger reaches on the bus.

Reports: CMSIS-DAP 1. Debug port and access port: ARM Debug Interface v5. Device service unit: SAM D21 data sheet.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from struct import error as StructError  # noqa: N812
from struct import unpack_from

from iotprovision.simulator.board.board import Board, Microcontroller
from iotprovision.simulator.targets.nvm_controller import USER_ROW, NvmController
from iotprovision.simulator.targets.swd_part import SwdPart

IDENTIFICATION_OF_PORT = 0x0BC11477  # Cortex-M0+
ACCESS_PORT_IDENTIFICATION = 0x04770031

DEVICE_SERVICE_UNIT = 0x41002000
EXTERNAL = 0x100  # the only part of the bus that a locked device shows, and its mirror of the registers
IDENTIFICATION = 0x18
CHIP_ERASE = 0x10
DONE, PROTECTED, DEBUGGER_PRESENT = 1 << 8, 1 << 16, 1 << 17
FLASH_CONTROLLER = 0x41004000
CALIBRATION = 0x806000
BUS_WINDOW = 0x100

SWD = 1
CLOCK_PIN, RESET_PIN = 0x01, 0x80
SUCCESS, ERROR = 0x00, 0xFF
ACK_OK, ACK_FAULT, NO_ACK = 1, 4, 7
AP, READ = 1, 2
SELECT_WRITE, CONTROL_STATUS, READ_BUFFER = 0x08, 0x04, 0x0C
POWER_REQUESTS = 0x50000000
STICKY_ERROR = 0x20
AUTO_INCREMENT = 0x10
INCREMENT_WRAP = 0x400
STATUS_WORD, TRANSFER_ADDRESS, DATA, BASE_OR_ID = 0x00, 0x04, 0x0C, 0xFC
REPORT_SIZE = 64
MOST_WORDS = 14  # of a block that fits a report


class Report(IntEnum):
    """CMSIS-DAP commands."""

    HOST_STATUS = 0x01
    CONNECT = 0x02
    DISCONNECT = 0x03
    TRANSFER_CONFIGURE = 0x04
    TRANSFER = 0x05
    TRANSFER_BLOCK = 0x06
    TRANSFER_ABORT = 0x07
    WRITE_ABORT = 0x08
    DELAY = 0x09
    RESET_TARGET = 0x0A
    PINS = 0x10
    CLOCK = 0x11
    SEQUENCE = 0x12
    SWD_CONFIGURE = 0x13


class _FaultError(Exception):
    """The access port answers FAULT."""


class SwdTarget:
    """The target side of a debugger for one board.

    :param part: the part that is on the board
    :param microcontroller: halts in a reset that the debugger extends, runs after a plain one
    """

    def __init__(self, board: Board, part: SwdPart, microcontroller: Microcontroller) -> None:
        self.board = board
        self.part = part
        self.microcontroller = microcontroller
        self._controller = NvmController(board, part)
        self._connected = False
        self._halted = False
        self._pins = CLOCK_PIN | RESET_PIN
        self._erased = False
        self._control = 0
        self._select = 0
        self._status_word = 0
        self._address = 0
        self._read_buffer = 0
        acknowledged = (
            Report.HOST_STATUS,
            Report.TRANSFER_CONFIGURE,
            Report.TRANSFER_ABORT,
            Report.DELAY,
            Report.CLOCK,
            Report.SEQUENCE,
            Report.SWD_CONFIGURE,
        )
        self._reports: dict[int, Callable[[bytes], bytes]] = {
            **dict.fromkeys(acknowledged, lambda _: bytes([SUCCESS])),
            Report.CONNECT: self._connect,
            Report.DISCONNECT: self._disconnect,
            Report.TRANSFER: self._transfer,
            Report.TRANSFER_BLOCK: self._transfer_block,
            Report.WRITE_ABORT: self._write_abort,
            Report.RESET_TARGET: lambda _: bytes([SUCCESS, 0]),  # the debugger has no sequence of its own for it
            Report.PINS: self._set_pins,
        }

    @property
    def millivolts(self) -> int:
        """The supply of the target as the debugger measures it."""
        return 0 if self.board.faults.target_unpowered else 3300

    def avr8(self, command: bytes) -> bytes:
        """Commands of the AVR8 handler: refused, there is no AVR."""
        return b"\xa0\x00\x10"

    def report(self, report: bytes) -> bytes | None:
        """One CMSIS-DAP report, answered; None for those that the debugger itself has to answer."""
        handler = self._reports.get(report[0])
        if handler is None:
            return None
        try:
            answer = bytes([report[0]]) + handler(report)
            return answer if len(answer) <= REPORT_SIZE else bytes([report[0], ERROR])
        except (IndexError, StructError):
            return bytes([report[0], ERROR])

    def end_session(self) -> None:
        """The host ended its session, or the debugger restarts: the pins are released and the target runs."""
        self._connected = False
        self._pins = CLOCK_PIN | RESET_PIN
        if self._halted:
            self._run()

    # --- pins

    def _connect(self, report: bytes) -> bytes:
        wanted = report[1]
        if wanted not in (0, SWD):
            return bytes([0])
        self._connected = True
        return bytes([SWD])

    def _disconnect(self, _: bytes) -> bytes:
        self._connected = False
        return bytes([SUCCESS])

    def _set_pins(self, report: bytes) -> bytes:
        output, selected = report[1], report[2]
        before = self._pins
        self._pins = before & ~selected | output & selected
        if before & RESET_PIN and not self._pins & RESET_PIN:
            self._halt()
        elif self._pins & RESET_PIN and not before & RESET_PIN:
            self._controller.reset()
            self._erased = False
            # With the clock held low when a reset ends, the core is kept from starting.
            if not (selected & CLOCK_PIN and not self._pins & CLOCK_PIN):
                self._run()
        return bytes([self._pins])

    def _halt(self) -> None:
        if not self._halted:
            self._halted = True
            self.microcontroller.stop()

    def _run(self) -> None:
        self._halted = False
        if not self.board.faults.target_unpowered:
            self.microcontroller.start()

    # --- debug port

    def _transfer(self, report: bytes) -> bytes:
        count, place, answer = report[2], 3, b""
        for done in range(count):
            request = report[place]
            value = 0 if request & READ else unpack_from("<I", report, place + 1)[0]
            place += 1 if request & READ else 5
            acknowledge, data = self._access(request, value)
            if acknowledge != ACK_OK:
                return bytes([done, acknowledge]) + answer
            answer += data
        return bytes([count, ACK_OK]) + answer

    def _transfer_block(self, report: bytes) -> bytes:
        count, request = unpack_from("<HB", report, 2)
        if count > MOST_WORDS:
            return bytes([0, 0, ERROR])
        answer = b""
        for done in range(count):
            value = 0 if request & READ else unpack_from("<I", report, 5 + 4 * done)[0]
            acknowledge, data = self._access(request, value)
            if acknowledge != ACK_OK:
                return done.to_bytes(2, "little") + bytes([acknowledge]) + answer
            answer += data
        return bytes(count.to_bytes(2, "little")) + bytes([ACK_OK]) + answer

    def _write_abort(self, _: bytes) -> bytes:
        self._control &= ~STICKY_ERROR
        return bytes([SUCCESS])

    def _access(self, request: int, value: int) -> tuple[int, bytes]:
        """One SWD transfer: its acknowledge, and the word of a read."""
        if not self._connected or self.board.faults.target_unpowered:
            return NO_ACK, b""
        register = request & 0x0C
        try:
            if not request & AP:
                answer = self._access_debug_port(request, register, value)
            elif self._control & STICKY_ERROR:
                return ACK_FAULT, b""
            else:
                answer = self._access_access_port(request, register | self._select & 0xF0, value)
        except _FaultError:
            self._control |= STICKY_ERROR
            return ACK_FAULT, b""
        return ACK_OK, answer

    def _access_debug_port(self, request: int, register: int, value: int) -> bytes:
        if request & READ:
            values = {0: IDENTIFICATION_OF_PORT, CONTROL_STATUS: self._control, READ_BUFFER: self._read_buffer}
            return values.get(register, 0).to_bytes(4, "little")
        if register == 0:
            self._control &= ~STICKY_ERROR
        elif register == CONTROL_STATUS:
            # Each request for power is acknowledged by the bit above it.
            self._control = self._control & STICKY_ERROR | value & POWER_REQUESTS | (value & POWER_REQUESTS) << 1
        elif register == SELECT_WRITE:
            self._select = value
        return b""

    def _access_access_port(self, request: int, register: int, value: int) -> bytes:
        if request & READ:
            self._read_buffer = self._read_access_port(register)
            return self._read_buffer.to_bytes(4, "little")
        self._write_access_port(register, value)
        return b""

    def _read_access_port(self, register: int) -> int:
        if register == DATA:
            value = self._read_bus(self._address)
            self._increment()
            return value
        values = {
            STATUS_WORD: self._status_word,
            TRANSFER_ADDRESS: self._address,
            BASE_OR_ID: ACCESS_PORT_IDENTIFICATION,
        }
        return values.get(register, 0)

    def _write_access_port(self, register: int, value: int) -> None:
        if register == DATA:
            self._write_bus(self._address, value)
            self._increment()
        elif register == STATUS_WORD:
            self._status_word = value
        elif register == TRANSFER_ADDRESS:
            self._address = value

    def _increment(self) -> None:
        if self._status_word & AUTO_INCREMENT:
            block = self._address - self._address % INCREMENT_WRAP
            self._address = block + (self._address + 4) % INCREMENT_WRAP

    # --- bus

    def _read_bus(self, address: int) -> int:
        unit = address - DEVICE_SERVICE_UNIT
        if 0 <= unit < 2 * EXTERNAL:
            self._check(unit >= EXTERNAL)
            return self._read_service_unit(unit % EXTERNAL)
        self._check(False)
        for start, memory in ((0, self.board.flash), (USER_ROW, self.board.user_row)):
            if start <= address < start + len(memory):
                place = (address - start) & ~3
                return int.from_bytes(memory[place : place + 4], "little")
        if FLASH_CONTROLLER <= address < FLASH_CONTROLLER + BUS_WINDOW:
            return self._controller.read(address - FLASH_CONTROLLER)
        if CALIBRATION <= address < CALIBRATION + BUS_WINDOW:
            return 0xFFFFFFFF
        raise _FaultError

    def _write_bus(self, address: int, value: int) -> None:
        unit = address - DEVICE_SERVICE_UNIT
        if 0 <= unit < 2 * EXTERNAL:
            self._check(unit >= EXTERNAL)
            if unit % EXTERNAL == 0 and value & CHIP_ERASE:
                self._erase_chip()
            return
        self._check(False)
        is_user_row = USER_ROW <= address < USER_ROW + self.part.user_row_size
        if address < self.part.flash_size or is_user_row:
            self._controller.write_memory(address & ~3, value)
        elif FLASH_CONTROLLER <= address < FLASH_CONTROLLER + BUS_WINDOW:
            self._controller.write(address - FLASH_CONTROLLER, value)
        else:
            raise _FaultError

    def _check(self, open_when_locked: bool) -> None:
        if self.board.faults.target_locked and not open_when_locked:
            raise _FaultError

    def _read_service_unit(self, offset: int) -> int:
        if offset == IDENTIFICATION:
            given = self.board.faults.target_device_id
            return self.part.identification if given is None else given
        if offset == 0:
            return (
                DEBUGGER_PRESENT | (DONE if self._erased else 0) | (PROTECTED if self.board.faults.target_locked else 0)
            )
        return 0

    def _erase_chip(self) -> None:
        """Flash and lock; the user row stays."""
        self.board.flash[:] = b"\xff" * self.part.flash_size
        self.board.faults.target_locked = False
        self.board.meters.count("target_flash_erases")
        self._erased = True
