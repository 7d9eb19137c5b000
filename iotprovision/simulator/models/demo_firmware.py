"""The vendor's demos, modelled: the log of the start, the command line.

AWS 4.1.2 and Google 4.0.0 of the AVR-IoT kits, AWS 4.1.3 and Google 1.1.1 of the PIC-IoT kits.

There is no network: Wi-Fi credentials are taken as the demo takes them, into RAM, and nothing connects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from iotprovision.errors import ProofError
from iotprovision.formats.ecc608_zones import DEVICE_KEY_SLOT, public_key_from_coordinates
from iotprovision.formats.winc_flash import ENDPOINT, THING_NAME
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.chip_drivers import (
    ChipHangsError,
    DriverError,
    SecureElementDriver,
    WifiModuleDriver,
)

BAUD_RATE = 9600
FIRMWARE_VERSION = "4.1.2"
COMMAND_LINE_VERSION = "v1.0.1"
SANDBOX_ENDPOINT = b"a1gqt8sttiign3.iot.us-east-2.amazonaws.com"

# How many bytes the demo reads of each name.
ENDPOINT_READ, THING_NAME_READ = 52, 41
ERASED = 0xFF

LONGEST_LINE = 100
LONGEST_SSID = 32
LONGEST_PASSPHRASE = 64
# The command line is looked at every 50 ms; this many bytes come in meanwhile. One command is taken each time.
BYTES_PER_POLL = 48

END_OF_TRANSMISSION = b"\x04"
_RULE = b"-" * 44 + b"\r\n"
COMMAND_LIST = (
    _RULE
    + b"Unknown command. List of available commands:\r\nreset\r\ndevice\r\n%s\r\nreconnect\r\nversion\r\n"
    + b"cli_version\r\nwifi <ssid>[,<pass>,[authType]]\r\ndebug\r\n"
    + _RULE
    + END_OF_TRANSMISSION
)
WIFI_USAGE = b"Error. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n" + END_OF_TRANSMISSION

OPEN, WPA_PSK, WEP = 1, 2, 3


@dataclass(frozen=True)
class WifiCredentials:
    """What the ``wifi`` command left in RAM.

    :param authentication: 1 open, 2 WPA-PSK, 3 WEP
    """

    ssid: bytes
    passphrase: bytes
    authentication: int


def _leading_number(text: bytes) -> int:
    """C's ``atoi``, kept in one byte."""
    match = re.match(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    return int(match[1]) & 0xFF if match else 0


def parse_wifi(argument: bytes) -> WifiCredentials | None:
    """The credentials in the argument of ``wifi``, or None where the demo answers with its usage.

    Fields are separated by commas; empty ones vanish, as with C's ``strtok``.
    """
    fields = [field for field in argument.split(b",") if field]
    if not fields:
        return None
    if len(fields) == 1:
        authentication = OPEN
    elif len(fields) == 2:
        number = _leading_number(fields[1])
        if number in (WPA_PSK, WEP):
            return None
        authentication = OPEN if number == OPEN else WPA_PSK
    else:
        authentication = _leading_number(fields[2])
    if authentication not in (OPEN, WPA_PSK, WEP):
        return None
    passphrase = b"" if authentication == OPEN else fields[1][:LONGEST_PASSPHRASE]
    return WifiCredentials(fields[0][:LONGEST_SSID], passphrase, authentication)


class _ResetRequestedError(Exception):
    """The demo resets the MCU."""


class DemoFirmware:
    """The AWS demo on one MCU; ``credentials`` is what ``wifi`` set since the last reset."""

    baud_rate = BAUD_RATE
    firmware_version = FIRMWARE_VERSION
    command_line_version = COMMAND_LINE_VERSION
    own_command = b"thing"

    def __init__(self, secure_element: Ecc608, wifi_module: Winc1510) -> None:
        self._secure_element = SecureElementDriver(secure_element)
        self._wifi_module = WifiModuleDriver(wifi_module)
        self._clear()

    def _clear(self) -> None:
        self.credentials: WifiCredentials | None = None
        self._line = bytearray()
        self._too_long = False
        self._last_end = 0
        self._hangs = False
        self._device = b""
        self._thing_name = b""

    def start(self) -> bytes:
        """The log of the start."""
        self._clear()
        try:
            self._start_secure_element()
            self._device = self._secure_element.serial_number().hex().upper().encode()
        except ChipHangsError:
            self._hangs = True
            return b""
        except DriverError:
            self._device = b""
        return b"".join(map(self._log_line, self._read_names()))

    def _start_secure_element(self) -> None:
        self._secure_element.start()

    def _read_names(self) -> list[bytes]:
        """Read endpoint and thing name from the Wi-Fi module; what is logged about them."""
        try:
            endpoint = self._wifi_module.read(ENDPOINT.address, ENDPOINT_READ)
            thing_name = self._wifi_module.read(THING_NAME.address, THING_NAME_READ)
        except DriverError:
            return []
        messages = []
        if endpoint[0] == ERASED:
            messages += [
                b"AWS Endpoint is not present in WINC, either re-provision or "
                b"microchip AWS sandbox endpoint will be used",
                b"Using the AWS Sandbox endpoint : " + SANDBOX_ENDPOINT,
            ]
        else:
            messages.append(b"AWS Endpoint read from WINC is " + endpoint.split(b"\0")[0])
        # The last byte that is read must be written too: 40 characters and a NUL, or NULs up to there.
        if ERASED in (thing_name[0], thing_name[-1]):
            messages.append(b"Thing Name is not present, error type 0, user defined thing ID is used")
        else:
            self._thing_name = thing_name.split(b"\0")[0]
            messages.append(b"Thing Name read from the device is " + self._thing_name)
        return messages

    def _log_line(self, message: bytes) -> bytes:
        white = b"\x1b[37m"
        level = white + b"   NONE" + white + b" " + white + b"NORMAL" + white
        return self._device + END_OF_TRANSMISSION + b" " + level + b" " + message + b"\x1b[0m\x1b[0m\r\n"

    def receive(self, burst: bytes) -> bytes:
        """What the command line answers to bytes that come in at the full rate of the line."""
        if self._hangs:
            return b""
        output = b""
        try:
            for start in range(0, len(burst), BYTES_PER_POLL):
                output += self._poll(burst[start : start + BYTES_PER_POLL])
        except _ResetRequestedError:
            output += self.start()  # what came behind the command is lost
        return output

    def _poll(self, received: bytes) -> bytes:
        output = b""
        command_taken = False
        for character in received:
            if character not in b"\r\n":
                if len(self._line) < LONGEST_LINE:
                    self._line.append(character)
                else:
                    self._too_long = True
                continue
            line, too_long = bytes(self._line), self._too_long
            self._line.clear()
            self._too_long = False
            if too_long:
                output += b"\r\nCommand too long\r\n"
                continue
            # A LF is ignored when the last line ended with CR, even when another line stands before it.
            second_half = character == ord("\n") and self._last_end == ord("\r")
            self._last_end = character
            if second_half or command_taken:
                continue
            command_taken = True
            output += self._execute(line.split(b"\0")[0])
        return output

    def _execute(self, line: bytes) -> bytes:
        name, _, argument = line.partition(b" ")
        if name == b"reset":
            raise _ResetRequestedError
        if name == b"reconnect":
            return b"OK\r\n"
        if name == b"debug":
            return self._set_debug_level(argument)
        if name == b"wifi":
            return self._set_wifi(argument)
        texts = {
            b"version": b"v" + self.firmware_version.encode(),
            b"cli_version": self.command_line_version.encode(),
            self.own_command: self._own_answer(),
            b"device": self._device or b"Unknown.",
        }
        if name not in texts:
            return self._command_list()
        return texts[name] + b"\r\n" + END_OF_TRANSMISSION

    def _command_list(self) -> bytes:
        return COMMAND_LIST % self.own_command

    def _own_answer(self) -> bytes:
        return self._thing_name

    @staticmethod
    def _set_debug_level(argument: bytes) -> bytes:
        if argument[:1] in (b"0", b"1", b"2", b"3", b"4"):
            return b"OK\r\n"
        return b"debug parameter must be between 0 (Least) and 4 (Most) \r\n"

    def _set_wifi(self, argument: bytes) -> bytes:
        credentials = parse_wifi(argument)
        if credentials is None:
            return WIFI_USAGE
        self.credentials = credentials
        return b"OK\r\n" + END_OF_TRANSMISSION


class GoogleDemoFirmware(DemoFirmware):
    """The Google demo: it logs nothing at its start, and tells its public key instead of a thing name."""

    firmware_version = "4.0.0"
    command_line_version = "v3.0.1"
    own_command = b"key"

    def _read_names(self) -> list[bytes]:
        return []

    def _own_answer(self) -> bytes:
        """The public key as PEM, whose last line end is that of the answer."""
        try:
            key = public_key_from_coordinates(self._secure_element.public_key(DEVICE_KEY_SLOT))
        except (DriverError, ProofError):
            return b"Error getting key."
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.strip().replace(b"\n", b"\r\n")


class PicDemoFirmware(DemoFirmware):
    """The AWS demo of the PIC-IoT kits: the same source, another version."""

    firmware_version = "4.1.3"

    def _start_secure_element(self) -> None:
        self._secure_element.start(locks_slot_0=False, tests_generator=False)


class PicGoogleDemoFirmware(GoogleDemoFirmware):
    """The Google demo of the PIC-IoT kits. Its image has one version text, which both commands tell."""

    firmware_version, command_line_version = "1.1.1", "v1.1.1"

    def _start_secure_element(self) -> None:
        self._secure_element.start(locks_slot_0=False, tests_generator=False)
