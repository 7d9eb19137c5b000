"""The modem of a kit for cellular networks: its AT commands, over the bridge of the provisioning firmware."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from iotprovision.boards.nedbg.wire.provisioning_link import LEAVE_BRIDGE, QUIET, ProvisioningLink
from iotprovision.boards.serial_port import SerialLine, shown
from iotprovision.errors import ChipRefusedError, SerialLinkError
from iotprovision.formats.modem_memory import (
    CERTIFICATE,
    CERTIFICATE_LIMIT,
    PROFILE,
    PROFILE_NUMBER,
    RESERVED_SLOTS,
    SLOTS,
    certificates_in,
    profile_fields,
)

_log = logging.getLogger(__name__)

# A modem that was just switched on says +SYSSTART within two seconds and answers then; one that runs answers at once.
ATTEMPTS = 5
ATTENTION_TIMEOUT = 1.0
# Writing or reading 8 KiB takes 0.7 s on the line, and the modem some seconds to store them.
COMMAND_TIMEOUT = 10.0

ADVISED_VERSION = (8, 0, 5, 13)
"""Firmware that the vendor's tools ship for the modem of these kits."""

_ERROR = re.compile(rb"ERROR|\+CM[ES] ERROR: ?(.*)")
_VERSION = re.compile(r"LR(\d+(?:\.\d+)+)")
_PROMPT = b">"


@dataclass(frozen=True)
class _Answer:
    lines: list[bytes] = field(default_factory=list)
    error: str | None = None
    is_prompt: bool = False


@contextlib.contextmanager
def modem(link: ProvisioningLink) -> Iterator[Modem]:
    """The modem behind the bridge, which is closed again in whatever way the block ends.

    :raises SerialLinkError: the modem does not answer, or the bridge cannot be left
    """
    with link.bridge() as line:
        opened = Modem(line)
        opened.begin()
        yield opened


class Modem:
    """AT commands, one at a time. Get one from :func:`modem`.

    Lines that nobody asked for may come at any time and are passed over. Every command raises
    :class:`ChipRefusedError` when the modem answers with an error, and :class:`SerialLinkError` when it is silent.
    """

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._received = bytearray()
        self._partial = b""

    def begin(self) -> None:
        """Wait until the modem answers, and have it say in words what it refuses."""
        everything = bytearray()
        for _ in range(ATTEMPTS):
            # Whatever it said at its start, and what is left of an earlier command, is not the answer.
            self._partial = b""
            self._line.drain(QUIET, ATTENTION_TIMEOUT)
            try:
                if self._exchange("AT", "ask for attention", ATTENTION_TIMEOUT).error is None:
                    break
            except SerialLinkError:
                everything += self._received
        else:
            raise SerialLinkError(
                f"The modem of the kit does not answer on {self._line.name}",
                shown(bytes(everything)),
                "unplug the kit, wait ten seconds, plug it in and run the command again; the modem needs more power "
                "than some USB ports give",
            )
        self._command("AT+CMEE=2", "set up the modem")

    def version(self) -> tuple[int, ...] | None:
        """Version of the firmware, such as (8, 0, 5, 13); None where the modem does not tell."""
        for line in self._command("ATI", "ask for the modem's version"):
            if match := _VERSION.fullmatch(line.decode("ascii", "replace").strip()):
                return tuple(map(int, match[1].split(".")))
        return None

    def read_certificates(self, slot: int) -> bytes:
        """The certificates in a slot, PEM with LF as line ends; empty where there are none."""
        answer = self._exchange(f'AT+SQNSNVR="{CERTIFICATE}",{_slot(slot)}', f"read slot {slot} of the modem")
        # Of an empty slot some firmware says nothing, other firmware that it does not exist.
        return b"" if answer.error is not None else certificates_in(answer.lines)

    def write_certificates(self, slot: int, data: bytes) -> None:
        """Replace what is in a slot. OK is no proof: read back.

        :param data: PEM, not empty, as :func:`certificate_data` makes it
        """
        if not data or len(data) > CERTIFICATE_LIMIT:
            raise ValueError(f"a slot of the modem takes 1 to {CERTIFICATE_LIMIT} bytes, not {len(data)}")
        if LEAVE_BRIDGE in data or b"\r" in data:
            raise ValueError("certificates for the modem have line feeds only, and no control characters")
        if slot in RESERVED_SLOTS:
            raise ValueError(f"slot {slot} of the modem is its maker's")
        what = f"write slot {slot} of the modem"
        command = f'AT+SQNSNVW="{CERTIFICATE}",{_slot(slot)},{len(data)}'
        answer = self._exchange(command, what, prompt=True)
        if not answer.is_prompt:
            raise _refused(what, command, answer.error or "it did not ask for the data")
        self._line.write(data)
        answer = self._read_answer("", what, COMMAND_TIMEOUT)
        if answer.error is not None:
            raise _refused(what, command, answer.error)

    def erase_certificates(self, slot: int) -> None:
        """Leave nothing in a slot. OK is no proof: read back."""
        if slot in RESERVED_SLOTS:
            raise ValueError(f"slot {slot} of the modem is its maker's")
        self._command(f'AT+SQNSNVW="{CERTIFICATE}",{_slot(slot)},0', f"erase slot {slot} of the modem")

    def read_profile(self) -> list[str]:
        """The fields of the security profile that the application uses, the first is its number; empty for none."""
        for line in self._command("AT+SQNSPCFG?", "read the security profiles of the modem"):
            name, _, fields = line.decode("ascii", "replace").partition(":")
            if name.strip() == "+SQNSPCFG" and profile_fields(fields)[:1] == [str(PROFILE_NUMBER)]:
                return profile_fields(fields)
        return []

    def write_profile(self) -> None:
        """Set the security profile. OK is no proof: read back."""
        self._command(f"AT+SQNSPCFG={PROFILE}", "set the security profile of the modem")

    # --- one exchange

    def _command(self, command: str, what: str) -> list[bytes]:
        answer = self._exchange(command, what)
        if answer.error is not None:
            raise _refused(what, command, answer.error)
        return answer.lines

    def _exchange(self, command: str, what: str, timeout: float = COMMAND_TIMEOUT, prompt: bool = False) -> _Answer:
        _log.debug("%s", command)
        self._received.clear()
        self._line.write(command.encode("ascii") + b"\r")
        return self._read_answer(command, what, timeout, prompt)

    def _read_answer(self, command: str, what: str, timeout: float, prompt: bool = False) -> _Answer:
        """Read lines until one ends the answer.

        :param command: left out where the modem echoes it
        """
        deadline = self._line.clock() + timeout
        lines: list[bytes] = []
        while True:
            while (line := self._next_line()) is not None:
                if line == b"OK":
                    return _Answer(lines)
                if error := _ERROR.fullmatch(line):
                    return _Answer(lines, (error[1] or b"ERROR").decode("ascii", "replace"))
                if prompt and line.strip() == _PROMPT:  # something that nobody asked for came right behind it
                    return _Answer(is_prompt=True)
                if line and line != command.encode("ascii"):
                    lines.append(line)
            if prompt and self._partial.strip() == _PROMPT:
                self._partial = b""
                return _Answer(is_prompt=True)
            remaining = deadline - self._line.clock()
            data = self._line.read_some(remaining) if remaining > 0 else b""
            if not data:
                raise SerialLinkError(
                    f"Could not {what}: the modem gave no complete answer on {self._line.name}",
                    shown(bytes(self._received)),
                    "unplug the kit, plug it in and run the command again",
                )
            self._partial += data
            self._received += data

    def _next_line(self) -> bytes | None:
        """Answers end in CR LF, the lines of certificates in LF."""
        line, end, rest = self._partial.partition(b"\n")
        if not end:
            return None
        self._partial = rest
        return line.strip(b"\r")


def advice(version: tuple[int, ...] | None) -> str:
    """What a person should know about the firmware of the modem; empty for nothing."""
    advised = ".".join(map(str, ADVISED_VERSION))
    if version is None:
        return f"The modem does not tell the version of its firmware; {advised} or newer is advised."
    if version < ADVISED_VERSION:
        found = ".".join(map(str, version))
        return f"The modem has firmware {found}; {advised} or newer is advised. Provisioning goes on."
    return ""


def _refused(what: str, command: str, error: str) -> ChipRefusedError:
    hint = "run the command again; a modem with older firmware may not know what is asked of it"
    if "memory" in error.lower() or "full" in error.lower():
        hint = 'erase certificates that are not needed: AT+SQNSNVW="certificate",SLOT,0 for a slot from 11 to 17'
    return ChipRefusedError(f"Could not {what}", f"The modem answered {command}: {error}.", hint)


def _slot(slot: int) -> int:
    if slot not in SLOTS:
        raise ValueError(f"the modem has slots {SLOTS[0]} to {SLOTS[-1]}, not {slot}")
    return slot
