"""Peripherals of the SAM D21 that the kits' firmware meets, as far as it does: clocks, pins, timers.

Registers: SAM D21 data sheet. Oscillators are ready and registers synchronised at once.
"""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.simulator.emulators.cortex_m0 import CortexM0, Peripheral

_ALL_BITS = 0xFFFFFFFF


class SystemController(Peripheral):
    """SYSCTRL: every oscillator is ready, every detector has its voltage."""

    _STATUS, _STATUS_VALUE = 0x0C, 0x0000BADF
    _LOOP_STATUS, _LOOP_LOCKED = 0x50, 0x07

    def read(self, offset: int, size: int) -> int:
        place = offset - self._STATUS
        if 0 <= place < 4:
            return self._STATUS_VALUE >> 8 * place
        return self._LOOP_LOCKED if offset == self._LOOP_STATUS else self.value(offset, size)


class PowerManager(Peripheral):
    """PM: the clock is ready, and the cause of the last reset is known."""

    _FLAGS, _RESET_CAUSE = 0x36, 0x38
    _CLOCK_READY, _POWER_ON, _BY_PROGRAM = 0x01, 0x01, 0x40

    def read(self, offset: int, size: int) -> int:
        if offset == self._FLAGS:
            return self._CLOCK_READY
        if offset == self._RESET_CAUSE:
            return self._BY_PROGRAM if self.machine.reset_by_program else self._POWER_ON
        return self.value(offset, size)


class ClockController(Peripheral):
    """GCLK: synchronised, and reset as soon as that is wanted."""

    _CONTROL, _STATUS = 0x00, 0x01

    def read(self, offset: int, size: int) -> int:
        return 0 if offset == self._STATUS else self.value(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.set_value(offset, size, value & ~1 if offset == self._CONTROL else value)


class FlashController(Peripheral):
    """NVMCTRL for a program that only reads: always ready."""

    _FLAGS = 0x14

    def read(self, offset: int, size: int) -> int:
        return 1 if offset == self._FLAGS else self.value(offset, size)


class DeviceServiceUnit(Peripheral):
    """DSU: which device it is."""

    _IDENTIFICATION, _ATSAMD21G18A = 0x18, 0x10010305

    def read(self, offset: int, size: int) -> int:
        return self._ATSAMD21G18A if offset == self._IDENTIFICATION else self.value(offset, size)


class Pins(Peripheral):
    """PORT: both groups. A pin that is no output is high, by a resistor on the board or in the chip.

    :param changed: called with the number of a pin (PB00 is 32) and its new level
    """

    _GROUP = 0x80
    _LEVELS_END = 0x24

    def __init__(self, machine: CortexM0, changed: Callable[[int, bool], None]) -> None:
        super().__init__(machine)
        self._changed = changed
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._outputs, self._driven = [0, 0], [0, 0]

    def _level(self, group: int) -> int:
        return self._driven[group] & self._outputs[group] | ~self._outputs[group] & _ALL_BITS

    def read(self, offset: int, size: int) -> int:
        group, place = offset // self._GROUP & 1, offset % self._GROUP
        if place >= self._LEVELS_END:
            return self.value(offset, size)
        # Direction, what is driven, what is on the pin
        registers = (self._outputs[group], self._driven[group], self._level(group))
        return registers[place // 0x10] >> 8 * (place % 4)

    def write(self, offset: int, size: int, value: int) -> None:
        group, place = offset // self._GROUP & 1, offset % self._GROUP
        if place >= self._LEVELS_END:
            self.set_value(offset, size, value)
            return
        before = self._level(group)
        register = self._outputs if place < 0x10 else self._driven
        bits, old = value << 8 * (place % 4), register[group]
        # Write, clear, set, toggle
        register[group] = (bits, old & ~bits, old | bits, old ^ bits)[place // 4 % 4] & _ALL_BITS
        different = before ^ self._level(group)
        while different:
            pin = different.bit_length() - 1
            different ^= 1 << pin
            self._changed(32 * group + pin, bool(self._level(group) >> pin & 1))


class Timer(Peripheral):
    """TC: counts up; overflow and compare interrupts."""

    _PRESCALERS = (1, 2, 4, 8, 16, 64, 256, 1024)
    _CONTROL, _SET_CONTROL, _DISABLE, _ENABLE, _FLAGS, _STATUS = 0x00, 0x05, 0x0C, 0x0D, 0x0E, 0x0F
    _COUNT, _PERIOD, _COMPARE = 0x10, 0x14, 0x18
    _RESET, _ON = 0x01, 0x02
    _OVERFLOW, _SYNCHRONISED, _MATCH = 0x01, 0x08, 0x10
    _STOPPED = 0x08
    _RETRIGGER, _STOP = 1, 2

    def __init__(self, machine: CortexM0, interrupt: int) -> None:
        super().__init__(machine, interrupt)
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._enabled = self._flags = 0
        self._zero_at = 0
        self._plan = 0
        self._is_stopped = False

    @property
    def _runs(self) -> bool:
        return bool(self.registers[0] & self._ON) and not self._is_stopped

    @property
    def _width(self) -> int:
        """Bytes of the counter."""
        return {0: 2, 1: 1, 2: 4}.get(self.registers[0] >> 2 & 3, 2)

    @property
    def _wave(self) -> int:
        return self.registers[0] >> 5 & 3

    @property
    def _tick(self) -> int:
        """Cycles of the core."""
        return self._PRESCALERS[self.registers[1] & 7]

    @property
    def _top(self) -> int:
        if self._width == 1:
            return self.registers[self._PERIOD]
        if self._wave & 1:  # match frequency, match PWM: the first compare register is the period
            return self.value(self._COMPARE, self._width)
        return (1 << 8 * self._width) - 1

    def _count(self) -> int:
        if not self._runs:
            return self.value(self._COUNT, 4)
        return (self.machine.cycle - self._zero_at) // self._tick % (self._top + 1)

    def _schedule(self) -> None:
        """Plan what happens in this period; earlier plans are void."""
        self._plan += 1
        if not self._runs:
            return
        plan, tick = self._plan, self._tick
        period = (self._top + 1) * tick
        begun = self._zero_at + (self.machine.cycle - self._zero_at) // period * period
        matches_at_end = self._MATCH if self._wave & 2 else 0
        self.machine.at(begun + period, lambda: self._happens(plan, self._OVERFLOW | matches_at_end))
        for number in (1,) if self._wave & 2 else (0, 1):
            compare = self.value(self._COMPARE + number * self._width, self._width)
            if compare <= self._top:
                due = begun + compare * tick
                flag = self._MATCH << number
                self.machine.at(due if due > self.machine.cycle else due + period, self._event(plan, flag))

    def _event(self, plan: int, flag: int) -> Callable[[], None]:
        return lambda: self._happens(plan, flag)

    def _happens(self, plan: int, flag: int) -> None:
        if plan != self._plan:
            return
        self._flags |= flag
        self._update()
        if flag & self._OVERFLOW:
            self._schedule()

    def _update(self) -> None:
        self.machine.set_interrupt(self.interrupt, bool(self._enabled & self._flags))

    def read(self, offset: int, size: int) -> int:
        if offset in (self._DISABLE, self._ENABLE):
            return self._enabled
        if offset == self._FLAGS:
            return self._flags | self._SYNCHRONISED
        if offset == self._STATUS:
            return 0 if self._runs else self._STOPPED
        return self._count() if offset == self._COUNT else self.value(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == self._CONTROL and value & self._RESET:
            self.reset()
        elif offset == self._DISABLE:
            self._enabled &= ~value
        elif offset == self._ENABLE:
            self._enabled |= value
        elif offset == self._FLAGS:
            self._flags &= ~value
        elif offset == self._SET_CONTROL:
            self._command(value >> 6)
        elif offset == self._COUNT:
            self.set_value(offset, size, value)
            self._zero_at = self.machine.cycle - value * self._tick
            self._schedule()
        else:
            self._configure(offset, size, value)
        self._update()

    def _command(self, command: int) -> None:
        if command == self._RETRIGGER:
            self._zero_at, self._is_stopped = self.machine.cycle, False
        elif command == self._STOP:
            self.set_value(self._COUNT, 4, self._count())
            self._is_stopped = True
        self._schedule()

    def _configure(self, offset: int, size: int, value: int) -> None:
        ran, count = self._runs, self._count()
        self.set_value(offset, size, value)
        if offset == self._CONTROL and self._runs and not ran:
            self._zero_at = self.machine.cycle - self.value(self._COUNT, 4) * self._tick
        elif offset == self._CONTROL and ran and not self._runs:
            self.set_value(self._COUNT, 4, count)
        self._schedule()
