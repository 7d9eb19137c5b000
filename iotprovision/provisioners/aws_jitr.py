"""AWS, just-in-time registration: the account learns the signer, a device registers itself when it first connects."""

from __future__ import annotations

from collections.abc import Collection

from iotprovision.actions.application import Application, WifiSet
from iotprovision.actions.certs import AuthorityInStore, SignerRegistered, StackDeployed
from iotprovision.actions.links import DebuggerRestarted, LinksOnDrive
from iotprovision.actions.provision import (
    DeviceCertificate,
    ProvisioningFirmware,
    SlotsLocked,
    WifiModuleCredentials,
)
from iotprovision.actions.verify import Challenge, DeviceInAccount
from iotprovision.provisioners.work import AccountWork, KitWork
from iotprovision.steps import Proof, Step

CLOUD_LINK = "aws-custom"


def certs(account: AccountWork) -> list[Step]:
    """Once for an account; needs no kit."""
    return [
        StackDeployed(account.account),
        AuthorityInStore(account.authority, account.store),
        SignerRegistered(account.account, account.authority),
    ]


def provision(account: AccountWork, work: KitWork, authority_is_coming: bool) -> list[Step]:
    """The lock comes after the read-back of what it freezes."""
    return [
        _provisioning_firmware(work),
        *_credentials(account, work, authority_is_coming),
        *([SlotsLocked(work.target)] if work.lock else []),
    ]


def links(work: KitWork, certificate_is_coming: bool) -> list[Step]:
    """The debugger is restarted at once: it restarts the MCU too, which must not happen after Wi-Fi is set."""
    on_drive = _links(work, certificate_is_coming)
    return [on_drive, DebuggerRestarted(work.target, on_drive)]


def application(work: KitWork) -> list[Step]:
    return [_application(work)]


def wifi(work: KitWork) -> list[Step]:
    """Last of what is done to the kit: the demo keeps the network in RAM until it has connected."""
    return [WifiSet(work.target, work.network)] if work.network else []


def proofs(account: AccountWork | None, work: KitWork, actions: Collection[str]) -> list[Step]:
    """The kit proved once more. Its chips are read through the provisioning firmware, so that goes in and out."""
    steps: list[Step] = []
    if account and "provision" in actions:
        steps.append(_provisioning_firmware(work))
        steps += [Proof(step) for step in _credentials(account, work, authority_is_coming=True)]
        steps.append(Challenge(work.target, work.identity, work.random))
    if "links" in actions:
        steps.append(Proof(_links(work, certificate_is_coming=True)))
    if "application" in actions:
        steps.append(_application(work))
    return steps


def account_proofs(account: AccountWork, work: KitWork | None, connects: bool) -> list[Step]:
    """What the account knows.

    :param work: the kit, where there is one
    :param connects: whether the kit has been told how to connect, which makes the account know it
    """
    return [
        Proof(StackDeployed(account.account)),
        Proof(SignerRegistered(account.account, account.authority)),
        *([DeviceInAccount(account.account, work.identity, connects)] if work else []),
    ]


def _provisioning_firmware(work: KitWork) -> ProvisioningFirmware:
    return ProvisioningFirmware(work.target, work.provisioning_firmware.load, work.provisioning_firmware.name)


def _application(work: KitWork) -> Application:
    return Application(work.target, work.application.load, work.application.name)


def _credentials(account: AccountWork, work: KitWork, authority_is_coming: bool) -> list[Step]:
    return [
        DeviceCertificate(work.target, work.identity, account.authority, authority_is_coming),
        WifiModuleCredentials(
            work.target, work.identity, account.authority, account.account.iot_endpoint, work.backups, work.clock
        ),
    ]


def _links(work: KitWork, certificate_is_coming: bool) -> LinksOnDrive:
    return LinksOnDrive(work.kit, work.identity, CLOUD_LINK, work.backups, work.clock, certificate_is_coming)
