"""Azure: a device certificate of the own authority, and what the vendor's Azure demos read from the kit."""

from __future__ import annotations

from iotprovision.methods.method import Method, Removal
from iotprovision.option import Need, Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable

    from iotprovision.cloud.azure.enrolment import Enrolments
    from iotprovision.methods.work import AccountWork, KitWork
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.board_session import KitRun
    from iotprovision.runs.job import Job
    from iotprovision.steps.azure import DeviceEnrolled
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.step import Step


def _enrols(spelling: str) -> Need:
    # The hint has not what was typed: it may have a key in it.
    return Need(
        "provision",
        f"{spelling} was given, and nothing that enrols a kit in Azure was asked for.",
        f"iotprovision -c azure provision {spelling} NAME",
        "It is enrolled by the action provision for Azure.",
    )


GROUP = "more options"
ID_SCOPE = Option(
    "id_scope",
    ("--id-scope",),
    "ID scope of your Azure Device Provisioning Service, written to the kit for the vendor's Azure demos",
    metavar="0neXXXXXXXX",
    group=GROUP,
    need=Need(
        "provision",
        "An ID scope was given, and nothing that writes it was asked for.",
        "iotprovision -c azure provision --id-scope {value}",
        "It is written to the kit by the action provision for Azure.",
    ),
    stands_for="an ID scope of Azure",
)
PROVISIONING_SERVICE = Option(
    "azure_dps",
    ("--azure-dps",),
    "with -c azure, enrol the kit in your Azure Device Provisioning Service of this name, as who is logged in "
    "(az login)",
    metavar="NAME",
    group=GROUP,
    need=_enrols("--azure-dps"),
    alternatives="service of Azure",
    names_account=True,
    stands_for="a service of Azure",
)
CENTRAL = Option(
    "azure_central",
    ("--azure-central",),
    "with -c azure, enrol the kit in your Azure IoT Central application NAME.azureiotcentral.com",
    metavar="NAME",
    group=GROUP,
    need=_enrols("--azure-central"),
    alternatives="service of Azure",
    names_account=True,
    stands_for="a service of Azure",
)


def service_of(job: Job) -> Option | None:
    """Which of the two kinds of service was named; None where none was."""
    return next((kind for kind in (PROVISIONING_SERVICE, CENTRAL) if job.method_options.get(kind.name)), None)


class Azure(Method):
    """The user's own enrolment, or none."""

    cloud = "azure"
    shown = "Azure"
    options = (ID_SCOPE, PROVISIONING_SERVICE, CENTRAL)
    # The vendor's tool locks slots 10 to 12 for AWS only, and they play no part here: the certificates are the owner's.
    locks_slots = False
    connects_to_simulator = False
    link_code = "azure"
    page = "Azure"
    removes_devices = True

    def certs(self, account: AccountWork) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore

        return [AuthorityInStore(account.authority, account.store, "fca" in account.force)]

    def identity(self, account: AccountWork, work: KitWork) -> Identity:
        from iotprovision.steps.azure import AzureDeviceFiles
        from iotprovision.steps.identity import OwnAzureIdentity

        return OwnAzureIdentity(AzureDeviceFiles(work.files), account.authority)

    def credentials(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        from iotprovision.methods.credentials import credentials_on_kit
        from iotprovision.steps.credentials import DeviceCertificate
        from iotprovision.steps.id_scope import IdScopeInSlot
        from iotprovision.steps.identity import OwnAzureIdentity
        from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE, NameKept

        assert isinstance(identity, OwnAzureIdentity)
        steps: list[Step] = []
        if work.id_scope:
            # First, because it alone may be refused for good: the kit is then as it was.
            steps.append(IdScopeInSlot(work.target, work.id_scope, work.files, work.clock))
        return [
            *steps,
            DeviceCertificate(
                work.target, work.chip, identity, account.authority, account.makes_authority, account.force
            ),
            NameKept(work.files, AZURE_DEVICE_ID_FILE, "Device id for Azure", lambda: identity.device_id),
            *credentials_on_kit(work, identity, None),
        ]

    def registration(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """What the Azure service that was named is told. Without one, nothing is asked or told of an Azure account."""
        return [_enrolled(account, account.azure, identity)] if account.azure else []

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore
        from iotprovision.steps.step import Proof

        proofs: list[Step] = [Proof(AuthorityInStore(account.authority, account.store))]
        if account.azure and identity:
            proofs.append(Proof(_enrolled(account, account.azure, identity)))
        return proofs

    def outlook(self, account: AccountWork, work: KitWork) -> str:
        from iotprovision.pki.authority import SIGNER_CERTIFICATE
        from iotprovision.pki.device_files import DEVICE_CERTIFICATE
        from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE

        device_id = (work.files.read(AZURE_DEVICE_ID_FILE) or b"").decode("ascii", "replace")
        scope = "" if work.id_scope else " Its demo also needs the ID scope: --id-scope writes it to the kit."
        if account.azure:
            return f"The {account.azure.shown} lets the kit in as {device_id}.{scope}"
        parent = work.files.folder.parent
        return (
            "Azure has not been told about the kit: name your service with --azure-dps or --azure-central, or add a "
            f"device{f' with the id {device_id}' if device_id else ''} and the X.509 certificate "
            f"{work.files.path(DEVICE_CERTIFICATE)} yourself, or a group with {parent / SIGNER_CERTIFICATE}.{scope}"
        )

    def check_removal(self, job: Job) -> None:
        """Azure is many services: one must be named."""
        from iotprovision.errors import UsageError

        if service_of(job) is None:
            raise UsageError(
                "Which Azure service the kit shall be taken out of was not said",
                hint="name it with --azure-dps NAME or --azure-central NAME",
            )

    def removal(self, job: Job, bench: Bench, work: KitRun, confirm: Callable[[str], bool], force: bool) -> Removal:
        """The enrolment of the kit is removed."""
        from iotprovision.pki.device_files import DeviceFiles
        from iotprovision.runs.board_session import azure_data
        from iotprovision.steps.azure import EnrolmentRemoved

        service = bench.azure()
        assert service is not None, "a service was named"
        steps: list[Step] = [EnrolmentRemoved(service, work.target, work.chip, DeviceFiles(work.files), confirm, force)]
        return Removal(steps, "azure", lambda: azure_data(service))


def _enrolled(account: AccountWork, azure: Enrolments, identity: Identity) -> DeviceEnrolled:
    from iotprovision.steps.azure import DeviceEnrolled, ReplacedCertificates
    from iotprovision.steps.identity import OwnAzureIdentity

    assert isinstance(identity, OwnAzureIdentity)
    return DeviceEnrolled(azure, identity, ReplacedCertificates(identity.files.store), "force" in account.force)


METHOD = Azure()
