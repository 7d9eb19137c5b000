"""A kit is taken out of the local cloud: what is gone, what of others stays, what a broken-off run leaves."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer, new_key
from support.firmware_images import hex_image
from support.running import Outcome, kit_folder, run_tool, snapshot

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_removal import DeviceRemoval
from iotprovision.errors import CloudDeniedError, CloudError, ExitCode
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.aws_removal import DeviceRemovedFromAccount
from iotprovision.store.folder import Store

POLICY = "iotprovision-device-v1"


def unprovision(home: Path, *arguments: str) -> Outcome:
    return run_tool(home, "unprovision", "--simulate", "--json", *arguments)


@contextmanager
def account_of(home: Path) -> Iterator[Account]:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def certificate_file(home: Path) -> Path:
    (file,) = (home / "simulator" / "certificates").glob("*/device.crt")
    return file


def identifier(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def kits_certificate(home: Path) -> str:
    return identifier(x509.load_pem_x509_certificate(certificate_file(home).read_bytes()))


def things(account: Account) -> set[str]:
    return {thing["thingName"] for thing in account.call("iot", "ListThings")["things"]}


def certificates(account: Account) -> set[str]:
    return {each["certificateId"] for each in account.call("iot", "ListCertificates")["certificates"]}


def another_device(account: Account, thing: str) -> str:
    """Registered by somebody, with another key, attached to a thing; gives the ARN of its certificate."""
    certificate = Signer().issue(new_key().public_key())
    pem = certificate.public_bytes(Encoding.PEM).decode()
    arn = account.call("iot", "RegisterCertificateWithoutCA", certificatePem=pem, status="ACTIVE")["certificateArn"]
    if thing not in things(account):
        account.call("iot", "CreateThing", thingName=thing)
    account.call("iot", "AttachPolicy", policyName=POLICY, target=arn)
    account.call("iot", "AttachThingPrincipal", thingName=thing, principal=arn)
    return str(arn)


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("mar")
    outcome = run_tool(home, "--simulate", "-c", "aws", "-m", "mar", "--no-lock")
    assert outcome.code == 0, outcome.err
    return home


@pytest.fixture
def home(provisioned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(provisioned, tmp_path / "home"))


def test_all_of_the_kit_goes_and_nothing_of_another(home: Path) -> None:
    with account_of(home) as account:
        (thing,) = things(account)
        other = another_device(account, "another-thing")
    dry = unprovision(home, "--dry-run")
    assert dry.code == 0, dry.err
    assert f"thing {thing}, certificate {kits_certificate(home)[:16]}" in dry.document["steps"][2]["found"]
    winc = (kit_folder(home) / "winc.bin").read_bytes()
    outcome = unprovision(home, "--yes", "--erase-credentials")
    assert outcome.code == 0, outcome.err
    with account_of(home) as account:
        assert things(account) == {"another-thing"}
        assert certificates(account) == {other.rpartition("/")[2]}
        assert account.call("iot", "ListTargetsForPolicy", policyName=POLICY)["targets"] == [other], "the policy stays"
    after = (kit_folder(home) / "winc.bin").read_bytes()
    assert set(after[0x5000:0x7000]) == {0xFF}
    assert after[:0x5000] + after[0x7000:] == winc[:0x5000] + winc[0x7000:]
    kept = {file.read_bytes() for file in (home / "simulator" / "certificates").glob("*/winc-05000-*.bin")}
    assert winc[0x5000:0x7000] in kept
    demo = hex_image("avr-iot-aws-demo").flash
    assert (kit_folder(home) / "flash.bin").read_bytes()[: len(demo)] == demo
    assert outcome.document["account"]["writes"][-1] == "iot:DeleteThing"
    assert "none of the certificates that are known of the kit, no thing" in outcome.document["steps"][2]["proof"]
    again = unprovision(home, "--yes", "--erase-credentials")
    assert again.code == 0, again.err
    assert again.document["account"]["writes"] == []
    assert again.document["exit_code"] == 0
    assert {step["done"] for step in again.document["steps"][2:4]} == {"nothing"}


def test_a_device_that_registered_itself(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "-c", "aws", "-m", "jitr", "--no-lock").code == 0
    with account_of(tmp_path) as account:
        (signer,) = account.call("iot", "ListCACertificates")["certificates"]
        assert len(things(account)) == 1, "its first connection made it"
    outcome = unprovision(tmp_path, "--yes", "-m", "jitr")
    assert outcome.code == 0, outcome.err
    assert "takes it back at its next connection" in outcome.err
    with account_of(tmp_path) as account:
        assert (things(account), certificates(account)) == (set(), set())
        kept = account.call("iot", "DescribeCACertificate", certificateId=signer["certificateId"])
        assert kept["certificateDescription"]["autoRegistrationStatus"] == "ENABLE", "the signer is everybody's"
        stacks = account.call("cloudformation", "DescribeStacks")["Stacks"]
        assert [stack["StackName"] for stack in stacks] == ["iotprovision-jitr"]


def test_without_a_terminal_and_without_yes_nothing_is_removed(home: Path) -> None:
    before = snapshot(kit_folder(home))
    outcome = unprovision(home)
    assert outcome.code == ExitCode.USAGE
    assert "no terminal to ask at" in outcome.err
    assert "--yes" in outcome.err
    assert snapshot(kit_folder(home)) == before, "nothing is programmed only to be told that"
    with account_of(home) as account:
        assert len(things(account)) == len(certificates(account)) == 1


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(
    ("answer", "code", "left"), [("n\n", ExitCode.USAGE, 1), ("\n", ExitCode.USAGE, 1), ("y\n", 0, 0)]
)
def test_a_person_is_asked(answer: str, code: int, left: int, home: Path) -> None:
    controller, terminal = os.openpty()
    os.write(controller, answer.encode())
    try:
        outcome = subprocess.run(
            [sys.executable, "-m", "iotprovision", "unprovision", "--simulate"],
            env={**os.environ, "IOTPROVISION_HOME": str(home)},
            stdin=terminal,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(controller)
    assert outcome.returncode == code, outcome.stderr
    assert "Remove from the account 111122223333, us-east-1: thing" in outcome.stderr
    assert kits_certificate(home)[:16] in outcome.stderr
    with account_of(home) as account:
        assert len(things(account)) == len(certificates(account)) == left


def test_a_thing_that_serves_another_too_stays_and_so_does_the_other(home: Path) -> None:
    with account_of(home) as account:
        (thing,) = things(account)
        other = another_device(account, thing)
    outcome = unprovision(home, "--yes")
    assert outcome.code == 0, outcome.err
    assert "stays: something else is attached to it" in outcome.err + str(outcome.document["steps"])
    proof = outcome.document["steps"][2]["proof"]
    assert "no thing of its name" not in proof
    assert "the thing of its name stays" in proof
    with account_of(home) as account:
        assert things(account) == {thing}
        assert certificates(account) == {other.rpartition("/")[2]}
        assert account.call("iot", "ListThingPrincipals", thingName=thing)["principals"] == [other]


def test_the_stores_certificate_of_another_kit_is_never_touched(home: Path) -> None:
    """The store is a copy: a certificate in it that has not the chip's key is somebody else's."""
    with account_of(home) as account:
        (thing,) = things(account)
        other = another_device(account, "another-thing")
        pem = account.call("iot", "DescribeCertificate", certificateId=other.rpartition("/")[2])
    certificate_file(home).write_text(pem["certificateDescription"]["certificatePem"])
    outcome = unprovision(home, "--yes")
    assert outcome.code == 0, outcome.err
    with account_of(home) as account:
        assert certificates(account) == {other.rpartition("/")[2]}
        assert things(account) == {"another-thing"}, f"{thing} is gone: the kit itself told its certificate"


def test_what_a_removal_began_with_is_noted_for_its_account_only(home: Path) -> None:
    kept = x509.load_pem_x509_certificate(certificate_file(home).read_bytes())
    with account_of(home) as account:
        for_here, for_elsewhere = (Signer().issue(kept.public_key()) for _ in range(2))
        for certificate in (for_here, for_elsewhere):
            pem = certificate.public_bytes(Encoding.PEM).decode()
            account.call("iot", "RegisterCertificateWithoutCA", certificatePem=pem, status="INACTIVE")
    elsewhere = {"444455556666, eu-west-1": [identifier(for_elsewhere)]}
    noted = certificate_file(home).with_name("unprovision.json")
    noted.write_text(json.dumps({"111122223333, us-east-1": [identifier(for_here)], **elsewhere}))
    outcome = unprovision(home, "--yes")
    assert outcome.code == 0, outcome.err
    with account_of(home) as account:
        assert certificates(account) == {identifier(for_elsewhere)}
    assert json.loads(noted.read_text()) == elsewhere


def test_a_certificate_that_somebody_attached_elsewhere(home: Path) -> None:
    with account_of(home) as account:
        account.call("iot", "CreateThing", thingName="museum")
        arn = account.call("iot", "DescribeCertificate", certificateId=kits_certificate(home))
        principal = arn["certificateDescription"]["certificateArn"]
        account.call("iot", "AttachThingPrincipal", thingName="museum", principal=principal)
    outcome = unprovision(home, "--yes")
    assert outcome.code == ExitCode.CLOUD
    assert "attached to another thing too: museum" in outcome.err
    with account_of(home) as account:
        assert len(certificates(account)) == 1
    assert unprovision(home, "--yes", "-f").code == 0
    with account_of(home) as account:
        assert (things(account), certificates(account)) == ({"museum"}, set())


def test_an_account_that_may_not_be_looked_into_is_found_before_the_kit_is_touched(home: Path) -> None:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        account.identity()
        kit_is_not_asked: Any = None
        step = DeviceRemovedFromAccount(account, kit_is_not_asked, (), Store(home), bool, False)
        step.prepare()
        with Stubber(account.client("iot")) as aws:
            aws.add_client_error("describe_thing", "AccessDeniedException", "not authorized to: iot:DescribeThing")
            with pytest.raises(CloudDeniedError, match="iot:DescribeThing"):
                step.prepare()


class BreaksOff(Account):
    """An account that cannot be reached any more after so many calls that change something."""

    lasts = 0

    def call(self, service: str, operation: str, **parameters):
        self._last(operation)
        return super().call(service, operation, **parameters)

    def find(self, service: str, operation: str, *rest, **parameters):
        self._last(operation)
        return super().find(service, operation, *rest, **parameters)

    def _last(self, operation: str) -> None:
        if not operation.startswith(("Describe", "List", "Get")):
            if not self.lasts:
                raise CloudError("The cloud cannot be reached", "No route to host.", "look at the network")
            self.lasts -= 1


def test_broken_off_anywhere_it_says_what_was_done_and_goes_on(home: Path) -> None:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        (thing,) = things(account)
        known = [kits_certificate(home)]
        done: list[str] = []
        for _ in range(10):
            broken = BreaksOff(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
            broken.lasts = 1
            removal = DeviceRemoval(broken, thing)
            try:
                done += removal.remove(removal.look(known), detach_elsewhere=False)
                break
            except CloudError as error:
                (said,) = [line for line in error.why.splitlines() if line.startswith("Done before: ")]
                assert "nothing" not in said
                done += [said]
                assert "goes on from there" in error.hint
        assert len(done) == 5, "deactivated, policy, thing, certificate, thing deleted: one at each try"
        assert (things(account), certificates(account)) == (set(), set())


def test_aws_detaches_in_its_own_time(home: Path) -> None:
    """It answers DetachThingPrincipal at once, and for some seconds deletes neither certificate nor thing."""
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        (thing,) = things(account)
        found = DeviceRemoval(account, thing).look([kits_certificate(home)])
        waited: list[float] = []
        with Stubber(account.client("iot")) as aws:
            for operation in ("update_certificate", "detach_policy", "detach_thing_principal"):
                aws.add_response(operation, {})
            aws.add_client_error("delete_certificate", "DeleteConflictException", "Things must be detached")
            aws.add_response("delete_certificate", {})
            aws.add_client_error("delete_thing", "InvalidRequestException", "Cannot delete. Thing is still attached")
            aws.add_response("delete_thing", {})
            DeviceRemoval(account, thing, sleep=waited.append).remove(found, detach_elsewhere=False)
            aws.assert_no_pending_responses()
        assert len(waited) == 2
        with Stubber(account.client("iot")) as aws:
            for operation in ("update_certificate", "detach_policy", "detach_thing_principal"):
                aws.add_response(operation, {})
            aws.add_client_error("delete_certificate", "DeleteConflictException", "Things must be detached")
            times = iter((0.0, 31.0))
            with pytest.raises(CloudError, match="not out of the account yet"):
                DeviceRemoval(account, thing, clock=lambda: next(times)).remove(found, detach_elsewhere=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", "sandbox"), "The account is the vendor's"),
        (("-c", "google"), "Google shut Cloud IoT Core down"),
        (("provision",), "stands alone"),
    ],
)
def test_what_cannot_be_unprovisioned(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    outcome = unprovision(tmp_path, *arguments, "--yes")
    assert outcome.code == ExitCode.USAGE
    assert words in outcome.err
    assert not kit_folder(tmp_path).exists()
    assert not before


def test_a_kit_with_a_modem(tmp_path: Path) -> None:
    kit = "avr-iot-cellular-mini"
    provisioned = run_tool(tmp_path, "--simulate", kit, "-c", "aws", "-m", "mar", "certs", "provision")
    assert provisioned.code == 0, provisioned.err
    with account_of(tmp_path) as account:
        (thing,) = things(account)
    outcome = run_tool(tmp_path, "unprovision", "--simulate", kit, "--yes", "--erase-credentials", "--json")
    assert outcome.code == 0, outcome.err
    emptied = {step["title"]: step["found"] for step in outcome.document["steps"][3:5]}
    assert emptied["Credentials out of the modem"] == "a device certificate"
    assert thing in emptied["Credentials out of slot 8 of the secure element"]
    with account_of(tmp_path) as account:
        assert (things(account), certificates(account)) == (set(), set())
    again = run_tool(tmp_path, "unprovision", "--simulate", kit, "--yes", "--erase-credentials", "--json")
    assert {step["title"]: step["found"] for step in again.document["steps"][3:5]} == dict.fromkeys(emptied, "nothing")
