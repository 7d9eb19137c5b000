"""The nEDBG debugger of the kits, at the level of its 64-byte HID reports.

Every report from the host is answered by one report. Framing and commands: pyedbglib ``avrcmsisdap``,
``jtagice3protocol``, ``housekeepingprotocol``, ``configprotocol``; which of them the debugger answers and how:
what pymcuprog, pydebuggerconfig and pydebuggerupgrade rely on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from iotprovision.simulator.conditions.meters import Meters
from iotprovision.simulator.debugger import board_config
from iotprovision.simulator.debugger.board_config import ConfigurationFlash
from iotprovision.simulator.targets.icsp_script import IcspPins
from iotprovision.simulator.targets.icsp_target import ScriptEngine

VENDOR_ID = 0x03EB
PRODUCT_ID = 0x2175
RELEASE = 0x0100
MANUFACTURER = "Microchip Technology Incorporated"
PRODUCT = "nEDBG CMSIS-DAP"
REPORT_SIZE = 64
FRAGMENT_SIZE = 60
MAXIMUM_COMMAND = 15 * FRAGMENT_SIZE  # fragments are counted in four bits

DAP_INFO = 0x00
DAP_LAST_STANDARD = 0x1F
AVR_COMMAND, AVR_RESPONSE, AVR_EVENT = 0x80, 0x81, 0x82
GET_CONFIGURATION, SET_CONFIGURATION = 0x83, 0x84
RAW_ACCESS = 0x40
UNKNOWN_REPORT = b"\xff"

HANDLER_DISCOVERY, HANDLER_HOUSEKEEPING, HANDLER_AVR8, HANDLER_EDBG = 0x00, 0x01, 0x12, 0x20
TOKEN = 0x0E
OK, LIST, DATA, FAILED = b"\x80\x00", b"\x81\x00", b"\x84\x00", b"\xa0\x00"
NOT_IMPLEMENTED, NOT_SUPPORTED, ILLEGAL_STATE, UNKNOWN_HANDLER = b"\x10", b"\x11", b"\x21", b"\x90"
UPGRADE_KEY = bytes.fromhex("31727c10")

CPU_SAMD21 = 0x0D  # the chip of the debugger itself, as the housekeeping handler reports it
HOST_CHIP_ID = 0x1001030D
USB_MILLIVOLTS = 5010


class Target(Protocol):
    """What hangs on the programming pins of the debugger."""

    @property
    def millivolts(self) -> int:
        """The supply of the target."""

    def avr8(self, command: bytes) -> bytes:
        """One command of the AVR8 handler, answered."""

    def report(self, report: bytes) -> bytes | None:
        """A report that concerns the target only (SWD, ATI), answered; None where it knows no such report."""

    def end_session(self) -> None:
        """Release the programming interface and run the target."""


class Nedbg:
    """One debugger, from its start to its next.

    :param registers: its configuration flash; the serial number is taken from there once, here
    :param version: of its firmware, e.g. ``1.22.73``
    :param session_ended: called when the host ends its session
    """

    def __init__(
        self,
        registers: ConfigurationFlash,
        target: Target,
        version: str,
        meters: Meters,
        session_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.registers = registers
        self.target = target
        self.version = version
        self.serial_number = registers.serial_number
        self.restart_due = False
        self.upgrade_wanted = False
        self._restart_after_answer = False
        self._meters = meters
        self._session_ended = session_ended
        # Scripts run on the pins of a target of any kind, and find no PIC there.
        self._scripts = ScriptEngine(IcspPins(lambda: None, lambda: None), lambda: None)
        self._command = bytearray()
        self._answer: deque[bytes] = deque()
        major, minor, build = (int(part) for part in version.split("."))
        self._reports: dict[int, Callable[[bytes], bytes]] = {
            AVR_COMMAND: self._take_fragment,
            AVR_RESPONSE: self._give_fragment,
            AVR_EVENT: lambda _: bytes([AVR_EVENT, 0, 0]),
            GET_CONFIGURATION: self._get_configuration,
            SET_CONFIGURATION: self._set_configuration,
            DAP_INFO: self._information,
        }
        self._facts: dict[tuple[int, int], int] = {
            (0x00, 0x00): 0,
            (0x00, 0x01): major,
            (0x00, 0x02): minor,
            (0x00, 0x03): build,
            (0x00, 0x05): CPU_SAMD21,
            (0x00, 0x06): 1,
            (0x00, 0x07): 0,
            (0x00, 0x08): 0,
            (0x01, 0x02): USB_MILLIVOLTS,
            (0x03, 0x10): REPORT_SIZE,
            (0x81, 0x02): HOST_CHIP_ID,
            (0x81, 0x03): 3,
        }

    def opened(self) -> None:
        """A host opened the HID: what an earlier one left half said is forgotten."""
        self._command.clear()
        self._answer.clear()

    def exchange(self, report: bytes) -> bytes:
        """Answer one report of 64 bytes.

        Afterwards ``restart_due`` tells that the debugger leaves the bus now, and ``upgrade_wanted`` that it comes back
        as its boot loader.
        """
        answer = self._dispatch(report)
        return answer[:REPORT_SIZE].ljust(REPORT_SIZE, b"\x00")

    def _dispatch(self, report: bytes) -> bytes:
        kind = report[0]
        handler = self._reports.get(kind)
        if handler is not None:
            return handler(report)
        answer = self.target.report(report) or self._scripts.report(report)
        if answer is not None:
            return answer
        return bytes([kind, 0]) if kind <= DAP_LAST_STANDARD else UNKNOWN_REPORT

    def _information(self, report: bytes) -> bytes:
        identifier = report[1]
        major, minor, build = (int(part) for part in self.version.split("."))
        texts = {
            1: self.registers.text(board_config.MNFRNAME),
            2: PRODUCT,
            3: self.serial_number,
            4: f"{major}.{minor:02d}.{build:04d}",
            5: self.registers.text(board_config.MNFRNAME),
            6: self.registers.text(board_config.DEVNAME),
            7: self.registers.text(board_config.MNFRNAME),
            8: self.registers.text(board_config.KITNAME),
            9: f"{major}.{minor:02d}.{build:04d}",
        }
        numbers = {0xF0: b"\x01", 0xFE: b"\x01", 0xFF: REPORT_SIZE.to_bytes(2, "little")}
        value = texts[identifier].encode() + b"\x00" if identifier in texts else numbers.get(identifier, b"")
        return bytes([DAP_INFO, len(value)]) + value

    def _get_configuration(self, report: bytes) -> bytes:
        tag = report[2]
        address, size = int.from_bytes(report[4:6], "little"), int.from_bytes(report[6:8], "little")
        content = self.registers.read(address, size) if tag == RAW_ACCESS and size <= FRAGMENT_SIZE else None
        if content is None:
            return bytes([GET_CONFIGURATION, 1])
        return bytes([GET_CONFIGURATION, 0]) + (size + 6).to_bytes(2, "big") + bytes([tag, 0x3F]) + content

    def _set_configuration(self, report: bytes) -> bytes:
        size, tag, address = report[1], report[2], int.from_bytes(report[3:5], "little")
        if tag != RAW_ACCESS or not self.registers.write(address, report[5 : 5 + size]):
            return bytes([SET_CONFIGURATION, 1])
        self._meters.count("register_writes")
        return bytes([SET_CONFIGURATION, 0])

    def _take_fragment(self, report: bytes) -> bytes:
        number, total = report[1] >> 4, report[1] & 0x0F
        size = min(int.from_bytes(report[2:4], "big"), FRAGMENT_SIZE)
        if number == 1 or len(self._command) > MAXIMUM_COMMAND:
            self._command.clear()
        self._command += report[4 : 4 + size]
        if number < total:
            return bytes([AVR_COMMAND, 0])
        command = bytes(self._command)
        self._command.clear()
        self._prepare_answer(command)
        return bytes([AVR_COMMAND, 1])

    def _prepare_answer(self, command: bytes) -> None:
        self._answer.clear()
        if len(command) < 6 or command[0] != TOKEN:
            return
        handler = command[4]
        payload = bytes([TOKEN]) + command[2:5] + self._handle(handler, command[5:])
        pieces = [payload[start : start + FRAGMENT_SIZE] for start in range(0, len(payload), FRAGMENT_SIZE)]
        for number, piece in enumerate(pieces, 1):
            head = bytes([AVR_RESPONSE, number << 4 | len(pieces)]) + len(piece).to_bytes(2, "big")
            self._answer.append(head + piece)

    def _give_fragment(self, _: bytes) -> bytes:
        if not self._answer:
            return bytes([AVR_RESPONSE, 0, 0, 0])
        answer = self._answer.popleft()
        if not self._answer and self._restart_after_answer:
            self._restart_after_answer = False
            self.restart_due = True
        return answer

    def _handle(self, handler: int, command: bytes) -> bytes:
        if handler == HANDLER_AVR8:
            return self.target.avr8(command)
        if handler == HANDLER_HOUSEKEEPING:
            return self._housekeeping(command)
        if handler == HANDLER_EDBG:
            return self._edbg(command)
        if handler == HANDLER_DISCOVERY:
            return LIST + bytes([HANDLER_HOUSEKEEPING, HANDLER_AVR8, HANDLER_EDBG])
        return FAILED + UNKNOWN_HANDLER

    def _housekeeping(self, command: bytes) -> bytes:
        operation = command[0]
        arguments = command[2:].ljust(3, b"\x00")
        if operation == 0x00:
            lists = {0: b"\x00\x01\x02\x10\x11\x50", 1: b"\x00", 2: b""}
            return LIST + lists.get(arguments[0], b"")
        if operation in (0x01, 0x10):
            return OK
        if operation == 0x02:
            return self._get_fact(arguments[0], arguments[1], arguments[2])
        if operation == 0x11:
            self._restart_after_answer = arguments[0] == 1
            self.target.end_session()
            self._session_ended()
            return OK
        if operation == 0x50:
            return self._enter_boot_loader(command[2:6])
        return FAILED + NOT_IMPLEMENTED

    def _enter_boot_loader(self, key: bytes) -> bytes:
        if key != UPGRADE_KEY:
            return FAILED + ILLEGAL_STATE
        self._restart_after_answer = self.upgrade_wanted = True
        return OK

    def _get_fact(self, context: int, offset: int, size: int) -> bytes:
        value = self.target.millivolts if (context, offset) == (0x01, 0x00) else self._facts.get((context, offset))
        if value is None or not 0 < size <= 8:
            return FAILED + NOT_SUPPORTED
        return DATA + (value % (1 << 8 * size)).to_bytes(size, "little") + b"\x00"

    @staticmethod
    def _edbg(command: bytes) -> bytes:
        if command[0] == 0x00:
            return LIST + b"\x00\x01\x02\x50\x51\x7e"
        if command[0] == 0x51:
            return OK
        if command[0] == 0x7E:
            return DATA + bytes(64) + b"\x00"  # no extension board with an identification chip
        return FAILED + NOT_SUPPORTED
