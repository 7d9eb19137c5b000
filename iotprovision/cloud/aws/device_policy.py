"""The policy that all devices share: what a device may do, in the words of the account."""

from __future__ import annotations

import json
from typing import Any

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import EXISTS, code
from iotprovision.cloud.aws.jitr_lambda import POLICY, policy
from iotprovision.findings import Finding, State

MOST_VERSIONS = 5  # of one policy; AWS makes no sixth


class DevicePolicy:
    """The policy ``iotprovision-device-v1``; the document is the one that the Lambda function of the stack uses."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def state(self) -> Finding:
        """Compare the document that is in force with what should be; changes nothing.

        :raises CloudDeniedError: the profile may not look
        """
        found = self.account.find("iot", "GetPolicy", policyName=POLICY)
        if found is None:
            return Finding(State.MISSING, f"no policy {POLICY}")
        version = f"{POLICY}, version {found['defaultVersionId']}"
        if json.loads(found["policyDocument"]) != self._document():
            return Finding(State.DIFFERENT, f"{version}, has other content", foreign=True)
        return Finding(State.IN_PLACE, version)

    def apply(self) -> None:
        """Create the policy, or put the right document in force as a new version.

        The version that was in force stays in the account, unless there is no room: then the oldest of those that
        are not in force goes.

        :raises CloudDeniedError: the profile lacks a right
        """
        finding = self.state()
        text = json.dumps(self._document())
        if finding.state is State.MISSING:
            # A device that registers itself at this moment may be faster; the next check looks at what it made.
            self.account.find(
                "iot",
                "CreatePolicy",
                lambda error: code(error) == EXISTS,
                policyName=POLICY,
                policyDocument=text,
            )
        elif not finding.in_place:
            self._make_room()
            self.account.call("iot", "CreatePolicyVersion", policyName=POLICY, policyDocument=text, setAsDefault=True)

    def _make_room(self) -> None:
        versions = self.account.call("iot", "ListPolicyVersions", policyName=POLICY)["policyVersions"]
        if len(versions) < MOST_VERSIONS:
            return
        spare = [version["versionId"] for version in versions if not version["isDefaultVersion"]]
        # Versions are numbered as they are made.
        self.account.call("iot", "DeletePolicyVersion", policyName=POLICY, policyVersionId=min(spare, key=int))

    def _document(self) -> dict[str, Any]:
        identity = self.account.identity()
        partition = identity["Arn"].split(":")[1]
        return policy(f"arn:{partition}:iot:{self.account.region}:{identity['Account']}")
