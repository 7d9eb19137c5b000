"""A device as the account knows it after its first connection. Only looks; the account's Lambda does the work."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_lambda import POLICY
from iotprovision.cloud.aws.signer_registration import certificate_id
from iotprovision.findings import Finding, State


@dataclass(frozen=True)
class DeviceStatus:
    """What the account has of one device.

    :param certificate_status: ``ACTIVE``, ``PENDING_ACTIVATION``, ...; empty when the certificate is not known
    :param signer_id: the registered authority that the certificate came from, empty when there is none
    :param policies: names of those attached to the certificate
    """

    certificate_id: str
    certificate_status: str
    signer_id: str
    thing_name: str
    thing_exists: bool
    certificate_attached: bool
    policies: tuple[str, ...]

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


class DeviceRegistration:
    """One device in one account.

    :param thing_name: what the device calls itself, the key identifier of its certificate
    """

    def __init__(self, account: Account, certificate: x509.Certificate, thing_name: str) -> None:
        self.account = account
        self.certificate_id = certificate_id(certificate)
        self.thing_name = thing_name

    def state(self) -> Finding:
        """:raises CloudDeniedError: the profile may not look"""
        status = self.status()
        if not status.certificate_status and not status.thing_exists:
            return Finding(State.MISSING, "the account has not seen the device yet")
        if status.gaps:
            return Finding(State.DIFFERENT, "; ".join(status.gaps))
        return Finding(State.IN_PLACE, f"thing {self.thing_name} with an active certificate and its policy")

    def status(self) -> DeviceStatus:
        """Certificate, thing and what ties them together.

        :raises CloudDeniedError: the profile may not look
        """
        answer = self.account.find("iot", "DescribeCertificate", certificateId=self.certificate_id)
        certificate = answer["certificateDescription"] if answer else {}
        thing = self.account.find("iot", "DescribeThing", thingName=self.thing_name)
        arn = certificate.get("certificateArn", "")
        principals = (
            self.account.pages("iot", "ListThingPrincipals", "principals", thingName=self.thing_name) if thing else ()
        )
        policies = self.account.pages("iot", "ListAttachedPolicies", "policies", target=arn) if arn else ()
        return DeviceStatus(
            self.certificate_id,
            certificate.get("status", ""),
            certificate.get("caCertificateId", ""),
            self.thing_name,
            thing is not None,
            arn in set(principals),
            tuple(policy["policyName"] for policy in policies),
        )
