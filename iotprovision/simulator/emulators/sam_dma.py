"""The DMA controller (DMAC) of the SAM D21, for blocks between memory and serial interfaces.

Registers and descriptors: SAM D21 data sheet. A block moves as a whole, at the time at which its last byte would.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from iotprovision.simulator.emulators.cortex_m0 import CortexM0, Peripheral
from iotprovision.simulator.emulators.sercom import UART, Sercom

CONTROL, PENDING, STATUS, BASE, CHANNEL = 0x00, 0x20, 0x24, 0x34, 0x3F
CHANNEL_CONTROL, CHANNEL_TRIGGER, DISABLE, ENABLE, FLAGS, CHANNEL_STATUS = 0x40, 0x44, 0x4C, 0x4D, 0x4E, 0x4F
SOFTWARE_RESET, ON = 0x01, 0x02
BLOCK_DONE = 0x02
CHANNELS = 12
DESCRIPTOR = "<HHIII"
SOURCE_MOVES, DESTINATION_MOVES = 1 << 10, 1 << 11


@dataclass
class _Channel:
    on: bool = False
    trigger: int = 0
    enabled: int = 0
    flags: int = 0
    done: int = 0

    @property
    def interrupts(self) -> bool:
        return bool(self.enabled & self.flags)

    @property
    def source(self) -> int:
        """Trigger number: of interface n it is 1 + 2n for bytes received, 2 + 2n for room to send."""
        return self.trigger >> 8 & 0x3F


class DmaController(Peripheral):
    """All channels.

    :param interfaces: the serial interfaces, by their number
    """

    def __init__(self, machine: CortexM0, interrupt: int, interfaces: Sequence[Sercom]) -> None:
        super().__init__(machine, interrupt)
        self._interfaces = interfaces
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._channels = [_Channel() for _ in range(CHANNELS)]

    @property
    def _selected(self) -> _Channel:
        return self._channels[self.registers[CHANNEL] % 16 % CHANNELS]

    def read(self, offset: int, size: int) -> int:
        channel = self._selected
        if offset == PENDING:
            return next((n | one.flags << 8 for n, one in enumerate(self._channels) if one.interrupts), 0)
        values = {
            CHANNEL_CONTROL: ON if channel.on else 0,
            CHANNEL_TRIGGER: channel.trigger,
            DISABLE: channel.enabled,
            ENABLE: channel.enabled,
            FLAGS: channel.flags,
            CHANNEL_STATUS: 0,
            STATUS: sum(1 << number for number, one in enumerate(self._channels) if one.interrupts),
            0x28: 0,
            0x2C: 0,
            0x30: 0,
        }
        return values.get(offset, self.value(offset, size))

    def write(self, offset: int, size: int, value: int) -> None:
        channel = self._selected
        if offset == CONTROL and value & SOFTWARE_RESET:
            self.reset()
        elif offset == CHANNEL_CONTROL:
            self._control(channel, value)
        elif offset == CHANNEL_TRIGGER:
            channel.trigger = value
        elif offset == DISABLE:
            channel.enabled &= ~value
        elif offset == ENABLE:
            channel.enabled |= value
        elif offset == FLAGS:
            channel.flags &= ~value
        else:
            self.set_value(offset, size, value)
        self._update()

    def _update(self) -> None:
        self.machine.set_interrupt(self.interrupt, any(channel.interrupts for channel in self._channels))

    def _control(self, channel: _Channel, value: int) -> None:
        if value & SOFTWARE_RESET:
            channel.__init__()  # type: ignore[misc]
            return
        was_on, channel.on = channel.on, bool(value & ON)
        if channel.on and not was_on:
            channel.done = 0
            self._start_sending()

    def _start_sending(self) -> None:
        """Channels that feed an interface; what comes in meanwhile goes to its channel for bytes received."""
        for number, channel in enumerate(self._channels):
            interface, direction = divmod(channel.source - 1, 2)
            if channel.on and direction == 1 and 0 <= interface < len(self._interfaces):
                takers = [
                    n for n, other in enumerate(self._channels) if other.on and other.source == channel.source - 1
                ]
                self._send(number, takers, self._interfaces[interface])

    def _descriptor(self, address: int) -> tuple[int, int, int, int, int]:
        control, count, source, destination, following = struct.unpack(
            DESCRIPTOR, self.machine.read_memory(address, struct.calcsize(DESCRIPTOR))
        )
        return control, count, source, destination, following

    def _address(self, number: int) -> int:
        return self.value(BASE) + struct.calcsize(DESCRIPTOR) * number

    def _send(self, number: int, takers: list[int], interface: Sercom) -> None:
        data = b""
        address = self._address(number)
        while address:
            control, count, source, _, address = self._descriptor(address)
            if control & SOURCE_MOVES:
                data += self.machine.read_memory(source - count, count)
            else:
                data += self.machine.read_memory(source, 1) * count
        finished = self.machine.cycle + len(data) * interface.byte_cycles
        if interface.mode == UART:
            for byte in data:
                interface.transmitted(byte)
            answer = b""
        else:
            answer = bytes(map(interface.exchange, data))
        self.machine.at(finished, lambda: self._sent(number, takers, answer))

    def _sent(self, number: int, takers: list[int], answer: bytes) -> None:
        for taker in takers:
            self._take(taker, answer)
        self._channels[number].on = False
        self._channels[number].flags |= BLOCK_DONE
        self._update()

    def _take(self, number: int, answer: bytes) -> None:
        channel = self._channels[number]
        control, count, _, destination, _ = self._descriptor(self._address(number))
        for byte in answer:
            if not channel.on:
                return
            place = destination - count + channel.done if control & DESTINATION_MOVES else destination
            self.machine.write_memory(place, bytes([byte]))
            channel.done += 1
            if channel.done == count:
                channel.on = False
                channel.flags |= BLOCK_DONE
