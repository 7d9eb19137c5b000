"""Everything on USB that has the debugger of a kit, also what cannot be used as one."""

from __future__ import annotations

from dataclasses import dataclass

from iotprovision.errors import ProvisioningError
from iotprovision.kit.detection import FoundKit, Obstacle, detect_kits


@dataclass(frozen=True)
class Unreachable:
    """Something that has the debugger of a kit and cannot be used as one.

    :param serial_number: empty where the system does not tell it
    :param obstacle: why, in one word: ``no-access``, ``unknown``, ``boot-mode``
    :param reason: what a run on this kit would say
    :param name: what its registers call it; empty where that is not known
    """

    serial_number: str
    obstacle: str
    reason: ProvisioningError
    port: str | None = None
    name: str = ""


NO_ACCESS, UNKNOWN, BOOT_MODE = "no-access", "unknown", "boot-mode"


_WORDS = {Obstacle.NO_ACCESS: NO_ACCESS, Obstacle.BOOT_MODE: BOOT_MODE}


def connected_kits() -> tuple[list[FoundKit], list[Unreachable]]:
    """The kits that can be used, and what else is there."""
    connected = detect_kits()
    others = [
        Unreachable(device.serial_number, _WORDS.get(device.obstacle, UNKNOWN), device.reason, device.port, device.name)
        for device in connected.unreachable
    ]
    return list(connected.kits), others
