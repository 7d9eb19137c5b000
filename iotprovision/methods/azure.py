"""Azure: a device certificate of the own authority, and what the vendor's Azure demos read from the kit."""

from __future__ import annotations

from iotprovision.cloud.azure.enrolment import Enrolments
from iotprovision.methods.credentials import credentials_on_kit
from iotprovision.methods.method import Facts
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.pki.authority import SIGNER_CERTIFICATE
from iotprovision.pki.device_files import DEVICE_CERTIFICATE
from iotprovision.steps.authority import AuthorityInStore
from iotprovision.steps.azure import AzureDeviceFiles, DeviceEnrolled, ReplacedCertificates
from iotprovision.steps.credentials import DeviceCertificate
from iotprovision.steps.id_scope import IdScopeInSlot
from iotprovision.steps.identity import Identity, OwnAzureIdentity
from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE, NameKept
from iotprovision.steps.links import Link
from iotprovision.steps.step import Proof, Step

# The vendor's tool locks slots 10 to 12 for AWS only, and they play no part here: the certificates are the owner's.
FACTS = Facts(locks_slots=False, connects_to_simulator=False)


def certs(account: AccountWork) -> list[Step]:
    return [AuthorityInStore(account.authority, "fca" in account.force)]


def identity(account: AccountWork, work: KitWork) -> Identity:
    return OwnAzureIdentity(AzureDeviceFiles(work.files), account.authority)


def credentials(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    assert isinstance(identity, OwnAzureIdentity)
    steps: list[Step] = []
    if work.id_scope:
        # First, because it alone may be refused for good: the kit is then as it was.
        steps.append(IdScopeInSlot(work.target, work.id_scope, work.files, work.clock))
    return [
        *steps,
        DeviceCertificate(work.target, work.chip, identity, account.authority, account.makes_authority, account.force),
        NameKept(work.files, AZURE_DEVICE_ID_FILE, "Device id for Azure", lambda: identity.device_id),
        *credentials_on_kit(work, identity, None),
    ]


def registration(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    """What the Azure service that was named is told. Without one, nothing is asked or told of an Azure account."""
    return [_enrolled(account, account.azure, identity)] if account.azure else []


def link(work: KitWork, identity: Identity) -> Link:
    """The page of Azure is the same for every kit; what the board holds for another cloud is left."""
    return Link("azure")


def account_proofs(account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
    proofs: list[Step] = [Proof(AuthorityInStore(account.authority))]
    if account.azure and identity:
        proofs.append(Proof(_enrolled(account, account.azure, identity)))
    return proofs


def _enrolled(account: AccountWork, azure: Enrolments, identity: Identity) -> DeviceEnrolled:
    assert isinstance(identity, OwnAzureIdentity)
    return DeviceEnrolled(azure, identity, ReplacedCertificates(identity.files.store), "force" in account.force)


def outlook(account: AccountWork, work: KitWork) -> str:
    device_id = (work.files.read(AZURE_DEVICE_ID_FILE) or b"").decode("ascii", "replace")
    scope = "" if work.id_scope else " Its demo also needs the ID scope: --id-scope writes it to the kit."
    if account.azure:
        return f"The {account.azure.shown} lets the kit in as {device_id}.{scope}"
    parent = work.files.folder.parent
    return (
        "Azure has not been told about the kit: name your service with --azure-dps or --azure-central, or add a device"
        f"{f' with the id {device_id}' if device_id else ''} and the X.509 certificate "
        f"{work.files.path(DEVICE_CERTIFICATE)} yourself, or a group with {parent / SIGNER_CERTIFICATE}.{scope}"
    )
