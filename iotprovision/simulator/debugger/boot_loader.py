"""The boot loader of the debugger: USB DFU control transfers that carry FLIP commands (Atmel notes AVR4023, DOC7618).

What is answered is what pydebuggerupgrade asks for and accepts. A command comes in a DNLOAD, its data in an UPLOAD, its
outcome in a GETSTATUS.
"""

from __future__ import annotations

from iotprovision.simulator.debugger.debugger_flash import BLANK, CRC_SIZE, SIZE, crc, is_whole

PRODUCT_ID = 0x2FC0

REQUEST_OUT, REQUEST_IN = 0x21, 0xA1  # class requests to the interface
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, ABORT = 1, 2, 3, 4, 6

# (status, state) as GETSTATUS gives them
OK = (0x00, 0x02)
UNKNOWN_MEMORY = (0x03, 0x0A)
NOT_BLANK = (0x05, 0x02)
WRONG_CRC = (0x07, 0x0A)
OUT_OF_RANGE = (0x08, 0x0A)
STALL = (0x0F, 0x0A)

FLASH, BOOT_LOADER, SIGNATURE = 0, 4, 5
PAGE_SIZE = 0x10000
COMMAND_SIZE = 6
PROGRAM_HEAD = 64
WRITE_ENTITY = 64
# Identity of the boot loader and signature of the chip: nothing is known to depend on them.
READ_ONLY = {BOOT_LOADER: bytes([0x10, 0x00, 0x00]), SIGNATURE: bytes([0x1E, 0x10, 0x01, 0x0D])}


class Stalled(Exception):  # noqa: N818
    """The request is refused on the level of USB."""


class BootLoader:
    """One start of the boot loader.

    :param flash: the firmware area, changed in place
    """

    def __init__(self, flash: bytearray) -> None:
        self.restart_due = False
        self._flash = flash
        self._unit = FLASH
        self._page = 0
        self._status = OK
        self._answer = b""
        self._start = False
        self._part = 1.0

    def transfer(self, request_type: int, request: int, data: bytes, length: int) -> bytes:
        """One control transfer; afterwards ``restart_due`` tells that the boot loader hands over to the firmware.

        :param data: of a transfer to the device
        :param length: the most that a transfer from the device may give
        :raises Stalled: there is no such request
        """
        if (request_type, request) == (REQUEST_OUT, DNLOAD):
            self._download(data)
            return b""
        if (request_type, request) == (REQUEST_IN, UPLOAD):
            return self._answer[:length]
        if (request_type, request) == (REQUEST_IN, GETSTATUS):
            status, state = self._status
            return bytes([status, 0, 0, 0, state, 0])[:length]
        if request_type == REQUEST_OUT and request in (CLRSTATUS, ABORT):
            self._status = OK
            return b""
        raise Stalled

    def lose_power(self, request_type: int, request: int, data: bytes) -> None:
        """Power goes during this transfer: what it erases or writes is done half."""
        if (request_type, request) == (REQUEST_OUT, DNLOAD) and data:
            self._part = 0.5
            self._download(data)

    def _download(self, data: bytes) -> None:
        if not data:
            self.restart_due = self._start
            return
        self._answer = b""
        self._status = self._perform(data) if len(data) >= COMMAND_SIZE else STALL

    def _perform(self, data: bytes) -> tuple[int, int]:  # noqa: PLR0911 - one return a command
        group, command = data[0], data[1]
        first, second = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")
        if (group, command, data[2]) == (0x06, 0x03, 0x00):
            self._unit = data[3]
            return OK if self._unit == FLASH or self._unit in READ_ONLY else UNKNOWN_MEMORY
        if (group, command, data[2]) == (0x06, 0x03, 0x01):
            self._page = int.from_bytes(data[3:5], "big")
            return OK
        if (group, command) == (0x03, 0x00):
            return self._read(first, second)
        if (group, command) == (0x03, 0x01):
            return self._check_blank(first, second)
        if (group, command) == (0x01, 0x00):
            return self._program(first, second, data[PROGRAM_HEAD:])
        if (group, command, data[2]) == (0x04, 0x00, 0xFF):
            self._flash[: int(SIZE * self._part)] = bytes([BLANK]) * int(SIZE * self._part)
            return OK
        if (group, command) == (0x04, 0x01):
            if self._part == 1:
                self._write(SIZE - CRC_SIZE, crc(self._flash))
            return OK
        if (group, command) == (0x04, 0x03):
            self._start = is_whole(self._flash)
            return OK if self._start else WRONG_CRC
        return STALL

    def _place(self, first: int, last: int, size: int) -> slice | None:
        """What two addresses mean in the memory of that size; None where they do not lie in it."""
        base = self._page * PAGE_SIZE if self._unit == FLASH else 0
        return slice(base + first, base + last + 1) if first <= last and base + last < size else None

    def _read(self, first: int, last: int) -> tuple[int, int]:
        content = READ_ONLY.get(self._unit, self._flash)
        place = self._place(first, last, len(content))
        if place is None:
            return OUT_OF_RANGE
        self._answer = bytes(content[place])
        return OK

    def _check_blank(self, first: int, last: int) -> tuple[int, int]:
        place = self._place(first, last, SIZE)
        if place is None or self._unit != FLASH:
            return OUT_OF_RANGE
        return OK if set(self._flash[place]) <= {BLANK} else NOT_BLANK

    def _program(self, first: int, last: int, padded: bytes) -> tuple[int, int]:
        place = self._place(first, last, SIZE)
        data = padded[first % WRITE_ENTITY :]
        if place is None or self._unit != FLASH or len(data) != last - first + 1:
            return OUT_OF_RANGE
        self._write(place.start, data[: int(len(data) * self._part)])
        return OK

    def _write(self, address: int, data: bytes) -> None:
        before = self._flash[address : address + len(data)]
        self._flash[address : address + len(data)] = bytes(old & new for old, new in zip(before, data, strict=True))
