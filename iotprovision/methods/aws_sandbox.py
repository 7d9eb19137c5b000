"""AWS, sandbox: the vendor's own account, which knows the certificates that the kits bring from the factory."""

from __future__ import annotations

from iotprovision.cloud.aws import sandbox
from iotprovision.methods.credentials import credentials_on_kit
from iotprovision.methods.method import Facts
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.pki.device_files import FactoryCertificateFiles
from iotprovision.steps.factory_certificates import FactoryCertificatesRebuilt, FactoryMadeIdentity
from iotprovision.steps.identity import Identity
from iotprovision.steps.links import Link
from iotprovision.steps.step import Step

FACTS = Facts()


def certs(account: AccountWork) -> list[Step]:
    """None: the account is the vendor's, and knows the factory's signers."""
    return []


def identity(account: AccountWork, work: KitWork) -> Identity:
    return FactoryMadeIdentity(FactoryCertificateFiles(work.files))


def credentials(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    assert isinstance(identity, FactoryMadeIdentity)
    return [
        FactoryCertificatesRebuilt(work.target, work.chip, identity, work.factory_roots),
        *credentials_on_kit(work, identity, lambda: sandbox.endpoint(work.kit.kit.has_wifi)),
    ]


def registration(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    return []


def link(work: KitWork, identity: Identity) -> Link:
    return Link("aws", lambda: identity.thing_name)


def account_proofs(account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
    return []


def outlook(account: AccountWork, work: KitWork) -> str:
    return ""
