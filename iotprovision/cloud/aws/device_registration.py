"""A device as the account knows it: its certificate, its thing, and what ties them together.

With just-in-time registration the account's Lambda makes all that at the first connection and this module only looks;
with multi-account registration it is made here, before the device ever connects.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import EXISTS, code
from iotprovision.cloud.aws.jitr_lambda import POLICY, thing_name
from iotprovision.cloud.aws.signer_registration import certificate_id
from iotprovision.errors import CloudError
from iotprovision.findings import Finding, State

# What somebody decided about a certificate, and how it is taken back; all other states only lack activation.
_DECIDED = {
    "REVOKED": "Somebody took the device out of the account.\n"
    "aws iot update-certificate --certificate-id {id} --new-status ACTIVE --profile {profile}",
    "PENDING_TRANSFER": "It waits for another account to accept it.\n"
    "aws iot cancel-certificate-transfer --certificate-id {id} --profile {profile}",
}


@dataclass(frozen=True)
class DeviceStatus:
    """What the account has of one device.

    :param certificate_arn: empty when the certificate is not known
    :param certificate_status: ``ACTIVE``, ``PENDING_ACTIVATION``, ...; empty when the certificate is not known
    :param signer_id: the registered authority that the certificate came from, empty when there is none
    :param policies: names of those attached to the certificate
    :param other_certificates: ARNs of those attached to the thing beside this one
    """

    certificate_id: str
    certificate_arn: str
    certificate_status: str
    signer_id: str
    thing_name: str
    thing_exists: bool
    certificate_attached: bool
    policies: tuple[str, ...]
    other_certificates: tuple[str, ...]

    @property
    def gaps(self) -> list[str]:
        """What is missing for the device to work, in words; empty when all is there."""
        checks = (
            (not self.certificate_status, "the certificate is not registered"),
            (self.certificate_status not in ("", "ACTIVE"), f"the certificate is {self.certificate_status}"),
            (not self.thing_exists, f"there is no thing {self.thing_name}"),
            (self.thing_exists and not self.certificate_attached, "the certificate is not attached to the thing"),
            (POLICY not in self.policies, f"the policy {POLICY} is not attached to the certificate"),
        )
        return [text for applies, text in checks if applies]

    @property
    def finding(self) -> Finding:
        """The same in one word."""
        if not self.certificate_status and not self.thing_exists:
            return Finding(State.MISSING, "the account has not seen the device yet")
        if self.gaps:
            return Finding(State.DIFFERENT, "; ".join(self.gaps))
        return Finding(State.IN_PLACE, f"thing {self.thing_name} with an active certificate and its policy")


class DeviceRegistration:
    """One device in one account.

    :param thing: what the device calls itself, the key identifier of its certificate
    """

    def __init__(self, account: Account, certificate: x509.Certificate, thing: str) -> None:
        self.account = account
        self.certificate_id = certificate_id(certificate)
        self.thing_name = thing
        self._certificate = certificate

    def state(self) -> Finding:
        """:raises CloudDeniedError: the profile may not look"""
        return self.status().finding

    def status(self) -> DeviceStatus:
        """Certificate, thing and what ties them together.

        :raises CloudDeniedError: the profile may not look
        """
        answer = self.account.find("iot", "DescribeCertificate", certificateId=self.certificate_id)
        certificate = answer["certificateDescription"] if answer else {}
        thing = self.account.find("iot", "DescribeThing", thingName=self.thing_name)
        arn = certificate.get("certificateArn", "")
        principals = tuple(
            self.account.pages("iot", "ListThingPrincipals", "principals", thingName=self.thing_name) if thing else ()
        )
        policies = self.account.pages("iot", "ListAttachedPolicies", "policies", target=arn) if arn else ()
        return DeviceStatus(
            self.certificate_id,
            arn,
            certificate.get("status", ""),
            certificate.get("caCertificateId", ""),
            self.thing_name,
            thing is not None,
            arn in principals,
            tuple(policy["policyName"] for policy in policies),
            tuple(principal for principal in principals if ":cert/" in principal and principal != arn),
        )

    def check_not_decided_otherwise(self, status: DeviceStatus) -> None:
        """:raises CloudError: somebody gave the certificate a state that is not this tool's to change"""
        reason = _DECIDED.get(status.certificate_status)
        if reason is None:
            return
        why, command = reason.format(id=self.certificate_id, profile=self.account.profile).splitlines()
        raise CloudError(
            f"The account knows the certificate of the device, and it is {status.certificate_status}",
            f"{why} It is {self.certificate_id}.",
            f"{command}\nor run again with --fdev: the device gets another certificate for the same key",
        )

    def register(self) -> None:
        """Register the certificate without its authority, make the thing, tie both together, let the device in.

        Only what is missing is made; whatever another run or a repeated call made first is taken as it is.

        :raises CloudDeniedError: the profile lacks a right
        :raises CloudError: the certificate was revoked or is being transferred, or the account refuses it
        """
        status = self.status()
        if not status.certificate_status:
            pem = self._certificate.public_bytes(Encoding.PEM).decode("ascii")
            self._unless_there("RegisterCertificateWithoutCA", certificatePem=pem, status="ACTIVE")
            status = self.status()
        self.check_not_decided_otherwise(status)
        if not status.thing_exists:
            self._unless_there("CreateThing", thingName=self.thing_name)
        if POLICY not in status.policies:
            self.account.call("iot", "AttachPolicy", policyName=POLICY, target=status.certificate_arn)
        if not status.certificate_attached:
            self.account.call(
                "iot", "AttachThingPrincipal", thingName=self.thing_name, principal=status.certificate_arn
            )
        if status.certificate_status != "ACTIVE":
            self.account.call("iot", "UpdateCertificate", certificateId=self.certificate_id, newStatus="ACTIVE")

    def detach_earlier(self) -> list[str]:
        """Detach from the thing the other certificates of the same key. They stay in the account.

        :returns: their identifiers
        """
        detached = []
        for arn in self.status().other_certificates:
            identifier = arn.rpartition("/")[2]
            if self._is_of_this_device(identifier):
                self.account.call("iot", "DetachThingPrincipal", thingName=self.thing_name, principal=arn)
                detached.append(identifier)
        return detached

    def _is_of_this_device(self, identifier: str) -> bool:
        answer = self.account.find("iot", "DescribeCertificate", certificateId=identifier)
        if answer is None:
            return False
        pem = answer["certificateDescription"]["certificatePem"]
        return thing_name(ssl.PEM_cert_to_DER_cert(pem.strip())) == self.thing_name

    def _unless_there(self, operation: str, **parameters: str) -> None:
        self.account.find("iot", operation, lambda error: code(error) == EXISTS, **parameters)
