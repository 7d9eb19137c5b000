"""The UART of a modelled MCU: bytes that come while the firmware is busy are kept in a small ring, or lost.

Times are in seconds of the model's own clock. A burst is taken as coming in at the full rate of the line; between two
bursts the firmware has all the time it needs. So one write of the host is judged by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

_BITS_PER_BYTE = 10
# Bytes that wait for transmission: the firmware's ring, the data register and the shift register of the USART.
_TRANSMIT_ROOM = 8 + 2
# Seconds that the firmware needs to hand over one byte; measured in the emulator.
_HANDOVER_TIME = 11e-6


class Firmware(Protocol):
    """What a firmware on a modelled MCU looks like to the UART."""

    baud_rate: int
    ring_size: int

    def take(self, character: int) -> Iterable[tuple[bytes, float]]:
        """One received character: pieces of output, each with the seconds of computing before it."""


class ModelledUart:
    """Feeds a firmware and collects what it sends."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        self._byte_time = _BITS_PER_BYTE / firmware.baud_rate

    def receive(self, burst: bytes) -> bytes:
        """What the firmware sends in answer to a burst of bytes."""
        ring: deque[int] = deque()
        output = bytearray()
        sent: deque[float] = deque(maxlen=_TRANSMIT_ROOM)
        free = 0.0
        for index, byte in enumerate(burst):
            arrival = (index + 1) * self._byte_time
            while ring and free <= arrival:
                free = self._process(ring.popleft(), free, output, sent)
            if not ring and free <= arrival:
                free = self._process(byte, arrival, output, sent)
            elif len(ring) < self._firmware.ring_size:
                ring.append(byte)
        while ring:
            free = self._process(ring.popleft(), free, output, sent)
        return bytes(output)

    def _process(self, character: int, start: float, output: bytearray, sent: deque[float]) -> float:
        """Run the firmware on one character from a time on: the time at which it asks for the next one."""
        now = start
        for piece, seconds in self._firmware.take(character):
            now += seconds
            for _ in piece:
                now += _HANDOVER_TIME
                if len(sent) == _TRANSMIT_ROOM:
                    now = max(now, sent[0])  # the oldest byte has to leave before another one fits
                sent.append(max(now, sent[-1] if sent else now) + self._byte_time)
            output += piece
        return now
