"""Mistakes that tools of this kind make and no other file has a test for; docs/weaknesses.md lists them all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.firmware_images import hex_image, image_path
from support.kit_contents import read_client_store
from support.running import kit_folder, meters, run_command, run_tool
from support.serial_peer import MemoryPort
from support.simulated import kits_on_the_bus, simulator

from iotprovision.boards.nedbg.secure_element import SecureElement
from iotprovision.boards.nedbg.wifi_module import ClientArea, ModuleFlash
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_template import template
from iotprovision.errors import ExitCode, SerialLinkError
from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.formats.winc_flash import CLIENT_AREA
from iotprovision.pki.authority import Authority
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.pki.names import Names
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.models.modelled_uart import ModelledUart
from iotprovision.simulator.models.provisioning_firmware import ProvisioningFirmware
from iotprovision.simulator.usb.host import KitProcess, start_kits
from iotprovision.steps.credentials import CredentialsOfDevice, credentials_stored
from iotprovision.steps.device_certificate import DeviceCertificate
from iotprovision.steps.identity import OwnIdentity
from iotprovision.steps.step import Step
from iotprovision.steps.stored import Keeper
from iotprovision.store.folder import Store

JOB = ("--simulate", "-c", "aws", "-m", "jitr", "--json")
NETWORK = ("-ssid", "lab", "-psk", "correct horse")
MCU_METERS = ("target_flash_erases", "target_flash_page_writes")
WINC_METERS = ("winc_sector_erases", "winc_page_writes")


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit that works and its store; to be copied, not touched."""
    home = tmp_path_factory.mktemp("home")
    outcome = run_tool(home, *JOB)
    assert outcome.code == 0, outcome.err
    return home


@pytest.fixture
def home(provisioned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(provisioned, tmp_path / "home"))


@contextmanager
def served(home: Path) -> Iterator[KitProcess]:
    with start_kits([SimulatedKitName.parse("avr-iot-wa")], home / "simulator") as kits:
        yield kits


def store(home: Path) -> Path:
    return home / "simulator" / "certificates"


def kit_files(home: Path) -> Path:
    (file,) = store(home).glob("*/device.crt")
    return file.parent


def content(home: Path, name: str) -> bytes:
    return (kit_folder(home) / name).read_bytes()


def steps(document: Any) -> dict[str, Any]:
    return {step["title"]: step for step in document["steps"]}


# --- what a run may destroy


@pytest.mark.parametrize("action", ["none", "certs", "links", "dbgupgrade"])
def test_actions_that_do_not_need_the_mcu_leave_it_alone(action: str, home: Path) -> None:
    flash = bytearray(content(home, "flash.bin"))
    flash[0xBF00:0xBF08] = b"my own\0\0"
    (kit_folder(home) / "flash.bin").write_bytes(flash)
    board = bytearray(content(home, "board-config.bin"))
    board[0xC0C] = 0x20  # so that there is a link to write
    (kit_folder(home) / "board-config.bin").write_bytes(board)
    before = meters(home)
    outcome = run_tool(home, *JOB, action)
    assert outcome.code == 0, outcome.err
    after = meters(home)
    for name in (*MCU_METERS, *WINC_METERS, "uart_bytes_to_kit"):
        assert after[name] == before[name], name
    assert content(home, "flash.bin") == flash
    assert (after["register_writes"] > before["register_writes"]) is (action == "links")


def test_an_application_for_another_cloud_leaves_the_wifi_module_alone(home: Path) -> None:
    before, winc = meters(home), content(home, "winc.bin")
    file = image_path("avr-iot-google-demo")
    outcome = run_tool(home, "--simulate", "-c", "azure", "-app", str(file), "application", "--json")
    assert outcome.code == 0, outcome.err
    flash = hex_image("avr-iot-google-demo").flash
    assert content(home, "flash.bin")[: len(flash)] == flash
    assert content(home, "winc.bin") == winc
    assert {name: meters(home)[name] for name in WINC_METERS} == {name: before[name] for name in WINC_METERS}


def test_an_upgrade_of_the_wifi_module_never_looks_complete_before_it_is(tmp_path: Path) -> None:
    state = tmp_path / "simulator"
    assert simulator("reset", "avr-iot-wa", "--state", state, "--wifi-module", "19.7.6").returncode == 0
    before = content(tmp_path, "winc.bin")
    with served(tmp_path) as kits:
        kits.faults(power_loss_after_uart_bytes=120_000)
        assert run_tool(tmp_path, "--simulate", "wincupgrade").code != 0
        kits.plug_in()
        kits.save()
        now = content(tmp_path, "winc.bin")
        new = image_path("winc1500-19.7.7").read_bytes()
        assert now[0x2000:] != before[0x2000:], "it was in the middle"
        assert now[0x2000:0x3000] == new[0x2000:0x3000]
        assert now[0x1000:0x2000] == b"\xff" * 0x1000, "the section that says which firmware to start comes last"
        assert now[:0x1000] == before[:0x1000], "and the start just before"
        outcome = run_tool(tmp_path, "--simulate", "wincupgrade")
        assert outcome.code == 0, outcome.err
        kits.save()
        assert content(tmp_path, "winc.bin")[:0x3000] == new[:0x3000]


def test_a_run_that_fails_leaves_a_kit_that_worked_working(home: Path) -> None:
    winc, board = content(home, "winc.bin"), content(home, "board-config.bin")
    with served(home) as kits:
        kits.faults(secure_element_refused_slots=[0])
        assert run_tool(home, *JOB, "--fdev").code == ExitCode.CHIP_REFUSED
        kits.faults(secure_element_refused_slots=[])
        kits.save()
        assert content(home, "winc.bin") == winc
        assert content(home, "board-config.bin") == board
        outcome = run_tool(home, *JOB)
        assert outcome.code == 0, outcome.err
        assert steps(outcome.document)["Device certificate"]["done"] == "nothing"
        assert [attempt["accepted"] for attempt in outcome.document["first_connection"]["attempts"]] == [True]


def pull_the_cable() -> None:
    raise SerialLinkError("the cable was pulled")


class Bench:
    """The steps of a provisioner on the modelled firmware and its chips, where something can happen at a command."""

    def __init__(self, folder: Path, other: Bench | None = None) -> None:
        """:param other: whose chips are used again"""
        self.secure_element = other.secure_element if other else Ecc608()
        self.wifi_module = other.wifi_module if other else Winc1510()
        uart = ModelledUart(ProvisioningFirmware(self.secure_element, self.wifi_module))
        self.happens_at = b"never"
        self.happens: Callable[[], None] = pull_the_cable

        def answer(sent: bytes) -> bytes:
            answered = uart.receive(sent)
            if sent.startswith(self.happens_at):
                self.happens()
            return answered

        link = ProvisioningLink(MemoryPort(answer).line(), (CLIENT_AREA,))
        self.client_area = ClientArea(ModuleFlash(lambda: link))
        self.files = Store(folder).for_kit("MCHP1")
        self.authority = Authority(Store(folder), Names())
        self.authority.create()  # if there is none
        self.identity = OwnIdentity(DeviceFiles(self.files), self.authority)
        key = SecureElement(lambda: link)
        held = (self.client_area,)
        self.certificate = DeviceCertificate(key, self.identity, self.authority, False, frozenset(), held)

    def credentials(self, endpoint: str) -> Step:
        keeper = Keeper(self.files, lambda: datetime.now(UTC), "provision")
        (step,) = credentials_stored((self.client_area,), CredentialsOfDevice(self.identity, lambda: endpoint), keeper)
        return step


def test_what_an_erase_destroys_is_on_the_disk_before_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    bench.certificate.apply(lambda done, total: None)
    bench.credentials("one.example.com").apply(lambda done, total: None)
    before = bytes(bench.wifi_module.flash[0x5000:0x7000])
    assert b"one.example.com" in before
    assert not list(bench.files.folder.glob("winc-*.bin")), "an erased module needs no copy"

    bench.happens_at = b"MC+WINC+ERASE"
    with pytest.raises(SerialLinkError):
        bench.credentials("two.example.com").apply(lambda done, total: None)
    assert bench.wifi_module.flash[0x5000:0x7000] != before
    (first,) = bench.files.folder.glob("winc-*.bin")
    assert first.read_bytes() == before

    bench.happens_at = b"never"
    bench.credentials("two.example.com").apply(lambda done, total: None)
    assert first.read_bytes() == before, "a later copy never replaces an earlier one"
    assert len(list(bench.files.folder.glob("winc-*.bin"))) == 2


@pytest.mark.parametrize("command", [b"MC+WINC+READ", b"MC+ECC+SERIAL", b"MC+ECC+SIGNDIGEST"])
def test_nothing_is_erased_before_the_certificate_is_there(command: bytes, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    bench.certificate.apply(lambda done, total: None)
    bench.credentials("one.example.com").apply(lambda done, total: None)
    before = bytes(bench.wifi_module.flash)
    again = Bench(tmp_path / "store", bench)
    again.happens_at = command
    (again.files.folder / "device.crt").unlink()
    assert not again.certificate.check(lambda done, total: None).in_place
    if command != b"MC+WINC+READ":
        bench.wifi_module.flash[0x5000:0x7000] = before[0x5000:0x7000][:16] + bytes(0x1FF0)  # none to be taken over
        before = bytes(bench.wifi_module.flash)
    with pytest.raises(SerialLinkError):
        again.certificate.apply(lambda done, total: None)
    assert bench.wifi_module.flash == before


def test_ctrl_c_after_an_erase_waits_until_all_is_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    bench.certificate.apply(lambda done, total: None)
    step = bench.credentials("one.example.com")
    bench.happens_at, bench.happens = b"MC+WINC+ERASE", lambda: signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        step.apply(lambda done, total: None)
    assert step.check(lambda done, total: None).in_place


# --- what is kept from earlier runs


@pytest.mark.parametrize("option", ["--fca", "--fdev"])
def test_what_is_made_anew_fits_together_and_reaches_the_kit(option: str, home: Path) -> None:
    folder = kit_files(home)
    before = {name: (store(home) / name).read_bytes() for name in ("root-ca.crt", "signer-ca.key", "signer-ca.crt")}
    device = (folder / "device.crt").read_bytes()
    outcome = run_tool(home, *JOB, option)
    assert outcome.code == 0, outcome.err
    after = {name: (store(home) / name).read_bytes() for name in before}
    assert (folder / "device.crt").read_bytes() != device
    if option == "--fdev":
        assert after == before
    else:
        assert all(after[name] != before[name] for name in before)
        (kept,) = store(home).glob("old-ca-*")
        assert {name: (kept / name).read_bytes() for name in before} == before
    chain = ["-CAfile", store(home) / "root-ca.crt", "-untrusted", store(home) / "signer-ca.crt", folder / "device.crt"]
    subprocess.run(["openssl", "verify", "-x509_strict", *chain], check=True, capture_output=True)
    on_the_kit = list(read_client_store(content(home, "winc.bin")).values())
    assert [x509.load_der_x509_certificate(each) for each in on_the_kit[:2]] == [
        x509.load_pem_x509_certificate(file.read_bytes()) for file in (folder / "device.crt", chain[3])
    ]
    assert outcome.document["first_connection"]["failure"] == ""


def test_the_proof_of_an_old_registration_is_no_authority(provisioned: Path, tmp_path: Path) -> None:
    store(tmp_path).mkdir(parents=True)
    shutil.copy(store(provisioned) / "signer-ca-verification.crt", store(tmp_path))
    for cloud in ("azure", "aws"):
        outcome = run_tool(tmp_path, "--simulate", "-c", cloud, *(["-m", "jitr"] if cloud == "aws" else []), "certs")
        assert outcome.code == 0, outcome.err
        assert {file.name for file in store(tmp_path).glob("*.*")} >= {
            *("root-ca.key", "root-ca.crt", "signer-ca.key", "signer-ca.csr", "signer-ca.crt"),
        }
    kept = x509.load_pem_x509_certificate((store(tmp_path) / "signer-ca-verification.crt").read_bytes())
    kept.verify_directly_issued_by(x509.load_pem_x509_certificate((store(tmp_path) / "signer-ca.crt").read_bytes()))


def test_the_mcu_is_programmed_no_more_often_than_needed(home: Path) -> None:
    before = meters(home)["target_flash_erases"]
    assert before == 2, "provisioning firmware and demo"
    outcome = run_tool(home, *JOB, *NETWORK)
    assert outcome.code == 0, outcome.err
    assert meters(home)["target_flash_erases"] == before + 2
    outcome = run_tool(home, *JOB, "application", *NETWORK)
    assert outcome.code == 0, outcome.err
    assert meters(home)["target_flash_erases"] == before + 2, "the demo is there already"


# --- what is proved


def test_proofs_hold_when_python_leaves_out_its_assertions(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(winc_flip_after_writes=2)
        outcome = run_command(tmp_path, *JOB, variables={"PYTHONOPTIMIZE": "1"})
        assert outcome.code == ExitCode.PROOF, outcome.err
        assert kits.meters()["secure_element_locks"] == 1, "the firmware locks slot 0 when it starts, and that is all"


def test_another_program_is_not_taken_for_the_provisioning_firmware(home: Path) -> None:
    winc, flash = content(home, "winc.bin"), content(home, "flash.bin")
    outcome = run_tool(home, *JOB, "provision", "--sprov", "--force")
    assert outcome.code == ExitCode.SERIAL_LINK, outcome.err
    assert (content(home, "winc.bin"), content(home, "flash.bin")) == (winc, flash)


def test_certificates_are_handled_without_what_the_library_gives_up(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "sn0123A1B2C3D4E5F6EE"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        authority = Authority(Store(tmp_path / "store"), Names())
        authority.create()
        request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
        certificate = authority.issue_device_certificate(request, name)
        assert authority.device_certificate_is_current(certificate, coordinates(key.public_key())) is None
        authority.verification_certificate("0123456789abcdef" * 4)


def test_an_erased_slot_holds_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "-c", "azure", "certs", "links").code == 0
    file = kit_folder(tmp_path) / "ecc608.yaml"
    element = yaml.safe_load(file.read_text())
    element["slots"][8] = "ff" * 416
    file.write_text(yaml.safe_dump(element))
    outcome = run_tool(tmp_path, "--simulate", "-c", "azure", "provision", "--id-scope", "0ne00AbCd12", "--json")
    assert outcome.code == 0, outcome.err
    (step,) = [step for title, step in steps(outcome.document).items() if "slot 8" in title.lower()]
    assert step["found"] == "nothing"
    slot = bytes.fromhex(yaml.safe_load(file.read_text())["slots"][8])
    assert slot == b"0ne00AbCd12\0".ljust(416, b"\xff")


# --- accounts


def test_everything_goes_to_the_account_that_was_named(tmp_path: Path) -> None:
    """One action a run, so that nothing can be left from another; the default profile leads nowhere."""
    with (
        LocalCloud(tmp_path / "cloud") as cloud,
        kits_on_the_bus(tmp_path / "bus"),
        pytest.MonkeyPatch.context() as patch,
    ):
        keys = "region = us-east-1\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = example\n"
        known = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        lab = cloud.config_file.read_text(encoding="utf-8").split("]", 1)[1]
        config = tmp_path / "config"
        config.write_text(f"[default]\n{keys}endpoint_url = http://127.0.0.1:9\n[profile lab]{lab}")
        patch.setenv("AWS_CONFIG_FILE", str(config))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        for action in ("certs", "provision", "links"):
            outcome = run_tool(tmp_path / "store", "-c", "aws", "-m", "mar", "-a", "lab", action)
            assert outcome.code == 0, outcome.err
        (file,) = (tmp_path / "store").glob("*/aws-thing-name.txt")
        thing = file.read_text()
        assert known.call("iot", "DescribeThing", thingName=thing)["thingName"] == thing
        (principal,) = known.call("iot", "ListThingPrincipals", thingName=thing)["principals"]
        certificate = principal.rpartition("/")[2]
        described = known.call("iot", "DescribeCertificate", certificateId=certificate)["certificateDescription"]
        assert described["status"] == "ACTIVE"


def test_a_registration_that_failed_is_made_up_for_and_the_kit_stays_as_it_is(tmp_path: Path) -> None:
    """The profile may do everything but register; what nobody can know before it is tried."""
    with (
        LocalCloud(tmp_path / "cloud") as cloud,
        kits_on_the_bus(tmp_path / "bus") as kits,
        pytest.MonkeyPatch.context() as patch,
    ):
        owner = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        lab = cloud.config_file.read_text(encoding="utf-8").split("]", 1)[1]
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        denied = {"Effect": "Deny", "Action": "iot:RegisterCertificateWithoutCA", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]})
        owner.call("iam", "CreateUser", UserName="helper")
        owner.call("iam", "PutUserPolicy", UserName="helper", PolicyName="most", PolicyDocument=document)
        key = owner.call("iam", "CreateAccessKey", UserName="helper")["AccessKey"]
        config = tmp_path / "config"
        config.write_text(
            f"[default]{lab}\n[profile helper]\nregion = us-east-1\nendpoint_url = {cloud.endpoint_url}\n"
            f"aws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        )
        patch.setenv("AWS_CONFIG_FILE", str(config))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        job = ("-c", "aws", "-m", "mar", "certs", "provision", "--json")
        outcome = run_tool(tmp_path / "store", *job, "-a", "helper")
        assert outcome.code == ExitCode.CLOUD_DENIED, outcome.err
        assert "iot:RegisterCertificateWithoutCA" in outcome.err
        before = kits.meters()
        assert before["winc_sector_erases"] == 2, "all that comes before is done"
        outcome = run_tool(tmp_path / "store", *job)
        assert outcome.code == 0, outcome.err
        after = kits.meters()
        for name in (*WINC_METERS, "secure_element_writes", "register_writes"):
            assert after[name] == before[name], name
        assert "iot:RegisterCertificateWithoutCA" in outcome.document["account"]["writes"]


def test_the_stack_asks_for_nothing_and_holds_no_password() -> None:
    text = template()
    assert "Parameters" not in json.loads(text)
    assert "password" not in text.lower()


# --- secrets and settings


@pytest.mark.parametrize(
    ("lines", "word"), [("1234567\n", "7 bytes"), ("with,comma\nand more\n", "comma"), ("", "passphrase")]
)
def test_the_wifi_passphrase_comes_from_a_file(lines: str, word: str, home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(lines)
    outcome = run_tool(home, *JOB, "-ssid", "lab", "--psk-file", str(secret), "application")
    assert outcome.code == ExitCode.USAGE
    assert word in outcome.err


def test_a_passphrase_that_others_can_see_is_warned_of(home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\nwhat stands below does not count\n")
    warning = "can be seen by others"
    for arguments, variables, warned in (
        (["--psk-file", str(secret)], {}, 0),
        ([], {"IOTPROVISION_WIFI_PSK": "correct horse"}, 0),
        (["-psk", "correct horse"], {}, 1),
    ):
        outcome = run_tool(home, *JOB, "-ssid", "lab", *arguments, "application", variables=variables)
        assert outcome.code == 0, outcome.err
        assert outcome.err.count(warning) == warned
        assert "correct horse" not in outcome.err + outcome.out
        step = steps(outcome.document)["Wi-Fi network"]
        assert "not yet connected" in step["proof"], "OK of the console is no connection"


def test_no_file_named_by_a_variable_decides_what_code_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    config = tmp_path / "logging.yaml"
    handler = {"class": "logging.FileHandler", "filename": str(trace)}
    config.write_text(json.dumps({"version": 1, "handlers": {"h": handler}, "root": {"handlers": ["h"]}}))
    outcome = run_command(
        tmp_path / "home", "--simulate", "none", variables={"MICROCHIP_PYTHONTOOLS_CONFIG": str(config)}
    )
    assert outcome.code == 0, outcome.err
    assert not trace.exists()
