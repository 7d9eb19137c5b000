"""What a provisioner works with: the account's side, and for runs that touch a kit, the kit's side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from iotprovision.actions.provision import DeviceIdentity
from iotprovision.cloud.aws.account import Account
from iotprovision.firmware.hex_image import HexImage
from iotprovision.kit.detection import FoundKit
from iotprovision.kit.target import Target
from iotprovision.pki.authority import Authority
from iotprovision.store import Store
from iotprovision.wire.console import WifiNetwork


@dataclass(frozen=True)
class AccountWork:
    """An account and the authority whose signer it learns.

    :param store: where the authority lies
    """

    account: Account
    store: Store
    authority: Authority


@dataclass(frozen=True)
class Firmware:
    """An image to be programmed: its name for a person, and what loads and judges it."""

    name: str
    load: Callable[[], HexImage]


@dataclass(frozen=True)
class KitWork:
    """A kit and what shall be on it.

    :param backups: where what is overwritten on the kit is kept
    :param network: the Wi-Fi network to set; None leaves Wi-Fi alone
    :param random: ``random(n)`` gives n random bytes
    :param clock: the time, with its time zone
    """

    kit: FoundKit
    target: Target
    backups: Store
    identity: DeviceIdentity
    provisioning_firmware: Firmware
    application: Firmware
    network: WifiNetwork | None
    lock: bool
    random: Callable[[int], bytes]
    clock: Callable[[], datetime]
