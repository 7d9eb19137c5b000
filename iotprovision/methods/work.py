"""What a provisioner works with: the account's side, and for runs that touch a kit, the kit's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.detection import FoundKit
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.azure.enrolment import Enrolments
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.hex_image import HexImage
from iotprovision.formats.ecc608_zones import Kind
from iotprovision.formats.factory_certificates import FactoryRoot
from iotprovision.formats.id_scope import IdScope
from iotprovision.formats.winc_image import WincImage
from iotprovision.pki.authority import Authority
from iotprovision.steps.identity import Chip
from iotprovision.steps.kept_application import KnownImage
from iotprovision.store.folder import Store


class AccountWork:
    """An account and the authority whose signer it learns.

    :param store: where the authority lies
    :param open_account: called when a method needs the account; some need none
    :param makes_authority: whether this run makes the authority where there is none, and prepares the account
    :param force: the options given that force something, without their dashes
    :param azure: the Azure service that a kit is enrolled in, where one was named
    :param options: those that only the methods of this cloud have
    """

    def __init__(
        self,
        store: Store,
        authority: Authority,
        open_account: Callable[[], Account],
        makes_authority: bool,
        force: frozenset[str] = frozenset(),
        azure: Enrolments | None = None,
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        self.store = store
        self.authority = authority
        self.makes_authority = makes_authority
        self.force = force
        self.azure = azure
        self.options = options or {}
        self._open_account = open_account
        self.opened: Account | None = None

    @property
    def overwrites(self) -> bool:
        """Whether what somebody else made in the account may be overwritten."""
        return bool({"force", "faws"} & self.force)

    @cached_property
    def account(self) -> Account:
        """:raises UsageError: the profile is unknown or not complete"""
        self.opened = self._open_account()
        return self.opened


@dataclass(frozen=True)
class Firmware:
    """An image to be programmed: its name for a person, and what loads and judges it."""

    name: str
    load: Callable[[], HexImage]


@dataclass(frozen=True)
class WifiModuleUpgrade:
    """What brings another firmware into the Wi-Fi module: the program for the MCU that does it, and the firmware."""

    bridge: Firmware
    load_image: Callable[[], WincImage]


@dataclass(frozen=True)
class KitWork:
    """A kit and what shall be on it.

    :param files: the kit's folder in the store; what is overwritten on the kit is kept there too
    :param known_images: those that need not be saved before the MCU is erased, because they can be had again
    :param network: the Wi-Fi network to set; None leaves Wi-Fi alone
    :param provisioning_firmware_is_there: the user says that the MCU holds it already
    :param lock: whether slots are locked where the method locks them
    :param random: ``random(n)`` gives n random bytes
    :param clock: the time, with its time zone
    :param factory_roots: what the factory certificates of secure elements must come from
    :param debugger_archive: reads and judges the firmware for the debugger
    :param upgrade_lock: file that is locked while a debugger is in boot mode
    :param debugger_is_written: that firmware was put into the debugger before the kit could be found
    :param id_scope: of the Azure Device Provisioning Service; None leaves the secure element's slot alone
    :param wifi_module_upgrade: needed by the action wincupgrade only
    """

    kit: FoundKit
    target: Target
    chip: Chip
    files: Store
    provisioning_firmware: Firmware
    application: Firmware | None
    known_images: Sequence[KnownImage]
    network: WifiNetwork | None
    provisioning_firmware_is_there: bool
    lock: bool
    random: Callable[[int], bytes]
    clock: Callable[[], datetime]
    factory_roots: Mapping[Kind, FactoryRoot]
    debugger_archive: Callable[[], DebuggerArchive]
    upgrade_lock: Path
    debugger_is_written: bool
    id_scope: IdScope | None = None
    wifi_module_upgrade: WifiModuleUpgrade | None = None
