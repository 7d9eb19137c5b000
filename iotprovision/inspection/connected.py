"""Everything on USB that has the debugger of a kit, also what cannot be used as one."""

from __future__ import annotations

from dataclasses import dataclass

from iotprovision.errors import KitNotFoundError, ProvisioningError
from iotprovision.kit.boot_mode import BOOT_MODE_WHY, FINISH_HINT, kits_seen_in_boot_mode
from iotprovision.kit.catalog import kit_by_name
from iotprovision.kit.debugger import list_debuggers, not_openable
from iotprovision.kit.detection import FoundKit, serial_port
from iotprovision.kit.identity import identify


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


def connected_kits() -> tuple[list[FoundKit], list[Unreachable]]:
    """The kits that can be used, and what else is there."""
    kits: list[FoundKit] = []
    others: list[Unreachable] = []
    for entry in list_debuggers():
        number = entry["serial_number"]
        if not number:
            others.append(Unreachable("", NO_ACCESS, not_openable("")))
            continue
        port = serial_port(number)
        try:
            identity = identify(number)
        except ProvisioningError as error:
            others.append(Unreachable(number, NO_ACCESS, error, port))
            continue
        try:
            kit = kit_by_name(identity.kit_name)
        except KitNotFoundError as error:
            others.append(Unreachable(number, UNKNOWN, error, port, identity.kit_name))
            continue
        kits.append(FoundKit(number, kit, identity.mcu, identity.debugger_version, port))
    for _ in range(kits_seen_in_boot_mode()):
        others.append(Unreachable("", BOOT_MODE, KitNotFoundError("A kit is in boot mode", BOOT_MODE_WHY, FINISH_HINT)))
    return kits, others
