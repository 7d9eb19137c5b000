"""What is put into an AWS account for its devices: the policy they share, and for a single device its registration."""

from __future__ import annotations

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration, DeviceStatus
from iotprovision.errors import CloudError
from iotprovision.findings import Finding, State
from iotprovision.steps.foreign import not_foreign
from iotprovision.steps.identity import Identity
from iotprovision.steps.step import About, Progress, Step


class PolicyOfDevices(Step):
    """The policy that lets devices act as their own thing."""

    title = "Policy of the devices in the account"
    action = "certs"
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
