"""The other end of a serial port, for tests: one in memory whose time is its own, and one across loopback TCP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from iotprovision.boards.serial_port import POLL, SerialLine


class MemoryPort:
    """A port whose clock moves only while somebody waits in vain, so that the longest time-out takes no time.

    :param answer: called with the bytes of each write, returns what the other end sends at once
    """

    def __init__(self, answer: Callable[[bytes], bytes] = lambda sent: b"") -> None:
        self.answer = answer
        self.sent: list[bytes] = []
        self.now = 0.0
        self.is_open = True
        self._arriving: list[tuple[float, bytes]] = []

    def line(self) -> SerialLine:
        return SerialLine(self, "memory", lambda: self.now)

    def deliver(self, data: bytes, after: float = 0.0) -> None:
        """Let bytes arrive ``after`` so many seconds."""
        if data:
            self._arriving.append((self.now + after, data))

    @property
    def in_waiting(self) -> int:
        return sum(len(data) for time, data in self._arriving if time <= self.now)

    def read(self, size: int) -> bytes:
        due = [entry for entry in self._arriving if entry[0] <= self.now]
        if not due:
            self.now += POLL
            return b""
        entry = due[0]
        position = self._arriving.index(entry)
        if len(entry[1]) > size:
            self._arriving[position] = (entry[0], entry[1][size:])
        else:
            del self._arriving[position]
        return entry[1][:size]

    def write(self, data: bytes) -> int:
        self.sent.append(data)
        self.deliver(self.answer(data))
        return len(data)

    def close(self) -> None:
        self.is_open = False


class LoopbackPeer:
    """Serves one connection on loopback in a thread; what goes wrong there fails the test at the end.

    :param serve: gets the connected socket
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> LoopbackPeer:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._thread.join(10)
        self._listener.close()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(10)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve(connection)
        except BaseException as failure:
            self._failure = failure


class Lines:
    """Lines (with their CR LF) as they arrive; empty bytes when the host has closed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pending = b""

    def next(self) -> bytes:
        while b"\r\n" not in self._pending:
            data = self._connection.recv(4096)
            if not data:
                return b""
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\r\n")
        return line + b"\r\n"
