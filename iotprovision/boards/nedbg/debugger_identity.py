"""What a debugger tells about itself and its board."""

from __future__ import annotations

from dataclasses import dataclass

from pyedbglib.protocols.configprotocol import CONFIG_CHUNK_SIZE, USER_CONFIG_BASE_TAG, ConfigProtocol
from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol

from iotprovision.boards.nedbg.debugger import connection, vendor_errors
from iotprovision.errors import AccessError

# The KITNAME register is 60 bytes at 0x48 of the board configuration. Names are shorter than the 56 of them that lie in
# two aligned parts of the size the vendor reads.
KIT_NAME_OFFSET = 0x48
KIT_NAME_PARTS = (0x40, 0x60)
# CMSIS-DAP command and identifier
DAP_INFO, DAP_DEVICE_NAME = 0x00, 0x06
ERASED = 0xFF


@dataclass(frozen=True)
class DebuggerIdentity:
    """What one debugger tells.

    :param kit_name: register KITNAME; empty where it was never written
    :param mcu: register DEVNAME, the MCU it programs; empty where it was never written
    :param debugger_version: major.minor.build
    """

    serial_number: str
    kit_name: str
    mcu: str
    debugger_version: str


def identify(serial_number: str) -> DebuggerIdentity:
    """Ask one debugger who it is.

    :raises AccessError: it may not be opened or does not answer
    """
    with connection(serial_number) as transport, vendor_errors(serial_number):
        housekeeping = Jtagice3HousekeepingProtocol(transport)
        housekeeping.start_session()
        try:
            context = housekeeping.HOUSEKEEPING_CONTEXT_CONFIG
            major = housekeeping.get_byte(context, housekeeping.HOUSEKEEPING_CONFIG_FWREV_MAJ)
            minor = housekeeping.get_byte(context, housekeeping.HOUSEKEEPING_CONFIG_FWREV_MIN)
            build = housekeeping.get_le16(context, housekeeping.HOUSEKEEPING_CONFIG_BUILD)
        finally:
            housekeeping.end_session()
        answer = housekeeping.dap_command_response(bytearray([DAP_INFO, DAP_DEVICE_NAME]))
        if answer[0] != DAP_INFO:
            raise AccessError(f"The debugger of kit {serial_number} does not tell which MCU it programs")
        configuration = ConfigProtocol(transport)
        names = bytearray()
        for part in KIT_NAME_PARTS:
            names += configuration.get_config(USER_CONFIG_BASE_TAG + part, CONFIG_CHUNK_SIZE)
        return DebuggerIdentity(
            serial_number=serial_number,
            kit_name=_text(names[KIT_NAME_OFFSET - KIT_NAME_PARTS[0] :]),
            mcu=_text(answer[2 : 2 + answer[1]]),
            debugger_version=f"{major}.{minor}.{build}",
        )


def _text(data: bytes | bytearray) -> str:
    """Text up to its end; nothing where the register holds what erased flash holds."""
    if data[:1] == bytes([ERASED]):
        return ""
    return bytes(data).split(b"\0")[0].decode("ascii", "replace").strip()
