"""The parts of the stack as they stand in the account: somebody may have changed them behind CloudFormation's back."""

from __future__ import annotations

import contextlib
import io
import zipfile
from typing import Any

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_template import FUNCTION, HANDLER, RIGHTS, RULE, SQL, rights, source
from iotprovision.findings import Finding, State


class JitrParts:
    """Rule, function and role that register devices, each looked at by itself."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def difference(self) -> Finding | None:
        """What somebody changed or removed; None when the parts are as they were deployed and work together."""
        # GetTopicRule answers "unauthorized" for a rule that is not there, so the list is asked first.
        listed = self._listed_rule()
        if listed is None:
            return _gone(f"the topic rule {RULE}")
        function = self.account.find("lambda", "GetFunction", FunctionName=FUNCTION)
        if function is None:
            return _gone(f"the Lambda function {FUNCTION}")
        return (
            self._difference_of_rule(listed, function["Configuration"]["FunctionArn"])
            or self._difference_of_function(function)
            or self._difference_of_role(function["Configuration"]["Role"].rpartition("/")[2])
            or self._difference_of_permission(listed["ruleArn"])
        )

    def strays(self) -> list[str]:
        """The parts of our names that are there; called when there is no stack that they could belong to."""
        function = self.account.find("lambda", "GetFunction", FunctionName=FUNCTION)
        found = [f"a Lambda function {FUNCTION}"] if function else []
        return found + ([f"a topic rule {RULE}"] if self._listed_rule() else [])

    def remove_strays(self) -> None:
        """Make room for the stack."""
        if self._listed_rule():
            self.account.call("iot", "DeleteTopicRule", ruleName=RULE)
        self.account.find("lambda", "DeleteFunction", FunctionName=FUNCTION)

    def _listed_rule(self) -> dict[str, Any] | None:
        rules = self.account.pages("iot", "ListTopicRules", "rules")
        return next((rule for rule in rules if rule["ruleName"] == RULE), None)

    def _difference_of_rule(self, listed: dict[str, Any], function_arn: str) -> Finding | None:
        if listed.get("ruleDisabled"):
            return _changed(f"the topic rule {RULE} is disabled")
        rule = self.account.call("iot", "GetTopicRule", ruleName=RULE)["rule"]
        if rule["sql"] != SQL:
            return _changed(f"the topic rule {RULE} listens to something else")
        if [action.get("lambda", {}).get("functionArn") for action in rule["actions"]] != [function_arn]:
            return _changed(f"the topic rule {RULE} does not run the Lambda function {FUNCTION} and nothing else")
        return None

    def _difference_of_function(self, function: dict[str, Any]) -> Finding | None:
        content = {}
        if "Location" in function["Code"]:  # a function may also be a container image
            code = io.BytesIO(self.account.fetch(function["Code"]["Location"]))
            with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(code) as archive:
                content = {name: archive.read(name) for name in archive.namelist()}
        if content != {"index.py": source().encode()} or function["Configuration"]["Handler"] != HANDLER:
            return _changed(f"the code of the Lambda function {FUNCTION} was changed")
        return None

    def _difference_of_role(self, role: str) -> Finding | None:
        found = self.account.find("iam", "GetRolePolicy", RoleName=role, PolicyName=RIGHTS)
        if found is None:
            return _gone(f"the policy {RIGHTS} of the role {role}")
        identity = self.account.identity()
        partition = identity["Arn"].split(":")[1]
        if found["PolicyDocument"] != rights(partition, self.account.region, identity["Account"]):
            return _changed(f"the policy {RIGHTS} of the role {role} was changed")
        return None

    def _difference_of_permission(self, rule_arn: str) -> Finding | None:
        policy = self.account.find("lambda", "GetPolicy", FunctionName=FUNCTION)
        if policy is None or rule_arn not in policy["Policy"]:
            return Finding(State.DIFFERENT, f"the topic rule {RULE} may not run the Lambda function {FUNCTION}")
        return None


def _gone(what: str) -> Finding:
    return Finding(State.DIFFERENT, f"{what} is gone")


def _changed(text: str) -> Finding:
    return Finding(State.DIFFERENT, text, foreign=True)
