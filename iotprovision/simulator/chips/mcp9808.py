"""The MCP9808 temperature sensor of the kits, as far as the demo reads it (figures from its datasheet)."""

from __future__ import annotations

I2C_ADDRESS = 0x18  # 7 bits
AMBIENT_TEMPERATURE = 0x05
_REGISTERS = {0x06: 0x0054, 0x07: 0x0400}  # manufacturer, device and revision
_SIXTEENTHS = 16


class Mcp9808:
    """A sensor at a constant temperature. The first byte of a write is the register, two bytes are read of it.

    :param celsius: -40 to 125
    """

    def __init__(self, celsius: float = 23.5) -> None:
        self._temperature = round(celsius * _SIXTEENTHS) & 0x1FFF  # 12 bits and the sign
        self._register = 0
        self._register_comes = False
        self._answer = bytearray()

    def start(self) -> None:
        """A transfer to its address begins."""
        self._register_comes = True
        value = self._temperature if self._register == AMBIENT_TEMPERATURE else _REGISTERS.get(self._register, 0)
        self._answer = bytearray(value.to_bytes(2, "big"))

    def write(self, byte: int) -> None:
        """A byte from the master. Settings that follow the register's number change nothing that is read."""
        if self._register_comes:
            self._register, self._register_comes = byte, False

    def read(self) -> int:
        """The next byte for the master; 0xFF when there is none."""
        return self._answer.pop(0) if self._answer else 0xFF
