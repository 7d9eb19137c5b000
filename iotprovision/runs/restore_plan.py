"""The steps that put backups back, in the order of danger: chips, registers, and the application last."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from iotprovision.errors import StoreError, UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.formats.winc_flash import CLIENT_AREA, ROOT_STORE
from iotprovision.formats.winc_image import WincImage
from iotprovision.runs.bench import Bench
from iotprovision.runs.board_session import KitRun, now
from iotprovision.steps.credentials import CLIENT_AREA_KIND
from iotprovision.steps.id_scope import SLOT_KIND
from iotprovision.steps.links import DebuggerRestarted
from iotprovision.steps.restoring import (
    ApplicationRestored,
    CredentialsRestored,
    FlashAreaRestored,
    RegistersRestored,
    SlotRestored,
    why_broken,
)
from iotprovision.steps.restoring_modem import ModemCertificatesRestored
from iotprovision.steps.root_certificates import next_kind
from iotprovision.steps.step import Step
from iotprovision.steps.wifi_module_firmware import BridgeFirmware, WifiModuleFirmware
from iotprovision.store import backups
from iotprovision.store.backups import Backup
from iotprovision.store.folder import Store

AREAS = {"credentials": CLIENT_AREA, "root-certificates": ROOT_STORE}


def why_passed_over(files: Store, part: str, backup: Backup) -> str:
    """Why a backup is whole and of no use all the same: it is the state after a write that was broken off.

    :returns: empty where it is of use, or where it is to be refused when it is read
    """
    if part not in AREAS:
        return ""
    try:
        content = backups.read(files, backup, as_it_is=True)
    except StoreError:
        return ""
    return why_broken(AREAS[part], content) if len(content) == AREAS[part].size else ""


def restore(work: KitRun, bench: Bench, chosen: Mapping[str, Backup], as_they_are: bool) -> None:
    """Put backups back and prove it.

    :param chosen: by the names that the command line has for the parts
    :param as_they_are: take also backups that nothing tells about
    :raises StoreError: a backup is damaged, or of another kit
    """
    _check_kit(work, chosen)
    loads = {part: functools.partial(backups.read, work.files, backup, as_they_are) for part, backup in chosen.items()}
    for load in loads.values():
        load()  # a backup that is of no use is found before anything is done
    names = {part: backup.name for part, backup in chosen.items()}
    on_chips: list[Step] = []
    if "credentials" in chosen:
        on_chips.append(
            CredentialsRestored(
                work.target, work.chip, loads["credentials"], names["credentials"], work.files, now, CLIENT_AREA_KIND
            )
        )
    if "root-certificates" in chosen:
        on_chips.append(
            FlashAreaRestored(
                work.target,
                ROOT_STORE,
                "Root certificates in the Wi-Fi module",
                loads["root-certificates"],
                names["root-certificates"],
                work.files,
                now,
                lambda: next_kind(work.files),
            )
        )
    # Before the slot: whether they are for the key of this kit is known only now.
    if "modem" in chosen:
        on_chips.append(
            ModemCertificatesRestored(work.target, work.chip, loads["modem"], names["modem"], work.files, now)
        )
    if "slot-8" in chosen:
        on_chips.append(SlotRestored(work.target, loads["slot-8"], names["slot-8"], work.files, now, SLOT_KIND))
    after: list[Step] = []
    if "registers" in chosen:
        registers = RegistersRestored(work.target, loads["registers"], names["registers"], work.files, now)
        after += [registers, DebuggerRestarted(work.target, registers)]
    work.execute(
        on_chips,
        after=after,
        application=_application(work, chosen["application"]) if "application" in chosen else None,
        through_bridge=_firmware(work, bench, loads["wifi-firmware"], names["wifi-firmware"])
        if "wifi-firmware" in chosen
        else (),
    )


def _check_kit(work: KitRun, chosen: Mapping[str, Backup]) -> None:
    if "wifi-firmware" in chosen and "wincupgrade" in work.kit.kit.left_out:
        raise UsageError(
            f"This version does not write the firmware of the Wi-Fi module of {work.kit.name}",
            f"{work.kit.kit.left_out['wincupgrade']}\nNothing was changed.",
        )


def _application(work: KitRun, backup: Backup) -> ApplicationRestored:
    path = work.files.path(backup.name)
    return ApplicationRestored(work.target, lambda: HexImage.load(path, work.kit.mcu), backup.name)


def _firmware(work: KitRun, bench: Bench, load: Callable[[], bytes], name: str) -> list[Step]:
    bridge = bench.firmware(work.kit, "wincupgrade")
    firmware = WifiModuleFirmware(
        work.target, lambda: WincImage(load(), name), work.files, now, thorough=True, newer_will_do=False
    )
    return [BridgeFirmware(work.target, bridge.load, bridge.name), firmware]
