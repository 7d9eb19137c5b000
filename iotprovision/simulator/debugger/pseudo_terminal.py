"""A pseudo terminal that stands for the serial port of a kit; POSIX only, absent elsewhere."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import Any

CHUNK = 4096
POLL_INTERVAL = 0.02  # where the system cannot tell when somebody opens a terminal: how often to look
LONGEST_WAIT = 0.2  # for a program to read what it has been given


class PseudoTerminal:
    """The kit's end of a terminal whose other end any program may open.

    :ivar path: what that program opens
    :ivar events: a file descriptor that becomes readable when something happened; None where there is none
    :ivar poll_interval: seconds between looks where there are no events
    :ivar pending: bytes on their way to the program
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        import pty
        import tty

        self._master, slave = pty.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)  # else what the kit says before a program has configured the port comes back to it as echo
        os.close(slave)
        os.set_blocking(self._master, False)
        self.pending = bytearray()
        self.poll_interval: float | None = POLL_INTERVAL
        self.events: int | None = None
        self._epoll: Any = None
        self._was_open = False
        self._state = select.poll()
        self._state.register(self._master, 0)
        if hasattr(select, "epoll"):
            # A terminal nobody has open is "hung up" all the time: only edges of that are news
            self._epoll = select.epoll()
            self._epoll.register(self._master, select.EPOLLIN | select.EPOLLOUT | select.EPOLLHUP | select.EPOLLET)
            self.events = self._epoll.fileno()
            self.poll_interval = None

    def is_open(self) -> bool:
        """Whether a program has the terminal open now."""
        hung_up = any(event & select.POLLHUP for _, event in self._state.poll(0))
        if hung_up and self._was_open:
            self._was_open = False
            self._forget_unread()
        self._was_open = not hung_up
        return not hung_up

    def _forget_unread(self) -> None:
        if sys.platform == "win32":
            return
        import termios

        self.pending.clear()
        slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            termios.tcflush(slave, termios.TCIFLUSH)
        finally:
            os.close(slave)

    def is_at(self, baud_rate: int | None) -> bool:
        """Whether the program has set the terminal to this rate; yes where there is none to compare with."""
        if sys.platform == "win32" or baud_rate is None:
            return True
        import termios

        return bool(termios.tcgetattr(self._master)[5] == getattr(termios, f"B{baud_rate}", None))

    def read(self) -> bytes:
        """Bytes that a program wrote; empty when there are none (left)."""
        if self._epoll is not None:
            self._epoll.poll(0)
        try:
            data = os.read(self._master, CHUNK)
        except OSError:  # nothing to read, or nobody there
            data = b""
        if data:
            self._was_open = True
        else:
            self.is_open()
        return data

    def flush(self) -> None:
        """Hand over what is pending, as far as the terminal takes it."""
        while self.pending:
            try:
                written = os.write(self._master, self.pending)
            except OSError:
                return
            del self.pending[:written]

    def wait_until_read(self) -> None:
        """Let the program take what it has been given: closing would throw that away."""
        if sys.platform == "win32":
            return
        import array
        import fcntl
        import termios

        slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            unread = array.array("i", [1])
            deadline = time.monotonic() + LONGEST_WAIT
            while unread[0] and time.monotonic() < deadline:
                fcntl.ioctl(slave, termios.FIONREAD, unread)
                time.sleep(LONGEST_WAIT / 100)
        finally:
            os.close(slave)

    def close(self) -> None:
        """Hang up: who has the terminal open finds it gone."""
        if self._epoll is not None:
            self._epoll.close()
        os.close(self._master)


def pseudo_terminal_or_none() -> PseudoTerminal | None:
    """A new pseudo terminal, or None where the system has none (left)."""
    try:
        return PseudoTerminal()
    except (NotImplementedError, ImportError, OSError):
        return None
