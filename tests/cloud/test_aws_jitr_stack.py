"""The stack of just-in-time registration: made, kept, updated, mended, and left alone where it is not ours."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from iotprovision.cloud.aws import jitr_stack, jitr_template
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_parts import JitrParts
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.jitr_template import FUNCTION, RULE, STACK, TAG, template
from iotprovision.errors import CloudDeniedError, CloudError
from iotprovision.findings import State
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.aws import StackDeployed

EVERYTHING = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
BROKEN_RULE = {"RuleName": "broken", "TopicRulePayload": {"Sql": "nonsense", "Actions": []}}
BROKEN = json.dumps({"Resources": {"Rule": {"Type": "AWS::IoT::TopicRule", "Properties": BROKEN_RULE}}})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


def open_account(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


@pytest.fixture
def account(cloud: LocalCloud) -> Iterator[Account]:
    """An account without the stack."""
    account = open_account(cloud)
    yield account
    client = account.client("cloudformation")
    client.delete_stack(StackName=STACK)
    client.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def make_stack(account: Account, body: str, tags: list[dict[str, str]]) -> None:
    client = account.client("cloudformation")
    client.create_stack(StackName=STACK, TemplateBody=body, Tags=tags, Capabilities=["CAPABILITY_IAM"])


def settle(account: Account) -> str:
    client = account.client("cloudformation")
    while True:
        status: str = client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            return status


def test_made_once_and_then_left_alone(cloud: LocalCloud, account: Account) -> None:
    stack = JitrStack(account)
    assert stack.state().state is State.MISSING
    assert account.writes == []
    stack.apply()
    assert stack.state().in_place
    second = open_account(cloud)
    JitrStack(second).apply()
    assert JitrStack(second).state().in_place
    assert second.writes == []


def test_a_changed_template_is_updated(account: Account) -> None:
    JitrStack(account).apply()
    client = account.client("cloudformation")
    other = template().replace('"Timeout": 30', '"Timeout": 7')
    client.update_stack(StackName=STACK, TemplateBody=other, Capabilities=["CAPABILITY_IAM"], Tags=[TAG])
    assert settle(account) == "UPDATE_COMPLETE"
    assert JitrStack(account).state().state is State.DIFFERENT
    JitrStack(account).apply()
    assert JitrStack(account).state().in_place
    assert account.call("lambda", "GetFunctionConfiguration", FunctionName=FUNCTION)["Timeout"] == 30
    assert settle(account) == "UPDATE_COMPLETE"


def test_a_stack_that_another_run_deploys_before_this_one_does_is_kept(account: Account) -> None:
    step = StackDeployed(account, overwrites=False)
    step.found = step.check(no_progress)
    assert not step.found.in_place
    JitrStack(account).apply()
    (deployed,) = account.call("cloudformation", "DescribeStacks", StackName=STACK)["Stacks"]
    step.apply(no_progress)
    (kept,) = account.call("cloudformation", "DescribeStacks", StackName=STACK)["Stacks"]
    assert kept["StackId"] == deployed["StackId"]
    assert "DeleteStack" not in {call.action.partition(":")[2] for call in account.writes}


@pytest.mark.parametrize(
    "service, operation, parameters, words",
    [
        ("iot", "DisableTopicRule", {"ruleName": RULE}, "disabled"),
        ("iot", "DeleteTopicRule", {"ruleName": RULE}, "rule iotprovision_jitr is gone"),
        ("lambda", "DeleteFunction", {"FunctionName": FUNCTION}, "function iotprovision-jitr is gone"),
    ],
)
def test_what_was_changed_by_hand_is_mended(
    account: Account, service: str, operation: str, parameters: dict[str, Any], words: str
) -> None:
    stack = JitrStack(account)
    stack.apply()
    account.call(service, operation, **parameters)
    finding = stack.state()
    assert finding.state is State.DIFFERENT
    assert words in finding.found
    stack.apply()
    assert stack.state().in_place


def test_a_rule_that_may_not_run_the_function_any_more(account: Account) -> None:
    stack = JitrStack(account)
    stack.apply()
    policy = json.loads(account.call("lambda", "GetPolicy", FunctionName=FUNCTION)["Policy"])
    account.call("lambda", "RemovePermission", FunctionName=FUNCTION, StatementId=policy["Statement"][0]["Sid"])
    assert "may not run" in stack.state().found
    stack.apply()
    assert stack.state().in_place


def test_a_rule_that_runs_something_else(account: Account) -> None:
    stack = JitrStack(account)
    stack.apply()
    rule = account.call("iot", "GetTopicRule", ruleName=RULE)["rule"]
    action = {"lambda": {"functionArn": rule["actions"][0]["lambda"]["functionArn"] + "-other"}}
    account.call("iot", "ReplaceTopicRule", ruleName=RULE, topicRulePayload={"sql": rule["sql"], "actions": [action]})
    assert "does not run" in stack.state().found
    stack.apply()
    assert stack.state().in_place


def changed_code() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", "def lambda_handler(event, context): pass")
    return archive.getvalue()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda account: account.call("iot", "DisableTopicRule", ruleName=RULE), "disabled"),
        (
            lambda account: account.call(
                "iot",
                "ReplaceTopicRule",
                ruleName=RULE,
                topicRulePayload={**rule_of(account), "sql": "SELECT * FROM 'else'"},
            ),
            "listens to something else",
        ),
        (
            lambda account: account.call("lambda", "UpdateFunctionCode", FunctionName=FUNCTION, ZipFile=changed_code()),
            "code of the Lambda function",
        ),
        (
            lambda account: account.call(
                "iam",
                "PutRolePolicy",
                RoleName=role_of(account),
                PolicyName="register-devices",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]}),
            ),
            "of the role",
        ),
    ],
    ids=["rule disabled", "rule of other events", "code", "role"],
)
def test_what_somebody_changed_is_said_and_overwritten_only_when_wanted(
    account: Account, change: Callable[[Account], Any], words: str
) -> None:
    JitrStack(account).apply()
    change(account)
    writes = len(account.writes)
    step = StackDeployed(account, overwrites=False)
    for attempt in (step.prepare, lambda: step.check(no_progress)):
        with pytest.raises(CloudError, match="--force") as raised:
            attempt()
        assert words in str(raised.value)
    assert len(account.writes) == writes
    step = StackDeployed(account, overwrites=True)
    step.prepare()
    assert not step.check(no_progress).in_place
    step.apply(no_progress)
    assert StackDeployed(account, overwrites=False).check(no_progress).in_place


def no_progress(done: int, total: int) -> None:
    pass


def rule_of(account: Account) -> dict[str, Any]:
    rule = account.call("iot", "GetTopicRule", ruleName=RULE)["rule"]
    return {"sql": rule["sql"], "actions": rule["actions"]}


def role_of(account: Account) -> str:
    arn = account.call("lambda", "GetFunctionConfiguration", FunctionName=FUNCTION)["Role"]
    return str(arn.rpartition("/")[2])


def test_a_template_that_somebody_edited_is_not_one_of_an_older_version(account: Account) -> None:
    JitrStack(account).apply()
    client = account.client("cloudformation")
    edited = template().replace('"Timeout": 30', '"Timeout": 7')
    client.update_stack(StackName=STACK, TemplateBody=edited, Capabilities=["CAPABILITY_IAM"], Tags=[TAG])
    settle(account)
    with pytest.raises(CloudError, match="edited by somebody else"):
        StackDeployed(account, overwrites=False).prepare()
    StackDeployed(account, overwrites=True).prepare()


def test_an_older_version_of_the_stack_is_updated_without_asking(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(jitr_template, "RUNTIME", "python3.12")
        jitr_template.template.cache_clear()
        JitrStack(account).apply()
    jitr_template.template.cache_clear()
    step = StackDeployed(account, overwrites=False)
    step.prepare()
    assert "another version" in step.check(no_progress).found
    step.apply(no_progress)
    assert step.check(no_progress).in_place


def test_a_function_and_a_rule_of_the_same_name_without_a_stack(account: Account) -> None:
    assume = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
    role = account.call("iam", "CreateRole", RoleName="other", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    account.call(
        "lambda",
        "CreateFunction",
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": changed_code()},
    )
    account.call("iot", "CreateTopicRule", ruleName=RULE, topicRulePayload={"sql": "SELECT * FROM 'a'", "actions": []})
    with pytest.raises(CloudError, match=f"a Lambda function {FUNCTION} and a topic rule {RULE}"):
        StackDeployed(account, overwrites=False).prepare()
    assert account.call("lambda", "GetFunction", FunctionName=FUNCTION)["Configuration"]["Role"] == role
    step = StackDeployed(account, overwrites=True)
    step.prepare()
    step.apply(no_progress)
    assert StackDeployed(account, overwrites=False).check(no_progress).in_place


def test_a_rule_on_the_second_page_is_found(account: Account) -> None:
    """The local cloud lists all rules in one page: the pages of AWS are put in their place."""
    rule = {"ruleName": RULE, "ruleArn": "arn:aws:iot:us-east-1:111122223333:rule/" + RULE, "ruleDisabled": False}
    with Stubber(account.client("iot")) as stub:
        stub.add_response("list_topic_rules", {"rules": [{"ruleName": "another"}], "nextToken": "more"})
        stub.add_response("list_topic_rules", {"rules": [rule]}, {"nextToken": "more"})
        assert JitrParts(account).strays() == [f"a topic rule {RULE}"]
        stub.assert_no_pending_responses()


def test_a_failed_stack_of_ours_is_replaced(account: Account) -> None:
    make_stack(account, BROKEN, [TAG])
    assert settle(account) == "ROLLBACK_COMPLETE"
    stack = JitrStack(account)
    assert "ROLLBACK_COMPLETE" in stack.state().found
    stack.apply()
    assert stack.state().in_place


def test_a_stack_of_someone_else_is_not_touched(account: Account) -> None:
    make_stack(account, template(), [])
    settle(account)
    stack = JitrStack(account)
    for attempt in (stack.state, stack.apply):
        with pytest.raises(CloudError, match="in the way") as raised:
            attempt()
        assert f"aws cloudformation delete-stack --stack-name {STACK} --profile default" in str(raised.value)
    assert [call.operation for call in account.writes] == ["CreateStack"]  # the one above


def test_functions_with_a_similar_name_are_not_touched(account: Account) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return 'mine'\n")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = account.call("iam", "CreateRole", RoleName="mine", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    names = [f"my-{FUNCTION}", f"{FUNCTION}-2", f"{STACK}-{FUNCTION}"]
    client = account.client("lambda")
    for name in names:
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
        )

    def looks() -> list[tuple[str, str, str]]:
        found = [client.get_function(FunctionName=name)["Configuration"] for name in names]
        return [(each["CodeSha256"], each["LastModified"], each["Role"]) for each in found]

    before = looks()
    JitrStack(account).apply()
    JitrStack(account).apply(anew=True)
    assert looks() == before
    for name in names:
        client.delete_function(FunctionName=name)


def test_two_runs_at_the_same_time(cloud: LocalCloud, account: Account) -> None:
    stacks = [JitrStack(open_account(cloud)) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        for result in [pool.submit(stack.apply) for stack in stacks]:
            result.result()
    assert all(stack.state().in_place for stack in stacks)


def test_a_stack_that_another_run_makes_meanwhile_is_left(cloud: LocalCloud, account: Account) -> None:
    class Overtaken(Account):
        """Just when it has seen that there are no parts, another run makes them."""

        def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
            yield from list(super().pages(service, operation, key, **parameters))
            if operation == "ListTopicRules" and not settled:
                settled.append(True)
                JitrStack(account).apply()

    settled: list[bool] = []
    overtaken = Overtaken(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    JitrStack(overtaken).apply()
    assert settled
    assert "cloudformation:DeleteStack" not in [call.action for call in overtaken.writes]
    assert JitrStack(account).state().in_place


def test_a_failure_is_explained_with_its_first_cause(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitr_stack, "template", lambda: BROKEN)
    with pytest.raises(CloudError) as raised:
        JitrStack(account).apply()
    text = str(raised.value)
    assert "could not be created (ROLLBACK_COMPLETE)" in text
    assert "Rule: Rule SQL must be of the form" in text


def test_a_user_without_the_right(cloud: LocalCloud, account: Account, tmp_path: Path) -> None:
    account.call("iam", "CreateUser", UserName="reader")
    looking = ["cloudformation:Describe*", "lambda:GetFunction", "iot:ListTopicRules"]
    statement = {"Effect": "Allow", "Action": looking, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    account.call("iam", "PutUserPolicy", UserName="reader", PolicyName="look", PolicyDocument=document)
    key = account.call("iam", "CreateAccessKey", UserName="reader")["AccessKey"]
    file = tmp_path / "config"
    file.write_text(
        "[default]\nregion=us-east-1\n"
        f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
    )
    stack = JitrStack(Account(endpoint_url=cloud.endpoint_url, config_file=file))
    with pytest.raises(CloudDeniedError, match="cloudformation:CreateStack"):
        stack.apply()


def test_no_right_is_for_everything() -> None:
    role = json.loads(template())["Resources"]["Role"]["Properties"]
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert all(":" in action and not action.endswith("*") for action in statement["Action"])
            # The one action for which AWS knows no resource.
            named = statement["Action"] != ["iot:AttachThingPrincipal"]
            assert all(resource["Fn::Sub"].startswith("arn:" if named else "*") for resource in statement["Resource"])
    assert "ManagedPolicyArns" not in role


def test_only_the_rule_of_this_account_may_run_the_function(account: Account) -> None:
    JitrStack(account).apply()
    (statement,) = json.loads(account.call("lambda", "GetPolicy", FunctionName=FUNCTION)["Policy"])["Statement"]
    rule = account.call("iot", "GetTopicRule", ruleName=RULE)["ruleArn"]
    assert statement["Principal"] == {"Service": "iot.amazonaws.com"}
    assert rule in json.dumps(statement["Condition"])
    assert account.identity()["Account"] in json.dumps(statement["Condition"])
