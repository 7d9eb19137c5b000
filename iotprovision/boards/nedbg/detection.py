"""Which kits with an nEDBG are connected: what their debuggers answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from iotprovision.boards.catalogue import KitDescription, kit_of, no_known_kit
from iotprovision.boards.found import ConnectedKits, FoundKit, Obstacle, UnreachableKit
from iotprovision.boards.nedbg.boot_mode import in_boot_mode, in_upgrade, kits_seen_in_boot_mode
from iotprovision.boards.nedbg.debugger import list_debuggers, list_other_probes, not_openable, serial_port
from iotprovision.boards.nedbg.debugger_identity import identify
from iotprovision.boards.other_runs import NO_OTHER_RUNS, OtherRuns, busy_kit
from iotprovision.errors import KitNotFoundError, ProvisioningError


def detect_kits(kit: KitDescription | None = None, other_runs: OtherRuns = NO_OTHER_RUNS) -> ConnectedKits:
    """Look at everything that is connected; each debugger that can be opened and is free is asked who it is.

    :param kit: what boards are taken for that do not name a known kit
    :param other_runs: the kits that they are using are listed and not opened
    """
    numbers = serial_numbers()
    devices = [examine(number, numbers, kit, other_runs) for number in numbers]
    devices += _in_boot_mode(numbers, other_runs)
    # While its debugger restarts, a kit is not on USB.
    listed = {device.serial_number for device in devices}
    devices += [busy_kit(number) for number in other_runs.kits_in_use() if number not in listed]
    return ConnectedKits(
        tuple(device for device in devices if isinstance(device, FoundKit)),
        tuple(device for device in devices if isinstance(device, UnreachableKit)),
        tuple(list_other_probes()),
    )


def find_again(kit: FoundKit, port: str | None = None) -> FoundKit:
    """A kit that was found before: its port and the version of its debugger may be others. No other kit is opened.

    :param port: serial port to use instead of the one that belongs to the kit
    :raises KitNotFoundError: it is not there any more
    :raises AccessError: it is there and may not be opened
    """
    numbers = serial_numbers()
    if kit.serial_number not in numbers:
        raise not_openable(kit.serial_number)
    device = examine(kit.serial_number, numbers, kit.kit if kit.name_given else None)
    if isinstance(device, UnreachableKit):
        raise device.reason
    return replace(device, port=port or device.port)


def serial_numbers() -> list[str]:
    """Of every debugger; empty for one that may not be looked at."""
    return [entry["serial_number"] for entry in list_debuggers()]


def examine(
    serial_number: str,
    all_numbers: Sequence[str],
    given: KitDescription | None,
    other_runs: OtherRuns = NO_OTHER_RUNS,
) -> FoundKit | UnreachableKit:
    """One debugger and its board.

    :param all_numbers: the serial numbers of all debuggers, this one's too
    :param given: what the board is taken for when it does not name a known kit
    :param other_runs: a kit that they are using is not opened: Linux would let two at once open it
    """
    port = serial_port(serial_number) if serial_number else None
    if kept_closed := _kept_closed(serial_number, all_numbers, other_runs, port):
        return kept_closed
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


def _kept_closed(
    serial_number: str, all_numbers: Sequence[str], other_runs: OtherRuns, port: str | None
) -> UnreachableKit | None:
    """Why a debugger is not even opened; None where it may be."""
    if not serial_number:
        return UnreachableKit("", Obstacle.NO_ACCESS, not_openable(""))
    # pyedbglib, too, takes the end of a serial number for the whole.
    alike = sum(number.lower().endswith(serial_number.lower()) for number in all_numbers)
    if alike > 1:
        return UnreachableKit(serial_number, Obstacle.SAME_NUMBER, _same_number(serial_number, alike), port)
    return busy_kit(serial_number, port) if other_runs.use(serial_number) else None


def _in_boot_mode(numbers: Sequence[str], other_runs: OtherRuns) -> list[UnreachableKit]:
    """Those that wait for firmware, and the one that another run is upgrading.

    :param numbers: the serial numbers of all other debuggers
    """
    # Asked twice: an upgrade that begins or ends meanwhile must not make a kit look as if it were left in boot mode.
    upgraded = other_runs.upgraded_kit()
    count = kits_seen_in_boot_mode()
    if upgraded is None:
        upgraded = other_runs.upgraded_kit()
    devices = []
    if count and upgraded is not None:
        count -= 1
        if upgraded not in numbers:  # else it is listed by its number: it has just left, or is back
            devices.append(UnreachableKit(upgraded, Obstacle.IN_UPGRADE, in_upgrade(upgraded)))
    return devices + [UnreachableKit("", Obstacle.BOOT_MODE, in_boot_mode()) for _ in range(count)]


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
