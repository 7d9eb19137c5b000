"""The main job on a factory-fresh simulated AVR-IoT WA: what the kit, the store and the account hold afterwards."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from support.firmware_images import hex_image
from support.kit_contents import read_client_store, slot_locked
from support.running import Outcome, kit_folder, meters, run_command, run_tool, snapshot

from iotprovision.cloud.aws.account import Account
from iotprovision.pki.authority import Authority
from iotprovision.pki.names import Names
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.store.folder import Store

JOB = ("--simulate", "-c", "aws", "-m", "jitr", "--json")
CHIP_FILES = ("flash.bin", "fuses.bin", "board-config.bin", "winc.bin", "ecc608.yaml")


@dataclass(frozen=True)
class Done:
    """Two runs on one kit, with what was there between them."""

    home: Path
    first: Outcome
    second: Outcome
    meters_after: tuple[dict[str, int], dict[str, int]]
    chips_after: tuple[dict[str, bytes], dict[str, bytes]]

    @property
    def kit(self) -> dict[str, Any]:
        kit: dict[str, Any] = self.first.document["kit"]
        return kit

    @property
    def store(self) -> Path:
        return self.home / "simulator" / "certificates"

    @property
    def kit_files(self) -> Path:
        return self.store / self.kit["serial_number"]

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.store / name).read_bytes())

    @property
    def device(self) -> x509.Certificate:
        return self.certificate(f"{self.kit['serial_number']}/device.crt")

    @property
    def thing(self) -> str:
        point = self.device.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return hashlib.sha1(point).hexdigest()


def chips(home: Path) -> dict[str, bytes]:
    return {name: (kit_folder(home) / name).read_bytes() for name in CHIP_FILES}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("home")
    first = run_command(home, *JOB)
    assert first.code == 0, first.err
    between = meters(home), chips(home)
    second = run_command(home, *JOB)
    assert second.code == 0, second.err
    return Done(home, first, second, (between[0], meters(home)), (between[1], chips(home)))


@pytest.fixture(scope="module")
def account(done: Done) -> Iterator[Account]:
    with LocalCloud(done.home / "simulator" / "cloud") as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def test_says_which_kit_it_found(done: Done) -> None:
    assert re.fullmatch(r"[A-Z0-9]{20}", done.kit["serial_number"])
    assert (done.kit["name"], done.kit["mcu"].lower()) == ("AVR-IoT WA", "atmega4808")
    assert done.kit["debugger_version"] == "1.22.73"
    assert done.kit["serial_number"] in done.first.err


def test_store_has_the_files_by_their_known_names(done: Done) -> None:
    for name in ("root-ca.key", "root-ca.crt", "signer-ca.key", "signer-ca.csr", "signer-ca.crt"):
        assert (done.store / name).is_file()
    assert (done.kit_files / "aws-thing-name.txt").read_bytes() == done.thing.encode()
    assert stat.S_IMODE(done.store.stat().st_mode) == 0o700
    for key in done.store.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not list(done.home.glob("*.key")), "a simulated run keeps to its own folder"


def test_openssl_accepts_the_chain(done: Done) -> None:
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", done.store / "root-ca.crt", "-untrusted"]
        + [done.store / "signer-ca.crt", done.kit_files / "device.crt"],
        check=True,
        capture_output=True,
    )


def secure_element(done: Done) -> Any:
    return yaml.safe_load(done.chips_after[0]["ecc608.yaml"])


def test_device_certificate_is_for_the_key_in_the_chip(done: Done) -> None:
    scalar = int(str(secure_element(done)["private_keys"][0]), 16)
    assert done.device.public_key() == ec.derive_private_key(scalar, ec.SECP256R1()).public_key()


def test_wifi_module_holds_certificates_thing_name_and_endpoint(done: Done, account: Account) -> None:
    flash = done.chips_after[0]["winc.bin"]
    files = read_client_store(flash)
    expected = [done.device, done.certificate("signer-ca.crt")]
    names = [f"CERT_{certificate.serial_number:X}" for certificate in expected]
    assert list(files) == [*names, "ECDSA.lst"]
    assert [files[name] for name in names] == [certificate.public_bytes(Encoding.DER) for certificate in expected]
    assert files["ECDSA.lst"] == b"".join(name.encode().ljust(48, b"\0") for name in names)
    assert flash[0x6F00 : 0x6F00 + 41] == done.thing.encode() + b"\0"
    address = account.call("iot", "DescribeEndpoint", endpointType="iot:Data-ATS")["endpointAddress"]
    host = address.split(":")[0].encode()
    assert flash[0x6E00 : 0x6E00 + len(host) + 1] == host + b"\0"
    outside = flash[:0x5000] + flash[0x7000:]
    assert set(outside) == {0xFF}, "nothing but the two sectors was written"


def test_slots_are_locked(done: Done) -> None:
    element = secure_element(done)
    assert [slot for slot in range(9, 16) if slot_locked(element, slot)] == [10, 11, 12]


def test_registers_lead_to_the_thing(done: Done) -> None:
    block = done.chips_after[0]["board-config.bin"][0xC00 : 0xC00 + 512]
    assert block[0x0C] == 0x41
    assert block[0x105] == 20
    assert block[0x148 : 0x148 + 20].hex() == done.thing
    page = (kit_folder(done.home) / "drive" / "CLICK-ME.HTM").read_text()
    assert f"/41/{done.thing.upper()}?serial={done.kit['serial_number']}" in page
    assert list(done.kit_files.glob("board-config-*.bin")), "what was there before is kept"


def test_demo_is_in_the_flash(done: Done) -> None:
    flash = done.chips_after[0]["flash.bin"]
    content = hex_image("avr-iot-aws-demo").flash
    assert flash[: len(content)] == content


def test_first_connection_is_refused_and_then_accepted(done: Done) -> None:
    connection = done.first.document["first_connection"]
    *before, last = [attempt["accepted"] for attempt in connection["attempts"]]
    # Once on a quiet machine; on a busy one the board may ask again before the Lambda has come to an end.
    assert before
    assert not any(before)
    assert last
    assert connection["client_id"] == done.thing
    assert connection["shadow"]


def test_account_knows_the_device(done: Done, account: Account) -> None:
    fingerprint = hashlib.sha256(done.device.public_bytes(Encoding.DER)).hexdigest()
    found = account.call("iot", "DescribeCertificate", certificateId=fingerprint)["certificateDescription"]
    assert found["status"] == "ACTIVE"
    assert account.call("iot", "DescribeThing", thingName=done.thing)["thingName"] == done.thing
    principals = account.call("iot", "ListThingPrincipals", thingName=done.thing)["principals"]
    assert principals == [found["certificateArn"]]
    policies = account.call("iot", "ListAttachedPolicies", target=found["certificateArn"])["policies"]
    assert len(policies) == 1
    signer = hashlib.sha256(done.certificate("signer-ca.crt").public_bytes(Encoding.DER)).hexdigest()
    authority = account.call("iot", "DescribeCACertificate", certificateId=signer)["certificateDescription"]
    assert (authority["status"], authority["autoRegistrationStatus"]) == ("ACTIVE", "ENABLE")


def test_costs_of_the_first_run(done: Done) -> None:
    cost = done.meters_after[0]
    assert cost["hid_transactions"] <= 4700
    assert cost["uart_bytes_to_kit"] + cost["uart_bytes_from_kit"] <= 14000


def test_a_second_run_writes_nothing(done: Done) -> None:
    before, after = done.meters_after
    for name in (
        "winc_sector_erases",
        "winc_page_writes",
        "secure_element_writes",
        "secure_element_locks",
        "register_writes",
        "debugger_reboots",
    ):
        assert after[name] == before[name], name
    assert done.chips_after[0] == done.chips_after[1]
    assert done.second.document["account"]["writes"] == []
    assert done.first.document["account"]["writes"], "the meter of the account counts"


def test_costs_of_the_second_run(done: Done) -> None:
    before, after = done.meters_after
    first = before["uart_bytes_to_kit"] + before["uart_bytes_from_kit"]
    assert after["uart_bytes_to_kit"] + after["uart_bytes_from_kit"] - first <= 0.6 * first


def test_no_secret_in_the_log_or_on_the_screen(done: Done) -> None:
    log = (done.home / "simulator" / "iotprovision.log").read_text()
    for text in (log, done.first.out, done.first.err):
        assert "PRIVATE KEY" not in text
    for key in done.store.glob("*.key"):
        body = "".join(key.read_text().splitlines()[1:-1])
        assert body[:40] not in log


def test_dry_run_on_a_fresh_kit_writes_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before, counted = snapshot(tmp_path), meters(tmp_path)
    outcome = run_tool(tmp_path, *JOB, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert snapshot(tmp_path) == before
    after = meters(tmp_path)
    for name in ("target_flash_erases", "target_flash_page_writes", "winc_sector_erases", "register_writes"):
        assert after[name] == counted[name]
    assert outcome.document["account"]["writes"] == []
    states = {step["title"]: (step["state"], step["done"]) for step in outcome.document["steps"]}
    assert states["Provisioning firmware"] == ("different", "would erase the MCU and program it")
    unknown = [title for title, (state, _) in states.items() if state == "unknown"]
    assert "Certificates, thing name and endpoint in the Wi-Fi module" in unknown


def test_verify_proves_everything_once_more(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *JOB, "--verify", "--no-lock", "-ssid", "lab", "-psk", "correct horse")
    assert outcome.code == 0, outcome.err
    steps = {step["title"]: step for step in outcome.document["steps"]}
    assert steps["Proof: the chip holds the key of the certificate"]["state"] == "in place"
    assert steps["Proof: the device in the account"]["found"].endswith("active certificate and its policy")
    assert "Proof: certificates, thing name and endpoint in the Wi-Fi module" in steps
    assert "'lab'" in steps["Wi-Fi network"]["done"]
    assert "correct horse" not in json.dumps(outcome.document) + outcome.err
    assert "correct horse" not in (tmp_path / "simulator" / "iotprovision.log").read_text()
    element = yaml.safe_load((kit_folder(tmp_path) / "ecc608.yaml").read_text())
    assert not any(slot_locked(element, slot) for slot in (10, 11, 12))
    flash = (kit_folder(tmp_path) / "flash.bin").read_bytes()
    content = hex_image("avr-iot-aws-demo").flash
    assert flash[: len(content)] == content, "the application is back in place"


def test_links_and_application_alone(done: Done, tmp_path: Path) -> None:
    """The MCU is compared, then the registers are read: one after the other has the debugger."""
    home = tmp_path / "home"
    shutil.copytree(done.home, home)
    outcome = run_tool(home, *JOB, "links", "application")
    assert outcome.code == 0, outcome.err
    assert {step["state"] for step in outcome.document["steps"]} == {"in place"}


def test_a_lost_certificate_is_taken_over_from_the_kit(done: Done, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(done.home, home)
    folder = home / "simulator" / "certificates" / done.kit["serial_number"]
    shutil.rmtree(folder)
    before = meters(home), chips(home)
    outcome = run_tool(home, *JOB)
    assert outcome.code == 0, outcome.err
    assert (folder / "device.crt").read_bytes() == (done.kit_files / "device.crt").read_bytes()
    assert (folder / "aws-thing-name.txt").read_bytes() == done.thing.encode()
    assert meters(home)["winc_sector_erases"] == before[0]["winc_sector_erases"]
    assert chips(home) == before[1]


def test_a_certificate_of_another_chip_is_not_used(done: Done, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(done.home, home)
    store = home / "simulator" / "certificates"
    authority = Authority(Store(store), Names())
    other = ec.generate_private_key(ec.SECP256R1())
    name = "sn0123000000000000EE"
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(other, SHA256())
    )
    file = store / done.kit["serial_number"] / "device.crt"
    file.write_bytes(authority.issue_device_certificate(request, name).public_bytes(Encoding.PEM))
    outcome = run_tool(home, *JOB)
    assert outcome.code == 0, outcome.err
    (step,) = [step for step in outcome.document["steps"] if step["title"] == "Device certificate"]
    assert "another key" in step["found"]
    assert x509.load_pem_x509_certificate(file.read_bytes()).public_key() == done.device.public_key()
    assert outcome.document["first_connection"]["failure"] == ""
