"""The policy of the devices: made once, and what somebody changed is overwritten only when that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.errors import CloudError
from iotprovision.findings import State
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.aws import PolicyOfDevices

POLICY = "iotprovision-device-v1"
WIDE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def account(cloud: LocalCloud) -> Iterator[Account]:
    """An account without the policy."""
    account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    yield account
    for version in versions(account):
        if version != in_force(account):
            account.call("iot", "DeletePolicyVersion", policyName=POLICY, policyVersionId=version)
    account.call("iot", "DeletePolicy", policyName=POLICY)


def no_progress(done: int, total: int) -> None:
    pass


def versions(account: Account) -> list[str]:
    listed = account.call("iot", "ListPolicyVersions", policyName=POLICY)["policyVersions"]
    return sorted((version["versionId"] for version in listed), key=int)


def in_force(account: Account) -> str:
    return str(account.call("iot", "GetPolicy", policyName=POLICY)["defaultVersionId"])


def document(account: Account) -> Any:
    return json.loads(account.call("iot", "GetPolicy", policyName=POLICY)["policyDocument"])


def change(account: Account, times: int = 1) -> None:
    for _ in range(times):
        account.call(
            "iot", "CreatePolicyVersion", policyName=POLICY, policyDocument=json.dumps(WIDE), setAsDefault=True
        )


def test_made_once_and_then_left_alone(account: Account) -> None:
    policy = DevicePolicy(account)
    assert policy.state().state is State.MISSING
    policy.apply()
    assert policy.state().in_place
    writes = list(account.writes)
    policy.apply()
    assert account.writes == writes
    assert {statement["Effect"] for statement in document(account)["Statement"]} == {"Allow"}
    resources = [resource for statement in document(account)["Statement"] for resource in statement["Resource"]]
    prefix = "arn:aws:iot:us-east-1:111122223333:"
    assert all(
        resource.startswith(prefix) and "${iot:Connection.Thing.ThingName}" in resource for resource in resources
    )


def test_changed_content_is_said_and_left_alone(account: Account) -> None:
    DevicePolicy(account).apply()
    change(account)
    writes = list(account.writes)
    step = PolicyOfDevices(account, overwrites=False)
    for attempt in (step.prepare, lambda: step.check(no_progress)):
        with pytest.raises(CloudError, match="did not make") as raised:
            attempt()
        assert f"{POLICY}, version 2, has other content" in str(raised.value)
        assert "--force" in str(raised.value)
    assert account.writes == writes
    assert document(account) == WIDE


def test_changed_content_is_replaced_when_asked_for_and_kept_as_a_version(account: Account) -> None:
    DevicePolicy(account).apply()
    right = document(account)
    change(account)
    step = PolicyOfDevices(account, overwrites=True)
    step.prepare()
    step.apply(no_progress)
    assert PolicyOfDevices(account, overwrites=False).check(no_progress).in_place
    assert document(account) == right
    assert versions(account) == ["1", "2", "3"]


def test_the_oldest_version_goes_when_there_are_five(account: Account) -> None:
    DevicePolicy(account).apply()
    change(account, times=4)
    DevicePolicy(account).apply()
    assert (versions(account), in_force(account)) == (["2", "3", "4", "5", "6"], "6")


def test_the_version_in_force_never_goes_even_if_it_is_the_oldest(account: Account) -> None:
    account.call("iot", "CreatePolicy", policyName=POLICY, policyDocument=json.dumps(WIDE))
    change(account, times=4)
    account.call("iot", "SetDefaultPolicyVersion", policyName=POLICY, policyVersionId="1")
    DevicePolicy(account).apply()
    assert (versions(account), in_force(account)) == (["1", "3", "4", "5", "6"], "6")


def test_versions_are_numbers_not_words(account: Account) -> None:
    DevicePolicy(account).apply()
    change(account)
    for _ in range(10):
        account.call("iot", "SetDefaultPolicyVersion", policyName=POLICY, policyVersionId="2")
        DevicePolicy(account).apply()
    assert versions(account) == ["2", "9", "10", "11", "12"]


def test_a_device_that_was_faster_is_no_obstacle(account: Account) -> None:
    """Another run makes the policy between our look and our write: the answers of AWS are put in place."""
    account.identity()
    with Stubber(account.client("iot")) as stub:
        stub.add_client_error("get_policy", "ResourceNotFoundException", http_status_code=404)
        stub.add_client_error("create_policy", "ResourceAlreadyExistsException", http_status_code=409)
        DevicePolicy(account).apply()
        stub.assert_no_pending_responses()
    DevicePolicy(account).apply()
