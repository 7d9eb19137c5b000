"""Multi-account registration on a simulated AVR-IoT WA: what kit and account hold, also when something changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.running import Outcome, kit_folder, meters, run_tool, snapshot

from iotprovision.cloud.aws.account import Account
from iotprovision.errors import ExitCode
from iotprovision.simulator.cloud.aws import LocalCloud

MAR = ("--simulate", "-c", "aws", "-m", "mar", "--json")
JITR = ("--simulate", "-c", "aws", "-m", "jitr", "--json")
POLICY = "iotprovision-device-v1"
FLOOR_HID, FLOOR_UART = 4221, 7540
WRITES = ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks", "register_writes")
PROVISION = (*MAR, "certs", "provision")
"""Without the application, where it does not matter: half the time."""


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, dict[str, int]]:
    """A home after one run, for tests that work on copies of it."""
    home = tmp_path_factory.mktemp("home")
    outcome = run_tool(home, *MAR)
    assert outcome.code == 0, outcome.err
    return home, outcome, meters(home)


@pytest.fixture
def home(provisioned: tuple[Path, Outcome, dict[str, int]], tmp_path: Path) -> Path:
    shutil.copytree(provisioned[0], tmp_path / "home")
    return tmp_path / "home"


@contextmanager
def account_of(home: Path) -> Iterator[Account]:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def store(home: Path) -> Path:
    return home / "simulator" / "certificates"


def device_file(home: Path) -> Path:
    (file,) = store(home).glob("*/device.crt")
    return file


def fingerprint(file: Path) -> str:
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def thing_of(file: Path) -> str:
    key = x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    return hashlib.sha1(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).hexdigest()


def principals(account: Account, thing: str) -> set[str]:
    listed = account.call("iot", "ListThingPrincipals", thingName=thing)["principals"]
    return {arn.rpartition("/")[2] for arn in listed}


def status(account: Account, certificate_id: str) -> str:
    found = account.call("iot", "DescribeCertificate", certificateId=certificate_id)["certificateDescription"]
    return str(found["status"])


def step(outcome: Outcome, title: str) -> Any:
    (found,) = [step for step in outcome.document["steps"] if step["title"] == title]
    return found


def attempts(outcome: Outcome) -> list[bool]:
    return [attempt["accepted"] for attempt in outcome.document["first_connection"]["attempts"]]


def test_first_connection_is_accepted_at_the_first_attempt(provisioned: tuple[Path, Outcome, dict[str, int]]) -> None:
    home, outcome, _ = provisioned
    assert attempts(outcome) == [True]
    assert outcome.document["first_connection"]["client_id"] == thing_of(device_file(home))
    assert outcome.document["first_connection"]["shadow"]


def test_account_knows_the_device_and_not_the_signer(provisioned: tuple[Path, Outcome, dict[str, int]]) -> None:
    home = provisioned[0]
    with account_of(home) as account:
        identifier, thing = fingerprint(device_file(home)), thing_of(device_file(home))
        assert status(account, identifier) == "ACTIVE"
        assert principals(account, thing) == {identifier}
        arn = account.call("iot", "DescribeCertificate", certificateId=identifier)["certificateDescription"]
        policies = account.call("iot", "ListAttachedPolicies", target=arn["certificateArn"])["policies"]
        assert [policy["policyName"] for policy in policies] == [POLICY]
        assert list(account.pages("iot", "ListCACertificates", "certificates")) == []
        assert account.call("cloudformation", "DescribeStacks")["Stacks"] == []


def test_openssl_accepts_the_chain(provisioned: tuple[Path, Outcome, dict[str, int]]) -> None:
    home = provisioned[0]
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", store(home) / "root-ca.crt", "-untrusted"]
        + [store(home) / "signer-ca.crt", device_file(home)],
        check=True,
        capture_output=True,
    )


def test_costs_are_near_their_floor(provisioned: tuple[Path, Outcome, dict[str, int]]) -> None:
    cost = provisioned[2]
    assert cost["hid_transactions"] <= 1.15 * FLOOR_HID
    assert cost["uart_bytes_to_kit"] + cost["uart_bytes_from_kit"] <= 1.15 * FLOOR_UART


def test_the_kit_is_right_before_the_account_is_told(provisioned: tuple[Path, Outcome, dict[str, int]]) -> None:
    titles = [step["title"] for step in provisioned[1].document["steps"]]
    registered = titles.index("Device registered with the account")
    assert titles.index("Certificates, thing name and endpoint in the Wi-Fi module") < registered
    assert titles.index("Slots 10 to 12 of the secure element locked") < registered


def test_jitr_after_mar_and_mar_after_jitr_keep_the_device(home: Path) -> None:
    before = fingerprint(device_file(home))
    jitr = run_tool(home, *JITR)
    assert jitr.code == 0, jitr.err
    assert attempts(jitr) == [True], "the account knows the device already"
    counted = meters(home)
    mar = run_tool(home, *MAR, "--verify")
    assert mar.code == 0, mar.err
    assert mar.document["account"]["writes"] == []
    assert {name: meters(home)[name] for name in WRITES} == {name: counted[name] for name in WRITES}
    assert attempts(mar) == [True]
    assert fingerprint(device_file(home)) == before
    assert step(mar, "Proof: device registered with the account")["state"] == "in place"


def test_mar_for_a_device_that_registered_itself(tmp_path: Path) -> None:
    jitr = run_tool(tmp_path, *JITR)
    assert jitr.code == 0, jitr.err
    mar = run_tool(tmp_path, *MAR)
    assert mar.code == 0, mar.err
    assert mar.document["account"]["writes"] == []
    signer = fingerprint(store(tmp_path) / "signer-ca.crt")
    assert signer[:16] in step(mar, "Device registered with the account")["found"], "it came through its signer"


def test_a_second_run_writes_nothing_and_an_inactive_certificate_is_activated(home: Path) -> None:
    before = snapshot(home)
    counted = meters(home)
    outcome = run_tool(home, *PROVISION)
    assert outcome.code == 0, outcome.err
    assert outcome.document["account"]["writes"] == []
    assert {name: meters(home)[name] for name in WRITES} == {name: counted[name] for name in WRITES}
    assert {name for name, digest in snapshot(home).items() if before.get(name) != digest} <= {
        "simulator/avr-iot-wa/flash.bin"
    }
    with account_of(home) as account:
        identifier = fingerprint(device_file(home))
        account.call("iot", "UpdateCertificate", certificateId=identifier, newStatus="INACTIVE")
    outcome = run_tool(home, *PROVISION)
    assert outcome.code == 0, outcome.err
    assert "INACTIVE" in step(outcome, "Device registered with the account")["found"]
    assert outcome.document["account"]["writes"] == ["iot:UpdateCertificate"]
    with account_of(home) as account:
        assert status(account, identifier) == "ACTIVE"


def test_a_revoked_certificate_ends_the_run_before_the_kit_is_touched(home: Path) -> None:
    identifier = fingerprint(device_file(home))
    with account_of(home) as account:
        account.call("iot", "UpdateCertificate", certificateId=identifier, newStatus="REVOKED")
    before, counted = snapshot(home), meters(home)
    outcome = run_tool(home, *MAR)
    assert outcome.code == ExitCode.CLOUD
    assert "REVOKED" in outcome.err
    assert identifier in outcome.err
    assert snapshot(home) == before
    assert meters(home)["target_flash_erases"] == counted["target_flash_erases"]


@pytest.mark.parametrize("method", [MAR, JITR])
def test_a_changed_policy_is_said_and_nothing_is_changed_without_force(home: Path, method: tuple[str, ...]) -> None:
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
    with account_of(home) as account:
        account.call(
            "iot", "CreatePolicyVersion", policyName=POLICY, policyDocument=json.dumps(wide), setAsDefault=True
        )
    before = snapshot(home)
    outcome = run_tool(home, *method)
    assert outcome.code == ExitCode.CLOUD
    assert f"{POLICY}, version 2, has other content" in outcome.err
    assert outcome.document["account"]["writes"] == []
    assert snapshot(home) == before
    outcome = run_tool(home, *method, "certs", "--force")
    assert outcome.code == 0, outcome.err
    with account_of(home) as account:
        found = account.call("iot", "GetPolicy", policyName=POLICY)
        assert found["defaultVersionId"] == "3"
        assert json.loads(found["policyDocument"]) != wide


def test_a_replaced_signer_brings_a_new_certificate_and_the_old_one_is_pointed_out(home: Path) -> None:
    old, thing = fingerprint(device_file(home)), thing_of(device_file(home))
    for name in ("signer-ca.key", "signer-ca.csr", "signer-ca.crt"):
        (store(home) / name).rename(home / name)
    # The set is finished under the same root, once it is clear that the kit's certificate is of the signer put away.
    outcome = run_tool(home, *PROVISION)
    assert outcome.code == 0, outcome.err
    new = fingerprint(device_file(home))
    assert new != old
    assert "not signed with the issuer's key" in step(outcome, "Device certificate")["found"]
    assert old in step(outcome, "Device registered with the account")["done"]
    with account_of(home) as account:
        assert principals(account, thing) == {old, new}
        assert status(account, old) == "ACTIVE"
    again = run_tool(home, *PROVISION)
    assert again.document["account"]["writes"] == []
    assert old in step(again, "Device registered with the account")["found"]
    forced = run_tool(home, *PROVISION, "--force")
    assert forced.code == 0, forced.err
    with account_of(home) as account:
        assert principals(account, thing) == {fingerprint(device_file(home))}
        assert {status(account, identifier) for identifier in (old, new)} == {"ACTIVE"}, "they are only detached"


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, *MAR, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert snapshot(tmp_path) == before
    assert outcome.document["account"]["writes"] == []
    assert step(outcome, "Device registered with the account")["done"].startswith("would register")


def test_dry_run_of_another_certificate_says_that_it_would_be_registered(home: Path) -> None:
    outcome = run_tool(home, *PROVISION, "--fdev", "--dry-run")
    assert outcome.code == 0, outcome.err
    assert step(outcome, "Device registered with the account")["done"].startswith("would register")


def test_provision_alone_needs_an_account_that_is_ready(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *MAR, "provision")
    assert outcome.code in (ExitCode.CLOUD, ExitCode.STORE)
    assert "certs" in outcome.err
    assert not any(meters(tmp_path)[name] for name in ("target_flash_erases", "winc_sector_erases"))
    assert run_tool(tmp_path, *MAR, "certs").code == 0
    with account_of(tmp_path) as account:
        account.call("iot", "DeletePolicy", policyName=POLICY)
    outcome = run_tool(tmp_path, *MAR, "provision")
    assert outcome.code == ExitCode.CLOUD
    assert "run the action certs first" in outcome.err


def test_every_call_is_made_with_the_named_profile(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *MAR, "-a", "factory", "certs")
    assert outcome.code == 0, outcome.err
    outcome = run_tool(tmp_path, *MAR, "-a", "factory", "provision")
    assert outcome.code == 0, outcome.err
    assert outcome.document["account"]["profile"] == "factory"
    assert "iot:RegisterCertificateWithoutCA" in outcome.document["account"]["writes"]
    assert (kit_folder(tmp_path) / "winc.bin").is_file()
