"""A serial port, real or across a network, with deadlines and errors a person can act on."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, cast
from urllib.parse import urlsplit

import serial

from iotprovision.errors import AccessError, ProvisioningError, SerialLinkError, UsageError

# A read blocks this long at most, so that Ctrl-C is answered promptly on Windows too.
POLL = 0.05
# The longest thing sent is a blob of 1026 characters: 0.1 s at 115200 baud. More means that nobody takes the bytes.
WRITE_TIMEOUT = 5.0
# How often a port that is still absent or held by another program is looked for.
REOPEN_INTERVAL = 0.1
# Longest extract of received bytes that an error shows.
SHOWN_BYTES = 160


class BytePort(Protocol):
    """What is used of a pyserial port; ``read`` returns after ``POLL`` seconds at the latest."""

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int, /) -> bytes: ...

    def write(self, data: bytes, /) -> int | None: ...

    def close(self) -> None: ...


class SerialLine:
    """An open serial port: write, read what arrives, drain. A context manager.

    Every failure of the port is a :class:`SerialLinkError`.

    :param port: an open port
    :param name: what a person calls the port, for messages
    :param clock: monotonic seconds
    """

    def __init__(self, port: BytePort, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self.name = name
        self.clock = clock

    def write(self, data: bytes) -> None:
        """Send all of ``data``; return when the operating system has taken it."""
        try:
            self._port.write(data)
        except OSError as error:  # includes serial.SerialException
            raise self._gone("sending to", error) from error

    def read_some(self, timeout: float) -> bytes:
        """What arrives first within ``timeout`` seconds and all that came with it; nothing when the time is over."""
        deadline = self.clock() + timeout
        while True:
            data = self._read(wait=True)
            if data or self.clock() >= deadline:
                return data

    def read_pending(self) -> bytes:
        """What has already arrived, without waiting."""
        return self._read(wait=False)

    def drain(self, quiet: float, limit: float) -> bytes:
        """Read until nothing has come for ``quiet`` seconds, ``limit`` seconds at most; returns what was read."""
        end = self.clock() + limit
        drained = bytearray()
        while self.clock() < end:
            data = self.read_some(quiet)
            if not data:
                break
            drained += data
        return bytes(drained)

    def close(self) -> None:
        """Close the port; closing twice, or when it is gone, is harmless."""
        with contextlib.suppress(OSError):
            self._port.close()

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, *, wait: bool) -> bytes:
        received = bytearray()
        try:
            if wait:
                received += self._port.read(1)
                if not received:
                    return b""
            # A network port only knows that something waits, not how much: it is asked until nothing does.
            while waiting := self._port.in_waiting:
                received += self._port.read(waiting)
        except OSError as error:
            # What came before the port was lost is handed out first; the next read meets the same error.
            if not received:
                raise self._gone("reading from", error) from error
        return bytes(received)

    def _gone(self, doing: str, error: OSError) -> SerialLinkError:
        if isinstance(error, serial.SerialTimeoutException):
            why = f"The port took no data for {WRITE_TIMEOUT:g} s."
        else:
            why = str(error)
        return SerialLinkError(
            f"The serial port {self.name} was lost while {doing} the kit",
            why,
            "plug the kit in again, or restart what serves the port, and run the command once more",
        )


def open_port(
    url: str,
    baud_rate: int,
    *,
    wait: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> SerialLine:
    """Open a serial port, 8N1 without flow control, alone where the operating system can.

    :param url: ``COM3``, ``/dev/ttyACM0``, ``socket://HOST:PORT``, ``rfc2217://HOST:PORT``, or what else pyserial takes
    :param wait: seconds to keep trying while the port is absent or busy: it vanishes while a debugger starts anew,
        and some systems probe a modem on every new port
    :raises UsageError: the name is no port name
    :raises AccessError: the operating system does not let this user open it
    :raises SerialLinkError: it is absent, held by another program, or nothing answers at that network address
    """
    deadline = clock() + wait
    while True:
        try:
            return SerialLine(_open(url, baud_rate), url, clock)
        except OSError as error:
            failure = _open_failure(url, error)
            if not isinstance(failure, SerialLinkError) or clock() >= deadline:
                raise failure from error
        sleep(REOPEN_INTERVAL)


def _open(url: str, baud_rate: int) -> BytePort:
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    _check_address(url, scheme)
    try:
        port = serial.serial_for_url(url, do_not_open=True)
    except ValueError as error:
        raise UsageError(
            f"{url} is not the name of a serial port",
            str(error),
            "name it like COM3, /dev/ttyACM0 or socket://HOST:PORT",
        ) from error
    port.baudrate = baud_rate
    port.timeout = POLL
    if not scheme:
        port.exclusive = True
    if scheme != "rfc2217":  # pyserial's client of that protocol refuses a write timeout
        port.write_timeout = WRITE_TIMEOUT
    port.open()
    return cast(BytePort, port)


def _check_address(url: str, scheme: str) -> None:
    """Refuse what pyserial would report as if the port were broken."""
    address = ""
    if scheme in ("socket", "rfc2217"):
        parts = urlsplit(url)
        try:
            address = "" if parts.hostname and parts.port else "host and port are both needed"
        except ValueError as error:
            address = str(error)
    if not url.strip() or address:
        raise UsageError(
            f"{url!r} is not the name of a serial port",
            address,
            "name it like COM3, /dev/ttyACM0 or socket://HOST:PORT",
        )


_ABSENT = {errno.ENOENT, errno.ENODEV, errno.ENXIO}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}
_NOT_PERMITTED = {errno.EACCES, errno.EPERM}


def _open_failure(url: str, error: OSError) -> ProvisioningError:
    # On Windows pyserial keeps no error number, only the words of the exception it caught.
    text = str(error)
    number = error.errno
    if "://" in url:
        return SerialLinkError(
            f"Nothing answers at {url}", text, "check host and port, and that what serves the port is running"
        )
    if number in _ABSENT or "FileNotFoundError" in text:
        return SerialLinkError(
            f"There is no serial port {url}",
            "The kit is unplugged, or its debugger is just starting.",
            "iotprovision without -P finds the port of a kit by itself; look at the cable if it does not",
        )
    if number in _BUSY or (sys.platform == "win32" and "PermissionError" in text):
        return SerialLinkError(
            f"The serial port {url} is in use by another program", text, "close the terminal program that has it open"
        )
    if number in _NOT_PERMITTED or "PermissionError" in text:
        return AccessError(f"Not permitted to open the serial port {url}", text, _permission_hint())
    return SerialLinkError(f"The serial port {url} cannot be opened", text)


def _permission_hint() -> str:
    if sys.platform.startswith("linux"):
        return (
            "sudo usermod -a -G dialout $USER, then log out and in again\n(the group is uucp on Arch and some others)"
        )
    return "run as a user who may open serial ports"


def shown(data: bytes) -> str:
    """A sentence with the received bytes: escaped, and only the last part when there are many."""
    if not data:
        return "Nothing was received."
    if len(data) > SHOWN_BYTES:
        return f"Received {len(data)} bytes, at the end: {data[-SHOWN_BYTES:]!r}"
    return f"Received: {data!r}"
