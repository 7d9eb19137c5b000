"""A signer in an account: found by its fingerprint, registered once, made to work again where someone stopped it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.stub import Stubber
from support.certificate_chain import DAY, Signer, id_of

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.errors import CloudDeniedError, CloudError, ProofError
from iotprovision.findings import State
from iotprovision.simulator.cloud.aws import LocalCloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def account(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def registration(account: Account, signer: Signer) -> SignerRegistration:
    return SignerRegistration(account, signer.certificate, signer.verification)


def describe(account: Account, signer: Signer) -> tuple[str, str]:
    found = account.call("iot", "DescribeCACertificate", certificateId=id_of(signer.certificate))
    description = found["certificateDescription"]
    return description["status"], description["autoRegistrationStatus"]


def test_registered_once(cloud: LocalCloud, account: Account) -> None:
    signer = Signer()
    assert registration(account, signer).state().state is State.MISSING
    assert account.writes == []
    registration(account, signer).apply()
    assert registration(account, signer).state().in_place
    assert describe(account, signer) == ("ACTIVE", "ENABLE")
    second = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    registration(second, signer).apply()
    assert second.writes == []


@pytest.mark.parametrize(
    "change",
    [
        {"newStatus": "INACTIVE"},
        {"newAutoRegistrationStatus": "DISABLE"},
        {"newStatus": "INACTIVE", "newAutoRegistrationStatus": "DISABLE"},
    ],
)
def test_a_registration_that_was_stopped_works_again(account: Account, change: dict[str, str]) -> None:
    signer = Signer()
    registration(account, signer).apply()
    account.call("iot", "UpdateCACertificate", certificateId=id_of(signer.certificate), **change)
    assert registration(account, signer).state().state is State.DIFFERENT
    registration(account, signer).apply()
    assert registration(account, signer).state().in_place
    assert describe(account, signer) == ("ACTIVE", "ENABLE")


def test_signers_with_the_same_name_are_told_apart(account: Account) -> None:
    signers = [Signer("Same Name") for _ in range(3)]
    for signer in signers[:2]:
        registration(account, signer).apply()
    states = [registration(account, signer).state().state for signer in signers]
    assert states == [State.IN_PLACE, State.IN_PLACE, State.MISSING]


def test_a_verification_certificate_of_another_signer(account: Account) -> None:
    signer, other = Signer(), Signer()
    with pytest.raises(ProofError, match="not signed by the signer"):
        SignerRegistration(account, signer.certificate, other.verification).apply()
    assert account.writes == []


def test_a_verification_certificate_for_another_code(account: Account) -> None:
    signer = Signer()
    with pytest.raises(ProofError, match="registration code"):
        SignerRegistration(account, signer.certificate, lambda code: signer.verification("0" * 64)).apply()
    assert account.writes == []


def test_a_certificate_that_is_no_authority(account: Account) -> None:
    with pytest.raises(ProofError, match="not that of an authority"):
        registration(account, Signer(authority=False)).apply()
    assert account.writes == []


@pytest.mark.parametrize("starts", [-400 * DAY, DAY])
def test_a_signer_that_is_not_in_date(account: Account, starts: timedelta) -> None:
    signer = Signer(starts=datetime.now(UTC) + starts)
    with pytest.raises(ProofError, match="not in date"):
        registration(account, signer).apply()
    assert account.writes == []


def test_a_refusal_names_what_the_profile_may_not_do(account: Account, cloud: LocalCloud, tmp_path: Path) -> None:
    account.call("iam", "CreateUser", UserName="nobody")
    key = account.call("iam", "CreateAccessKey", UserName="nobody")["AccessKey"]
    file = tmp_path / "config"
    file.write_text(
        "[profile work]\nregion=us-east-1\n"
        f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
    )
    denied = Account("work", endpoint_url=cloud.endpoint_url, config_file=file)
    with pytest.raises(CloudDeniedError) as raised:
        registration(denied, Signer()).apply()
    assert "'work' may not do iot:DescribeCACertificate" in str(raised.value)


def test_an_account_that_takes_no_more_signers(account: Account) -> None:
    """The local cloud has no quotas: what AWS answers is put in its place."""
    signer = Signer()
    with Stubber(account.client("iot")) as stub:
        code = "0123456789abcdef" * 4
        stub.add_client_error("describe_ca_certificate", "ResourceNotFoundException", http_status_code=404)
        stub.add_response("get_registration_code", {"registrationCode": code})
        stub.add_client_error("register_ca_certificate", "LimitExceededException", "10 of this subject", 410)
        stub.add_client_error("describe_ca_certificate", "ResourceNotFoundException", http_status_code=404)
        with pytest.raises(CloudError) as raised:
            registration(account, signer).apply()
    assert "10 of this subject" in str(raised.value)
    assert "list-ca-certificates --profile default" in str(raised.value)
