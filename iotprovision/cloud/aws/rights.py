"""The rights that a profile needs for a method, and how an account is asked for them without changing anything.

Where a right can be tried, it is: the call names something that is not there and cannot be (a certificate whose SHA-256
is zero), so that whoever has the right is told that, and whoever lacks it is told so. What can only be tried by making
something is asked of ``iam:SimulatePrincipalPolicy``, which many profiles may not ask; then it stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from botocore import exceptions, xform_name

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import BAD_CREDENTIALS, DENIED, THROTTLED, code, denied_action, explain
from iotprovision.cloud.aws.jitr_lambda import POLICY
from iotprovision.cloud.aws.jitr_template import FUNCTION, RULE, STACK
from iotprovision.errors import CloudDeniedError, CloudError

JITR, MAR = "jitr", "mar"
METHODS = (MAR, JITR)

# SHA-256 of no certificate, and a thing that nobody makes.
NO_CERTIFICATE = "0" * 64
NO_THING = "iotprovision-asks-for-no-thing"
NO_ROLE = f"{STACK}-Role-none"
# Versions of a policy are numbered from 1.
NO_VERSION = "0"
# HTTP: from here on the service failed, and says nothing about rights.
SERVER_FAULT = 500
CALLS_AT_ONCE = 8
"""Enough to hide the way to AWS, few enough not to be throttled."""


class Answer(Enum):
    """What the account said about a right."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Right:
    """One action on one kind of resource.

    :param resource: as IAM names it, with ``{region}`` and ``{account}``; ``*`` where it has no name of its own
    :param methods: that need it
    :param parameters: of a call that changes nothing; None where there is no such call
    """

    action: str
    resource: str
    methods: tuple[str, ...]
    parameters: Mapping[str, Any] | None = field(default=None, compare=False)

    def on(self, account: Account) -> str:
        """The resource in an account."""
        return self.resource.format(region=account.region, account=account.identity()["Account"])


_CERTIFICATES = "arn:aws:iot:{region}:{account}:cert/*"
_THINGS = "arn:aws:iot:{region}:{account}:thing/*"
_AUTHORITIES = "arn:aws:iot:{region}:{account}:cacert/*"
_POLICY = f"arn:aws:iot:{{region}}:{{account}}:policy/{POLICY}"
_RULE = f"arn:aws:iot:{{region}}:{{account}}:rule/{RULE}"
_STACK = f"arn:aws:cloudformation:{{region}}:{{account}}:stack/{STACK}/*"
_ROLE = f"arn:aws:iam::{{account}}:role/{STACK}-Role-*"
_FUNCTION = f"arn:aws:lambda:{{region}}:{{account}}:function:{FUNCTION}"
_NO_CERTIFICATE_ARN = f"arn:aws:iot:{{region}}:{{account}}:cert/{NO_CERTIFICATE}"
_RULE_NAME = {"ruleName": RULE}


def _rights(
    service: str, resource: str, methods: Sequence[str], actions: Mapping[str, Mapping[str, Any] | None]
) -> list[Right]:
    return [
        Right(f"{service}:{operation}", resource, tuple(methods), parameters)
        for operation, parameters in actions.items()
    ]


RIGHTS: tuple[Right, ...] = (
    *_rights(
        "iot",
        _POLICY,
        METHODS,
        {
            "CreatePolicy": None,
            "CreatePolicyVersion": None,
            "DeletePolicyVersion": {"policyName": POLICY, "policyVersionId": NO_VERSION},
            "GetPolicy": {"policyName": POLICY},
            "ListPolicyVersions": {"policyName": POLICY},
        },
    ),
    *_rights(
        "iot",
        _CERTIFICATES,
        [MAR],
        {
            "AttachPolicy": {"policyName": POLICY, "target": _NO_CERTIFICATE_ARN},
            "UpdateCertificate": {"certificateId": NO_CERTIFICATE, "newStatus": "INACTIVE"},
        },
    ),
    *_rights("iot", _CERTIFICATES, METHODS, {"DescribeCertificate": {"certificateId": NO_CERTIFICATE}}),
    *_rights("iot", _THINGS, [MAR], {"CreateThing": None}),
    *_rights("iot", _THINGS, METHODS, {"DescribeThing": {"thingName": NO_THING}}),
    *_rights(
        "iot",
        "*",
        METHODS,
        {
            "DescribeEndpoint": {"endpointType": "iot:Data-ATS"},
            "ListAttachedPolicies": {"target": _NO_CERTIFICATE_ARN},
            "ListThingPrincipals": {"thingName": NO_THING},
        },
    ),
    *_rights(
        "iot",
        "*",
        [MAR],
        {
            "AttachThingPrincipal": {"thingName": NO_THING, "principal": _NO_CERTIFICATE_ARN},
            "DetachThingPrincipal": {"thingName": NO_THING, "principal": _NO_CERTIFICATE_ARN},
            "RegisterCertificateWithoutCA": None,
        },
    ),
    *_rights(
        "iot",
        "*",
        [JITR],
        {"GetRegistrationCode": {}, "ListTopicRules": {"maxResults": 1}, "RegisterCACertificate": None},
    ),
    *_rights(
        "iot",
        _AUTHORITIES,
        [JITR],
        {
            "DescribeCACertificate": {"certificateId": NO_CERTIFICATE},
            "UpdateCACertificate": {"certificateId": NO_CERTIFICATE, "newStatus": "INACTIVE"},
        },
    ),
    *_rights(
        "iot",
        _RULE,
        [JITR],
        {
            "CreateTopicRule": None,
            "DeleteTopicRule": None,
            "GetTopicRule": _RULE_NAME,
            "ListTagsForResource": {"resourceArn": _RULE},
            "ReplaceTopicRule": None,
            "TagResource": None,
            "UntagResource": None,
        },
    ),
    *_rights(
        "cloudformation",
        _STACK,
        [JITR],
        {
            "CreateStack": None,
            "DeleteStack": None,
            "DescribeStackEvents": {"StackName": STACK},
            "DescribeStacks": {"StackName": STACK},
            "GetTemplate": {"StackName": STACK},
            "TagResource": None,
            "UpdateStack": None,
        },
    ),
    *_rights(
        "iam",
        _ROLE,
        [JITR],
        {
            "CreateRole": None,
            "DeleteRole": None,
            "DeleteRolePolicy": None,
            "GetRole": {"RoleName": NO_ROLE},
            "GetRolePolicy": {"RoleName": NO_ROLE, "PolicyName": "none"},
            "PassRole": None,
            "PutRolePolicy": None,
            "TagRole": None,
            "UntagRole": None,
            "UpdateAssumeRolePolicy": None,
            "UpdateRoleDescription": None,
        },
    ),
    *_rights(
        "lambda",
        _FUNCTION,
        [JITR],
        {
            "AddPermission": None,
            "CreateFunction": None,
            "DeleteFunction": None,
            "GetFunction": {"FunctionName": FUNCTION},
            "GetFunctionConfiguration": {"FunctionName": FUNCTION},
            "GetPolicy": {"FunctionName": FUNCTION},
            "RemovePermission": None,
            "TagResource": None,
            "UntagResource": None,
            "UpdateFunctionCode": None,
            "UpdateFunctionConfiguration": None,
        },
    ),
)


def rights_for(methods: Iterable[str]) -> list[Right]:
    """The rights that any of some methods needs."""
    wanted = set(methods)
    return [right for right in RIGHTS if wanted & set(right.methods)]


def ask(account: Account, rights: Sequence[Right]) -> dict[Right, Answer]:
    """Ask the account for each right, several at a time; nothing in it changes.

    :raises CloudDeniedError: the credentials are not valid
    :raises CloudError: the account does not answer
    """
    identity = account.identity()
    tried = [right for right in rights if right.parameters is not None]
    for service in dict.fromkeys(right.action.partition(":")[0] for right in tried):
        account.client(service)  # to make one is not safe in several threads, to use it is
    with ThreadPoolExecutor(CALLS_AT_ONCE) as calls:
        answers = dict(zip(tried, calls.map(lambda right: _try(account, right), tried), strict=True))
    rest = [right for right in rights if answers.get(right, Answer.UNKNOWN) is Answer.UNKNOWN]
    return {**answers, **_simulate(account, identity["Arn"], rest)}


def _try(account: Account, right: Right) -> Answer:
    service, _, operation = right.action.partition(":")
    places = {"region": account.region, "account": account.identity()["Account"]}
    parameters = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in (right.parameters or {}).items()
    }
    try:
        getattr(account.client(service), xform_name(operation))(**parameters)
    except exceptions.ClientError as error:
        if code(error) in BAD_CREDENTIALS | THROTTLED:
            raise explain(error, right.action, "", account.profile) from error
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= SERVER_FAULT:
            return Answer.UNKNOWN
        if code(error) not in DENIED:
            return Answer.ALLOWED  # it was looked for, and is not there
        # Some services answer like this for what is not there; the refusal of a right names the right.
        message = str(error.response.get("Error", {}).get("Message", ""))
        return Answer.DENIED if denied_action(message) == right.action else Answer.UNKNOWN
    except exceptions.BotoCoreError as error:
        raise explain(error, right.action, "", account.profile) from error
    return Answer.ALLOWED


def _simulate(account: Account, caller: str, rights: Sequence[Right]) -> dict[Right, Answer]:
    """What IAM says of rights that cannot be tried."""
    if caller.endswith(":root"):
        return dict.fromkeys(rights, Answer.ALLOWED)
    answers = dict.fromkeys(rights, Answer.UNKNOWN)
    principal = _principal(caller)
    try:
        for resource in dict.fromkeys(right.resource for right in rights):
            here = [right for right in rights if right.resource == resource]
            found = account.pages(
                "iam",
                "SimulatePrincipalPolicy",
                "EvaluationResults",
                PolicySourceArn=principal,
                ActionNames=[right.action for right in here],
                ResourceArns=[here[0].on(account)],
                ContextEntries=[_PASSED_TO_LAMBDA],
            )
            decisions = {result["EvalActionName"]: result["EvalDecision"] for result in found}
            for right in here:
                if right.action in decisions:
                    allowed = decisions[right.action] == "allowed"
                    answers[right] = Answer.ALLOWED if allowed else Answer.DENIED
    except (CloudDeniedError, CloudError):
        return answers  # most profiles may not ask
    return answers


_PASSED_TO_LAMBDA = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyValues": ["lambda.amazonaws.com"],
    "ContextKeyType": "string",
}


def _principal(caller: str) -> str:
    """The user or role whose policies decide: a session of a role is no principal that IAM keeps."""
    parts = caller.split(":")
    kind, _, name = parts[-1].partition("/")
    if kind != "assumed-role":
        return caller
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{name.partition('/')[0]}"
