"""Azure: a device certificate of the own authority, and what the vendor's Azure demos read from the kit."""

from __future__ import annotations

from iotprovision.methods.method import Method
from iotprovision.option import Need, Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iotprovision.cloud.azure.enrolment import Enrolments
    from iotprovision.methods.work import AccountWork, DeviceWork
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


def service_of(options: Mapping[str, str | None]) -> Option | None:
    """Which of the two kinds of service was named; None where none was."""
    return next((kind for kind in (PROVISIONING_SERVICE, CENTRAL) if options.get(kind.name)), None)


class Azure(Method):
    """The user's own enrolment, or none."""

    cloud = "azure"
    shown = "Azure"
    options = (ID_SCOPE, PROVISIONING_SERVICE, CENTRAL)
    # The vendor's tool locks slots 10 to 12 for AWS only, and they play no part here: the certificates are the owner's.
    locks_slots = False
    connects_to_simulator = False
    writes_names = False
    link_code = "azure"
    page = "Azure"
    removes_devices = True

    def certs(self, account: AccountWork) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore

        return [AuthorityInStore(account.authority, "fca" in account.force)]

    def identity(self, account: AccountWork, device: DeviceWork) -> Identity:
        from iotprovision.steps.azure import AzureDeviceFiles
        from iotprovision.steps.identity import OwnAzureIdentity

        return OwnAzureIdentity(AzureDeviceFiles(device.files), account.authority)

    def device_steps(self, account: AccountWork, device: DeviceWork, identity: Identity) -> list[Step]:
        from iotprovision.errors import UsageError
        from iotprovision.steps.device_certificate import DeviceCertificate
        from iotprovision.steps.id_scope import IdScopeStored
        from iotprovision.steps.identity import OwnAzureIdentity
        from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE, NameKept

        assert isinstance(identity, OwnAzureIdentity)
        board, makes_authority = device.board, account.makes_authority
        steps: list[Step] = []
        if device.id_scope:
            if board.application_data is None:
                raise UsageError(f"{board.kit.name} keeps no ID scope", "Nothing was changed.", "leave out --id-scope")
            # First, because it alone may be refused for good: the kit is then as it was.
            steps.append(IdScopeStored(board.application_data, device.id_scope, device.keeper("provision")))
        return [
            *steps,
            DeviceCertificate(
                board.key, identity, account.authority, makes_authority, account.force, board.credentials
            ),
            NameKept(device.files, AZURE_DEVICE_ID_FILE, "Device id for Azure", lambda: identity.device_id),
        ]

    def registration(self, account: AccountWork, identity: Identity) -> list[Step]:
        """What the Azure service that was named is told. Without one, nothing is asked or told of an Azure account."""
        return [_enrolled(account, account.azure, identity)] if account.azure else []

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore
        from iotprovision.steps.step import Proof

        proofs: list[Step] = [Proof(AuthorityInStore(account.authority))]
        if account.azure and identity:
            proofs.append(Proof(_enrolled(account, account.azure, identity)))
        return proofs

    def outlook(self, account: AccountWork, device: DeviceWork) -> str:
        from iotprovision.pki.authority_files import SIGNER_CERTIFICATE
        from iotprovision.pki.device_files import DEVICE_CERTIFICATE
        from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE

        device_id = (device.files.read(AZURE_DEVICE_ID_FILE) or b"").decode("ascii", "replace")
        scope = "" if device.id_scope else " Its demo also needs the ID scope: --id-scope writes it to the kit."
        if account.azure:
            return f"The {account.azure.shown} lets the kit in as {device_id}.{scope}"
        parent = device.files.folder.parent
        return (
            "Azure has not been told about the kit: name your service with --azure-dps or --azure-central, or add a "
            f"device{f' with the id {device_id}' if device_id else ''} and the X.509 certificate "
            f"{device.files.path(DEVICE_CERTIFICATE)} yourself, or a group with {parent / SIGNER_CERTIFICATE}.{scope}"
        )

    def check_removal(self, options: Mapping[str, str | None]) -> None:
        """Azure is many services: one must be named."""
        from iotprovision.errors import UsageError

        if service_of(options) is None:
            raise UsageError(
                "Which Azure service the kit shall be taken out of was not said",
                hint="name it with --azure-dps NAME or --azure-central NAME",
            )

    def removal(
        self, account: AccountWork, device: DeviceWork, confirm: Callable[[str], bool], force: bool
    ) -> list[Step]:
        """The enrolment of the kit is removed."""
        from iotprovision.pki.device_files import DeviceFiles
        from iotprovision.steps.azure import EnrolmentRemoved

        assert account.azure is not None, "a service was named"
        return [EnrolmentRemoved(account.azure, device.board.key, DeviceFiles(device.files), confirm, force)]


def _enrolled(account: AccountWork, azure: Enrolments, identity: Identity) -> DeviceEnrolled:
    from iotprovision.steps.azure import DeviceEnrolled, ReplacedCertificates
    from iotprovision.steps.identity import OwnAzureIdentity

    assert isinstance(identity, OwnAzureIdentity)
    return DeviceEnrolled(azure, identity, ReplacedCertificates(identity.files.store), "force" in account.force)


METHOD = Azure()
