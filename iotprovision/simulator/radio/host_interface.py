"""The host interface of the simulated WINC1510: messages between the driver on the MCU and the module's firmware.

Registers, the order of their use and the header are those of the WINC driver 19.3.0. A message for the module lies in
shared memory, where the module granted room for it; a message for the host too, announced by the interrupt pin, and
the next one waits until the host has said that it is done with this one.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from iotprovision.simulator.chips.winc1510 import Winc1510

# To the host: size and "there is a message", its address. To the module: room wanted, room granted, "there it is".
_TO_HOST, _TO_HOST_ADDRESS = 0x1070, 0x1084
_ROOM_WANTED, _ROOM_GRANTED, _TO_MODULE = 0x1078, 0x150400, 0x106C
_READY, _DONE = 1 << 0, 1 << 1

# Where this model has the two messages; an answer may be written while a message for the host is still being read.
_ROOM, _OUTBOX = 0x60000, 0x68000

# Group, operation, length with the header; four more bytes belong to nobody.
_HEADER = struct.Struct("<BBH4x")
HEADER_SIZE = _HEADER.size

Handler = Callable[[bytes], None]


@dataclass(order=True)
class _Timer:
    due: float
    number: int
    action: Callable[[], None] = field(compare=False)


class HostInterface:
    """Both directions of the messages, in simulated time.

    :param module: its registers and shared memory are used
    :param set_interrupt: sets the level of the interrupt pin, which is low while the host should look

    ``handlers`` takes what is to be called with the payload of a message, by group and operation. A message without a
    handler is taken and not answered.
    """

    def __init__(self, module: Winc1510, set_interrupt: Callable[[bool], None]) -> None:
        self.handlers: dict[tuple[int, int], Handler] = {}
        self.now = 0.0
        self._module = module
        self._set_interrupt = set_interrupt
        module.register_written = self._register_written
        self.reset()

    def reset(self) -> None:
        """The module was reset: nothing is under way."""
        self._messages: deque[tuple[int, int, bytes]] = deque()
        self._being_read = False
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._set_interrupt(True)

    def send(self, group: int, operation: int, payload: bytes = b"") -> None:
        """Queue a message for the host."""
        self._messages.append((group, operation, payload))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after simulated seconds, unless the module is reset before."""
        heapq.heappush(self._timers, _Timer(self.now + delay, next(self._numbers), action))

    def tick(self, now: float) -> None:
        """Time has come to ``now``, simulated seconds: do what is due, hand over the next message."""
        self.now = now
        while self._timers and self._timers[0].due <= now:
            heapq.heappop(self._timers).action()
        if self._messages and not self._being_read:
            group, operation, payload = self._messages.popleft()
            message = _HEADER.pack(group, operation, HEADER_SIZE + len(payload)) + payload
            size = (len(message) + 3) // 4 * 4
            self._module.write_memory(_OUTBOX, message.ljust(size, b"\0"))
            self._module.registers[_TO_HOST_ADDRESS] = _OUTBOX
            self._module.registers[_TO_HOST] = size << 2 | _READY
            self._being_read = True
            self._set_interrupt(False)

    def _register_written(self, address: int, value: int) -> None:
        registers = self._module.registers
        if address == _ROOM_WANTED and value & _DONE:
            registers[_ROOM_GRANTED] = _ROOM
            registers[_ROOM_WANTED] = value & ~_DONE
        elif address == _TO_MODULE and value & _DONE:
            self._take(value >> 2)
        elif address == _TO_HOST:
            if not value & _READY:
                self._set_interrupt(True)
            if value & _DONE:
                registers[_TO_HOST] = 0
                self._being_read = False

    def _take(self, address: int) -> None:
        group, operation, length = _HEADER.unpack(self._module.read_memory(address, HEADER_SIZE))
        handler = self.handlers.get((group, operation))
        if handler:
            with suppress(struct.error, IndexError):  # too short for its kind: not answered
                handler(self._module.read_memory(address + HEADER_SIZE, max(0, length - HEADER_SIZE)))
