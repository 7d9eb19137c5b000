"""The CloudFormation template of just-in-time registration: a rule on the registration events that runs a Lambda."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

STACK = "iotprovision-jitr"
FUNCTION = STACK
RULE = "iotprovision_jitr"  # rule names have no hyphens
TAG = {"Key": "created-by", "Value": "iotprovision"}
RUNTIME = "python3.13"
# CloudFormation's limit for source text inside a template.
LONGEST_SOURCE = 4096
HANDLER = "index.lambda_handler"
SQL = "SELECT * FROM '$aws/events/certificates/registered/#'"
RIGHTS = "register-devices"
POLICY_LANGUAGE = "2012-10-17"
_MARK = "iotprovision"


def source() -> str:
    """The source text of the Lambda function."""
    return (resources.files(__package__) / "jitr_lambda.py").read_text(encoding="utf-8")


@cache
def template() -> str:
    """The template as JSON text; the same text on every call of one version of this package."""
    body = _template()
    return json.dumps({**body, "Metadata": {_MARK: _digest(body)}}, indent=1)


def is_as_deployed(body: Mapping[str, Any]) -> bool:
    """Whether a template is just as some version of this package made it, and nobody edited it after that."""
    metadata = body.get("Metadata")
    content = {key: value for key, value in body.items() if key != "Metadata"}
    return isinstance(metadata, Mapping) and metadata.get(_MARK) == _digest(content)


def rights(partition: str, region: str, account: str) -> dict[str, Any]:
    """The policy of the function's role as it stands in an account."""
    text = json.dumps({"Version": POLICY_LANGUAGE, "Statement": _rights()})
    for name, value in (("Partition", partition), ("Region", region), ("AccountId", account)):
        text = text.replace(f"${{AWS::{name}}}", value)
    return dict(json.loads(text, object_hook=lambda value: value.get("Fn::Sub", value)))


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _template() -> dict[str, Any]:
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "iotprovision: just-in-time registration of IoT devices",
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "Description": "What the just-in-time registration of IoT devices may do",
                    "AssumeRolePolicyDocument": {
                        "Version": POLICY_LANGUAGE,
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "lambda.amazonaws.com"},
                                "Action": "sts:AssumeRole",
                            }
                        ],
                    },
                    "Policies": [
                        {
                            "PolicyName": RIGHTS,
                            "PolicyDocument": {"Version": POLICY_LANGUAGE, "Statement": _rights()},
                        }
                    ],
                },
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": FUNCTION,
                    "Description": "Makes a thing of a device at its first connection",
                    "Runtime": RUNTIME,
                    "Handler": HANDLER,
                    "Timeout": 30,
                    "MemorySize": 256,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": source()},
                },
            },
            "Rule": {
                "Type": "AWS::IoT::TopicRule",
                "Properties": {
                    "RuleName": RULE,
                    "TopicRulePayload": {
                        "Description": "A device certificate was seen for the first time",
                        "Sql": SQL,
                        "AwsIotSqlVersion": "2016-03-23",
                        "RuleDisabled": False,
                        "Actions": [{"Lambda": {"FunctionArn": {"Fn::GetAtt": ["Function", "Arn"]}}}],
                    },
                },
            },
            "Invocation": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "Action": "lambda:InvokeFunction",
                    "Principal": "iot.amazonaws.com",
                    "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
                    "SourceAccount": {"Ref": "AWS::AccountId"},
                },
            },
        },
    }


def _rights() -> list[dict[str, Any]]:
    """Certificates and things cannot be named before their devices connect; all else is named.

    AWS knows no resource for iot:AttachThingPrincipal (service authorization reference of AWS IoT): a statement that
    names one would allow nothing.
    """
    from iotprovision.cloud.aws.jitr_lambda import POLICY

    log = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws/lambda/{FUNCTION}"
    iot = "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}"
    certificates, things, policy = f"{iot}:cert/*", f"{iot}:thing/*", f"{iot}:policy/{POLICY}"
    return [
        _allow(["iot:DescribeCertificate", "iot:UpdateCertificate"], certificates),
        _allow(["iot:CreateThing"], things),
        _allow(["iot:AttachThingPrincipal"], "*"),
        _allow(["iot:CreatePolicy", "iot:GetPolicy"], policy),
        _allow(["iot:AttachPolicy"], certificates),
        _allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], log, f"{log}:*"),
    ]


def _allow(actions: list[str], *resources_: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [{"Fn::Sub": resource} for resource in resources_]}
