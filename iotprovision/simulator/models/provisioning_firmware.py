"""The provisioning firmware of the kits, modelled: start, line parser, blobs and answers.

What it answers equals the real firmware byte for byte, misuse included (docs/serial-protocol.md). Only that of the
PIC-IoT kits was never executed: it has the same command handler; in what it is known to differ, the model differs too.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from os.path import commonprefix

from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.c_numbers import strtol
from iotprovision.simulator.models.chip_drivers import ChipHangsError, SecureElementDriver, WifiModuleDriver
from iotprovision.simulator.models.modelled_uart import ModelledUart
from iotprovision.simulator.models.provisioning_commands import (
    ARGUMENT_VALUE,
    BAD_BLOB,
    BAD_COMMAND,
    DATA_BUFFER_SIZE,
    LINE_OVERRUN,
    OK,
    Command,
    ProvisioningCommands,
    ResetRequestedError,
)
from iotprovision.simulator.models.provisioning_editions import AVR_IOT, Edition

BAUD_RATE = 115200

LINE_BUFFER_SIZE = 128
MOST_ARGUMENTS = 15

_NEWLINES = b"\r\n"
_CRLF = b"\r\n"

# Seconds of computing, measured on the real firmware of AVR-IoT kits in the emulator (10 MHz). They decide what is lost
# of input that comes too early.
CHARACTER_TIME = 36e-6
ENTRY_TIME = 12e-6  # each command of the table that the line is compared with,
COMPARISON_TIME = 5e-6  # and each character compared
ARGUMENTS_TIME, ARGUMENT_CHARACTER_TIME = 50e-6, 10e-6
TEXT_TIME, TEXT_CHARACTER_TIME = 200e-6, 8e-6
ERROR_TIME = 400e-6
LED_TIME = 100e-6
COMMAND_LIST_TIME = 3e-3
CHIP_TIME = 10e-3
START_TIME = 0.4


class _State(Enum):
    READY = auto()
    BLOB = auto()
    SKIP_LINE = auto()


def _normalized(character: int) -> int:
    """Upper case; ``#`` for what does not print; NUL and line ends as they are."""
    if character in b"\0\r\n":
        return character
    if 0x20 <= character <= 0x7E:
        return ord(bytes([character]).upper())
    return ord("#")


class ProvisioningFirmware:
    """The firmware on one MCU. :meth:`start` is a reset; :meth:`take` handles one received character."""

    baud_rate = BAUD_RATE
    commands: type[ProvisioningCommands] = ProvisioningCommands

    def __init__(self, secure_element: Ecc608, wifi_module: Winc1510, edition: Edition = AVR_IOT) -> None:
        self._edition = edition
        self.ring_size = edition.ring_size
        self._secure_element = SecureElementDriver(secure_element, edition.secure_element_address)
        self._wifi_module = WifiModuleDriver(wifi_module)
        self._hangs = False
        self._uart = ModelledUart(self)
        self._clear()

    def _clear(self) -> None:
        self._commands = self.commands(self._secure_element, self._wifi_module, self._edition)
        self._state = _State.READY
        self._line = bytearray()
        self._line_done = False
        self._command: Command | None = None
        self._arguments: list[bytes] = []
        self._parsing_time = 0.0
        self._blob_length = 0
        self._received = 0
        self._module_for_flash = False

    def start(self) -> bytes:
        """Everything that is sent from the reset until the firmware waits for commands."""
        self._clear()
        self._hangs = False
        try:
            self._secure_element.start(self._edition.locks_slot_0, self._edition.tests_generator)
            return self._edition.welcome + b"\r\n" + self._about() + b"READY\r\n"
        except ChipHangsError:
            self._hangs = True
            return b""

    def _about(self) -> bytes:
        """The text of MC+ABOUT; nothing when the Wi-Fi module does not answer."""
        _, text = self._commands.run(self._commands.table[0], [], 0)
        return text

    def receive(self, burst: bytes) -> bytes:
        """What is sent in answer to bytes that come in at the full rate of the line."""
        return self._uart.receive(burst)

    def take(self, character: int) -> Iterator[tuple[bytes, float]]:
        """Handle one character: pieces of the answer, each with the seconds of computing before it is sent."""
        for piece, seconds in self._handle(character):
            yield piece, seconds * self._edition.pace

    def _handle(self, character: int) -> Iterator[tuple[bytes, float]]:
        if self._hangs:
            yield b"", float("inf")
            return
        yield b"", CHARACTER_TIME
        if len(self._line) >= LINE_BUFFER_SIZE:
            # The 128th character was stored; the next one of any kind is too many.
            self._line.clear()
            self._line_done = False
            self._state = _State.READY if character in _NEWLINES else _State.SKIP_LINE
            yield self._status(LINE_OVERRUN), ERROR_TIME
        elif self._state is _State.SKIP_LINE:
            if character in _NEWLINES:
                self._next_line()
        elif self._state is _State.BLOB:
            yield from self._take_blob_character(character)
        else:
            yield from self._take_line_character(character)

    def _next_line(self) -> None:
        self._state = _State.READY
        self._line_done = True

    @staticmethod
    def _status(status: int) -> bytes:
        return b"OK\r\n" if status == OK else b"ERROR: 0x%X\r\n" % status

    # --- lines ---------------------------------------------------------------------------------------------------

    def _take_line_character(self, character: int) -> Iterator[tuple[bytes, float]]:
        if self._line_done:
            self._line.clear()
            self._line_done = False
        if character in _NEWLINES and not self._line:
            return
        self._line.append(character)
        if character not in _NEWLINES:
            return
        yield _CRLF, 0
        self._next_line()
        status = self._parse_line()
        command = self._command
        yield b"", self._parsing_time
        if status != OK or command is None:
            yield self._status(status), ERROR_TIME
        elif command.takes_blob:
            answer = self._start_blob()
            yield answer, ERROR_TIME if answer.startswith(b"ERROR") else 0
        else:
            yield from self._run(command, 0, line_end_after_nothing=False)

    def _parse_line(self) -> int:
        """Find the command and its arguments in the line."""
        normalized = bytes(map(_normalized, self._line))
        self._command, self._arguments = None, []
        self._parsing_time = 0.0
        for command in self._commands.table:
            end = len(command.name)
            self._parsing_time += ENTRY_TIME + COMPARISON_TIME * len(commonprefix([normalized, command.name]))
            if normalized.startswith(command.name) and normalized[end : end + 1] in (b"=", b"\r", b"\n"):
                self._command = command
                break
        else:
            return BAD_COMMAND
        text = normalized[end + 1 :]
        if normalized[end : end + 1] != b"=" or text[:1] in (b"\r", b"\n"):
            return OK
        self._parsing_time += ARGUMENTS_TIME + ARGUMENT_CHARACTER_TIME * len(text)
        arguments = text[:-1].split(b",")
        # A line that fills the buffer has no room for the end of its last argument.
        if text.startswith(b",") or len(arguments) > MOST_ARGUMENTS or len(self._line) >= LINE_BUFFER_SIZE:
            return BAD_COMMAND
        # The firmware sees C strings: nothing behind a NUL.
        self._arguments = [argument.split(b"\0")[0] for argument in arguments]
        return OK

    def _run(self, command: Command, blob_length: int, line_end_after_nothing: bool) -> Iterator[tuple[bytes, float]]:
        try:
            status, data = self._commands.run(command, self._arguments, blob_length)
        except ResetRequestedError:
            yield self.start(), START_TIME + self._edition.start_delay
            return
        except ChipHangsError:
            self._hangs = True
            yield b"", float("inf")
            return
        line_end = _CRLF if data or line_end_after_nothing else b""
        yield data + line_end, self._running_time(command, status, data)
        yield self._status(status), 0 if status == OK else ERROR_TIME

    def _running_time(self, command: Command, status: int, data: bytes) -> float:
        of_chips = command.name.startswith((b"MC+ECC", b"MC+WINC", b"MC+ABOUT")) or b"WINC" in self._arguments
        if of_chips and not BAD_COMMAND <= status <= ARGUMENT_VALUE:
            return self._chip_time(command) / self._edition.pace  # the chips are as slow on every kit
        if command.name == b"MC+LISTCOMMANDS":
            return COMMAND_LIST_TIME
        if command.name == b"MC+SETLED":
            return LED_TIME
        return TEXT_TIME + TEXT_CHARACTER_TIME * len(data) if data and not command.takes_blob else 0

    def _chip_time(self, command: Command) -> float:
        if command.name.startswith(b"MC+ECC"):
            return CHIP_TIME
        for_flash = command.name.startswith(b"MC+WINC")
        changes, self._module_for_flash = for_flash != self._module_for_flash, for_flash
        return CHIP_TIME + (self._edition.mode_change_time if changes else 0)

    # --- blobs ---------------------------------------------------------------------------------------------------

    def _start_blob(self) -> bytes:
        if not self._arguments:
            return self._status(BAD_COMMAND)
        number = strtol(self._arguments[-1])
        length = number.value % 0x10000
        if length > DATA_BUFFER_SIZE or not number.complete:
            return self._status(BAD_BLOB)
        self._blob_length, self._received = length, 0
        self._state = _State.BLOB
        return b">"

    def _take_blob_character(self, character: int) -> Iterator[tuple[bytes, float]]:
        newline = character in _NEWLINES
        if not self._received and newline:
            return
        if self._received < self._blob_length:
            self._commands.buffer[self._received] = character
            self._received += 1
        elif newline and self._command is not None:
            yield _CRLF, 0
            self._next_line()
            yield from self._run(self._command, self._received, line_end_after_nothing=True)
        else:
            self._state = _State.SKIP_LINE
            yield self._status(BAD_BLOB), ERROR_TIME
