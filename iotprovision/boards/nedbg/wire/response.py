"""Answers of the provisioning firmware, read from the bytes of the serial port."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from iotprovision.boards.serial_port import SerialLine, shown
from iotprovision.errors import SerialLinkError

_ERROR = re.compile(rb"ERROR: 0x([0-9A-F]+)")
_READY = b"READY"


@dataclass(frozen=True)
class Answer:
    """Lines of data without empty ones, and the status (0 for OK); or the prompt: the firmware asks for the blob."""

    lines: list[bytes] = field(default_factory=list)
    status: int = 0
    is_prompt: bool = False


class ResponseReader:
    """Splits what arrives into lines, and knows which line ends an answer.

    ``received`` holds the bytes since the last request, for messages.
    """

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._partial = b""
        self.received = b""

    def read_answer(self, what: str, deadline: float, *, prompt: bool = False) -> Answer:
        """Read until a status line, or the prompt for a blob where one may come.

        :param what: what was asked, to complete "Could not …"
        :raises SerialLinkError: neither came before ``deadline``
        """
        self.received = b""
        lines: list[bytes] = []
        while True:
            while (line := self._next_line()) is not None:
                if line == b"OK":
                    return Answer(lines)
                if error := _ERROR.fullmatch(line):
                    return Answer(lines, int(error[1], 16))
                if line:
                    lines.append(line)
            if prompt and not lines and self._partial == b">":
                self._partial = b""
                return Answer(is_prompt=True)
            if not self._receive(deadline):
                raise SerialLinkError(
                    f"Could not {what}: the kit gave no complete answer on {self._line.name}",
                    shown(self.received),
                    "run the command again; if it stays like this, unplug the kit and plug it in",
                )

    def read_until_ready(self, timeout: float) -> list[str]:
        """All lines up to READY, without it.

        :raises SerialLinkError: it did not come within ``timeout`` seconds
        """
        self.received = b""
        deadline = self._line.clock() + timeout
        lines: list[str] = []
        while True:
            while (line := self._next_line()) is not None:
                if line == _READY:
                    return lines
                lines.append(line.decode("ascii", "replace"))
            if not self._receive(deadline):
                raise SerialLinkError(
                    f"The provisioning firmware did not start within {timeout:g} s on {self._line.name}",
                    shown(self.received),
                    "without an answering secure element it never starts; unplug the kit, plug it in and try again",
                )

    def find_pong(self, token: str, timeout: float) -> bool:
        """Skip everything up to the answer of the ping with this token; False when it does not come in time."""
        self.received = b""
        deadline = self._line.clock() + timeout
        found = False
        while True:
            while (line := self._next_line()) is not None:
                if found and line == b"OK":
                    return True
                found = found or line == f"MC+PONG={token}".encode()
            if not self._receive(deadline):
                return False

    def discard(self, quiet: float, limit: float) -> bytes:
        """Drop what was received and what still comes until the line is quiet; returns what was dropped."""
        dropped = self._partial + self._line.drain(quiet, limit)
        self._partial = b""
        return dropped

    def forget(self) -> None:
        """Drop what was received behind the last answer, without waiting."""
        self._partial = b""

    def take_stray(self) -> bytes:
        """What arrived without having been asked for, without waiting."""
        stray = self._partial + self._line.read_pending()
        self._partial = b""
        return stray

    def _next_line(self) -> bytes | None:
        line, end, rest = self._partial.partition(b"\r\n")
        if not end:
            return None
        self._partial = rest
        # The state of a LED ends with LF CR before the CR LF.
        return line.strip(b"\r\n")

    def _receive(self, deadline: float) -> bool:
        remaining = deadline - self._line.clock()
        data = self._line.read_some(remaining) if remaining > 0 else b""
        self._partial += data
        self.received += data
        return bool(data)
