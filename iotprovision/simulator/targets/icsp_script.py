"""The byte code of programming scripts, as far as the script pack of the PIC24FJ128GA705 uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import unpack_from

from iotprovision.simulator.targets.pic24_core import VISI, Pic24Core

# PIC24 flash programming specification: the key that is clocked in while reset is low
ENTRY_KEY = 0x8A12C2B2  # 4D434851 with its bits in reverse order

REGISTERS = 256
MOST_OPERATIONS = 2_000_000  # far more than a whole flash needs; ends a script that would run for ever


class BadScriptError(Exception):
    """The script holds something that the engine does not know."""


class IcspPins:
    """The reset pin and the two programming pins.

    :param halt: called when reset goes low
    :param run: called when the target is let go for good
    """

    def __init__(self, halt: Callable[[], None], run: Callable[[], None]) -> None:
        self._halt = halt
        self._run = run
        self._halted = False
        self._reset_is_low = False
        self.programming = False

    def reset_low(self) -> None:
        self._reset_is_low, self.programming = True, False
        if not self._halted:
            self._halted = True
            self._halt()

    def key(self, value: int) -> None:
        self.programming = self._reset_is_low and value == ENTRY_KEY

    def reset_high(self) -> None:
        self._reset_is_low = False

    def settle(self) -> None:
        """A script is over. During one, reset goes high for some microseconds, in which no program gets anywhere."""
        if self._halted and not self._reset_is_low and not self.programming:
            self._halted = False
            self._run()

    def release(self) -> None:
        """Let go of all pins: the target starts."""
        self.programming = self._reset_is_low = False
        self.settle()


class _Run:
    """One run of a script."""

    def __init__(
        self, code: bytes, parameters: Sequence[int], given: bytes, pins: IcspPins, core: Pic24Core | None
    ) -> None:
        self.code = code
        self.parameters = list(parameters)
        self.given = given
        self.pins = pins
        self.core = core if pins.programming else None
        self._powered_core = core
        self.registers = [0] * REGISTERS
        self.output = bytearray()
        self.used = 0
        self.shifted_out = 0
        self.position = 0
        self.loops: list[list[int]] = []

    def byte(self, offset: int) -> int:
        return self.code[self.position + offset]

    def number(self, offset: int, layout: str) -> int:
        value: int = unpack_from(layout, self.code, self.position + offset)[0]
        return value

    def step(self) -> None:
        operation = self.code[self.position]
        length, handler = _OPERATIONS.get(operation, (0, None))
        if handler is None:
            raise BadScriptError(f"{operation:02X}")
        here = self.position
        handler(self)
        if self.position == here:
            self.position += length

    # --- pins

    def set_reset(self) -> None:
        (self.pins.reset_high if self.code[self.position] == 0xB0 else self.pins.reset_low)()
        self.core = self._powered_core if self.pins.programming else None

    def send_key(self) -> None:
        self.pins.key(self.number(1, "<I"))
        self.core = self._powered_core if self.pins.programming else None

    def nothing(self) -> None:
        """Delays, clock rates and pin directions have no effect here."""

    # --- core

    def execute(self) -> None:
        instruction = self.number(1, "<H") | self.byte(3) << 16
        if self.core:
            self.core.execute(instruction)

    def shift_out(self) -> None:
        self.shifted_out = self.core.word(VISI) if self.core else 0
        self.output += self.shifted_out.to_bytes(2, "little")

    def load_high(self) -> None:
        self._load(self.registers[self.byte(1)] >> 16)

    def load_low(self) -> None:
        self._load(self.registers[self.byte(1)])

    def _load(self, value: int) -> None:
        if self.core:
            self.core.set_working(self.byte(2), value)

    def load_given(self) -> None:
        value = int.from_bytes(self.given[self.used : self.used + 2], "little")
        self.used += 2
        if self.core:
            self.core.set_working(self.byte(1), value)

    # --- registers of the engine

    def set_literal(self) -> None:
        self.registers[self.byte(1)] = self.number(2, "<I")

    def set_parameter(self) -> None:
        self.registers[self.byte(1)] = self.parameters.pop(0)

    def add(self) -> None:
        register = self.byte(1)
        self.registers[register] = (self.registers[register] + self.number(2, "<I")) & 0xFFFFFFFF

    def divide(self) -> None:
        self.registers[self.byte(1)] //= max(1, self.number(2, "<H"))

    def divide_up(self) -> None:
        register = self.byte(1)
        self.registers[register] = -(-self.registers[register] // max(1, self.number(2, "<H")))

    def indirect(self) -> None:
        self.registers[self.byte(1)] = self.registers[self.registers[self.byte(2)] % REGISTERS]

    # --- loops

    def loop_register(self) -> None:
        self.position += 2
        self.loops.append([self.position, self.registers[self.code[self.position - 1]]])

    def loop_literal(self) -> None:
        count = self.number(1, "<H")
        self.position += 3
        self.loops.append([self.position, count])

    def loop_end(self) -> None:
        self.loops[-1][1] -= 1
        self._again(self.loops[-1][1] > 0, 1)

    def poll_start(self) -> None:
        self.position += 1
        self.loops.append([self.position, 0])

    def poll_end(self) -> None:
        mask, value, limit = self.number(1, "<I"), self.number(5, "<I"), self.number(9, "<H")
        self.loops[-1][1] += 1
        waiting = self.shifted_out & mask != value
        if waiting and self.loops[-1][1] >= limit:
            raise BadScriptError("nothing came of the waiting")
        self._again(waiting, 11)

    def _again(self, again: bool, length: int) -> None:
        if again:
            self.position = self.loops[-1][0]
        else:
            self.loops.pop()
            self.position += length


# Length in bytes, and what is done
_OPERATIONS: dict[int, tuple[int, Callable[[_Run], None] | None]] = {
    0x6D: (3, _Run.indirect),
    0x90: (6, _Run.set_literal),
    0x91: (2, _Run.set_parameter),
    0x92: (6, _Run.add),
    0x93: (4, _Run.divide),
    0x94: (3, _Run.nothing),  # delay in milliseconds
    0x95: (1, _Run.nothing),
    0xA0: (3, _Run.nothing),  # delay in microseconds
    0xA2: (1, _Run.poll_start),
    0xA4: (1, _Run.loop_end),
    0xA5: (11, _Run.poll_end),
    0xAC: (3, _Run.loop_literal),
    0xAD: (2, _Run.loop_register),
    0xAE: (1, _Run.loop_end),
    0xB0: (1, _Run.set_reset),
    0xB1: (1, _Run.set_reset),
    0xB2: (2, _Run.nothing),  # directions and levels of the pins
    0xB4: (5, _Run.send_key),
    0xB5: (6, _Run.nothing),  # clocks that start the first instruction
    0xE0: (4, _Run.execute),
    0xE1: (1, _Run.nothing),  # NOP
    0xE2: (1, _Run.shift_out),
    0xE4: (3, _Run.load_high),
    0xE5: (3, _Run.load_low),
    0xE6: (2, _Run.load_given),
    0xEC: (5, _Run.nothing),  # period of the clock
    0xF5: (4, _Run.divide_up),
}


def run_script(
    code: bytes, parameters: Sequence[int], given: bytes, pins: IcspPins, core: Pic24Core | None
) -> tuple[bytes, int]:
    """Run a script: what was shifted out, and how many of the given bytes were used.

    :param core: None while it has no power: then zeros are shifted out
    :raises BadScriptError: an unknown operation, or it never ends
    :raises UnknownInstructionError: an instruction that the core does not know
    :raises IndexError, struct.error: it ends in the middle of an operation, or takes a parameter that it has not got
    """
    run = _Run(code, parameters, given, pins, core)
    try:
        for _ in range(MOST_OPERATIONS):
            if run.position >= len(code):
                return bytes(run.output), run.used
            run.step()
    finally:
        pins.settle()
    raise BadScriptError("it does not end")
