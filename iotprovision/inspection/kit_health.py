"""Whether the kits on USB can be used; nothing on them is changed and their MCUs go on running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iotprovision.boards.board import Board
from iotprovision.boards.finding import check_usb_library, connected_kits, unfinished_upgrade_can_be_opened
from iotprovision.boards.found import OF_OTHER_RUNS, FoundKit, Obstacle, UnreachableKit
from iotprovision.boards.serial_port import open_port
from iotprovision.errors import AccessError, ProvisioningError
from iotprovision.firmware.index import load_index
from iotprovision.inspection.diagnosis import Diagnosis, fine, from_error, guarded, note, problem
from iotprovision.inspection.kit_choice import chosen

if TYPE_CHECKING:
    from iotprovision.runs.bench import Bench

# At any speed: whether it can be opened is all that is asked.
BAUD_RATE = 115200
DEBUGGER_JOB = "debugger-firmware"
RULE_CURE = "iotprovision doctor --install-udev-rule, then plug the kit in again"
# A port that another program is just letting go of; a person waits for this one.
PORT_WAIT = 0.5


def check_kits(bench: Bench, suffix: str, given_port: str | None) -> Iterator[Diagnosis]:
    """Look at every kit; those that other runs are using are not opened.

    :param suffix: end of the serial number of the kit that is meant, empty for all
    :param given_port: serial port of the kit, where it was given
    :raises UsageError: a port was given, and several kits are meant
    """
    try:
        check_usb_library()
    except AccessError as error:
        yield from_error("usb-library", error)
    else:
        yield fine("usb-library", "libusb is there")
    connected = connected_kits(bench.named_kit, bench.other_runs)
    kits, others = chosen(connected, suffix, given_port)
    if not kits and not others:
        yield problem(
            "no-kit",
            "no debugger of a kit is on USB" + (f" whose serial number ends in {suffix}" if suffix else ""),
            "check that the USB cable carries data, that the kit is switched on, and that no virtual machine took it\n"
            "without a kit: add --simulate",
        )
    upgrading = any(other.obstacle == Obstacle.IN_UPGRADE for other in others)
    for other in others:
        yield _other(other, upgrading)
    for kit in kits:
        yield from _of_kit(bench, kit, given_port)


def _of_kit(bench: Bench, kit: FoundKit, given_port: str | None) -> Iterator[Diagnosis]:
    yield fine("kit-access", f"{kit.name} {kit.serial_number}, {kit.mcu}, answers")
    yield from guarded("kit-power", lambda: [_power(kit, bench.board(kit))])
    yield from guarded("debugger-firmware", lambda: [_debugger(kit)])
    yield from guarded("serial-port", lambda: [_port(kit, given_port)])


def _other(other: UnreachableKit, upgrading: bool) -> Diagnosis:
    if other.obstacle in OF_OTHER_RUNS:
        check = "kit-access" if other.obstacle == Obstacle.BUSY else "boot-mode"
        return note(check, f"{other.reason.what}. {other.reason.why}", other.reason.hint)
    if other.obstacle == Obstacle.BOOT_MODE:
        # In boot mode all look alike, and the one that another run is upgrading must not be opened.
        cure = "" if upgrading or unfinished_upgrade_can_be_opened() else f"\nit cannot be opened: {RULE_CURE}"
        return problem("boot-mode", f"{other.reason.what}: {other.reason.why}", other.reason.hint + cure)
    if other.obstacle == Obstacle.SAME_NUMBER:
        return from_error("kit-access", other.reason)
    if other.obstacle != Obstacle.NO_ACCESS:
        return from_error("kit-unknown", other.reason)
    number = other.serial_number or "a kit whose serial number cannot be read"
    why = " ".join(other.reason.why.splitlines())
    return problem(
        "kit-access",
        f"{number}: {other.reason.what}. {why}",
        f"{RULE_CURE}\nclose other programs that use the kit (an IDE, a data visualizer)",
    )


def _power(kit: FoundKit, board: Board) -> Diagnosis:
    try:
        volts = board.debugger.supply_voltage()
    except ProvisioningError as error:
        return from_error("kit-access", error, "plug the kit in again")
    if volts >= board.debugger.lowest_voltage:
        return fine("kit-power", f"{kit.serial_number}: {volts:.2f} V at the MCU")
    return problem(
        "kit-power",
        f"{kit.serial_number}: the debugger measures {volts:.2f} V at the MCU",
        "check the jumpers or straps that feed the MCU, its switch, and a battery where the kit runs from one",
    )


def _debugger(kit: FoundKit) -> Diagnosis:
    newest = next(image.version for image in load_index().images if DEBUGGER_JOB in image.jobs) or ""
    if _number(kit.debugger_version) >= _number(newest):
        return fine("debugger-firmware", f"{kit.serial_number}: {kit.debugger_version}")
    return note(
        "debugger-firmware",
        f"{kit.serial_number}: {kit.debugger_version}; {newest} is newer",
        "iotprovision dbgupgrade",
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _port(kit: FoundKit, given_port: str | None) -> Diagnosis:
    name = given_port or kit.port
    if name is None:
        return problem(
            "serial-port",
            f"{kit.serial_number} shows no serial port",
            "on Linux, look whether /dev/ttyACM* appears when the kit is plugged in\nor name the port with -P",
        )
    try:
        open_port(name, BAUD_RATE, wait=PORT_WAIT).close()
    except ProvisioningError as error:
        return from_error("serial-port", error, "close other programs that use the port")
    return fine("serial-port", f"{kit.serial_number}: {name} can be opened")
