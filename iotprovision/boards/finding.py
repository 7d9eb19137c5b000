"""Which of the connected kits is meant, and what is said where that is not clear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from iotprovision.boards.board import Board
from iotprovision.boards.catalogue import KitDescription
from iotprovision.boards.found import OF_OTHER_RUNS, ConnectedKits, FoundKit, Obstacle, UnreachableKit
from iotprovision.boards.memory import Memory
from iotprovision.boards.nedbg.board import MEMORIES, NedbgBoard
from iotprovision.boards.nedbg.boot_mode import (
    FINISH_HINT,
    is_openable,
    needs_finishing,
    prepare_usb,
    several_in_boot_mode,
)
from iotprovision.boards.nedbg.debugger import PRODUCT_ID, UDEV_RULES, UPGRADE_PRODUCT_ID, VENDOR_ID
from iotprovision.boards.nedbg.debugger_upgrade import finish_upgrade
from iotprovision.boards.nedbg.detection import detect_kits, examine, serial_numbers
from iotprovision.boards.other_runs import NO_OTHER_RUNS, OtherRuns
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.errors import AccessError, KitNotFoundError, LockedError, ProvisioningError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.progress import Progress

USB_VENDOR, USB_PRODUCTS = VENDOR_ID, (PRODUCT_ID, UPGRADE_PRODUCT_ID)
"""What a user must be allowed to open."""

__all__ = [
    "UDEV_RULES",
    "USB_PRODUCTS",
    "USB_VENDOR",
    "board_of",
    "check_usb_library",
    "connected_kits",
    "find_kit",
    "finish_debugger_upgrade",
    "memory_kinds",
    "unfinished_upgrade_can_be_opened",
    "upgrade_is_unfinished",
]


def find_kit(
    serial_suffix: str | None = None,
    port: str | None = None,
    kit: KitDescription | None = None,
    notice: Callable[[str], None] = lambda text: None,
    other_runs: OtherRuns = NO_OTHER_RUNS,
) -> FoundKit:
    """The one kit that is meant. Other kits are only opened where the choice is not clear without.

    :param serial_suffix: end of its serial number, in any letter case; None where only one kit is connected
    :param port: serial port to use instead of the one that belongs to the kit
    :param kit: what it is taken for when it does not name a known kit; its MCU has not been asked then
    :param notice: told what else is connected and left alone
    :param other_runs: the kits that they are using are not opened
    :raises KitNotFoundError: no kit, several kits, one in boot mode, or one that is not in the catalogue
    :raises AccessError: the kit is there and may not be opened
    :raises LockedError: another run is using it
    """
    if serial_suffix:
        numbers = serial_numbers()
        named = {number for number in numbers if _ends_in(number, serial_suffix)}
        if len(named) == 1:
            return _usable(examine(named.pop(), numbers, kit, other_runs), port, kit)
        connected = detect_kits(kit, other_runs)
        chosen = [device for device in connected.all if _ends_in(device.serial_number, serial_suffix)]
        if len(chosen) == 1:  # a kit of another run that is not on USB now, or has just come
            return _usable(chosen[0], port, kit)
        if chosen:
            raise _no_choice(chosen, f" with serial numbers that end in {serial_suffix}")
        raise _not_there(connected, serial_suffix)
    connected = detect_kits(kit, other_runs)
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


def _ends_in(serial_number: str, suffix: str) -> bool:
    return serial_number.lower().endswith(suffix.lower())


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
    if len(devices) == len(unreachable) and OF_OTHER_RUNS.issuperset(obstacles):
        return LockedError(f"{what}, and other runs are using all of them", _lines(devices), unreachable[0].reason.hint)
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


def connected_kits(kit: KitDescription | None = None, other_runs: OtherRuns = NO_OTHER_RUNS) -> ConnectedKits:
    """Everything that is connected.

    :param kit: what boards are taken for that do not name a known kit
    :param other_runs: the kits that they are using are listed and not opened
    """
    return detect_kits(kit, other_runs)


def board_of(kit: FoundKit, port: str | None, scripts: Callable[[], Path], packed: bool) -> Board:
    """The board that was found; nothing is asked of it yet.

    :param port: serial port that was chosen; None for its own
    :param scripts: gives the folder of the scripts that its MCU is programmed with, where it needs some
    :param packed: whether as many transfers as fit go into a report
    """
    return NedbgBoard(kit, given_port=port, pack=scripts, packed=packed)


def memory_kinds() -> Sequence[type[Memory]]:
    """All memories that boards of any family have."""
    return MEMORIES


def upgrade_is_unfinished() -> bool:
    """Whether a debugger waits for firmware: its board cannot even say who it is."""
    return needs_finishing()


def finish_debugger_upgrade(archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> str:
    """Put firmware into the one debugger that waits for it.

    :returns: its serial number
    :raises ProvisioningError: as in finish_upgrade()
    """
    return finish_upgrade(archive, turn, progress)


def check_usb_library() -> None:
    """:raises AccessError: what debuggers are upgraded with is not there"""
    prepare_usb()


def unfinished_upgrade_can_be_opened() -> bool:
    """Whether a debugger that waits for firmware may be opened by this user."""
    return is_openable()
