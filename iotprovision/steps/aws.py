"""What is put into an AWS account: what devices and their signer need, and the registration of a device."""

from __future__ import annotations

import time
from collections.abc import Callable

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration, DeviceStatus
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.errors import CloudError, ProofError
from iotprovision.findings import Finding, State
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.steps.identity import Identity
from iotprovision.steps.step import About, Progress, Step

CERTS = "certs"
CONNECTION_WAIT = 60.0
"""Seconds that a kit which was just told its Wi-Fi network may take to connect twice."""


class PolicyOfDevices(Step):
    """The policy that lets devices act as their own thing."""

    title = "Policy of the devices in the account"
    action = CERTS
    about = About.ACCOUNT
    proof = "document in force compared in the account"
    would = "create the policy, or put a new version of it in force"

    def __init__(self, account: Account, overwrites: bool) -> None:
        self._policy = DevicePolicy(account)
        self._overwrites = overwrites

    def prepare(self) -> None:
        not_foreign(self._policy.state(), self._overwrites)

    def check(self, progress: Progress) -> Finding:
        return not_foreign(self._policy.state(), self._overwrites)

    def apply(self, progress: Progress) -> str:
        self._policy.apply()
        return f"now {self._policy.state().found}"


class StackDeployed(Step):
    """The stack that registers devices at their first connection."""

    title = "JITR stack in the account"
    action = CERTS
    about = About.ACCOUNT
    proof = "template and parts compared in the account"
    would = "create or update the stack"
    forced_by = frozenset({"faws"})

    def __init__(self, account: Account, overwrites: bool) -> None:
        self._account = account
        self._stack = JitrStack(account)
        self._overwrites = overwrites

    def prepare(self) -> None:
        """Rights that are missing are found before anything is made."""
        self._account.identity()
        not_foreign(self._stack.state(), self._overwrites)

    def check(self, progress: Progress) -> Finding:
        return not_foreign(self._stack.state(), self._overwrites)

    def apply(self, progress: Progress) -> str:
        # By now another run may have deployed it, which is no reason to replace it.
        self._stack.apply(anew=self.found is not None and self.found.in_place)
        return "deployed"


class SignerRegistered(Step):
    """The account knows the signer and registers its devices by itself."""

    title = "Signer registered with the account"
    action = CERTS
    about = About.ACCOUNT
    proof = "asked of the account: active, auto-registration on"
    would = "register the signer"

    def __init__(self, account: Account, authority: Authority) -> None:
        self._account = account
        self._authority = authority

    def prepare(self) -> None:
        """What registers the signer is signed with its key: one that cannot sign is found before anything is made."""
        finding = self.check(lambda done, total: None)
        if finding.state is State.MISSING and self._authority.state() is AuthorityState.COMPLETE:
            _ = self._authority.signer_key

    def check(self, progress: Progress) -> Finding:
        if self._authority.state() is not AuthorityState.COMPLETE:
            return Finding(State.MISSING, "there is no signer yet")
        return self._registration().state()

    def apply(self, progress: Progress) -> str:
        self._registration().apply()
        return "registered, active, auto-registration on"

    def _registration(self) -> SignerRegistration:
        return SignerRegistration(self._account, self._authority.signer, self._authority.verification_certificate)


class DeviceRegistered(Step):
    """The account knows the device before it ever connects.

    :param policy_is_coming: whether this run puts the policy in place
    :param certificate_is_coming: whether this run issues another certificate in any case
    :param detaches: whether earlier certificates of the device are detached from its thing
    """

    title = "Device registered with the account"
    action = "provision"
    about = About.ACCOUNT
    proof = "asked of the account: certificate active, thing and policy attached"
    would = "register the certificate, make the thing, attach thing and policy"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        account: Account,
        identity: Identity,
        policy_is_coming: bool,
        certificate_is_coming: bool,
        detaches: bool,
    ) -> None:
        self._account = account
        self._identity = identity
        self._policy_is_coming = policy_is_coming
        self._certificate_is_coming = certificate_is_coming
        self._detaches = detaches
        self._replaced = ""

    def prepare(self) -> None:
        """What stands in the way is found before the kit is touched."""
        if not self._policy_is_coming:
            finding = DevicePolicy(self._account).state()
            if not finding.in_place:
                raise CloudError(
                    "The account is not ready for devices", f"Found: {finding.found}.", "run the action certs first"
                )
        registration = self._registration()
        if registration is None:
            return
        if self._certificate_is_coming:
            self._replaced = registration.certificate_id
        else:
            registration.check_not_decided_otherwise(registration.status())

    def check(self, progress: Progress) -> Finding:
        registration = self._registration()
        if registration is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        if registration.certificate_id == self._replaced:  # only in a dry run, which issues none
            return Finding(State.MISSING, "the certificate that is coming is not registered")
        status = registration.status()
        found = status.finding
        return Finding(found.state, found.found + _remarks(status)) if found.in_place else found

    def apply(self, progress: Progress) -> str:
        registration = self._registration()
        assert registration is not None, "the device certificate is made before this step"
        registration.register()
        detached = registration.detach_earlier() if self._detaches else []
        done = f"thing {registration.thing_name}, certificate {registration.certificate_id[:16]}… active"
        if detached:
            done += f"; detached from the thing: {', '.join(detached)}"
        return done + _remarks(registration.status())

    def _registration(self) -> DeviceRegistration | None:
        certificate, thing = self._identity.device, self._identity.thing_name
        if certificate is None or thing is None:
            return None
        return DeviceRegistration(self._account, certificate, thing)


def _remarks(status: DeviceStatus) -> str:
    """What is worth knowing about a device that works."""
    remarks = []
    if status.signer_id:
        remarks.append(f"registered under the CA certificate {status.signer_id[:16]}…")
    if status.other_certificates:
        others = ", ".join(arn.rpartition("/")[2] for arn in status.other_certificates)
        remarks.append(f"still attached to the thing, from before: {others} (docs/aws-setup.md: how to remove it)")
    return "".join(f"; {remark}" for remark in remarks)


class DeviceInAccount(Step):
    """Thing, active certificate and policy of the device, as its first connection makes them.

    :param expected: whether the kit has been told how to connect, so that the account must know it
    """

    title = "Proof: the device in the account"
    action = "verify"
    about = About.ACCOUNT
    proof = "asked of the account"
    would = "ask the account"

    def __init__(
        self,
        account: Account,
        identity: Identity,
        expected: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._identity = identity
        self._expected = expected
        self._clock = clock
        self._sleep = sleep

    def check(self, progress: Progress) -> Finding:
        deadline = self._clock() + CONNECTION_WAIT
        while True:
            finding = self._look()
            if finding.in_place or not self._expected or self._clock() > deadline:
                break
            self._sleep(1.0)
        if finding.state is State.MISSING and not self._expected:
            return Finding(State.IN_PLACE, "not there yet: it registers itself at its first connection")
        return finding

    def apply(self, progress: Progress) -> str:
        raise ProofError(
            "The account does not have the device as it should",
            f"It says: {self._look().found}.",
            "look at the log of the Lambda in CloudWatch, and at the kit's console for its Wi-Fi connection",
        )

    def _look(self) -> Finding:
        certificate, thing = self._identity.device, self._identity.thing_name
        if certificate is None or thing is None:
            return Finding(State.MISSING, "there is no device certificate")
        return DeviceRegistration(self._account, certificate, thing).state()


def not_foreign(finding: Finding, overwrites: bool) -> Finding:
    """The same finding.

    :param overwrites: whether the user asked to overwrite what somebody else made
    :raises CloudError: somebody else made the difference, and the user did not
    """
    if finding.foreign and not overwrites:
        raise CloudError(
            f"The account has something of the same name that this tool did not make: {finding.found}",
            "Nothing was changed.",
            "look at it; --force puts what this tool needs in its place",
        )
    return finding
