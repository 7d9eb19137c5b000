"""The account: which profile decides, what errors say, what is counted, and that a local run stays local."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.call_errors import explain
from iotprovision.errors import CloudDeniedError, CloudError, UsageError
from iotprovision.simulator.cloud.aws import LocalCloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def account(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


@pytest.fixture
def strangers_port() -> Iterator[int]:
    """A port where any connection is seen."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        stranger.settimeout(0.2)
        yield stranger.getsockname()[1]
        with pytest.raises(TimeoutError):
            stranger.accept()


def config(folder: Path, text: str) -> Path:
    path = folder / "config"
    path.write_text(text)
    return path


def user_with(account: Account, cloud: LocalCloud, folder: Path, name: str, *actions: str) -> Account:
    """An account whose profile is a user with some rights only."""
    account.call("iam", "CreateUser", UserName=name)
    if actions:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        account.call("iam", "PutUserPolicy", UserName=name, PolicyName="some", PolicyDocument=document)
    key = account.call("iam", "CreateAccessKey", UserName=name)["AccessKey"]
    file = config(
        folder,
        f"[profile {name}]\nregion=us-east-1\n"
        f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n",
    )
    return Account(name, endpoint_url=cloud.endpoint_url, config_file=file)


def test_a_hostile_environment_changes_nothing(
    cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strangers_port: int
) -> None:
    elsewhere = f"http://127.0.0.1:{strangers_port}"
    evil = config(
        tmp_path, f"[profile evil]\nregion=eu-west-1\nendpoint_url={elsewhere}\n[default]\nregion=eu-west-1\n"
    )
    environment = {
        "AWS_ENDPOINT_URL": elsewhere,
        "AWS_ENDPOINT_URL_IOT": elsewhere,
        "AWS_ENDPOINT_URL_STS": elsewhere,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_PROFILE": "evil",
        "AWS_DEFAULT_PROFILE": "evil",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(evil),
        "AWS_SHARED_CREDENTIALS_FILE": str(evil),
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_DEFAULTS_MODE": "auto",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": elsewhere,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": elsewhere,
        "HTTP_PROXY": elsewhere,
        "http_proxy": elsewhere,
        "ALL_PROXY": elsewhere,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    assert account.identity()["Account"] == "111122223333"
    assert account.region == "us-east-1"
    assert account.iot_endpoint().endswith(".localhost")


def test_a_request_to_another_place_is_not_sent(account: Account, strangers_port: int) -> None:
    client = account.client("iot")
    client.meta.events.register_first(
        "before-sign", lambda request, **_: setattr(request, "url", f"http://127.0.0.1:{strangers_port}/")
    )
    with pytest.raises(CloudError, match="another place"):
        account.call("iot", "GetRegistrationCode")


def test_an_unknown_profile_lists_the_known_ones(tmp_path: Path) -> None:
    file = config(tmp_path, "[default]\nregion=us-east-1\n[profile work]\nregion=us-east-1\n")
    with pytest.raises(UsageError) as raised:
        Account("play", config_file=file)
    assert "'play'" in str(raised.value)
    assert "profiles: default, work\n" in str(raised.value)
    assert "aws configure --profile play" in str(raised.value)


def test_no_profiles_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no profiles at all"):
        Account(config_file=tmp_path / "missing")


@pytest.mark.parametrize("keys", ["", "aws_access_key_id=AKIAIOSFODNN7EXAMPLE\n"])
def test_a_profile_without_credentials(tmp_path: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(UsageError, match="has no credentials") as raised:
        Account(config_file=config(tmp_path, f"[default]\nregion=us-east-1\n{keys}"))
    assert "aws configure --profile default" in str(raised.value)


def test_a_profile_without_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    file = config(tmp_path, "[default]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=secret\n")
    with pytest.raises(UsageError, match="has no region"):
        Account(config_file=file)
    assert Account(config_file=file, region="eu-north-1").region == "eu-north-1"


def test_a_configuration_that_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Account(config_file=config(tmp_path, "region=us-east-1\n[default\n"))


@pytest.mark.parametrize("region", ["us_east_1!", "-"])
def test_a_region_that_cannot_be(tmp_path: Path, region: str) -> None:
    keys = "aws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=secret\n"
    account = Account(config_file=config(tmp_path, f"[default]\nregion={region}\n{keys}"))
    with pytest.raises(UsageError, match="no usable region"):
        account.identity()


def test_an_endpoint_that_is_no_address(tmp_path: Path) -> None:
    keys = "aws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=secret\n"
    account = Account(config_file=config(tmp_path, f"[default]\nregion=us-east-1\nendpoint_url=nowhere\n{keys}"))
    with pytest.raises(UsageError, match="cannot be used") as raised:
        account.identity()
    assert "nowhere" in raised.value.why


def test_credentials_of_a_program_that_is_not_there(tmp_path: Path) -> None:
    program = tmp_path / "no-such-program"
    text = f"[default]\nregion=us-east-1\ncredential_process={program}\n"
    with pytest.raises(CloudDeniedError, match="cannot be had") as raised:
        Account(config_file=config(tmp_path, text))
    assert "no-such-program" in raised.value.why


def test_a_profile_that_leans_on_one_that_is_missing(tmp_path: Path) -> None:
    role = "role_arn=arn:aws:iam::111122223333:role/work\nsource_profile=missing\n"
    with pytest.raises(UsageError, match="cannot be used"):
        Account(config_file=config(tmp_path, f"[default]\nregion=us-east-1\n{role}"))


def test_a_refusal_names_action_and_profile(account: Account, cloud: LocalCloud, tmp_path: Path) -> None:
    reader = user_with(account, cloud, tmp_path, "reader", "iot:DescribeEndpoint")
    assert reader.iot_endpoint() == account.iot_endpoint()
    with pytest.raises(CloudDeniedError) as raised:
        reader.call("iot", "DescribeThing", thingName="lamp")
    text = str(raised.value)
    assert "'reader'" in text
    assert "iot:DescribeThing" in text
    assert "thing/lamp" in text


@pytest.mark.parametrize("key, secret", [("AKIAIOSFODNN7EXAMPLE", "secret"), (None, "wrong")])
def test_credentials_that_are_not_accepted(
    account: Account, cloud: LocalCloud, tmp_path: Path, key: str | None, secret: str
) -> None:
    if key is None:
        account.call("iam", "CreateUser", UserName="forgetful")
        key = account.call("iam", "CreateAccessKey", UserName="forgetful")["AccessKey"]["AccessKeyId"]
    file = config(tmp_path, f"[default]\nregion=us-east-1\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
    with pytest.raises(CloudDeniedError, match="credentials of the AWS profile 'default' were refused"):
        Account(endpoint_url=cloud.endpoint_url, config_file=file).identity()


def test_nobody_answers(cloud: LocalCloud) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        account = Account(endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}", config_file=cloud.config_file)
        with pytest.raises(CloudError, match="did not answer iot:GetRegistrationCode"):
            account.call("iot", "GetRegistrationCode")


def test_a_link_that_cannot_be_followed_is_not_shown(cloud: LocalCloud) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        here = f"http://127.0.0.1:{closed.getsockname()[1]}"
        account = Account(endpoint_url=here, config_file=cloud.config_file)
        with pytest.raises(CloudError, match="download from 127.0.0.1 failed") as raised:
            account.fetch(f"{here}/code?X-Amz-Signature=0123456789")
    assert "0123456789" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_calls_are_counted_by_what_they_do(account: Account) -> None:
    account.identity()
    account.call("iot", "CreateThing", thingName="counted")
    assert account.find("iot", "DescribeThing", thingName="nobody") is None
    assert list(account.pages("iot", "ListThingPrincipals", "principals", thingName="counted")) == []
    assert [call.action for call in account.calls] == [
        "sts:GetCallerIdentity",
        "iot:CreateThing",
        "iot:DescribeThing",
        "iot:ListThingPrincipals",
    ]
    assert [call.action for call in account.writes] == ["iot:CreateThing"]


def test_pages_are_followed(account: Account) -> None:
    names = {f"page-{number}" for number in range(5)}
    for name in names:
        account.call("iot", "CreateThing", thingName=name)
    found = account.pages("iot", "ListThings", "things", PaginationConfig={"PageSize": 2})
    assert names <= {thing["thingName"] for thing in found}


@pytest.mark.parametrize(
    "address, host",
    [
        ("a1b2-ats.iot.eu-west-1.amazonaws.com", "a1b2-ats.iot.eu-west-1.amazonaws.com"),
        ("a1b2-ats.iot.eu-west-1.localhost:4566", "a1b2-ats.iot.eu-west-1.localhost"),
        ("a" * 37 + ".iot.localhost", "a" * 37 + ".iot.localhost"),  # 51 characters
    ],
)
def test_endpoints(account: Account, address: str, host: str) -> None:
    with Stubber(account.client("iot")) as stub:
        stub.add_response("describe_endpoint", {"endpointAddress": address})
        assert account.iot_endpoint() == host


@pytest.mark.parametrize(
    "address", ["", "localhost:4566", "https://a.b.c", "a b.c", "-a.b.c", "a" * 38 + ".iot.localhost"]
)
def test_endpoints_that_no_board_can_use(account: Account, address: str) -> None:
    with Stubber(account.client("iot")) as stub:
        stub.add_response("describe_endpoint", {"endpointAddress": address})
        with pytest.raises(CloudError):
            account.iot_endpoint()


@pytest.mark.parametrize("label", ["a1gqt8sttiign3", "a1gqt8sttiign3-ats"])
def test_the_vendors_account_is_nobodys_own(account: Account, label: str) -> None:
    with Stubber(account.client("iot")) as stub:
        stub.add_response("describe_endpoint", {"endpointAddress": f"{label}.iot.us-east-2.amazonaws.com"})
        with pytest.raises(CloudError, match="sandbox"):
            account.iot_endpoint()


@pytest.mark.parametrize(
    "code, kind, words",
    [
        ("AccessDenied", CloudDeniedError, "may not do iot:RegisterCACertificate"),
        ("ExpiredTokenException", CloudDeniedError, "credentials"),
        ("InvalidClientTokenId", CloudDeniedError, "credentials"),
        ("ThrottlingException", CloudError, "try again"),
        ("LimitExceededException", CloudError, "quota"),
        ("InternalFailureException", CloudError, "iot:RegisterCACertificate failed"),
    ],
)
def test_errors_that_the_local_cloud_does_not_make(code: str, kind: type[Exception], words: str) -> None:
    answer = ClientError({"Error": {"Code": code, "Message": "because"}}, "RegisterCACertificate")
    error = explain(answer, "iot:RegisterCACertificate", "", "work")
    assert type(error) is kind
    assert words in str(error)
    assert "because" in str(error)


def test_the_action_that_lacks_is_named_even_when_another_was_called() -> None:
    message = (
        "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r"
    )
    answer = ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "CreateStack")
    text = str(explain(answer, "cloudformation:CreateStack", "", "work"))
    assert "may not do iam:PassRole on arn:aws:iam::1:role/r" in text
