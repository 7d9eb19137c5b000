"""The SPI side of the simulated WINC1510: commands, data packets and answers, byte by byte."""

from __future__ import annotations

from collections import deque

from iotprovision.simulator.chips.winc1510 import Winc1510

_WRITE_CLOCKLESS, _READ_CLOCKLESS, _WRITE_BLOCK, _READ_BLOCK = 0xC3, 0xC4, 0xC7, 0xC8
_WRITE_REGISTER, _READ_REGISTER, _RESET = 0xC9, 0xCA, 0xCF

# Length of each command without its CRC byte, which all but the reset command carry while CRC is on.
_COMMAND_LENGTHS = {
    _WRITE_CLOCKLESS: 7,
    _READ_CLOCKLESS: 4,
    _WRITE_BLOCK: 7,
    _READ_BLOCK: 7,
    _WRITE_REGISTER: 8,
    _READ_REGISTER: 4,
    _RESET: 5,
}
_ANSWER_DATA = 0xF3  # "first and last packet of data follow"
_DATA_START = 0xF0  # upper half of the byte that begins the data of a block write
_BLOCK_WRITTEN = b"\x00\xc3\x00"  # the driver tolerates one byte of latency before this answer


class Winc1510Bus:
    """The module on the SPI bus. CRC bytes are accepted, not checked; answers carry none."""

    def __init__(self, module: Winc1510) -> None:
        self.module = module
        self._forget()

    def _forget(self) -> None:
        self._to_host: deque[int] = deque()
        self._command = bytearray()
        self._missing = 0
        self._block: bytearray | None = None
        self._block_address = 0
        self._block_size = 0
        self._block_started = False

    def reset(self) -> None:
        """RESET_N was low."""
        self.module.reset()
        self._forget()

    def exchange(self, byte: int) -> int:
        """A byte came in on MOSI: the byte that goes out on MISO next."""
        if not self.module.present:
            return 0
        if self._block is not None:
            self._take_block_byte(byte)
        elif self._missing:
            self._command.append(byte)
            self._missing -= 1
            if not self._missing:
                self._execute(bytes(self._command))
        elif byte in _COMMAND_LENGTHS:
            self._to_host.clear()
            self._command = bytearray([byte])
            crc_byte = self.module.crc_enabled and byte != _RESET
            self._missing = _COMMAND_LENGTHS[byte] - 1 + crc_byte
            return 0
        return self._to_host.popleft() if self._to_host else 0

    def _take_block_byte(self, byte: int) -> None:
        if self._block is None:
            return
        if not self._block_started:
            if byte & 0xF0 == _DATA_START:
                self._block_started = True
                self._to_host.clear()
            return
        self._block.append(byte)
        if len(self._block) == self._block_size:
            self.module.write_memory(self._block_address, bytes(self._block))
            self._block = None
            self._to_host.extend(_BLOCK_WRITTEN)

    def _execute(self, command: bytes) -> None:
        opcode = command[0]
        address = int.from_bytes(command[1:4], "big")
        short_address = command[2]
        size = int.from_bytes(command[4:7], "big")
        self._to_host.extend((opcode, 0x00))
        if opcode == _WRITE_REGISTER:
            self.module.write_register(address, int.from_bytes(command[4:8], "big"))
        elif opcode == _WRITE_CLOCKLESS:
            self.module.write_register(short_address, int.from_bytes(command[3:7], "big"))
        elif opcode in (_READ_REGISTER, _READ_CLOCKLESS):
            value = self.module.read_register(address if opcode == _READ_REGISTER else short_address)
            self._to_host.append(_ANSWER_DATA)
            self._to_host.extend(value.to_bytes(4, "little"))
        elif opcode == _READ_BLOCK:
            self._to_host.append(_ANSWER_DATA)
            self._to_host.extend(self.module.read_memory(address, size))
        elif opcode == _WRITE_BLOCK:
            self._block_address, self._block_size = address, size
            self._block, self._block_started = bytearray(), False
