"""The vendor's Azure demo 2.0.0 of the SAM-IoT WG, modelled as far as its command line.

Texts and commands are those of the image; that it echoes, prompts and splits lines is inferred from the published
source of the command processor of MPLAB Harmony, and what it does with the settings from that of a sister of the demo.
The image says nothing in the emulator, so nothing of this was seen. There is no network.
"""

from __future__ import annotations

from iotprovision.simulator.chips.ecc608 import ZONE_DATA, Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.chip_drivers import DriverError, SecureElementDriver
from iotprovision.simulator.models.demo_firmware import BAUD_RATE, WifiCredentials, parse_wifi

FIRMWARE_VERSION = b"2.0.0"
# Of the command processor: its buffer without the byte that ends it.
LONGEST_LINE = 127
ID_SCOPE_SLOT, ID_SCOPE_SIZE = 8, 12

LINE_END, PROMPT = b"\r\n", b">"
OK = b"\r\nOK\r\n\x04"
TOO_LONG = b" *** Command Processor buffer exceeded. Retry. ***\r\n"
NO_COMMAND = b" *** Command Processor: Please type in a command***\r\n"
UNKNOWN_COMMAND = b" *** Command Processor: unknown command. ***\r\n"
WIFI_USAGE = (
    b"\r\nWiFi command\r\n  Set WiFi pairing   : -set <ssid>[,<pass>,[authType]]\r\n  Get WiFi Status    : -status\r\n"
    b"  Scan Access Points : -scan\r\n\x04"
)
WIFI_ERROR = b"\r\nError. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04"
NOT_CONNECTED = b"false\r\n\x04"


class HarmonyDemoFirmware:
    """The demo on one MCU; ``credentials`` is what ``wifi -set`` set since the last reset."""

    baud_rate = BAUD_RATE

    def __init__(self, secure_element: Ecc608, wifi_module: Winc1510) -> None:
        self._secure_element = SecureElementDriver(secure_element)
        self._line = bytearray()
        self.credentials: WifiCredentials | None = None

    def start(self) -> bytes:
        """A reset: nothing is sent."""
        self._line.clear()
        self.credentials = None
        return b""

    def receive(self, burst: bytes) -> bytes:
        """What is sent in answer: each character once more, and at the end of a line what the command says."""
        return b"".join(map(self._take, burst))

    def _take(self, character: int) -> bytes:
        if character in b"\r\n":
            if not self._line:
                return LINE_END + PROMPT
            words = self._line.split()
            self._line.clear()
            return LINE_END + (self._execute(*words) if words else NO_COMMAND) + PROMPT
        if len(self._line) == LONGEST_LINE:
            self._line.clear()
            return TOO_LONG + PROMPT
        self._line.append(character)
        return bytes([character])

    def _execute(self, command: bytearray, *arguments: bytearray) -> bytes:
        if command == b"version":
            return b"\r\nFirmware Version\r\n" + FIRMWARE_VERSION + LINE_END
        if command == b"reconnect":
            return b"\r\nOK\r\n"
        if command == b"wifi":
            return self._wifi(*map(bytes, arguments))
        if command == b"idscope":
            return b"\r\nGet/Set DPS ID Scope\r\n" + self._id_scope()
        return UNKNOWN_COMMAND

    def _wifi(self, option: bytes = b"", settings: bytes = b"", *_: bytes) -> bytes:
        if option == b"-status":
            return NOT_CONNECTED
        if option != b"-set":
            return WIFI_USAGE
        credentials = parse_wifi(settings)
        if credentials is None:
            return WIFI_ERROR
        self.credentials = credentials
        return OK

    def _id_scope(self) -> bytes:
        try:
            held = self._secure_element.read(ZONE_DATA, ID_SCOPE_SLOT, ID_SCOPE_SIZE)
        except DriverError:
            held = b""
        return b"Current ID Scope : " + held.split(b"\0")[0] + b" \r\n"
