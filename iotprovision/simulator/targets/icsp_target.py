"""A PIC behind the debugger: reports of the kind ATI (0x94), which carry scripts for the debugger's script engine.

Transport and scripts: pyedbglib's ``primitive`` package and the vendor's script pack for the part. A script is byte
code that drives the two programming pins; what is here are the operations that occur in the pack.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from iotprovision.simulator.board.board import Board, Microcontroller
from iotprovision.simulator.targets.avr8 import Failure
from iotprovision.simulator.targets.icsp_part import IcspPart
from iotprovision.simulator.targets.icsp_script import BadScriptError, IcspPins, run_script
from iotprovision.simulator.targets.pic24_core import Pic24Core, UnknownInstructionError

ATI = 0x94
READ, FIRST, LAST = 0x80, 0x20, 0x40
DATA, COMMAND = 0, 2  # types of buffers
ACCEPTED = bytes([0x00, 0x02])
NO_BUFFER = 0xFF
SCRIPT, PRIMITIVES = 0x10, 0x30  # who handles a command
SUCCESS, SCRIPT_FAILED = 0, 1


class ScriptEngine:
    """The script engine of a debugger: it answers whatever hangs on the pins.

    :param core: gives the core that is reached over them; None where there is none, or it has no power
    """

    def __init__(self, pins: IcspPins, core: Callable[[], Pic24Core | None]) -> None:
        self._pins = pins
        self._core = core
        self._buffers: dict[tuple[int, int], bytearray] = {}
        self._reading = b""

    def report(self, report: bytes) -> bytes | None:
        """One ATI report: a piece of a buffer from the host, or to it."""
        if report[0] != ATI:
            return None
        flags, size = report[1], int.from_bytes(report[2:4], "big")
        buffer = (flags >> 3 & 3, flags & 7)
        if flags & READ:
            if flags & FIRST:
                self._reading = bytes(self._buffers.get(buffer, b""))
            piece, self._reading = self._reading[:size], self._reading[size:]
            return bytes([ATI, 0]) + len(piece).to_bytes(2, "big") + piece
        if flags & FIRST:
            self._buffers[buffer] = bytearray()
        self._buffers.setdefault(buffer, bytearray()).extend(report[4 : 4 + size])
        if flags & LAST and buffer[0] == COMMAND:
            self._buffers[buffer] = bytearray(self._execute(bytes(self._buffers[buffer])))
        return ACCEPTED

    def end_session(self) -> None:
        """The host ended its session, or the debugger restarts: the pins are released."""
        self._buffers.clear()
        self._pins.release()

    def _execute(self, command: bytes) -> bytes:
        handler = command[2] if len(command) > 2 else 0
        if handler == PRIMITIVES:
            # The pack tries the programming executive, firmware of its own in the PIC, and goes on without it.
            return bytes([PRIMITIVES]) + struct.pack("<I", SCRIPT_FAILED)
        if handler != SCRIPT:
            return bytes([handler, 1, SCRIPT_FAILED])
        try:
            return self._run_script(command)
        except (BadScriptError, UnknownInstructionError, IndexError, struct.error):
            return self._script_answer(SCRIPT_FAILED, 0, 0)

    def _run_script(self, command: bytes) -> bytes:
        (length,) = struct.unpack_from("<H", command, 7)
        script = command[9 : 9 + length]
        source, destination, count = script[:3]
        parameters = struct.unpack_from(f"<{count}I", script, 3)
        code = script[3 + 4 * count + 1 :]
        given = bytes(self._buffers.get((DATA, source), b"")) if source != NO_BUFFER else b""
        output, used = run_script(code, parameters, given, self._pins, self._core())
        if destination != NO_BUFFER:
            self._buffers[(DATA, destination)] = bytearray(output)
        return self._script_answer(SUCCESS, used, len(output))

    @staticmethod
    def _script_answer(status: int, received: int, sent: int) -> bytes:
        return bytes([SCRIPT, 1, status, 0, 0, 0]) + struct.pack("<HHI", received, sent, 0)


class IcspTarget:
    """The target side of a debugger for one board.

    :param part: the part that is on the board
    :param microcontroller: runs and halts with programming mode
    """

    def __init__(self, board: Board, part: IcspPart, microcontroller: Microcontroller) -> None:
        self.board = board
        self.part = part
        self.microcontroller = microcontroller
        self._core = Pic24Core(board, part, lambda: not board.faults.target_locked)
        self._engine = ScriptEngine(IcspPins(self._halt, self._run), self._powered_core)

    @property
    def millivolts(self) -> int:
        """The supply of the target as the debugger measures it."""
        return 0 if self.board.faults.target_unpowered else 3300

    def avr8(self, command: bytes) -> bytes:
        """There is no AVR."""
        return b"\xa0\x00" + bytes([Failure.NOT_SUPPORTED])

    def report(self, report: bytes) -> bytes | None:
        """One ATI report."""
        return self._engine.report(report)

    def end_session(self) -> None:
        """The host ended its session, or the debugger restarts: the pins are released and the target runs."""
        self._engine.end_session()

    def _powered_core(self) -> Pic24Core | None:
        return None if self.board.faults.target_unpowered else self._core

    def _halt(self) -> None:
        self.microcontroller.stop()

    def _run(self) -> None:
        if not self.board.faults.target_unpowered:
            self.microcontroller.start()
