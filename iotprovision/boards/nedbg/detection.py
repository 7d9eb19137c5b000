"""Which kits are connected, and which of them is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from serial.tools import list_ports

from iotprovision.boards.catalogue import KitDescription, kit_of, no_known_kit
from iotprovision.boards.nedbg.boot_mode import FINISH_HINT, in_boot_mode, kits_seen_in_boot_mode, several_in_boot_mode
from iotprovision.boards.nedbg.debugger import (
    UPGRADE_PRODUCT_ID,
    VENDOR_ID,
    list_debuggers,
    list_other_probes,
    not_openable,
)
from iotprovision.boards.nedbg.debugger_identity import identify
from iotprovision.errors import AccessError, KitNotFoundError, ProvisioningError


@dataclass(frozen=True)
class FoundKit:
    """A connected kit.

    :param serial_number: of its debugger, as USB reports it
    :param mcu: as the debugger names it; as the catalogue does where the debugger names none
    :param debugger_version: major.minor.build
    :param port: its serial port; None where the system shows none with this serial number
    :param name_given: the board does not tell which kit it is, and somebody said it
    """

    serial_number: str
    kit: KitDescription
    mcu: str
    debugger_version: str
    port: str | None
    name_given: bool = False

    may_be_meant = True

    @property
    def name(self) -> str:
        return self.kit.name


class Obstacle(Enum):
    """Why something that has the debugger of a kit cannot be used as one."""

    NO_ACCESS = "cannot be opened"
    SAME_NUMBER = "has the serial number of another one"
    BLANK = "board registers are blank"
    NO_KNOWN_KIT = "no known kit"
    OTHER_MCU = "its debugger is set up for another MCU"
    BOOT_MODE = f"in boot mode, USB {VENDOR_ID:04x}:{UPGRADE_PRODUCT_ID:04x}"


@dataclass(frozen=True)
class UnreachableKit:
    """Something that has the debugger of a kit and cannot be used as one.

    :param serial_number: empty where the system does not tell it
    :param reason: what is raised where this one is meant
    :param name: what its registers call it; empty where that is not known
    """

    serial_number: str
    obstacle: Obstacle
    reason: ProvisioningError
    port: str | None = None
    name: str = ""

    @property
    def may_be_meant(self) -> bool:
        """False for boards that have this debugger too and are other products."""
        return self.obstacle != Obstacle.NO_KNOWN_KIT


@dataclass(frozen=True)
class ConnectedKits:
    """Everything on USB that has the debugger of a kit.

    :param other_probes: product and USB ids of debuggers of other kinds
    """

    kits: tuple[FoundKit, ...]
    unreachable: tuple[UnreachableKit, ...]
    other_probes: tuple[str, ...]

    @property
    def all(self) -> tuple[FoundKit | UnreachableKit, ...]:
        """The kits, and then what cannot be used as one."""
        return (*self.kits, *self.unreachable)


def detect_kits(kit: KitDescription | None = None) -> ConnectedKits:
    """Look at everything that is connected; each debugger that can be opened is asked who it is.

    :param kit: what boards are taken for that do not name a known kit
    """
    numbers = _serial_numbers()
    devices = [_examine(number, numbers, kit) for number in numbers]
    devices += [UnreachableKit("", Obstacle.BOOT_MODE, in_boot_mode()) for _ in range(kits_seen_in_boot_mode())]
    return ConnectedKits(
        tuple(device for device in devices if isinstance(device, FoundKit)),
        tuple(device for device in devices if isinstance(device, UnreachableKit)),
        tuple(list_other_probes()),
    )


def find_kit(
    serial_suffix: str | None = None,
    port: str | None = None,
    kit: KitDescription | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> FoundKit:
    """The one kit that is meant. Other kits are only opened where the choice is not clear without.

    :param serial_suffix: end of its serial number, in any letter case; None where only one kit is connected
    :param port: serial port to use instead of the one that belongs to the kit
    :param kit: what it is taken for when it does not name a known kit; its MCU has not been asked then
    :param notice: told what else is connected and left alone
    :raises KitNotFoundError: no kit, several kits, one in boot mode, or one that is not in the catalogue
    :raises AccessError: the kit is there and may not be opened
    """
    if serial_suffix:
        numbers = _serial_numbers()
        named = {number for number in numbers if number.lower().endswith(serial_suffix.lower())}
        if len(named) == 1:
            return _usable(_examine(named.pop(), numbers, kit), port, kit)
        connected = detect_kits(kit)
        if named:
            chosen = [device for device in connected.all if device.serial_number in named]
            raise _no_choice(chosen, f" with serial numbers that end in {serial_suffix}")
        raise _not_there(connected, serial_suffix)
    connected = detect_kits(kit)
    meant = [device for device in connected.all if device.may_be_meant]
    if len(meant) > 1:
        raise _no_choice(meant)
    others = [device for device in connected.all if not device.may_be_meant]
    if not meant:
        raise _no_choice(others) if others else _none(connected)
    found = _usable(meant[0], port, kit)
    for device in others:
        notice(f"Left alone: {_line(device)}")
    return found


def serial_port(serial_number: str) -> str | None:
    """The serial port that belongs to a debugger; None where the system shows none."""
    for port in list_ports.comports():
        if (port.serial_number or "").lower() == serial_number.lower():
            return str(port.device)
    return None


def _examine(serial_number: str, all_numbers: Sequence[str], given: KitDescription | None) -> FoundKit | UnreachableKit:
    """One debugger and its board.

    :param all_numbers: the serial numbers of all debuggers, this one's too
    :param given: what the board is taken for when it does not name a known kit
    """
    if not serial_number:
        return UnreachableKit("", Obstacle.NO_ACCESS, not_openable(""))
    port = serial_port(serial_number)
    # pyedbglib, too, takes the end of a serial number for the whole.
    alike = sum(number.lower().endswith(serial_number.lower()) for number in all_numbers)
    if alike > 1:
        return UnreachableKit(serial_number, Obstacle.SAME_NUMBER, _same_number(serial_number, alike), port)
    try:
        identity = identify(serial_number)
    except ProvisioningError as error:
        return UnreachableKit(serial_number, Obstacle.NO_ACCESS, error, port)
    named = kit_of(identity.kit_name)
    kit = named or given
    if kit is None:
        obstacle = Obstacle.NO_KNOWN_KIT if identity.kit_name else Obstacle.BLANK
        reason = no_known_kit(identity.kit_name, serial_number)
        return UnreachableKit(serial_number, obstacle, reason, port, identity.kit_name)
    if identity.mcu and identity.mcu.lower() != kit.mcu:
        reason = _other_mcu(serial_number, kit, identity.mcu)
        return UnreachableKit(serial_number, Obstacle.OTHER_MCU, reason, port, kit.name)
    return FoundKit(
        serial_number=serial_number,
        kit=kit,
        mcu=identity.mcu or kit.mcu,
        debugger_version=identity.debugger_version,
        port=port,
        name_given=named is None,
    )


def _serial_numbers() -> list[str]:
    """Of every debugger; empty for one that may not be looked at."""
    return [entry["serial_number"] for entry in list_debuggers()]


def _usable(device: FoundKit | UnreachableKit, port: str | None, given: KitDescription | None) -> FoundKit:
    if isinstance(device, UnreachableKit):
        raise device.reason
    if given is not None and device.kit is not given:
        raise KitNotFoundError(
            f"The kit {device.serial_number} calls itself {device.name}, and is not taken for {given.name}",
            "--kit is for a kit that does not name a known one.",
            "leave out --kit",
        )
    return replace(device, port=port or device.port)


# --- why there is no clear choice


def _no_choice(devices: Sequence[FoundKit | UnreachableKit], which: str = "") -> ProvisioningError:
    unreachable = [device for device in devices if isinstance(device, UnreachableKit)]
    obstacles = [device.obstacle for device in unreachable]
    in_boot_mode = obstacles.count(Obstacle.BOOT_MODE)
    if in_boot_mode == len(devices) > 1:
        return several_in_boot_mode(in_boot_mode)
    if len(devices) == len(unreachable) == 1:
        return unreachable[0].reason
    what = f"{len(devices)} kits are connected{which}" + f", {in_boot_mode} of them in boot mode" * bool(in_boot_mode)
    if obstacles.count(Obstacle.NO_ACCESS) == len(devices):
        return AccessError(f"{what}, and none can be opened", _lines(devices), unreachable[0].reason.hint)
    if obstacles.count(Obstacle.NO_KNOWN_KIT) == len(devices):
        what = f"{len(devices)} boards are connected, and none names a known kit"
    hints = ["choose one with -s and the end of its serial number"] if any(d.serial_number for d in devices) else []
    return KitNotFoundError(what, _lines(devices), "\n".join(hints + _ways_out(devices)))


def _not_there(connected: ConnectedKits, serial_suffix: str) -> ProvisioningError:
    devices = connected.all
    if not devices:
        return _none(connected)
    if not any(device.serial_number for device in devices) and len({d.obstacle for d in connected.unreachable}) == 1:
        return _no_choice(devices)
    return KitNotFoundError(
        f"No connected kit shows a serial number that ends in {serial_suffix}",
        f"Connected are:\n{_lines(devices)}",
        "\n".join(["look at the end of the serial number again", *_ways_out(devices)]),
    )


def _none(connected: ConnectedKits) -> KitNotFoundError:
    others = f"\nOther debuggers are there, but none of a kit: {', '.join(connected.other_probes)}."
    return KitNotFoundError(
        "No kit is connected",
        "No Microchip nEDBG debugger is on USB." + others * bool(connected.other_probes),
        "check that the USB cable carries data, that the kit is switched on, and that no virtual machine took it;\n"
        "or use --simulate, which needs no kit.",
    )


def _ways_out(devices: Sequence[FoundKit | UnreachableKit]) -> list[str]:
    """What to try with those that -s cannot choose."""
    nameless = [device for device in devices if isinstance(device, UnreachableKit) and not device.serial_number]
    hints = {device.obstacle: device.reason.hint for device in nameless}
    if Obstacle.BOOT_MODE in hints:
        hints[Obstacle.BOOT_MODE] = f"connect the kit in boot mode alone: then {FINISH_HINT}"
    if any(isinstance(device, UnreachableKit) and device.obstacle == Obstacle.SAME_NUMBER for device in devices):
        hints[Obstacle.SAME_NUMBER] = "connect only one of those that have the same serial number"
    return list(hints.values())


def _lines(devices: Sequence[FoundKit | UnreachableKit]) -> str:
    return "\n".join(_line(device) for device in devices)


def _line(device: FoundKit | UnreachableKit) -> str:
    number = device.serial_number or "(serial number not readable)"
    words = [device.name, f"({device.obstacle.value})" if isinstance(device, UnreachableKit) else ""]
    port = device.port or ("(no serial port)" if device.serial_number else "")
    return "  ".join([number, " ".join(filter(None, words)), port]).rstrip()


def _same_number(serial_number: str, count: int) -> KitNotFoundError:
    blank = "\nIt is what a debugger shows whose board registers are blank." * (set(serial_number) == {"F"})
    return KitNotFoundError(
        f"{count} kits have the serial number {serial_number}",
        f"They cannot be told apart.{blank}",
        "connect one of them at a time",
    )


def _other_mcu(serial_number: str, kit: KitDescription, mcu: str) -> KitNotFoundError:
    return KitNotFoundError(
        f"The kit {serial_number} is taken for {kit.name}, but its debugger is set up for another MCU",
        f"{kit.name} has the MCU {kit.mcu}, the debugger programs {mcu}.",
        "look at the print on the board; the vendor's pydebuggerconfig writes the board registers anew",
    )
