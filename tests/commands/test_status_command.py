"""The command ``status``: what a kit is provisioned for, without disturbing it, from its chips, and in the account."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from support.aws_contents import contents_of
from support.kit_contents import read_client_store
from support.other_runs import kit_held_by_another
from support.running import Outcome, kit_folder, meters, run_command, run_tool, snapshot
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.link_registers import read_page_link
from iotprovision.cloud.aws.account import Account
from iotprovision.errors import ExitCode
from iotprovision.simulator.cloud.aws import LocalCloud

if TYPE_CHECKING:
    from support.kits_on_bus import KitsOnBus

pytest_plugins = ["support.kits_on_bus"]

STATUS = ("status", "--simulate", "--json")
MOST_TRANSACTIONS = 150
MOST_SECONDS = 1.5


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after one run, for tests that work on copies of it."""
    home = tmp_path_factory.mktemp("home")
    outcome = run_tool(home, "--simulate", "-c", "aws", "-m", "jitr", "--no-lock")
    assert outcome.code == 0, outcome.err
    return home


@pytest.fixture
def home(provisioned: Path, tmp_path: Path) -> Path:
    shutil.copytree(provisioned, tmp_path / "home")
    return tmp_path / "home"


@contextmanager
def account_of(home: Path) -> Iterator[Account]:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def thing_in(home: Path) -> str:
    (file,) = (home / "simulator" / "certificates").glob("*/aws-thing-name.txt")
    return file.read_text()


def only_kit(outcome: Outcome) -> dict[str, Any]:
    (kit,) = outcome.document["kits"]
    return kit


def look(kit: dict[str, Any], subject: str) -> dict[str, Any]:
    (found,) = [each for each in kit["looks"] if each["subject"] == subject]
    return found


def test_what_a_kit_is_provisioned_for_costs_little_and_changes_nothing(home: Path) -> None:
    before, cost = snapshot(home), meters(home)
    outcome = run_tool(home, *STATUS)
    assert outcome.code == 0, outcome.err
    after = meters(home)
    assert after["hid_transactions"] - cost["hid_transactions"] <= MOST_TRANSACTIONS
    # The application goes on talking to nobody.
    assert {name for name in cost if after[name] != cost[name]} <= {"hid_transactions", "uart_bytes_discarded"}
    assert snapshot(home) == before
    assert not (home / "history.jsonl").exists()
    kit = only_kit(outcome)
    assert (kit["name"], kit["link"], kit["device"], kit["thing"]) == (
        "AVR-IoT WA",
        "aws-custom",
        thing_in(home),
        thing_in(home),
    )
    assert kit["is_in_order"] is True
    assert look(kit, "Device certificate in the store")["state"] == "in place"
    assert "avr-iot-aws-demo 4.1.2" in look(kit, "Application")["found"]
    shown = run_tool(home, "status", "--simulate")
    assert thing_in(home) in shown.out
    assert "AVR-IoT WA" in shown.out


def test_a_kit_that_was_never_provisioned(tmp_path: Path) -> None:
    kit = only_kit(run_tool(tmp_path, *STATUS))
    assert (kit["device"], kit["thing"]) == ("", "")
    assert look(kit, "Device certificate in the store")["state"] == "missing"
    assert not (tmp_path / "simulator" / "certificates").exists()
    outcome = run_tool(tmp_path, *STATUS, "--account")
    assert outcome.code == 0, outcome.err
    assert look(only_kit(outcome), "Thing in the account")["state"] == "missing"
    states = {each["subject"]: each["state"] for each in outcome.document["in_account"]}
    assert {states[name] for name in ("Policy of the devices", "JITR stack", "Signer in the account")} == {"missing"}


def test_status_is_quick(home: Path) -> None:
    """Processor time of the command and of the simulated kit's process: on a quiet machine they take no longer."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run_command(home, *STATUS).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS


def test_a_page_that_names_another_device_is_said(home: Path) -> None:
    (file,) = (home / "simulator" / "certificates").glob("*/device.crt")
    file.unlink()
    assert look(only_kit(run_tool(home, *STATUS)), "Device certificate in the store")["state"] == "missing"
    signer = home / "simulator" / "certificates" / "signer-ca.crt"
    file.write_bytes(signer.read_bytes())  # a certificate of another key
    kit = only_kit(run_tool(home, *STATUS))
    assert look(kit, "Device that the page names")["state"] == "different"
    assert kit["is_in_order"] is False


def test_deep_reads_the_chips_and_puts_the_users_application_back(home: Path) -> None:
    own = bytearray((kit_folder(home) / "flash.bin").read_bytes())
    own[0x400:0x40E] = b"my own program"
    (kit_folder(home) / "flash.bin").write_bytes(own)
    (kit_folder(home) / "eeprom.bin").write_bytes(b"settings".ljust(256, b"\xff"))
    chips = {name: (kit_folder(home) / name).read_bytes() for name in ("winc.bin", "board-config.bin", "fuses.bin")}
    outcome = run_tool(home, *STATUS, "--deep")
    assert outcome.code == 0, outcome.err
    assert (kit_folder(home) / "flash.bin").read_bytes() == bytes(own)
    assert (kit_folder(home) / "eeprom.bin").read_bytes().startswith(b"settings")
    for name, content in chips.items():
        assert (kit_folder(home) / name).read_bytes() == content, name
    kit = only_kit(outcome)
    element = yaml.safe_load((kit_folder(home) / "ecc608.yaml").read_text())
    config = bytes.fromhex(element["config"])
    serial_number = (config[0:4] + config[8:13]).hex().upper()  # ATECC608A datasheet, SN<0:3> and SN<4:8>
    assert serial_number in look(kit, "Secure element")["found"]
    assert look(kit, "Device certificate on the kit")["state"] == "in place"
    assert look(kit, "Thing name on the kit")["found"] == thing_in(home)
    with account_of(home) as account:
        assert look(kit, "Endpoint on the kit")["found"] == account.iot_endpoint()
    record = json.loads((home / "simulator" / "history.jsonl").read_text().splitlines()[-1])
    assert (record["command"], record["exit_code"]) == ("status", 0)
    assert record["chip"] == {"serial_number": serial_number}
    assert {entry["kit"] for entry in record["changed"]} == {kit["serial_number"]}
    assert look(kit, "Application")["found"] == "one that is in no file"
    assert "Application put back" in [entry["step"] for entry in record["changed"]]
    assert any("every byte equal" in entry["proof"] for entry in record["proofs"])


@pytest.mark.parametrize("kind", ["avr-iot-cellular-mini", "pic-iot-wa", "sam-iot-wx"])
def test_every_kind_of_kit(kind: str, tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "bus", kind) as kits:
        cost = kits.meters()["hid_transactions"]
        outcome = run_tool(tmp_path / "home", "status", "--json")
        assert outcome.code == 0, outcome.err
        assert kits.meters()["hid_transactions"] - cost <= MOST_TRANSACTIONS
        assert only_kit(outcome)["link"]
        outcome = run_tool(tmp_path / "home", "status", "--deep", "--json")
        assert outcome.code == 0, outcome.err
        kit = only_kit(outcome)
        element = yaml.safe_load((kits.folder / "ecc608.yaml").read_text())
        config = bytes.fromhex(element["config"])
        assert (config[0:4] + config[8:13]).hex().upper() in look(kit, "Secure element")["found"]
        assert look(kit, "Device certificate on the kit")["state"] == "missing"
        assert (look(kit, "Application")["found"], "held no application" in outcome.err) == ("none", True)
        again = run_tool(tmp_path / "home", "status", "--deep", "--json")
        assert "held no application" not in again.err
        counted = kits.meters()
        assert (counted["winc_page_writes"], counted["secure_element_writes"], counted["modem_writes"]) == (0, 0, 0)


def test_deep_names_a_certificate_of_another_key(home: Path) -> None:
    files = read_client_store((kit_folder(home) / "winc.bin").read_bytes())
    signer = x509.load_pem_x509_certificate((home / "simulator/certificates/signer-ca.crt").read_bytes())
    der = signer.public_bytes(Encoding.DER)
    device = next(content for name, content in files.items() if content != der and content[:1] == b"\x30")
    flash = bytearray((kit_folder(home) / "winc.bin").read_bytes())
    at = flash.index(device)
    key = flash.index(bytes.fromhex("034200"), at) + 20  # inside the public key, a BIT STRING of 66 bytes
    flash[key] ^= 1
    (kit_folder(home) / "winc.bin").write_bytes(flash)
    kit = only_kit(run_tool(home, *STATUS, "--deep"))
    assert look(kit, "Device certificate on the kit")["state"] == "different"
    assert kit["is_in_order"] is False


def test_deep_that_fails_puts_the_application_back(home: Path) -> None:
    before = (kit_folder(home) / "flash.bin").read_bytes()
    with served(home) as faults:
        faults(uart_drop_after_bytes=300)
        outcome = run_tool(home, *STATUS, "--deep")
    assert outcome.code == ExitCode.SERIAL_LINK
    assert look(only_kit(outcome), "Chips")["state"] == "unknown"
    assert (kit_folder(home) / "flash.bin").read_bytes() == before


@contextmanager
def served(home: Path) -> Iterator[Any]:
    """The kit of a home in a process that stays, so that it can be given faults."""
    with kits_on_the_bus(home / "simulator", "avr-iot-wa") as kits:
        yield kits.faults


def test_two_runs_on_one_kit_at_once(home: Path) -> None:
    (folder,) = (home / "simulator" / "certificates").glob("MCHP*")
    with kit_held_by_another(folder):
        before, cost = snapshot(home), meters(home)
        for how in (["--deep"], []):
            outcome = run_tool(home, *STATUS, *how)
            assert outcome.code == ExitCode.LOCKED
            assert only_kit(outcome)["obstacle"] == "busy"
            assert "Another run" in only_kit(outcome)["what"]
        assert snapshot(home) == before
        assert meters(home)["hid_transactions"] == cost["hid_transactions"]
    assert run_tool(home, *STATUS).code == 0


def test_the_account_has_the_kit(home: Path) -> None:
    with account_of(home) as account:
        before = contents_of(account)
    outcome = run_tool(home, *STATUS, "--account")
    assert outcome.code == 0, outcome.err
    kit = only_kit(outcome)
    (file,) = (home / "simulator" / "certificates").glob("*/device.crt")
    identifier = x509.load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex()
    assert identifier[:16] in look(kit, "Certificate in the account")["found"]
    for subject in ("Certificate in the account", "Thing in the account", "Policies of the certificate"):
        assert look(kit, subject)["state"] == "in place"
    assert {each["state"] for each in outcome.document["in_account"]} == {"in place"}
    with account_of(home) as account:
        assert contents_of(account) == before


def test_what_is_missing_or_foreign_in_the_account_is_named(home: Path) -> None:
    thing = thing_in(home)
    with account_of(home) as account:
        (arn,) = account.call("iot", "ListThingPrincipals", thingName=thing)["principals"]
        document = json.dumps({"Version": "2012-10-17", "Statement": []})
        account.call("iot", "CreatePolicy", policyName="somebodys", policyDocument=document)
        account.call("iot", "AttachPolicy", policyName="somebodys", target=arn)
        account.call("iot", "DetachPolicy", policyName="iotprovision-device-v1", target=arn)
        other = account.call("iot", "CreateKeysAndCertificate", setAsActive=True)
        account.call("iot", "AttachThingPrincipal", thingName=thing, principal=other["certificateArn"])
        account.call("iot", "UpdateCertificate", certificateId=arn.rpartition("/")[2], newStatus="INACTIVE")
        account.call("iot", "DisableTopicRule", ruleName="iotprovision_jitr")
        account.call(
            "iot",
            "CreatePolicyVersion",
            policyName="iotprovision-device-v1",
            policyDocument=document,
            setAsDefault=True,
        )
    outcome = run_tool(home, *STATUS, "--account")
    assert outcome.code == 0, outcome.err
    kit = only_kit(outcome)
    assert "INACTIVE" in look(kit, "Certificate in the account")["found"]
    policies = look(kit, "Policies of the certificate")
    assert policies["state"] == "missing"
    assert "somebodys" in policies["found"]
    foreign = look(kit, "Other certificates of the thing")
    assert foreign["foreign"] is True
    assert other["certificateId"] in foreign["found"]
    shared = {each["subject"]: each for each in outcome.document["in_account"]}
    assert shared["Policy of the devices"]["foreign"] is True
    assert shared["JITR stack"]["state"] == "different"
    assert "foreign" in run_tool(home, "status", "--simulate", "--account").out


def test_a_thing_without_its_certificate_at_hand(home: Path) -> None:
    """The store is lost: the page on the kit's drive still names the thing."""
    shutil.rmtree(home / "simulator" / "certificates")
    kit = only_kit(run_tool(home, *STATUS, "--account"))
    assert look(kit, "Thing in the account")["found"] == thing_of_page(kit)
    assert look(kit, "Certificate in the account")["state"] == "unknown"
    kit = only_kit(run_tool(home, *STATUS, "--account", "--deep"))
    assert look(kit, "Certificate in the account")["state"] == "in place"


def thing_of_page(kit: dict[str, Any]) -> str:
    return str(kit["device"])


def test_an_account_that_goes_away_in_the_middle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found until then is shown; what was not asked is said to be unknown."""
    from iotprovision.cloud.aws.device_policy import DevicePolicy

    ask = DevicePolicy.state

    def ask_and_lose_the_cloud(self: DevicePolicy) -> Any:
        found = ask(self)
        self.account.client("cloudformation").meta.events.register("before-send", lost)
        self.account.client("iot").meta.events.register("before-send", lost)
        return found

    def lost(**_: Any) -> None:
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="the cloud")

    monkeypatch.setattr(DevicePolicy, "state", ask_and_lose_the_cloud)
    monkeypatch.setattr("iotprovision.cloud.aws.account.ATTEMPTS", 1)
    outcome = run_tool(home, *STATUS, "--account")
    assert outcome.code == ExitCode.CLOUD
    shared = {each["subject"]: each for each in outcome.document["in_account"]}
    assert shared["Policy of the devices"]["state"] == "in place"
    assert shared["JITR stack"]["state"] == "unknown"
    assert "not asked" in shared["Signer in the account"]["found"]
    assert look(only_kit(outcome), "Certificate in the account")["state"] == "unknown"
    assert only_kit(outcome)["device"] == thing_in(home)
    assert outcome.document["error"]["kind"] == "CloudError"


def test_a_right_that_is_missing_hides_only_what_it_is_for(home: Path, tmp_path: Path) -> None:
    from iotprovision.inspection.account_status import AccountStatus

    with account_of(home) as account:
        account.call("iam", "CreateUser", UserName="narrow")
        statement = {"Effect": "Allow", "Action": ["iot:GetPolicy"], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        account.call("iam", "PutUserPolicy", UserName="narrow", PolicyName="some", PolicyDocument=document)
        key = account.call("iam", "CreateAccessKey", UserName="narrow")["AccessKey"]
        file = tmp_path / "config"
        file.write_text(
            "[profile narrow]\nregion=us-east-1\n"
            f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
        )
        status = AccountStatus(Account("narrow", endpoint_url=account.endpoint_url, config_file=file), None)
        looks = {each.subject: each.finding for each in status.of_all()}
    assert looks["Policy of the devices"].state.value == "in place"
    assert looks["JITR stack"].state.value == "unknown"
    assert status.error is not None
    assert status.error.exit_code == ExitCode.CLOUD_DENIED


def test_links_are_read_as_the_vendors_library_reads_them(kits: KitsOnBus) -> None:
    for device in (bytes(range(20)), bytes(range(9)), b"x" * 32):
        registers.write(kits.serial, registers.LinkRegisters(0x41, device).registers)
        before = kits.transactions()
        page = read_page_link(kits.serial)
        assert kits.transactions() - before <= 10
        assert (page.click_me_type, page.device) == (0x41, device.hex())
    registers.write(kits.serial, {"CLICK_ME_TYPE": 0x20, "KEY2_LEN": 0})
    assert read_page_link(kits.serial).device == ""


def test_all_kits_are_listed_and_one_can_be_chosen(kits: KitsOnBus, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "status", "--json")
    assert outcome.code == 0, outcome.err
    assert {kit["name"] for kit in outcome.document["kits"]} == {"AVR-IoT WA", "AVR-IoT WG"}
    outcome = run_tool(tmp_path, "status", "--json", "-s", kits.other.serial_number[-5:])
    assert only_kit(outcome)["name"] == "AVR-IoT WG"
    assert run_tool(tmp_path, "status", "-s", "nothing-like-it").code == ExitCode.KIT
    assert run_tool(tmp_path, "status", "-P", "somewhere").code == ExitCode.USAGE
    assert not any(tmp_path.iterdir())


def test_kits_that_cannot_be_used_are_listed_with_the_reason(kits: KitsOnBus, tmp_path: Path) -> None:
    kits.faults(usb_access_denied=True)
    outcome = run_tool(tmp_path, "status", "--json")
    by_name = {kit["name"]: kit for kit in outcome.document["kits"]}
    assert by_name["AVR-IoT WG"]["link"]
    (closed,) = [kit for kit in outcome.document["kits"] if "obstacle" in kit]
    assert closed["obstacle"] == "no-access"
    assert any("udev" in line for line in closed["try"])
    assert "cannot be opened" in run_tool(tmp_path, "status").out


def test_a_kit_of_another_name_is_listed(kits: KitsOnBus, tmp_path: Path) -> None:
    name = registers.read(kits.serial, ["KITNAME"])["KITNAME"]
    registers.write(kits.serial, {"KITNAME": "Coffee machine"})
    try:
        outcome = run_tool(tmp_path, "status", "--json")
    finally:
        registers.write(kits.serial, {"KITNAME": name})
    (unknown,) = [kit for kit in outcome.document["kits"] if kit["name"] == "Coffee machine"]
    assert unknown["obstacle"] == "no-known-kit"
    assert unknown["serial_number"] == kits.serial


def test_no_kit_at_all(tmp_path: Path) -> None:
    from iotprovision.simulator.usb.host import attached

    with attached(tmp_path / "bus"):
        outcome = run_tool(tmp_path / "home", "status", "--json")
    assert outcome.code == ExitCode.KIT
    assert outcome.document["error"]["what"] == "No kit is connected"
    assert not (tmp_path / "home").exists()
