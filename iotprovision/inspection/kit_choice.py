"""Which of the kits on USB are looked at."""

from __future__ import annotations

from iotprovision.boards.found import ConnectedKits, FoundKit, UnreachableKit
from iotprovision.errors import UsageError


def chosen(
    connected: ConnectedKits, suffix: str, given_port: str | None
) -> tuple[list[FoundKit], list[UnreachableKit]]:
    """Those that are meant, and those that cannot be reached and may be.

    :param suffix: end of the serial number of the kit that is meant, empty for all
    :param given_port: serial port of the kit, where it was given
    :raises UsageError: a port was given, and several kits are meant
    """
    end = suffix.lower()
    kits = [kit for kit in connected.kits if kit.serial_number.lower().endswith(end)]
    # One whose number cannot be read may be the one that is meant.
    others = [
        other for other in connected.unreachable if not other.serial_number or other.serial_number.lower().endswith(end)
    ]
    if given_port and len(kits) > 1:
        raise UsageError(f"One port was given, and {len(kits)} kits are connected", hint="choose one with -s")
    return kits, others
