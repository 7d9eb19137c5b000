"""A Cortex-M0+ in the Unicorn engine, with what the engine leaves out: time, interrupts and their controller, reset.

Architecture: ARMv6-M reference manual (exception entry and return, NVIC, system control block). Everything runs in
cycles of a clock of its own; an instruction is taken for two of them, so times are near to those of silicon, not equal.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable
from typing import Any

from unicorn import UC_ARCH_ARM, UC_HOOK_CODE, UC_HOOK_INTR, UC_MODE_MCLASS, UC_MODE_THUMB, Uc, UcError
from unicorn import arm_const as arm

from iotprovision.simulator.emulators.emulated_mcu import SimulationEndedError

CYCLES_OF_INSTRUCTION = 2
CYCLES_OF_ACCESS = 3
CYCLES_OF_EXCEPTION = 16
# At a stretch; shorter where something is due. The engine does not tell how far it came when it was stopped.
LONGEST_RUN = 20_000
CYCLES_UNTIL_STOP = 40

SYSTEM_CONTROL = 0xE000E000
_ENABLE, _DISABLE, _PEND, _UNPEND, _PRIORITIES = 0x100, 0x180, 0x200, 0x280, 0x400
_CPU_ID, _VECTOR_TABLE, _RESET_CONTROL = 0xD00, 0xD08, 0xD0C
_CPU_ID_VALUE = 0x410CC601
_RESET_KEY, _RESET_REQUEST = 0x05FA, 0x04
_EXTERNAL = 16  # exception number of the first interrupt of a peripheral
_WINDOW = 0x400  # addresses that a peripheral takes
_RETURN = 8  # number by which the engine reports a branch to an EXC_RETURN value
_ENABLE_INTERRUPTS = 0xB662  # CPSIE i
_WRITE_PRIMASK = b"\x10\x88"  # second half of MSR PRIMASK, Rn
_STACKED = (
    arm.UC_ARM_REG_R0,
    arm.UC_ARM_REG_R1,
    arm.UC_ARM_REG_R2,
    arm.UC_ARM_REG_R3,
    arm.UC_ARM_REG_R12,
    arm.UC_ARM_REG_LR,
)


class Peripheral:
    """Registers that keep what is written; the real ones do more.

    :param machine: whose bus it is on
    :param interrupt: its number at the NVIC
    """

    def __init__(self, machine: CortexM0, interrupt: int = 0) -> None:
        self.machine = machine
        self.interrupt = interrupt
        self.registers = bytearray(_WINDOW)

    def reset(self) -> None:
        """As after a reset of the MCU."""
        self.registers[:] = bytes(_WINDOW)

    def value(self, offset: int, size: int = 4) -> int:
        """What a register holds."""
        return int.from_bytes(self.registers[offset : offset + size], "little")

    def set_value(self, offset: int, size: int, value: int) -> None:
        """Let a register hold something."""
        self.registers[offset : offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def read(self, offset: int, size: int) -> int:
        """A load by the program."""
        return self.value(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """A store by the program."""
        self.set_value(offset, size, value)


class CortexM0:
    """Core, memory and bus.

    :param flash: at address 0
    :param memories: others, by their address: contents
    :param ranges: start and size of the parts of the address space that belong to peripherals
    """

    def __init__(self, flash: bytes, memories: dict[int, bytes], ranges: tuple[tuple[int, int], ...]) -> None:
        self.cycle = 0
        self.reset_by_program = False
        self._flash = flash
        self._peripherals: dict[int, Peripheral] = {}
        self._mirrors: dict[int, int] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._event_number = 0
        engine: Any = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._engine = engine
        engine.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M0)
        for start, content in {0: flash, **memories}.items():
            engine.mem_map(start, len(content))
            engine.mem_write(start, bytes(content))
        for start, size in (*ranges, (SYSTEM_CONTROL, 0x1000)):
            engine.mmio_map(start, size, self._load, start, self._store, start)
        engine.hook_add(UC_HOOK_INTR, self._exception_in_engine)
        self._hook_unmasking()

    def _hook_unmasking(self) -> None:
        """The engine knows of no interrupt that waits, so it is stopped before instructions that let one in."""
        flash = self._flash
        for place in range(0, len(flash) - 3, 2):
            word = flash[place] | flash[place + 1] << 8
            if word == _ENABLE_INTERRUPTS or (
                word & 0xFFF0 == 0xF380 and flash[place + 2 : place + 4] == _WRITE_PRIMASK
            ):
                self._engine.hook_add(UC_HOOK_CODE, self._before_unmasking, begin=place, end=place)

    def add(self, address: int, peripheral: Peripheral) -> None:
        """Put a peripheral on the bus."""
        self._peripherals[address] = peripheral

    def mirror(self, address: int, of: int) -> None:
        """Let a peripheral be seen at another address too."""
        self._mirrors[address] = of

    def reset(self, by_program: bool = False) -> None:
        """Begin at the reset vector."""
        self.reset_by_program = by_program
        self._events.clear()
        self._levels: dict[int, bool] = {}
        self._pending = self._enabled = 0
        self._active: list[int] = []
        self._vectors = 0
        self._control = bytearray(0x1000)
        self._look_for_interrupts = True
        self._returns = self._unmasks = self._stored = self._reset_wanted = False
        self._fault: int | None = None
        self._run_end = 0
        for peripheral in self._peripherals.values():
            peripheral.reset()
        stack, start = struct.unpack("<II", self._flash[:8])
        for register in _STACKED:
            self._engine.reg_write(register, 0)
        for register in (arm.UC_ARM_REG_IPSR, arm.UC_ARM_REG_PRIMASK, arm.UC_ARM_REG_CONTROL):
            self._engine.reg_write(register, 0)
        self._engine.reg_write(arm.UC_ARM_REG_MSP, stack)
        self._engine.reg_write(arm.UC_ARM_REG_SP, stack)
        self._place = start & ~1

    # --- for peripherals

    def at(self, cycle: int, event: Callable[[], None]) -> None:
        """Let something happen at a time; forgotten by a reset."""
        self._event_number += 1
        heapq.heappush(self._events, (cycle, self._event_number, event))

    def set_interrupt(self, number: int, level: bool) -> None:
        """The interrupt line of a peripheral."""
        if self._levels.get(number, False) != level:
            self._levels[number] = level
            self._look_for_interrupts = self._look_for_interrupts or level

    def read_memory(self, address: int, size: int) -> bytes:
        """What a bus master other than the core reads."""
        return bytes(self._engine.mem_read(address, size))

    def write_memory(self, address: int, data: bytes) -> None:
        """What a bus master other than the core writes."""
        self._engine.mem_write(address, data)

    # --- bus

    def _load(self, _engine: Any, offset: int, size: int, start: int) -> int:
        self.cycle += CYCLES_OF_ACCESS
        address = self._mirrors.get(start, start) + offset
        if start == SYSTEM_CONTROL:
            value = self._read_control(offset, size)
        else:
            peripheral = self._peripherals.get(address & ~(_WINDOW - 1))
            value = peripheral.read(address % _WINDOW, size) if peripheral else 0
        return value & (1 << 8 * size) - 1

    def _store(self, _engine: Any, offset: int, size: int, value: int, start: int) -> None:
        self.cycle += CYCLES_OF_ACCESS
        address = self._mirrors.get(start, start) + offset
        if start == SYSTEM_CONTROL:
            self._write_control(offset, size, value)
        else:
            peripheral = self._peripherals.get(address & ~(_WINDOW - 1))
            if peripheral:
                peripheral.write(address % _WINDOW, size, value)
        interrupts = self._look_for_interrupts and self._next_interrupt() is not None
        if self._reset_wanted or interrupts or (self._events and self._events[0][0] < self._run_end):
            # Stopped in a store the engine stays on it, although it is done. In a load that would do it twice.
            self._stored = True
            self._engine.emu_stop()

    def _read_control(self, offset: int, size: int) -> int:
        values = {
            _ENABLE: self._enabled,
            _DISABLE: self._enabled,
            _PEND: self._pending,
            _UNPEND: self._pending,
            _CPU_ID: _CPU_ID_VALUE,
            _VECTOR_TABLE: self._vectors,
        }
        return values.get(offset, int.from_bytes(self._control[offset : offset + size], "little"))

    def _write_control(self, offset: int, size: int, value: int) -> None:
        if offset == _ENABLE:
            self._enabled |= value
        elif offset == _DISABLE:
            self._enabled &= ~value
        elif offset == _PEND:
            self._pending |= value
        elif offset == _UNPEND:
            self._pending &= ~value
        elif offset == _VECTOR_TABLE:
            self._vectors = value & ~0x7F
        elif offset == _RESET_CONTROL:
            self._reset_wanted = bool(value & _RESET_REQUEST) and value >> 16 == _RESET_KEY
        else:
            self._control[offset : offset + size] = value.to_bytes(size, "little")
        self._look_for_interrupts = True

    # --- exceptions

    def _priority(self, number: int) -> int:
        return self._control[_PRIORITIES + number] >> 6

    def _next_interrupt(self) -> int | None:
        """The interrupt that may come in now, where none are masked."""
        waiting = self._pending & self._enabled
        for number, level in self._levels.items():
            if level and self._enabled >> number & 1 and number + _EXTERNAL not in self._active:
                waiting |= 1 << number
        if not waiting:
            return None
        best = min((number for number in range(32) if waiting >> number & 1), key=self._priority)
        if self._active and self._priority(best) >= min(self._priority(one - _EXTERNAL) for one in self._active):
            return None
        return best

    def _exception_in_engine(self, _engine: Any, number: int, _data: Any) -> None:
        if number == _RETURN:
            self._returns = True
        else:
            self._fault = number
        self._engine.emu_stop()

    def _before_unmasking(self, _engine: Any, _address: int, _size: int, _data: Any) -> None:
        if self._next_interrupt() is not None:
            self._unmasks = True
            self._engine.emu_stop()

    def _enter_exception(self, number: int) -> None:
        engine = self._engine
        stack = engine.reg_read(arm.UC_ARM_REG_SP)
        status = engine.reg_read(arm.UC_ARM_REG_XPSR) & 0xFF000000 | 1 << 24
        status |= (self._active[-1] if self._active else 0) | (stack >> 2 & 1) << 9
        stack = (stack - 32) & ~7
        kept = [engine.reg_read(register) for register in _STACKED]
        engine.mem_write(stack, struct.pack("<8I", *kept, self._place, status))
        engine.reg_write(arm.UC_ARM_REG_SP, stack)
        engine.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFF1 if self._active else 0xFFFFFFF9)
        engine.reg_write(arm.UC_ARM_REG_IPSR, number)
        self._active.append(number)
        self._pending &= ~(1 << number - _EXTERNAL)
        vector = self.read_memory(self._vectors + 4 * number, 4)
        self._place = int.from_bytes(vector, "little") & ~1
        self.cycle += CYCLES_OF_EXCEPTION

    def _leave_exception(self) -> None:
        engine = self._engine
        self._active.pop()
        stack = engine.reg_read(arm.UC_ARM_REG_SP)
        *kept, place, status = struct.unpack("<8I", engine.mem_read(stack, 32))
        for register, value in zip(_STACKED, kept, strict=True):
            engine.reg_write(register, value)
        engine.reg_write(arm.UC_ARM_REG_IPSR, self._active[-1] if self._active else 0)
        engine.reg_write(arm.UC_ARM_REG_APSR_NZCV, status & 0xF0000000)
        engine.reg_write(arm.UC_ARM_REG_SP, stack + 32 + (4 if status >> 9 & 1 else 0))
        self._place = place & ~1
        self._look_for_interrupts = True
        self.cycle += CYCLES_OF_EXCEPTION

    def _unmask(self) -> None:
        """The instruction before which the engine was stopped."""
        flash, place = self._flash, self._place
        instruction = flash[place] | flash[place + 1] << 8
        if instruction == _ENABLE_INTERRUPTS:
            masked, size = 0, 2
        else:
            masked, size = self._engine.reg_read(arm.UC_ARM_REG_R0 + (instruction & 15)) & 1, 4
        self._engine.reg_write(arm.UC_ARM_REG_PRIMASK, masked)
        self._place += size
        self._look_for_interrupts = True

    # --- running

    def run(self, cycles: int) -> None:
        """Run for so many cycles, or a few more.

        :raises SimulationEndedError: the program did what the core cannot do
        """
        end = self.cycle + cycles
        while self.cycle < end:
            while self._events and self._events[0][0] <= self.cycle:
                heapq.heappop(self._events)[2]()
            if self._look_for_interrupts:
                self._take_interrupt()
            due = min(end, self._events[0][0]) if self._events else end
            self._run_engine(max(8, min(LONGEST_RUN, due - self.cycle)))

    def _take_interrupt(self) -> None:
        number = self._next_interrupt()
        if number is None:
            self._look_for_interrupts = False
        elif not self._engine.reg_read(arm.UC_ARM_REG_PRIMASK) & 1:
            self._enter_exception(number + _EXTERNAL)

    def _run_engine(self, cycles: int) -> None:
        engine = self._engine
        self._run_end = self.cycle + cycles
        self._returns = self._unmasks = self._stored = False
        try:
            engine.emu_start(self._place | 1, 0xFFFFFFFE, 0, max(4, cycles // CYCLES_OF_INSTRUCTION))
        except UcError as error:
            raise SimulationEndedError(f"{error} at {engine.reg_read(arm.UC_ARM_REG_PC):#x}") from error
        if self._fault is not None:
            raise SimulationEndedError(f"exception {self._fault} at {engine.reg_read(arm.UC_ARM_REG_PC):#x}")
        self._place = engine.reg_read(arm.UC_ARM_REG_PC) & ~1
        stopped = self._returns or self._unmasks or self._stored
        self.cycle += min(cycles, CYCLES_UNTIL_STOP) if stopped else cycles
        if self._stored:
            self._place += 2
        if self._reset_wanted:
            self.reset(by_program=True)
        elif self._returns:
            self._leave_exception()
        elif self._unmasks:
            self._unmask()
