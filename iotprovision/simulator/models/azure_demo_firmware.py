"""The vendor's Azure demo 1.1.1 of the PIC-IoT kits, modelled: its command line, and the ID scope that it keeps.

All texts are those of the image. What it logs at its start, the LEDs that ``led`` sets and the query of the debug level
are left out. The order of the levels is that of their names in the image.
"""

from __future__ import annotations

from iotprovision.formats import ecc608_zones as ecc608
from iotprovision.simulator.chips.ecc608 import ZONE_DATA
from iotprovision.simulator.models.chip_drivers import DriverError
from iotprovision.simulator.models.demo_firmware import END_OF_TRANSMISSION, PicGoogleDemoFirmware

ID_SCOPE_LENGTH, ID_SCOPE_HEAD = 11, b"0ne"
STORED_LENGTH = 12
LEVELS = (b"NONE", b"ERROR", b"WARN", b"DEBUG", b"INFO")
_RULE = b"-" * 44 + b"\r\n"
COMMAND_LIST = (
    _RULE
    + b"Unknown command. List of available commands:\r\nreset\r\ndevice\r\nkey\r\nreconnect\r\nversion\r\n"
    + b"cli_version\r\nwifi <ssid>[,<pass>,[authType]]\r\ndebug <Debug Level : 0 ~ 4>\r\n"
    + b"led <led : 1 ~ 4>,<state : 1 ~ 4> [-? for help]\r\nidscope [DPS ID Scope]\r\n"
    + _RULE
    + END_OF_TRANSMISSION
)


class PicAzureDemoFirmware(PicGoogleDemoFirmware):
    """The Azure demo on one MCU."""

    command_line_version = "2.1"

    def _command_list(self) -> bytes:
        return COMMAND_LIST

    def _execute(self, line: bytes) -> bytes:
        name, _, argument = line.partition(b" ")
        if name == b"idscope":
            return self._id_scope(argument)
        return super()._execute(line)

    @staticmethod
    def _set_debug_level(argument: bytes) -> bytes:
        if argument[:1] in (b"0", b"1", b"2", b"3", b"4"):
            level = int(argument[:1])
            return b"Debug level set to SEVERITY_%s (%d)\r\n" % (LEVELS[level], level)
        return b"debug parameter must be between 0 (Least) and 4 (Most)\r\n"

    def _id_scope(self, entered: bytes) -> bytes:
        if not entered:
            return b"Current ID Scope : %s\r\n" % self._stored_id_scope()
        head = b"ID Scope entered : %s. " % entered
        if len(entered) != ID_SCOPE_LENGTH:
            return head + b"Wrong ID Scope length.  Should be 0neXXXXXXXX format\r\n"
        if not entered.startswith(ID_SCOPE_HEAD):
            return head + b"ID Scope should start with 0ne\r\n"
        if not entered.isalnum():
            return head + b"Non-alpha numberic letter detected.  Should be 0neXXXXXXXX format\r\n"
        try:
            self._secure_element.write(ecc608.PROVISIONING_DATA_SLOT, entered.ljust(STORED_LENGTH, b"\0"))
        except DriverError:
            return b"Writing ID Scope %s to ATCA\r\n" % entered
        return b"Writing ID Scope %s to ATCA\r\nNew ID Scope : %s\r\n" % (entered, self._stored_id_scope())

    def _stored_id_scope(self) -> bytes:
        try:
            stored = self._secure_element.read(ZONE_DATA, ecc608.PROVISIONING_DATA_SLOT, STORED_LENGTH)
        except DriverError:
            return b""
        return stored.split(b"\0")[0]
