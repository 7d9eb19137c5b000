"""The device in an Azure service: enrolled with its certificate, or taken out again."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from iotprovision.actions.identity import Chip, OwnAzureIdentity
from iotprovision.actions.provision import ACTION
from iotprovision.cloud.azure.enrolment import X509, Enrolled, Enrolments, thumbprint
from iotprovision.errors import CloudError, UsageError
from iotprovision.findings import Finding, State
from iotprovision.kit.target import Target
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.pki.device_request import COMMON_NAME_START
from iotprovision.steps import CannotKnowError, Progress, Step


class DeviceEnrolled(Step):
    """The service lets the device in with the certificate that is on the kit.

    An enrolment of the same id that another certificate is in, or that somebody disabled, is not changed without being
    asked to. The certificate that this very run replaces is no other one.

    :param certificate_is_coming: whether this run issues another certificate in any case
    :param overwrites: whether the user asked to overwrite what somebody else made
    """

    action = ACTION
    proof = "asked of the service: enabled, thumbprint of the certificate compared"
    would = "enrol the device with its certificate"

    def __init__(
        self, enrolments: Enrolments, identity: OwnAzureIdentity, certificate_is_coming: bool, overwrites: bool
    ) -> None:
        self.title = f"Device enrolled in the {enrolments.shown}"
        self._enrolments = enrolments
        self._identity = identity
        self._certificate_is_coming = certificate_is_coming
        self._overwrites = overwrites
        self._replaced = ""

    def prepare(self) -> None:
        """What stands in the way is found before the kit is touched."""
        self._enrolments.check()
        certificate, device_id = self._identity.device, self._identity.device_id
        if certificate is None or device_id is None:
            return
        if self._certificate_is_coming:
            self._replaced = thumbprint(certificate, self._enrolments)
        self._not_foreign(self._compare(certificate, self._enrolments.find(device_id)))

    def check(self, progress: Progress) -> Finding:
        certificate, device_id = self._identity.device, self._identity.device_id
        if certificate is None or device_id is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        return self._not_foreign(self._compare(certificate, self._enrolments.find(device_id)))

    def apply(self, progress: Progress) -> str:
        certificate, device_id = self._identity.device, self._identity.device_id
        assert certificate is not None, "the device certificate is made before this step"
        assert device_id is not None, "our certificates have a name"
        found = self._enrolments.find(device_id)
        self._enrolments.enrol(device_id, certificate, found)
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
            is_replaced = found.thumbprint == self._replaced
            what = "its earlier certificate" if is_replaced else f"another certificate, {found.thumbprint[:16]}…"
            return Finding(State.DIFFERENT, f"enrolled with {what}", expected, foreign=not is_replaced)
        if not found.enabled:
            return Finding(State.DIFFERENT, "enrolled, but disabled", expected, foreign=True)
        return Finding(State.IN_PLACE, expected)

    def _not_foreign(self, finding: Finding) -> Finding:
        if finding.foreign and not self._overwrites:
            raise CloudError(
                f"The {self._enrolments.shown} knows the device {self._identity.device_id} otherwise: {finding.found}",
                "Somebody else did that. Nothing was changed.",
                "look at it; --force enrols the device with its own certificate",
            )
        return finding


class EnrolmentRemoved(Step):
    """The service does not know the kit any more.

    What is the kit's tells its secure element, whose serial number is the id, and its certificate in the store.

    :param confirm: asks the person, with what would be removed
    """

    action = "unprovision"
    proof = "asked of the service: no such device"
    would = "remove the device"

    def __init__(
        self,
        enrolments: Enrolments,
        target: Target,
        chip: Chip,
        files: DeviceFiles,
        confirm: Callable[[str], bool],
        force: bool,
    ) -> None:
        self.title = f"Kit out of the {enrolments.shown}"
        self._enrolments = enrolments
        self._target = target
        self._chip = chip
        self._files = files
        self._confirm = confirm
        self._force = force

    def prepare(self) -> None:
        """Whether there is such a service, and whether one may look, is found before the kit is touched."""
        self._enrolments.check()

    def check(self, progress: Progress) -> Finding:
        found = self._enrolments.find(self._device_id())
        if found is None:
            return Finding(State.IN_PLACE, f"no device {self._device_id()}")
        return Finding(State.DIFFERENT, f"device {self._device_id()}, {found.attestation or 'no certificate'}", "none")

    def apply(self, progress: Progress) -> str:
        device_id = self._device_id()
        found = self._enrolments.find(device_id)
        assert found is not None, "there is something to remove"
        kept = self._files.certificate()
        ours = kept is not None and found.thumbprint == thumbprint(kept, self._enrolments)
        if not ours and not self._force:
            raise CloudError(
                f"The {self._enrolments.shown} knows the device {device_id} with another certificate",
                "It is not the one that is in the store for this kit. Nothing was removed.",
                "look at it; --force removes it",
            )
        if not self._confirm(f"Remove the device {device_id} from the {self._enrolments.shown}"):
            raise UsageError("The kit was not taken out of Azure", "It was not agreed to. Nothing was changed.")
        self._enrolments.remove(device_id, found)
        return f"removed {device_id}"

    def _device_id(self) -> str:
        if self._target.provisioning is None:
            raise CannotKnowError("its id can be read only with the provisioning firmware in the MCU")
        return f"{COMMON_NAME_START}{self._chip.serial_number.hex().upper()}"
