"""The CloudFormation template of just-in-time registration: a rule on the registration events that runs a Lambda."""

from __future__ import annotations

import json
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


def source() -> str:
    """The source text of the Lambda function."""
    return (resources.files(__package__) / "jitr_lambda.py").read_text(encoding="utf-8")


@cache
def template() -> str:
    """The template as JSON text; the same text on every call of one version of this package."""
    return json.dumps(_template(), indent=1)


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
                        "Version": "2012-10-17",
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
                            "PolicyName": "register-devices",
                            "PolicyDocument": {"Version": "2012-10-17", "Statement": _rights()},
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
                    "Handler": "index.lambda_handler",
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
                        "Sql": "SELECT * FROM '$aws/events/certificates/registered/#'",
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
    """Certificates and things cannot be named before their devices connect; all else is named."""
    from iotprovision.cloud.aws.jitr_lambda import POLICY

    log = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws/lambda/{FUNCTION}"
    iot = "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}"
    certificates, things, policy = f"{iot}:cert/*", f"{iot}:thing/*", f"{iot}:policy/{POLICY}"
    return [
        _allow(["iot:DescribeCertificate", "iot:UpdateCertificate"], certificates),
        _allow(["iot:CreateThing"], things),
        _allow(["iot:AttachThingPrincipal"], things, certificates),
        _allow(["iot:CreatePolicy", "iot:GetPolicy"], policy),
        _allow(["iot:AttachPolicy"], certificates),
        _allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], log, f"{log}:*"),
    ]


def _allow(actions: list[str], *resources_: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [{"Fn::Sub": resource} for resource in resources_]}
