"""The rights in docs/aws-setup.md are enough for a run, and each is one that AWS has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.aws_users import PAGE, policy, user
from support.certificate_chain import Signer, id_of, new_key, thing_of

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.jitr_template import FUNCTION, RULE, STACK
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.simulator.cloud.aws import LocalCloud

# Rights that are no operation of the API: AWS checks them inside another one.
NO_OPERATION = {"iam:PassRole", "cloudformation:TagResource"}


def try_policy(root: Account, account: Account) -> None:
    """All that a run does with the policy of the devices."""
    name, wide = "iotprovision-device-v1", {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
    DevicePolicy(account).apply()
    for _ in range(4):
        root.call(
            "iot",
            "CreatePolicyVersion",
            policyName=name,
            policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [wide]}),
            setAsDefault=True,
        )
    DevicePolicy(account).apply()  # deletes a version and makes one
    assert DevicePolicy(account).state().in_place
    for version in root.call("iot", "ListPolicyVersions", policyName=name)["policyVersions"]:
        if not version["isDefaultVersion"]:
            root.call("iot", "DeletePolicyVersion", policyName=name, policyVersionId=version["versionId"])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Account]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def test_the_rights_for_mar_are_enough(root: Account, tmp_path: Path) -> None:
    account = user(root, tmp_path, "mar")
    account.identity()
    account.iot_endpoint()
    try_policy(root, account)
    key, signer = new_key().public_key(), Signer()
    old, new = (DeviceRegistration(account, signer.issue(key), thing_of(key)) for _ in range(2))
    old.register()
    root.call("iot", "UpdateCertificate", certificateId=old.certificate_id, newStatus="INACTIVE")
    old.register()
    assert old.state().in_place
    new.register()
    assert new.detach_earlier() == [old.certificate_id]
    assert new.state().in_place


def test_the_rights_for_jitr_are_enough(root: Account, tmp_path: Path) -> None:
    account = user(root, tmp_path, "jitr")
    account.identity()
    account.iot_endpoint()
    try_policy(root, account)
    stack, signer = JitrStack(account), Signer()
    stack.apply()
    assert stack.state().in_place
    root.call("iot", "DisableTopicRule", ruleName=RULE)
    stack.apply()  # replaces it, so that deleting is tried too
    assert stack.state().in_place
    other = json.dumps({**template_of(root), "Description": "another"})
    root.call("cloudformation", "UpdateStack", StackName=STACK, TemplateBody=other, Capabilities=["CAPABILITY_IAM"])
    stack.apply()
    assert stack.state().in_place
    registration = SignerRegistration(account, signer.certificate, signer.verification)
    registration.apply()
    root.call("iot", "UpdateCACertificate", certificateId=id_of(signer.certificate), newStatus="INACTIVE")
    registration.apply()
    assert registration.state().in_place
    device = new_key().public_key()
    assert not DeviceRegistration(account, signer.issue(device), thing_of(device)).state().in_place


def template_of(account: Account) -> dict[str, Any]:
    body: dict[str, Any] = account.call("cloudformation", "GetTemplate", StackName=STACK)["TemplateBody"]
    return body


@pytest.mark.parametrize("method", ["mar", "jitr"])
def test_every_right_exists(method: str) -> None:
    session = boto3.Session(region_name="us-east-1")
    for statement in json.loads(policy(method))["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        for service, _, operation in (action.partition(":") for action in actions):
            operations = session.client(service).meta.service_model.operation_names
            assert operation in operations or f"{service}:{operation}" in NO_OPERATION, f"{service}:{operation}"


def test_names_on_the_page_are_those_of_the_stack() -> None:
    for name in (STACK, FUNCTION, RULE, "iotprovision-device-v1"):
        assert f"`{name}`" in PAGE
