"""What an AWS account has of kits and of their signer, compared with what it should have."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cryptography import x509

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import is_unreachable
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration, DeviceStatus
from iotprovision.cloud.aws.jitr_lambda import POLICY
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.signer_registration import SignerRegistration, certificate_id
from iotprovision.errors import CloudDeniedError, CloudError, ProvisioningError
from iotprovision.findings import Finding, State
from iotprovision.inspection.looks import Look, different, missing, seen, unknown

CERTIFICATE, THING, POLICIES = "Certificate in the account", "Thing in the account", "Policies of the certificate"


class AccountStatus:
    """Asks one account. What it may not be asked is said to be unknown, and the rest is asked all the same.

    :param signer: that of the store; None where there is none
    :ivar error: the first thing that could not be asked, and why
    """

    def __init__(self, account: Account, signer: x509.Certificate | None) -> None:
        self._account = account
        self._signer = signer
        self._is_unreachable = False
        self.error: ProvisioningError | None = None

    def of_all(self) -> list[Look]:
        """What all kits of the account share."""
        return [
            *self._ask("AWS identity", self._identity),
            *self._ask("Policy of the devices", lambda: [_needed(DevicePolicy(self._account).state(), "all devices")]),
            *self._ask("JITR stack", lambda: [_needed(JitrStack(self._account).state(), "just-in-time registration")]),
            *self._ask("Signer in the account", self._signer_state),
        ]

    def endpoint(self, on_kit: str) -> list[Look]:
        """:param on_kit: the endpoint that the kit holds"""
        return self._ask("Endpoint of the account", lambda: [self._endpoint(on_kit)])

    def of_device(self, certificate: x509.Certificate | None, thing: str) -> list[Look]:
        """What it has of one kit.

        :param certificate: of the device; None where it is not known
        :param thing: its thing name; empty where it is not known
        """
        if not thing:
            return [missing(THING, "not asked for: nothing names the device; --deep reads it from the kit")]
        if certificate is None:
            return self._ask(THING, lambda: self._thing_alone(thing))
        registration = DeviceRegistration(self._account, certificate, thing)
        return self._ask(CERTIFICATE, lambda: self._device(registration.status()))

    def _ask(self, subject: str, look: Callable[[], Iterable[Look | Finding]]) -> list[Look]:
        if self._is_unreachable:
            return [Look(subject, Finding(State.UNKNOWN, "not asked: the account did not answer before"))]
        try:
            return [found if isinstance(found, Look) else Look(subject, found) for found in look()]
        except CloudDeniedError as error:
            self.error = self.error or error
            return [unknown(subject, error)]
        except CloudError as error:
            if is_unreachable(error):
                self._is_unreachable = True
            elif isinstance(error.__cause__, Exception):
                pass
            else:  # one of ours: the account has something that stands in the way
                return [different(subject, error.what, foreign=True)]
            self.error = self.error or error
            return [unknown(subject, error)]

    def _identity(self) -> list[Finding]:
        identity = self._account.identity()
        return [Finding(State.IN_PLACE, f"{identity['Arn']}, region {self._account.region}")]

    def _signer_state(self) -> list[Finding]:
        if self._signer is None:
            return [Finding(State.MISSING, "not asked for: there is no signer in the store")]
        return [
            _needed(
                SignerRegistration(self._account, self._signer, _no_verification).state(), "just-in-time registration"
            )
        ]

    def _endpoint(self, on_kit: str) -> Finding:
        host = self._account.iot_endpoint()
        if on_kit and on_kit != host:
            return Finding(State.DIFFERENT, f"the kit connects to {on_kit}", host, foreign=True)
        return Finding(State.IN_PLACE, host)

    def _device(self, status: DeviceStatus) -> list[Look]:
        identifier = status.certificate_id
        if not status.certificate_status:
            looks = [missing(CERTIFICATE, f"{identifier[:16]}… is not registered")]
        elif status.certificate_status != "ACTIVE":
            looks = [different(CERTIFICATE, f"{identifier[:16]}… is {status.certificate_status}", "ACTIVE")]
        else:
            looks = [seen(CERTIFICATE, f"{identifier[:16]}… is ACTIVE")]
        own = certificate_id(self._signer) if self._signer else ""
        if status.signer_id and status.signer_id != own:
            looks.append(
                different(
                    "Signer of the certificate",
                    f"registered under the CA certificate {status.signer_id[:16]}…, not that of the store",
                    foreign=True,
                )
            )
        looks.append(_thing(status))
        if status.certificate_status:
            looks.append(_policies(status))
        if status.other_certificates:
            others = ", ".join(arn.rpartition("/")[2] for arn in status.other_certificates)
            looks.append(different("Other certificates of the thing", others, "none", foreign=True))
        return looks

    def _thing_alone(self, thing: str) -> list[Look]:
        if self._account.find("iot", "DescribeThing", thingName=thing) is None:
            return [missing(THING, f"no thing {thing}")]
        principals = list(self._account.pages("iot", "ListThingPrincipals", "principals", thingName=thing))
        looks = [seen(THING, thing)]
        for arn in principals:
            identifier = arn.rpartition("/")[2]
            answer = self._account.find("iot", "DescribeCertificate", certificateId=identifier)
            state = answer["certificateDescription"]["status"] if answer else "not there"
            text = f"{identifier[:16]}… is {state}; whether it is the kit's cannot be told without --deep"
            looks.append(Look(CERTIFICATE, Finding(State.UNKNOWN, text)))
        return looks if principals else [*looks, missing(CERTIFICATE, "none attached to the thing")]


def _thing(status: DeviceStatus) -> Look:
    if not status.thing_exists:
        return missing(THING, f"no thing {status.thing_name}")
    if not status.certificate_attached:
        return different(THING, f"{status.thing_name}, without the certificate attached", "attached")
    return seen(THING, f"{status.thing_name}, with the certificate attached")


def _policies(status: DeviceStatus) -> Look:
    others = [name for name in status.policies if name != POLICY]
    if POLICY not in status.policies:
        return missing(POLICIES, f"{POLICY} is not attached" + (f"; attached: {', '.join(others)}" if others else ""))
    if others:
        return different(POLICIES, f"beside {POLICY}: {', '.join(others)}", POLICY, foreign=True)
    return seen(POLICIES, POLICY)


def _needed(finding: Finding, purpose: str) -> Finding:
    """What is missing is not always needed."""
    if finding.state is not State.MISSING:
        return finding
    return Finding(State.MISSING, f"{finding.found}; needed for {purpose}")


def _no_verification(code: str) -> x509.Certificate:
    raise AssertionError("nothing is registered by looking")
