"""The vendor's bridge to the Wi-Fi module's flash, modelled: binary frames, answered as the real one does.

Requests and responses live in one buffer. What was sent is cleared; what else an earlier frame left shows through.
See docs/winc-upgrade.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from iotprovision.formats.winc_flash import PAGE, SECTOR
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.chip_drivers import DriverError, WifiModuleDriver
from iotprovision.simulator.models.modelled_uart import ModelledUart

BAUD_RATE = 115200
# Bytes that wait while the firmware is busy. That of an AVR mixes them up when there are more; here the rest is lost.
RING_SIZE = 8
SAM_RING_SIZE = 127

BEGIN, END = 0xAA, 0xBB
HEADER = 7
FRAME = HEADER + 1
BUFFER_SIZE = FRAME + SECTOR
BAD_MARKER = 1

VERSION, READ_PAGE, READ_SECTOR, WRITE_PAGE, WRITE_SECTOR, ERASE_SECTOR = range(6)
_VERSION_SIZE = 38
_VERSIONS = 4  # where firmware and driver version begin
_CHIP_ID = 0x1503A0
_BUILT = b"Jan  1 2022\0" + b"00:00:00\0"


class BridgeFirmware:
    """The firmware on an AVR. Where the module's own firmware does not start, asking for its version hangs it."""

    baud_rate = BAUD_RATE
    ring_size = RING_SIZE
    # Seconds of computing, measured on the real firmware in the emulator (10 MHz).
    byte_time = 10e-6
    chip_time = 10e-3
    # Its driver sends the flash 24 bits; that of the provisioning firmware lets the rest fall into the opcode.
    address_bits = 0xFFFFFF

    def __init__(self, secure_element: Ecc608, wifi_module: Winc1510) -> None:
        self._module = WifiModuleDriver(wifi_module)
        self._uart = ModelledUart(self)
        self.start()

    def start(self) -> bytes:
        """A reset: nothing is sent."""
        self._buffer = bytearray(BUFFER_SIZE)
        self._received = 0
        self._hangs = False
        return b""

    def receive(self, burst: bytes) -> bytes:
        """What is sent in answer to bytes that come in at the full rate of the line."""
        # Inside a payload there is nothing to do but to keep it, and behind a whole frame nothing that could be lost.
        if self._received >= HEADER and not self._hangs:
            kept = min(len(burst), FRAME + PAGE * self._buffer[2] - self._received - 1, BUFFER_SIZE - self._received)
            kept = max(kept, 0)
            self._buffer[self._received : self._received + kept] = burst[:kept]
            self._received += kept
            burst = burst[kept:]
        elif not self._received and burst[:1] == bytes([BEGIN]) and len(burst) > HEADER:
            return self._uart.receive(burst[:HEADER]) + self.receive(burst[HEADER:])
        if len(burst) == 1:
            return b"".join(piece for piece, _ in self.take(burst[0]))
        return self._uart.receive(burst) if burst else b""

    def take(self, character: int) -> Iterator[tuple[bytes, float]]:
        """Handle one byte: the response that it completes, with the seconds of computing before it."""
        if self._hangs:
            yield b"", float("inf")
            return
        yield b"", self.byte_time
        if not self._received and character != BEGIN:
            return
        # A payload of more than a sector runs over the end of the buffer; what that does to the MCU is not modelled.
        if self._received < BUFFER_SIZE:
            self._buffer[self._received] = character
        self._received += 1
        if self._received >= FRAME and self._received >= FRAME + PAGE * self._buffer[2]:
            self._received = 0
            yield from self._answer(character)

    def _answer(self, last: int) -> Iterator[tuple[bytes, float]]:
        buffer = self._buffer
        status = 0 if last == END else BAD_MARKER
        pages = buffer[2]
        if status == 0:
            try:
                pages = self._run(buffer[1], buffer[2], int.from_bytes(buffer[3:HEADER], "little"))
            except _NoAnswerError:
                self._hangs = True
                yield b"", float("inf")
                return
        buffer[0], buffer[1], buffer[2] = BEGIN, status, pages
        size = min(HEADER + PAGE * pages, BUFFER_SIZE - 1)
        buffer[size] = END
        response = bytes(buffer[: size + 1])
        buffer[:size] = bytes(size)
        yield response, self.chip_time

    def _run(self, command: int, pages: int, address: int) -> int:
        """Carry out a request: the pages of the response. What the module answers to it is told to nobody."""
        try:
            if command == VERSION:
                pages = 1
                self._put_version()
            elif command in (READ_PAGE, READ_SECTOR):
                size = PAGE if command == READ_PAGE else SECTOR
                pages = size // PAGE
                self._put(self._module.read(address & self.address_bits, size))
            elif command in (WRITE_PAGE, WRITE_SECTOR):
                size = PAGE if command == WRITE_PAGE else PAGE * pages
                pages = 0
                self._write(address, bytes(self._buffer[HEADER : HEADER + size]))
            elif command == ERASE_SECTOR and address + SECTOR < 1 << 32:
                self._module.erase_sector(address & self.address_bits)
        except DriverError:
            pass
        return pages

    def _write(self, address: int, data: bytes) -> None:
        while data:
            size = PAGE - address % PAGE
            self._module.write(address & self.address_bits, data[:size])
            address, data = address + size, data[size:]

    def _put(self, payload: bytes, place: int = 0) -> None:
        self._buffer[HEADER + place : HEADER + place + len(payload)] = payload

    def _put_version(self) -> None:
        try:
            firmware, driver = self._module.versions()
        except DriverError:
            raise _NoAnswerError from None
        self._put((struct.pack("<I6B", _CHIP_ID, *firmware, *driver) + _BUILT).ljust(_VERSION_SIZE, b"\0"))


class SamBridgeFirmware(BridgeFirmware):
    """The firmware on a SAM: its answer about the version has nothing but the two, and zeros where there are none."""

    ring_size = SAM_RING_SIZE
    byte_time = 1e-6
    chip_time = 1e-3
    address_bits = 0xFFFFFFFF

    def _put_version(self) -> None:
        self._put(bytes(6), _VERSIONS)
        firmware, driver = self._module.versions()
        self._put(bytes((*firmware, *driver)), _VERSIONS)


class _NoAnswerError(Exception):
    """The driver waits for ever."""
