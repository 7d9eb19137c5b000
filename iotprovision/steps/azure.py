"""The device in an Azure service: enrolled with its certificate, or taken out again."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.boards.board import DeviceKey
from iotprovision.boards.program import Program
from iotprovision.cloud.azure.enrolment import X509, Enrolled, Enrolments, thumbprint
from iotprovision.errors import CloudError, UsageError
from iotprovision.findings import Finding, State
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.steps.identity import OwnAzureIdentity
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store.folder import Store

ACTION = "provision"
REPLACED_FILE = "azure-replaced.pem"


class ReplacedCertificates:
    """Certificates of the kit that the service may still know it by: others have taken their place since.

    :param store: the kit's own folder
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def thumbprints(self, enrolments: Enrolments) -> set[str]:
        """As the service would write them."""
        return {thumbprint(certificate, enrolments) for certificate in self._certificates()}

    def remember(self, certificate: x509.Certificate) -> None:
        if certificate not in self._certificates():
            known = self._store.read(REPLACED_FILE) or b""
            self._store.write(REPLACED_FILE, known + certificate.public_bytes(Encoding.PEM))

    def forget(self) -> None:
        """The service knows the kit by its certificate, or not at all."""
        if self._store.has(REPLACED_FILE):
            self._store.remove(REPLACED_FILE)

    def _certificates(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self._store.read(REPLACED_FILE) or b"")
        except ValueError:  # none, or the file is damaged
            return []


class AzureDeviceFiles(DeviceFiles):
    """The files of a kit for Azure: a certificate that another takes the place of is remembered."""

    def keep(self, certificate: x509.Certificate) -> None:
        earlier = self.certificate()
        if earlier is not None and earlier != certificate:
            ReplacedCertificates(self.store).remember(earlier)
        super().keep(certificate)


class DeviceEnrolled(Step):
    """The service lets the device in with the certificate that is on the kit.

    An enrolment of the same id that another certificate is in, or that somebody disabled, is not changed without being
    asked to. A certificate of the kit that was replaced, in this run or in one that did not come to an end, is no
    other one.

    :param replaced: those certificates
    :param overwrites: whether the user asked to overwrite what somebody else made
    """

    action = ACTION
    about = About.ACCOUNT
    proof = "asked of the service: enabled, thumbprint of the certificate compared"
    would = "enrol the device with its certificate"

    def __init__(
        self, enrolments: Enrolments, identity: OwnAzureIdentity, replaced: ReplacedCertificates, overwrites: bool
    ) -> None:
        self.title = f"Device enrolled in the {enrolments.shown}"
        self._enrolments = enrolments
        self._identity = identity
        self._replaced = replaced
        self._overwrites = overwrites
        self._at_the_beginning = ""

    def prepare(self) -> None:
        """What stands in the way is found before the kit is touched."""
        self._enrolments.check()
        certificate, device_id = self._identity.device, self._identity.device_id
        if certificate is None or device_id is None:
            return
        self._at_the_beginning = thumbprint(certificate, self._enrolments)
        self._not_foreign(self._compare(certificate, self._enrolments.find(device_id)), "Nothing was changed.")

    def check(self, progress: Progress) -> Finding:
        certificate, device_id = self._identity.device, self._identity.device_id
        if certificate is None or device_id is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        left = "The enrolment was left as it is."
        return self._not_foreign(self._compare(certificate, self._enrolments.find(device_id)), left)

    def apply(self, progress: Progress) -> str:
        certificate, device_id = self._identity.device, self._identity.device_id
        assert certificate is not None, "the device certificate is made before this step"
        assert device_id is not None, "our certificates have a name"
        found = self._enrolments.find(device_id)
        self._enrolments.enrol(device_id, certificate, found)
        self._replaced.forget()
        return f"enrolled {device_id}" if found is None else f"changed the enrolment of {device_id}"

    def _compare(self, certificate: x509.Certificate, found: Enrolled | None) -> Finding:
        expected = f"{self._identity.device_id}, certificate {thumbprint(certificate, self._enrolments)[:16]}…"
        if found is None:
            return Finding(State.MISSING, "not enrolled", expected)
        if not found.attestation:
            return Finding(State.DIFFERENT, "known, but without a certificate", expected)
        if found.attestation != X509 or not found.thumbprint:
            return Finding(State.DIFFERENT, f"enrolled with {found.attestation}", expected, foreign=True)
        if found.thumbprint != thumbprint(certificate, self._enrolments):
            own = {self._at_the_beginning, *self._replaced.thumbprints(self._enrolments)}
            is_replaced = found.thumbprint in own
            what = "its earlier certificate" if is_replaced else f"another certificate, {found.thumbprint[:16]}…"
            what += "" if found.enabled else ", and disabled"
            foreign = not (is_replaced and found.enabled)
            return Finding(State.DIFFERENT, f"enrolled with {what}", expected, foreign=foreign)
        if not found.enabled:
            return Finding(State.DIFFERENT, "enrolled, but disabled", expected, foreign=True)
        return Finding(State.IN_PLACE, expected)

    def _not_foreign(self, finding: Finding, left: str) -> Finding:
        if finding.foreign and not self._overwrites:
            raise CloudError(
                f"The {self._enrolments.shown} knows the device {self._identity.device_id} otherwise: {finding.found}",
                f"No run with this store is known to have done that. {left}",
                "look at it; --force enrols the device with its own certificate",
            )
        return finding


class EnrolmentRemoved(Step):
    """The service does not know the kit any more.

    What is the kit's tells its secure element, whose serial number is the id, and its certificate in the store.

    :param confirm: asks the person, with what would be removed
    """

    action = "unprovision"
    about = About.ACCOUNT
    proof = "asked of the service: no such device"
    would = "remove the device"
    needs = Program.PROVISIONING

    def __init__(
        self,
        enrolments: Enrolments,
        key: DeviceKey,
        files: DeviceFiles,
        confirm: Callable[[str], bool],
        force: bool,
    ) -> None:
        self.title = f"Kit out of the {enrolments.shown}"
        self._enrolments = enrolments
        self._key = key
        self._files = files
        self._confirm = confirm
        self._force = force

    def prepare(self) -> None:
        """Whether there is such a service, and whether one may look, is found before the kit is touched."""
        self._enrolments.check()

    def check(self, progress: Progress) -> Finding:
        found = self._enrolments.find(self._key.name)
        if found is None:
            return Finding(State.IN_PLACE, f"no device {self._key.name}")
        return Finding(State.DIFFERENT, f"device {self._key.name}, {found.attestation or 'no certificate'}", "none")

    def apply(self, progress: Progress) -> str:
        device_id = self._key.name
        found = self._enrolments.find(device_id)
        assert found is not None, "there is something to remove"
        kept = self._files.certificate()
        replaced = ReplacedCertificates(self._files.store)
        own = replaced.thumbprints(self._enrolments)
        if kept is not None:
            own.add(thumbprint(kept, self._enrolments))
        ours = found.thumbprint in own
        if not ours and not self._force:
            other = "with another certificate" if found.thumbprint else "without a certificate"
            raise CloudError(
                f"The {self._enrolments.shown} knows the device {device_id} {other}",
                "It is not known with the one that is in the store for this kit. Nothing was removed.",
                "look at it; --force removes it",
            )
        if not self._confirm(f"Remove the device {device_id} from the {self._enrolments.shown}"):
            raise UsageError("The kit was not taken out of Azure", "It was not agreed to. Nothing was changed.")
        self._enrolments.remove(device_id, found)
        replaced.forget()
        return f"removed {device_id}"
