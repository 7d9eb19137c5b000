"""The firmware that opens the flash of the Wi-Fi module to the host: binary frames, see docs/winc-upgrade.md."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from iotprovision.boards.serial_port import SerialLine, shown
from iotprovision.errors import ChipRefusedError, SerialLinkError
from iotprovision.formats.winc_flash import PAGE, SECTOR, SIZE

log = logging.getLogger(__name__)

BAUD_RATE = 115200
STARTUP_DELAY = 0.05
"""Seconds after which every bridge listens: the AVR's does 5 ms after its reset, and answers after 0.45 s. What comes
in between waits in its receive buffer. Nothing tells when it begins to listen."""
READY_TIMEOUT = 15.0
"""Entering download mode takes 0.4 s, on a SAM 0.6 s where the module does not start; a module that does
not answer is tried for some seconds. An emulated kit takes ten times as long."""
RESPONSE_TIMEOUT = 10.0
"""A sector takes 0.4 s to write and to read, the version 0.85 s. A bridge that waits for a lost byte waits for ever,
and so does one that asks a module whose firmware does not start for its version."""

BEGIN, END = 0xAA, 0xBB
HEADER = 7
FRAME = HEADER + 1
"""Bytes of a frame without its payload."""
MOST_PAGES = SECTOR // PAGE

_VERSION, _READ_PAGE, _READ_SECTOR, _WRITE_SECTOR, _ERASE_SECTOR, _NOTHING = 0, 1, 2, 4, 5, 6
_NO_DOWNLOAD_MODE = b"Unable to enter download mode"
_SAFE_TOKENS = bytes(value for value in range(0x20, 0x7F))


@dataclass(frozen=True)
class ModuleVersion:
    """What the firmware of the Wi-Fi module says about itself when it runs.

    :ivar firmware: like ``19.7.7``
    :ivar driver: the driver version that it asks for, like ``19.3.0``
    """

    firmware: str
    driver: str


class WincBridge:
    """A conversation with the bridge: one frame at a time, each answered in full before the next is sent.

    The bridge has no time-out and frames have no checksum. Where a byte is lost it waits for that byte for ever, and
    what it is sent next becomes part of the unfinished frame, which may be one that writes. So as soon as anything goes
    wrong ``needs_target_reset`` is true, and every request is refused until the target was reset.

    The status in a response tells only whether the frame had its two markers; the flash may have failed all the same.
    Whoever erases or writes reads back.

    Every request raises :class:`SerialLinkError` when the response does not come, or is not the one to this request.

    :param line: the open port, 115200 baud
    :param sleep: waits for so many seconds
    """

    def __init__(self, line: SerialLine, sleep: Callable[[float], None] = time.sleep) -> None:
        self._line = line
        self._sleep = sleep
        self.needs_target_reset = False

    def wait_ready(self) -> None:
        """Wait until the bridge, which has just been reset, answers.

        :raises ChipRefusedError: it cannot reach the Wi-Fi module
        """
        self.needs_target_reset = False
        self._sleep(STARTUP_DELAY)
        self._line.read_pending()
        # The request that does nothing; its address comes back. Four characters that occur in no other response.
        token = bytes(secrets.choice(_SAFE_TOKENS) for _ in range(4))
        self._ask("does not answer", _NOTHING, int.from_bytes(token, "little"), timeout=READY_TIMEOUT)

    def version(self) -> ModuleVersion:
        """Start the firmware of the module and ask it for its version (0.85 s); download mode is entered again.

        Where that firmware does not start, the bridge of an AVR never answers again: reset the target.

        :raises ChipRefusedError: the firmware does not start, and the bridge, that of a SAM, says so
        """
        data = self._ask("could not tell the version of the Wi-Fi module", _VERSION, 0, pages=1)
        firmware, driver = data[4:7], data[7:10]
        if not any(firmware):
            raise ChipRefusedError(
                "The Wi-Fi module does not start",
                "The bridge to it tells zeros for its version.",
                "upgrade its firmware: iotprovision wincupgrade",
            )
        return ModuleVersion(".".join(map(str, firmware)), ".".join(map(str, driver)))

    def read_sector(self, address: int) -> bytes:
        """The 4096 bytes of a sector."""
        return self._ask("could not read", _READ_SECTOR, _sector(address), pages=MOST_PAGES)

    def read_back_sector(self, address: int) -> bytes:
        """The same, of a sector that was just written.

        Requests and responses share one buffer, and a module that does not answer leaves in it what is there: the
        sector that was sent. So another response comes between, behind which the first page of the buffer is zeros.
        """
        self._ask("could not read", _READ_PAGE, _sector(address), pages=1)
        return self.read_sector(address)

    def erase_sector(self, address: int) -> None:
        """All bytes of a sector 0xFF."""
        self._ask("could not erase", _ERASE_SECTOR, _sector(address))

    def write_sector(self, address: int, data: bytes) -> None:
        """Program the first 1 to 16 pages of a sector. That clears bits only: erase first.

        :param data: whole pages, 256 to 4096 bytes
        """
        if not data or len(data) % PAGE or len(data) > SECTOR:
            raise ValueError(f"1 to {MOST_PAGES} whole pages can be written, not {len(data)} bytes")
        self._ask("could not write", _WRITE_SECTOR, _sector(address), data)

    def _ask(
        self,
        problem: str,
        command: int,
        address: int,
        payload: bytes = b"",
        *,
        pages: int = 0,
        timeout: float = RESPONSE_TIMEOUT,
    ) -> bytes:
        """Send a frame and wait for the response to it.

        :param problem: what to say when this fails, with the bridge as its subject
        :param pages: payload of the response
        """
        if self.needs_target_reset:
            raise self._failure("was left in the middle of a frame", "It has to be reset first.")
        place = address.to_bytes(4, "little")
        self.needs_target_reset = True
        if stray := self._line.read_pending():
            raise self._failure(problem, f"It sent something that was not asked for.\n{shown(stray)}")
        self._line.write(bytes([BEGIN, command, len(payload) // PAGE]) + place + payload + bytes([END]))
        response = self._receive(problem, FRAME + PAGE * pages, timeout)
        expected = bytes([BEGIN, 0, pages]) + place
        if response[:HEADER] != expected or response[-1] != END:
            found = response[:HEADER].hex(" ") + " … " + response[-1:].hex()
            why = f"Its response is not the one to this request: {found} instead of {expected.hex(' ')} … {END:x}."
            raise self._failure(problem, why)
        self.needs_target_reset = False
        return response[HEADER:-1]

    def _receive(self, problem: str, size: int, timeout: float) -> bytes:
        deadline = self._line.clock() + timeout
        received = b""
        while len(received) < size:
            remaining = deadline - self._line.clock()
            data = self._line.read_some(remaining) if remaining > 0 else b""
            received += data
            if received.startswith(_NO_DOWNLOAD_MODE):
                raise ChipRefusedError(
                    "The bridge cannot reach the Wi-Fi module",
                    "It says that the module does not enter download mode.",
                    "unplug the kit for some seconds, plug it in and run the command again",
                )
            if not data:
                got = f"{len(received)} of {size} bytes came within {timeout:g} s."
                raise self._failure(problem, f"{got}\n{shown(received[-32:])}" if received else got)
        if len(received) > size:
            raise self._failure(problem, f"It sent {len(received)} bytes instead of {size}.")
        return received

    def _failure(self, problem: str, why: str) -> SerialLinkError:
        return SerialLinkError(
            f"The bridge to the Wi-Fi module on {self._line.name} {problem}",
            why,
            "run the command again, it goes on from here; if it stays like this, unplug the kit and plug it in",
        )


def _sector(address: int) -> int:
    if address % SECTOR or not 0 <= address < SIZE:
        raise ValueError(f"0x{address:X} is not the beginning of a sector of the Wi-Fi module's flash")
    return address
