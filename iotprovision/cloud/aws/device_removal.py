"""A device taken out of an account: its certificates and its thing, and nothing of any other device.

What is a device's is told by its key. A certificate is the device's when its public key is the one in the secure
element; a thing is the device's when it is called as that key. A certificate is found by its identifier, where that is
known, or because it is attached to the thing.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import ABSENT, code
from iotprovision.cloud.aws.jitr_lambda import thing_name
from iotprovision.errors import CloudDeniedError, CloudError

_ACTIVE = "ACTIVE"
_STILL_ATTACHED = {"DeleteConflictException", "InvalidRequestException"}
DETACHING = 30.0
"""Seconds. AWS detaches a certificate from a thing in its own time, "several seconds" (API reference,
DetachThingPrincipal), and deletes neither as long as it has not."""
PAUSE = 1.0
"""Seconds between two tries."""


@dataclass(frozen=True)
class RegisteredCertificate:
    """A certificate of the device in the account.

    :param things: names of those it is attached to
    """

    identifier: str
    arn: str
    status: str
    policies: tuple[str, ...]
    things: tuple[str, ...]


@dataclass(frozen=True)
class Belongings:
    """What an account has of one device.

    :param strangers: ARNs attached to its thing that are none of the device's certificates
    :param strange_things: things of other names that a certificate of the device is attached to
    """

    thing: str
    thing_exists: bool
    certificates: tuple[RegisteredCertificate, ...]
    strangers: tuple[str, ...]
    strange_things: tuple[str, ...]

    @property
    def removes_thing(self) -> bool:
        """A thing that something else is attached to stays: it is not the device's alone."""
        return self.thing_exists and not self.strangers

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be removed."""
        return not self.certificates and not self.removes_thing

    @property
    def identifiers(self) -> list[str]:
        return [certificate.identifier for certificate in self.certificates]

    def shown(self) -> str:
        """What would be removed, for a person."""
        parts = [f"thing {self.thing}"] if self.removes_thing else []
        for certificate in self.certificates:
            attached = f" with the policy {', '.join(certificate.policies)} attached" if certificate.policies else ""
            parts.append(f"certificate {certificate.identifier[:16]}… ({certificate.status}){attached}")
        return ", ".join(parts)

    def remark(self) -> str:
        """What stays, and why; empty for nothing."""
        if not self.strangers:
            return ""
        others = ", ".join(arn.rpartition("/")[2] for arn in self.strangers)
        return f"the thing {self.thing} stays: something else is attached to it: {others}"


class DeviceRemoval:
    """Removal of one device from one account.

    :param thing: the key identifier of the device's certificate, which is what its thing is called
    """

    def __init__(
        self,
        account: Account,
        thing: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._thing = thing
        self._clock = clock
        self._sleep = sleep

    def look(self, identifiers: Iterable[str]) -> Belongings:
        """What the account has of the device; changes nothing.

        :param identifiers: of certificates that may be the device's; those of other keys are left out
        :raises CloudDeniedError: the profile may not look
        """
        found = self._account.find("iot", "DescribeThing", thingName=self._thing)
        principals = list(
            self._account.pages("iot", "ListThingPrincipals", "principals", thingName=self._thing) if found else ()
        )
        attached = [arn.rpartition("/")[2] for arn in principals if ":cert/" in arn]
        candidates = dict.fromkeys([*identifiers, *attached])
        certificates = [each for each in map(self._own_certificate, candidates) if each is not None]
        own = {certificate.arn for certificate in certificates}
        things = dict.fromkeys(thing for certificate in certificates for thing in certificate.things)
        return Belongings(
            self._thing,
            found is not None,
            tuple(certificates),
            tuple(arn for arn in principals if arn not in own),
            tuple(thing for thing in things if thing != self._thing),
        )

    def remove(self, belongings: Belongings, detach_elsewhere: bool) -> list[str]:
        """Remove what was found.

        Each certificate is shut out first, so that the device cannot come back while it is being removed.

        :param detach_elsewhere: whether a certificate of the device is detached from things of other names too
        :returns: what was done, for a person
        :raises CloudError: a certificate is attached to another thing; or the account refused or could not be reached,
            and then the error says what had been done
        """
        if belongings.strange_things and not detach_elsewhere:
            raise CloudError(
                f"A certificate of the kit is attached to another thing too: {', '.join(belongings.strange_things)}",
                f"The kit's own thing is {self._thing}. Somebody attached it there; nothing was removed.",
                "detach it there, or let it be detached with --force",
            )
        done: list[str] = []
        try:
            for certificate in belongings.certificates:
                self._remove_certificate(certificate, done.append)
            if belongings.removes_thing:
                self._delete("DeleteThing", thingName=self._thing)
                done.append(f"deleted the thing {self._thing}")
        except (CloudError, CloudDeniedError) as error:
            raise type(error)(
                f"{error.what}; the kit is not out of the account yet",
                f"{error.why}\nDone before: {'; '.join(done) or 'nothing'}.".lstrip(),
                f"{error.hint}\nthen the same command again: it goes on from there".lstrip(),
            ) from error
        return done

    def _remove_certificate(self, certificate: RegisteredCertificate, tell: Callable[[str], None]) -> None:
        name = f"certificate {certificate.identifier[:16]}…"
        if certificate.status == _ACTIVE:
            self._account.call("iot", "UpdateCertificate", certificateId=certificate.identifier, newStatus="INACTIVE")
            tell(f"deactivated the {name}")
        for policy in certificate.policies:
            self._account.call("iot", "DetachPolicy", policyName=policy, target=certificate.arn)
            tell(f"detached the policy {policy}")
        for thing in certificate.things:
            self._account.call("iot", "DetachThingPrincipal", thingName=thing, principal=certificate.arn)
            tell(f"detached the {name} from the thing {thing}")
        self._delete("DeleteCertificate", certificateId=certificate.identifier)
        tell(f"deleted the {name}")

    def _delete(self, operation: str, **parameters: str) -> None:
        """Delete, and wait for AWS where it still knows of what was just detached."""
        deadline = self._clock() + DETACHING
        while True:
            refusals: list[str] = []

            def will_pass(error: ClientError, refusals: list[str] = refusals) -> bool:
                if code(error) in _STILL_ATTACHED and self._clock() < deadline:
                    refusals.append(code(error))
                    return True
                return code(error) in ABSENT

            self._account.find("iot", operation, will_pass, **parameters)
            if not refusals:
                return
            self._sleep(PAUSE)

    def _own_certificate(self, identifier: str) -> RegisteredCertificate | None:
        answer = self._account.find("iot", "DescribeCertificate", certificateId=identifier)
        if answer is None:
            return None
        description = answer["certificateDescription"]
        if thing_name(ssl.PEM_cert_to_DER_cert(description["certificatePem"].strip())) != self._thing:
            return None
        arn = description["certificateArn"]
        policies = self._account.pages("iot", "ListAttachedPolicies", "policies", target=arn)
        things = self._account.pages("iot", "ListPrincipalThings", "things", principal=arn)
        return RegisteredCertificate(
            identifier, arn, description["status"], tuple(policy["policyName"] for policy in policies), tuple(things)
        )
