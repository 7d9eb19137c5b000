"""AWS, just-in-time registration: the account learns the signer, a device registers itself when it first connects."""

from __future__ import annotations

from iotprovision.methods.credentials import certificate_on_kit, credentials_on_kit
from iotprovision.methods.method import Facts
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.steps.authority import AuthorityInStore, SignerRegistered, StackDeployed
from iotprovision.steps.aws import PolicyOfDevices
from iotprovision.steps.credentials import DeviceCertificate
from iotprovision.steps.identity import Identity, OwnIdentity
from iotprovision.steps.links import Link
from iotprovision.steps.proof import DeviceInAccount
from iotprovision.steps.step import Proof, Step

FACTS = Facts()


def certs(account: AccountWork) -> list[Step]:
    return [
        PolicyOfDevices(account.account, account.overwrites),
        StackDeployed(account.account, account.overwrites),
        AuthorityInStore(account.authority, "fca" in account.force),
        SignerRegistered(account.account, account.authority),
    ]


def identity(account: AccountWork, work: KitWork) -> Identity:
    return OwnIdentity(DeviceFiles(work.files), account.authority)


def credentials(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    assert isinstance(identity, OwnIdentity)
    return [
        DeviceCertificate(
            work.target,
            work.chip,
            identity,
            account.authority,
            account.makes_authority,
            account.force,
            certificate_on_kit(work),
        ),
        *credentials_on_kit(work, identity, account.account.iot_endpoint),
    ]


def registration(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    return []


def link(work: KitWork, identity: Identity) -> Link:
    return Link("aws-custom", lambda: identity.thing_name)


def account_proofs(account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
    return [
        Proof(PolicyOfDevices(account.account, account.overwrites)),
        Proof(StackDeployed(account.account, account.overwrites)),
        Proof(SignerRegistered(account.account, account.authority)),
        *([DeviceInAccount(account.account, identity, connects)] if identity else []),
    ]


def outlook(account: AccountWork, work: KitWork) -> str:
    return ""
