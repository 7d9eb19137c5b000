"""The signer CA as the account knows it: registered, active, with automatic registration of its devices.

AWS identifies a certificate by the SHA-256 of its DER form. That is how it is found here, so that several signers may
share a subject and no text of an error is ever read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iotprovision.cloud.aws.account import Account
from iotprovision.errors import CloudError, ProofError
from iotprovision.findings import Finding, State


def certificate_id(certificate: x509.Certificate) -> str:
    """AWS IoT's identifier of a certificate: SHA-256 of the DER, 64 lower-case hexadecimal digits."""
    return certificate.fingerprint(SHA256()).hex()


class SignerRegistration:
    """The registration of one signer in one account.

    :param certificate: the signer's
    :param verification: makes the verification certificate for a registration code, signed with the signer's key
    :param clock: the time, with time zone
    """

    def __init__(
        self,
        account: Account,
        certificate: x509.Certificate,
        verification: Callable[[str], x509.Certificate],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.account = account
        self.certificate = certificate
        self.certificate_id = certificate_id(certificate)
        self._verification = verification
        self._clock = clock

    def state(self) -> Finding:
        """Ask the account; changes nothing.

        :raises CloudDeniedError: the profile may not look
        """
        answer = self.account.find("iot", "DescribeCACertificate", certificateId=self.certificate_id)
        if answer is None:
            return Finding(State.MISSING, "not registered")
        found = answer["certificateDescription"]
        if found["status"] != "ACTIVE":
            return Finding(State.DIFFERENT, f"registered, but {found['status']}")
        if found.get("autoRegistrationStatus") != "ENABLE":
            return Finding(State.DIFFERENT, "registered and active, but without automatic registration of devices")
        return Finding(State.IN_PLACE, f"registered, active, {self.certificate_id[:16]}…")

    def apply(self) -> None:
        """Register the signer, or activate the registration and its automatic registration of devices.

        :raises ProofError: the certificate or its verification certificate is not one that AWS would take
        :raises CloudDeniedError: the profile lacks a right
        :raises CloudError: the account refuses the certificate
        """
        finding = self.state()
        if finding.state is State.MISSING:
            self._register()
        elif not finding.in_place:
            self.account.call(
                "iot",
                "UpdateCACertificate",
                certificateId=self.certificate_id,
                newStatus="ACTIVE",
                newAutoRegistrationStatus="ENABLE",
            )

    def _register(self) -> None:
        self._check_authority()
        code = self.account.call("iot", "GetRegistrationCode")["registrationCode"]
        verification = self._verification(code)
        self._check_verification(verification, code)
        try:
            self.account.call(
                "iot",
                "RegisterCACertificate",
                caCertificate=_pem(self.certificate),
                verificationCertificate=_pem(verification),
                setAsActive=True,
                allowAutoRegistration=True,
            )
        except CloudError as error:
            if self.state().state is State.MISSING:
                raise CloudError(
                    "The account does not take the signer",
                    f"{error.what}\n{error.why}".strip(),
                    "AWS takes ten authorities of one subject, and one signer in one account of a region:\n"
                    f"aws iot list-ca-certificates --profile {self.account.profile}",
                ) from error
            # Another run was faster. Whatever it left open, the next check will tell.

    def _check_authority(self) -> None:
        """What AWS refuses with less to say about it."""
        try:
            authority = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            authority = False
        if not authority:
            raise ProofError("The signer's certificate is not that of an authority", "AWS registers no other ones.")
        self._check_dates(self.certificate, "signer's certificate")

    def _check_verification(self, verification: x509.Certificate, code: str) -> None:
        names = verification.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [name.value for name in names] != [code]:
            raise ProofError("The verification certificate does not carry the account's registration code")
        try:
            verification.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise ProofError("The verification certificate is not signed by the signer", str(error)) from error
        self._check_dates(verification, "verification certificate")

    def _check_dates(self, certificate: x509.Certificate, name: str) -> None:
        if not certificate.not_valid_before_utc <= self._clock() <= certificate.not_valid_after_utc:
            raise ProofError(
                f"The {name} is not in date",
                f"It is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}.",
                "look at the clock of this computer",
            )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
