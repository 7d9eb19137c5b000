"""Which kits are connected."""

from __future__ import annotations

from dataclasses import dataclass

from pyedbglib.protocols.configprotocol import CONFIG_CHUNK_SIZE, USER_CONFIG_BASE_TAG, ConfigProtocol
from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol
from serial.tools import list_ports

from iotprovision.errors import AccessError, KitNotFoundError, ProvisioningError
from iotprovision.kit.boot_mode import BOOT_MODE_WHY, FINISH_HINT, kits_seen_in_boot_mode, several_in_boot_mode
from iotprovision.kit.catalog import KitDescription, kit_by_name
from iotprovision.kit.debugger import connection, list_debuggers, not_openable, vendor_errors

# The KITNAME register is 60 bytes at 0x48 of the board configuration. Names are shorter than the 56 of them that lie in
# two aligned parts of the size the vendor reads.
KIT_NAME_OFFSET = 0x48
KIT_NAME_PARTS = (0x40, 0x60)
# CMSIS-DAP command and identifier
DAP_INFO, DAP_DEVICE_NAME = 0x00, 0x06


@dataclass(frozen=True)
class FoundKit:
    """A connected kit.

    :param serial_number: of its debugger, as USB reports it
    :param mcu: as the debugger names it
    :param debugger_version: major.minor.build
    :param port: its serial port; None where the system shows none with this serial number
    """

    serial_number: str
    kit: KitDescription
    mcu: str
    debugger_version: str
    port: str | None

    @property
    def name(self) -> str:
        return self.kit.name


@dataclass(frozen=True)
class DebuggerIdentity:
    """What a debugger tells about itself and its board; the fields are those of FoundKit."""

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


def find_kits() -> list[FoundKit]:
    """All connected kits of the catalogue; those that may not be opened or are unknown are left out."""
    found = []
    for serial_number in _serial_numbers():
        try:
            found.append(_found(identify(serial_number), None))
        except ProvisioningError:
            continue
    return found


def find_kit(serial_suffix: str | None = None, port: str | None = None) -> FoundKit:
    """The one kit that is meant.

    :param serial_suffix: end of its serial number, in any letter case; None where only one kit is connected
    :param port: serial port to use instead of the one that belongs to the kit
    :raises KitNotFoundError: no kit, several kits, or one that is not in the catalogue
    :raises AccessError: the kit is there and may not be opened
    """
    entries = list_debuggers()
    readable = _serial_numbers()
    wanted = [number for number in readable if number.lower().endswith((serial_suffix or "").lower())]
    if len(wanted) == 1:
        return _found(identify(wanted[0]), port)
    if len(wanted) > 1:
        raise KitNotFoundError(
            f"{len(wanted)} kits are connected"
            + (f" with serial numbers that end in {serial_suffix}" * bool(serial_suffix)),
            "\n".join(_line(number) for number in wanted),
            "choose one with -s and the end of its serial number.",
        )
    if len(entries) > len(readable):
        raise not_openable("")
    if in_boot_mode := kits_seen_in_boot_mode():
        raise several_in_boot_mode(in_boot_mode) if in_boot_mode > 1 else _in_boot_mode(readable, serial_suffix)
    if readable:
        raise KitNotFoundError(
            f"No connected kit has a serial number that ends in {serial_suffix}",
            "Connected are:\n" + "\n".join(_line(number) for number in readable),
            "look at the end of the serial number again.",
        )
    raise KitNotFoundError(
        "No kit is connected",
        "No Microchip nEDBG debugger is on USB.",
        "check that the USB cable carries data, that the kit is switched on, and that no virtual machine took it;\n"
        "or use --simulate, which needs no kit.",
    )


def _in_boot_mode(readable: list[str], serial_suffix: str | None) -> KitNotFoundError:
    others = f"\nNone of the other kits has a serial number that ends in {serial_suffix}." * bool(readable)
    return KitNotFoundError("A kit is in boot mode", BOOT_MODE_WHY + others, FINISH_HINT)


def serial_port(serial_number: str) -> str | None:
    """The serial port that belongs to a debugger; None where the system shows none."""
    for port in list_ports.comports():
        if (port.serial_number or "").lower() == serial_number.lower():
            return str(port.device)
    return None


def _serial_numbers() -> list[str]:
    return [entry["serial_number"] for entry in list_debuggers() if entry["serial_number"]]


def _found(identity: DebuggerIdentity, port: str | None) -> FoundKit:
    return FoundKit(
        serial_number=identity.serial_number,
        kit=kit_by_name(identity.kit_name),
        mcu=identity.mcu,
        debugger_version=identity.debugger_version,
        port=port or serial_port(identity.serial_number),
    )


def _line(serial_number: str) -> str:
    try:
        name = identify(serial_number).kit_name
    except AccessError:
        name = "(cannot be opened)"
    return f"{serial_number}  {name}  {serial_port(serial_number) or '(no serial port)'}"


def _text(data: bytes | bytearray) -> str:
    return bytes(data).split(b"\0")[0].decode("ascii", "replace")
