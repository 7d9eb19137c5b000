"""The CloudFormation stack that registers devices at their first connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import code, denied_action
from iotprovision.cloud.aws.jitr_parts import JitrParts
from iotprovision.cloud.aws.jitr_template import STACK, TAG, is_as_deployed, template
from iotprovision.errors import CloudDeniedError, CloudError
from iotprovision.findings import Finding, State

# Creating the role takes AWS 15 to 30 s, the whole stack about a minute.
STACK_TIMEOUT = 300.0
FIRST_POLL = 0.1
# DescribeStacks is throttled per account; a look every three seconds disturbs nobody.
SLOWEST_POLL = 3.0

_SOUND = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
_DEAD = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"}


class JitrStack:
    """The stack ``iotprovision-jitr`` of an account.

    :param sleep: how to pass the time between two looks at a stack that is being changed
    """

    def __init__(self, account: Account, sleep: Callable[[float], None] = time.sleep) -> None:
        self.account = account
        self._sleep = sleep
        self._parts = JitrParts(account)

    def state(self) -> Finding:
        """Compare what is deployed with what should be; changes nothing.

        :raises CloudDeniedError: the profile may not look
        :raises CloudError: a stack of this name is not ours to change
        """
        return self._finding(self._describe(STACK))

    def _finding(self, stack: dict[str, Any] | None) -> Finding:
        if stack is None:
            strays = self._parts.strays()
            # Parts without a stack may be those of a stack that another run has just begun to make.
            stack = self._describe(STACK) if strays else None
            if stack is None:
                return _in_the_way(strays) if strays else Finding(State.MISSING, "no stack")
        self._check_ours(stack)
        status = stack["StackStatus"]
        return self._difference(status) or Finding(State.IN_PLACE, f"stack {STACK} ({status})")

    def apply(self, anew: bool = False) -> None:
        """Create the stack, update it, or replace it where an update cannot help. Bounded by ``STACK_TIMEOUT``.

        What somebody else changed is overwritten; whether that is wanted is asked before.

        :param anew: replace it even where it is as it should be
        :raises CloudDeniedError: the profile lacks a right, also one that CloudFormation uses in its name
        :raises CloudError: the stack belongs to someone else, failed, or did not come to an end in time
        """
        # What is done goes by the stack that was judged: one that another run makes meanwhile must not be deleted.
        stack = self._at_rest()
        finding = self._finding(stack)
        if finding.in_place and not anew:
            return
        if stack is not None and (stack["StackStatus"] in _DEAD or self._template_is_current()):
            # A failed stack cannot be updated, and an update with the same template repairs nothing.
            self._delete(stack["StackId"])
            stack = None
        if stack is None:
            if finding.foreign:
                self._parts.remove_strays()
            self._create()
        else:
            self._update(stack["StackId"])

    def _at_rest(self) -> dict[str, Any] | None:
        """The stack, as another run left it, or one that was interrupted: its work may be just what is wanted."""
        stack = self._describe(STACK)
        while stack is not None and stack["StackStatus"].endswith("_IN_PROGRESS"):
            self._wait(stack["StackId"])
            stack = self._describe(STACK)
        return stack

    def _create(self) -> None:
        # Nothing is answered when another run was faster; then its stack is waited for.
        answer = self.account.find(
            "cloudformation",
            "CreateStack",
            lambda error: code(error) == "AlreadyExistsException",
            TimeoutInMinutes=5,
            **self._request(),
        )
        self._expect(answer["StackId"] if answer else STACK, {"CREATE_COMPLETE"}, "could not be created")

    def _update(self, stack_id: str) -> None:
        self.account.call("cloudformation", "UpdateStack", **self._request())
        self._expect(stack_id, {"UPDATE_COMPLETE"}, "could not be updated")

    def _delete(self, stack_id: str) -> None:
        self.account.call("cloudformation", "DeleteStack", StackName=stack_id)
        self._expect(stack_id, {"DELETE_COMPLETE", ""}, "could not be deleted")

    def _request(self) -> dict[str, Any]:
        return {
            "StackName": STACK,
            "TemplateBody": template(),
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [TAG],
        }

    def _describe(self, name: str) -> dict[str, Any] | None:
        # CloudFormation has no error of its own for a stack that is not there; with a valid name it is this one.
        answer = self.account.find(
            "cloudformation", "DescribeStacks", lambda error: code(error) == "ValidationError", StackName=name
        )
        stacks = answer["Stacks"] if answer else []
        return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None

    def _check_ours(self, stack: dict[str, Any]) -> None:
        status = stack["StackStatus"]
        if TAG not in stack.get("Tags", []):
            obstacle = "This tool did not make it."
        elif status in _SOUND | _DEAD or status.endswith("_IN_PROGRESS"):
            return
        else:
            obstacle = "This tool does not know what that state means."
        raise CloudError(
            f"A stack {STACK} is in the way ({status})",
            obstacle,
            f"look at it, delete it if nobody needs it, and run again:\n"
            f"aws cloudformation delete-stack --stack-name {STACK} --profile {self.account.profile}",
        )

    def _difference(self, status: str) -> Finding | None:
        """What is not as it should be, that applying makes right; None when all is well."""
        if status.endswith("_IN_PROGRESS"):
            return Finding(State.DIFFERENT, f"the stack is being changed ({status})")
        if status == "ROLLBACK_COMPLETE" and (strays := self._parts.strays()):
            return _in_the_way(strays)
        if status in _DEAD:
            return Finding(State.DIFFERENT, f"the stack failed ({status})")
        if not self._template_is_current():
            if is_as_deployed(self._deployed()):
                return Finding(State.DIFFERENT, "the stack is of another version of this tool")
            return Finding(State.DIFFERENT, "the template of the stack was edited by somebody else", foreign=True)
        return self._parts.difference()

    def _template_is_current(self) -> bool:
        return bool(self._deployed() == json.loads(template()))

    def _deployed(self) -> dict[str, Any]:
        # boto3 hands out JSON templates parsed, other ones as text; those are not of this tool.
        body = self.account.call("cloudformation", "GetTemplate", StackName=STACK)["TemplateBody"]
        return body if isinstance(body, dict) else {}

    def _wait(self, stack_id: str) -> str:
        """The state the stack comes to rest in, empty when it is gone."""
        poll, deadline = FIRST_POLL, time.monotonic() + STACK_TIMEOUT
        while True:
            stack = self._describe(stack_id)
            status = stack["StackStatus"] if stack else ""
            if not status.endswith("_IN_PROGRESS"):
                return status
            if time.monotonic() > deadline:
                raise CloudError(
                    f"The stack {STACK} does not come to an end",
                    f"It is {status} for {STACK_TIMEOUT:.0f} s.",
                    "look at its events in the AWS console, and run again when it has ended",
                )
            self._sleep(poll)
            poll = min(poll * 1.5, SLOWEST_POLL)

    def _expect(self, stack_id: str, wanted: set[str], complaint: str) -> None:
        status = self._wait(stack_id)
        if status in wanted:
            return
        reasons = self._failures(stack_id)
        denied = denied_action("\n".join(reasons))
        if denied:
            raise CloudDeniedError(
                f"The AWS profile {self.account.profile!r} may not do {denied}",
                f"The stack {STACK} {complaint} ({status}).\n" + "\n".join(reasons),
                f"give the profile the right {denied}; docs/aws-setup.md has the whole policy",
            )
        raise CloudError(
            f"The stack {STACK} {complaint} ({status})",
            "\n".join(reasons) or "Its events give no reason.",
            "run again when the cause is gone; a failed stack is replaced",
        )

    def _failures(self, stack_id: str) -> list[str]:
        """Why resources failed in the last operation on the stack, first cause first."""
        reasons: list[str] = []
        for event in self.account.pages("cloudformation", "DescribeStackEvents", "StackEvents", StackName=stack_id):
            status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
            if event.get("PhysicalResourceId") == stack_id and reason == "User Initiated":
                break  # events come latest first; this one began the operation
            if status.endswith("_FAILED") and "cancelled" not in reason:
                reasons.append(f"{event['LogicalResourceId']}: {reason}")
        return list(dict.fromkeys(reversed(reasons)))[:5]


def _in_the_way(strays: list[str]) -> Finding:
    return Finding(State.DIFFERENT, f"no stack, but {' and '.join(strays)} of the same name", foreign=True)
