"""The text consoles of the demo applications, 9600 baud (docs/serial-protocol.md)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from iotprovision.boards.nedbg.wire.wifi_line import console_line
from iotprovision.boards.serial_port import SerialLine, shown
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ChipRefusedError, SerialLinkError, UsageError

BAUD_RATE = 9600

# The demo polls its console only after Wi-Fi start-up, which ends 4 to 5 s after a reset and later on PIC boards.
READY_TIMEOUT = 20.0
# The list of commands takes 0.3 s at 9600 baud; while the application is busy it may come this much later.
WAKE_INTERVAL = 2.0
# Answers take up to 2 s while the application starts its Wi-Fi module anew, and just then a line may be lost.
ANSWER_TIMEOUT = 5.0
ATTEMPTS = 3
# Log lines come in bursts; between two bytes of one burst there is 1 ms.
QUIET = 0.1
# Once connected the demo logs every second: silence may never come.
DRAIN_LIMIT = 1.0

# The receive ring holds 64 bytes and is emptied every 50 ms: more than this at once would overflow it.
PIECE = 48
PIECE_GAP = 0.06

EOT = "\x04"
_ESCAPE = "\x1b"
_RULE = re.compile(r"-{20,}")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")
_SERIAL_NUMBER = re.compile(r"[0-9A-Fa-f]{18}")


class Console:
    """Questions to a running demo application. Its log shares the port: log lines are skipped wherever they come.

    Every method raises :class:`SerialLinkError` when no sensible answer comes in time.

    :cvar wake: what is sent to see whether it answers; it ends a line that was cut short, and sets nothing
    :cvar awake: part of a line of the answer to that
    :cvar unknown: part of the line that answers an unknown command
    :param line: the open port, 9600 baud
    :param sleep: waits between the pieces of a long line, seconds
    """

    wake: bytes
    awake: str
    unknown: str

    def __init__(self, line: SerialLine, sleep: Callable[[float], None] = time.sleep) -> None:
        self._line = line
        self._sleep = sleep
        self._text = ""
        self._received = b""

    @classmethod
    def wifi_line(cls, network: WifiNetwork) -> str:
        """The line that sets a network, without its end. Holds the passphrase: never show or log it.

        :raises UsageError: the console cannot take this network
        """
        return console_line(network)

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until the console answers."""
        if not self._wake(timeout):
            raise self._no_answer("does not answer", show=True)

    def version(self) -> str:
        """Version of the demo application, like ``4.1.2``."""
        match = _VERSION.fullmatch(self._ask("version", lambda line: _VERSION.fullmatch(line) is not None))
        assert match
        return match[1]

    def set_wifi(self, network: WifiNetwork) -> None:
        """Give the demo a network to join.

        The answer OK means that the line was parsed and nothing more: the demo joins later (2 to 15 s) and does not say
        when that fails. What was received is kept out of the error, it might contain the passphrase.

        :raises ChipRefusedError: the demo did not accept the line
        """
        answer = self._ask("wifi", lambda line: line == "OK" or line.startswith("Error"), self.wifi_line(network))
        if answer != "OK":
            raise ChipRefusedError(
                "The demo application did not accept the Wi-Fi settings", "It answered with the usage of its command."
            )

    def heard(self, text: str, timeout: float) -> bool:
        """Whether a text comes in the log of the demo, or has come since the port was opened.

        :param timeout: seconds to wait for it
        """
        deadline = self._line.clock() + timeout
        while text.encode() not in self._received:
            remaining = deadline - self._line.clock()
            if remaining <= 0 or not (data := self._line.read_some(remaining)):
                return False
            self._received += data
        return True

    def _ask(self, command: str, is_answer: Callable[[str], bool], line: str | None = None) -> str:
        """Send a line and return the first line of the answer; log lines and anything unfit are skipped.

        :param line: what is sent, where it is more than the command; it may hold a secret
        """
        problem = "did not answer"
        for attempt in range(ATTEMPTS):
            # A line cut short by an overflow still waits for its end, and an answer may be late. Both are over once
            # the console has answered something else; what is sent then starts a line of its own.
            if attempt and not self._wake(READY_TIMEOUT):
                break
            self._start_afresh()
            self._send(line or command)
            deadline = self._line.clock() + ANSWER_TIMEOUT
            while (answer := self._next_line(deadline)) is not None:
                if self.unknown in answer:
                    problem = "does not know"
                    break
                if is_answer(answer):
                    return answer
        raise self._no_answer(f"{problem} {command}", show=line is None)

    def _wake(self, timeout: float) -> bool:
        """Ask until the answer comes, and read to its end."""
        deadline = self._line.clock() + timeout
        self._start_afresh()
        while self._line.clock() < deadline:
            self._line.write(self.wake)
            until = min(deadline, self._line.clock() + WAKE_INTERVAL)
            while (line := self._next_line(until)) is not None:
                if self.awake in line:
                    self._line.drain(QUIET, DRAIN_LIMIT)
                    return True
        return False

    def _send(self, line: str) -> None:
        data = line.encode() + b"\n"
        for start in range(0, len(data), PIECE):
            if start:
                self._sleep(PIECE_GAP)
            self._line.write(data[start : start + PIECE])

    def _start_afresh(self) -> None:
        self._line.drain(QUIET, DRAIN_LIMIT)
        self._text = ""
        self._received = b""

    def _next_line(self, deadline: float) -> str | None:
        """The next complete line that is not log; None when the time is over."""
        while True:
            while "\n" in self._text:
                line, _, self._text = self._text.partition("\n")
                # EOT ends most answers and also stands inside every log line: it frames nothing.
                line = line.strip("\r").lstrip(EOT)
                if EOT not in line and _ESCAPE not in line:
                    return line
            remaining = deadline - self._line.clock()
            data = self._line.read_some(remaining) if remaining > 0 else b""
            if not data:
                return None
            self._received += data
            self._text += data.decode("latin-1")

    def _no_answer(self, problem: str, *, show: bool) -> SerialLinkError:
        return SerialLinkError(
            f"The demo application on {self._line.name} {problem}",
            shown(self._received) if show else "",
            "check that the kit runs the demo of this cloud: the action application programs it",
        )


class DemoConsole(Console):
    """The console of the demos of AVR-IoT and PIC-IoT kits. An empty line makes it list its commands."""

    wake = b"\r\n"
    awake = unknown = "List of available commands"

    def thing(self) -> str:
        """The thing name that the demo uses; empty where it found none in the Wi-Fi module."""
        return self._ask("thing", lambda line: line.isascii() and line.isprintable() and not _RULE.fullmatch(line))

    def device(self) -> bytes | None:
        """Serial number of the secure element, 9 bytes; None where the demo could not read it."""
        answer = self._ask("device", lambda line: line == "Unknown." or _SERIAL_NUMBER.fullmatch(line) is not None)
        return None if answer == "Unknown." else bytes.fromhex(answer)


class HarmonyConsole(Console):
    """The console of the Azure demo of SAM-IoT kits: the command processor of MPLAB Harmony, which echoes.

    It splits its line at spaces and has no way to quote one.
    """

    # To an empty line it answers with a prompt only, as other programs do.
    wake = b"\nversion\n"
    awake = "Firmware Version"
    unknown = "Command Processor: unknown command"

    @classmethod
    def wifi_line(cls, network: WifiNetwork) -> str:
        for what, text in (("network name", network.ssid), ("passphrase", network.passphrase or "")):
            if " " in text:
                raise UsageError(
                    f"The Wi-Fi {what} has a space",
                    "The console of this kit's demo application splits its line at spaces and has no way to quote one.",
                    "use a network without one",
                )
        return console_line(network, "wifi -set")

    def set_wifi(self, network: WifiNetwork) -> None:
        # Another demo of the same kit joins all behind "wifi" to one network name: it would take -set for part of it.
        usage = self._ask("wifi", lambda line: "-set" in line or "command format" in line)
        if "-set" not in usage:
            raise ChipRefusedError(
                "The demo application does not take Wi-Fi settings as expected",
                f"It says: {usage}",
                "type them at its console",
            )
        super().set_wifi(network)


_KINDS: dict[str, type[Console]] = {"microchip-cli": DemoConsole, "harmony": HarmonyConsole}


def console_kind(name: str) -> type[Console]:
    """The console that a kit of the catalogue names.

    :raises UsageError: its demo has none
    """
    kind = _KINDS.get(name)
    if kind is None:
        raise UsageError("The demo application of this kit has no console that takes settings")
    return kind
