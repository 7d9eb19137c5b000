"""Azure on a simulated AVR-IoT WA: certificates, device id, ID scope and links; no word to any account."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.firmware_images import hex_image, image_path
from support.kit_contents import read_client_store, slot_locked
from support.running import Outcome, kit_folder, meters, run_command, run_tool, snapshot

from iotprovision.errors import ExitCode, UsageError
from iotprovision.formats.id_scope import IdScope
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import KitProcess, start_kits

ALL = ("--simulate", "-c", "azure")
KIT_ACTIONS = ("certs", "provision", "links")
JOB = (*ALL, *KIT_ACTIONS)
ID_SCOPE = "0ne00AbCd12"
BLANK = b"\xff" * 416
OTHER_SLOT_CONTENT = bytes(range(1, 209)) * 2


@dataclass(frozen=True)
class Done:
    """A kit of another cloud, with something in slot 8 and in the Wi-Fi module, provisioned twice for Azure."""

    home: Path
    winc_before: bytes
    first: Outcome
    second: Outcome
    meters_between: dict[str, int]
    files_between: dict[str, str]

    @property
    def store(self) -> Path:
        return self.home / "simulator" / "certificates"

    @property
    def files(self) -> Path:
        serial_number: str = self.first.document["kit"]["serial_number"]
        return self.store / serial_number

    @property
    def device(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.files / "device.crt").read_bytes())


def content(home: Path, name: str) -> bytes:
    return (kit_folder(home) / name).read_bytes()


def secure_element(home: Path) -> Any:
    return yaml.safe_load(content(home, "ecc608.yaml"))


def slot_8(home: Path) -> bytes:
    return bytes.fromhex(secure_element(home)["slots"][8])


def fill_slot(home: Path, data: bytes) -> None:
    element = secure_element(home)
    element["slots"][8] = data.hex()
    (kit_folder(home) / "ecc608.yaml").write_text(yaml.safe_dump(element))


@contextmanager
def served(home: Path) -> Iterator[KitProcess]:
    with start_kits([SimulatedKitName.parse("avr-iot-wa")], home / "simulator") as kits:
        yield kits


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("home")
    aws = run_tool(home, "--simulate", "-c", "aws", "-m", "jitr", "--no-lock", "--json")
    assert aws.code == 0, aws.err
    fill_slot(home, OTHER_SLOT_CONTENT)
    (home / "simulator" / "certificates" / aws.document["kit"]["serial_number"] / "device.crt").unlink()
    winc = content(home, "winc.bin")
    first = run_command(home, *JOB, "--id-scope", ID_SCOPE, "--json")
    assert first.code == 0, first.err
    between = meters(home), snapshot(home)
    second = run_command(home, *JOB, "--id-scope", ID_SCOPE, "--json")
    assert second.code == 0, second.err
    return Done(home, winc, first, second, *between)


def test_wifi_module_holds_the_certificates_and_nothing_else(done: Done) -> None:
    flash = content(done.home, "winc.bin")
    files = read_client_store(flash)
    signer = x509.load_pem_x509_certificate((done.store / "signer-ca.crt").read_bytes())
    names = [f"CERT_{certificate.serial_number:X}" for certificate in (done.device, signer)]
    assert list(files) == [*names, "ECDSA.lst"]
    assert [files[name] for name in names] == [each.public_bytes(Encoding.DER) for each in (done.device, signer)]
    end = 0x51D4 + sum(map(len, files.values()))
    assert set(flash[end:0x7000]) == {0xFF}, "the other cloud's endpoint and thing name are gone"
    assert flash[:0x5000] + flash[0x7000:] == done.winc_before[:0x5000] + done.winc_before[0x7000:]


def test_what_was_in_the_wifi_module_is_kept(done: Done) -> None:
    images = [file.read_bytes() for file in done.files.glob("winc-05000-*.bin")]
    assert done.winc_before[0x5000:0x7000] in images


def test_chain_and_device_id(done: Done) -> None:
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", done.store / "root-ca.crt", "-untrusted"]
        + [done.store / "signer-ca.crt", done.files / "device.crt"],
        check=True,
        capture_output=True,
    )
    serial_number = str(secure_element(done.home)["serial_number"]).upper()
    device_id = (done.files / "azure-device-id.txt").read_bytes()
    assert device_id == f"sn{serial_number}".encode()
    assert len(device_id) == 20
    (name,) = done.device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert str(name.value).encode() == device_id


def test_id_scope_is_where_the_demos_read_it_and_the_rest_of_the_slot_as_it_was(done: Done) -> None:
    slot = slot_8(done.home)
    assert slot[:12] == ID_SCOPE.encode() + b"\0"
    assert slot[12:] == OTHER_SLOT_CONTENT[12:]
    assert [file.read_bytes() for file in done.files.glob("ecc608-slot-8-*.bin")] == [OTHER_SLOT_CONTENT]


def test_no_slot_is_locked(done: Done) -> None:
    element = secure_element(done.home)
    # Every start of the provisioning firmware locks the slot of the device's key.
    assert [slot for slot in range(16) if slot_locked(element, slot)] == [0]


def test_registers_lead_to_azure_and_key2_stays(done: Done) -> None:
    block = content(done.home, "board-config.bin")[0xC00:0xE00]
    thing = hashlib.sha1(public_point(done.device)).digest()
    assert (block[0x0C], block[0x105]) == (0x20, 20)
    assert block[0x148 : 0x148 + 32] == thing + bytes(12), "what the other cloud's links held"


def public_point(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    return certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def test_the_application_that_the_kit_held_is_back(done: Done) -> None:
    demo = hex_image("avr-iot-aws-demo").flash
    assert content(done.home, "flash.bin")[: len(demo)] == demo


def test_second_run_writes_nothing(done: Done) -> None:
    after = meters(done.home)
    for counter in ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks"):
        assert after.get(counter, 0) == done.meters_between.get(counter, 0), counter
    assert after["register_writes"] == done.meters_between["register_writes"]
    assert snapshot(done.home / "simulator") == {
        name.removeprefix("simulator/"): digest for name, digest in done.files_between.items()
    }


def test_enrolment_is_left_to_the_user_and_said_so(done: Done) -> None:
    assert "account" not in done.first.document
    last = done.first.err.strip().splitlines()[-1]
    assert "has not been told about the kit" in last
    assert (done.files / "azure-device-id.txt").read_text() in last
    assert str(done.files / "device.crt") in last


def test_proof_of_the_whole(done: Done) -> None:
    outcome = run_tool(done.home, *JOB, "--id-scope", ID_SCOPE, "--verify", "--json")
    assert outcome.code == 0, outcome.err
    proofs = {step["title"]: step["state"] for step in outcome.document["steps"] if step["title"].startswith("Proof")}
    assert set(proofs.values()) == {"in place"}
    assert any("slot 8" in title for title in proofs)


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, *JOB, "--id-scope", ID_SCOPE, "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    assert snapshot(tmp_path) == before
    states = {step["title"]: step["state"] for step in outcome.document["steps"]}
    assert states["Slot 8 of the secure element with the ID scope"] == "unknown"
    assert states["Certificates in the Wi-Fi module"] == "unknown"
    assert states["Links on the kit's drive"] == "different"


# --- no demo


@pytest.mark.parametrize("actions", [(), ("all",), ("provision", "application"), ("application",)])
def test_without_a_demo_nothing_is_changed(actions: tuple[str, ...], tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, *ALL, *actions)
    assert outcome.code == ExitCode.USAGE
    assert "no Azure demo application for AVR-IoT WA" in outcome.err
    assert "-app FILE" in outcome.err
    if not actions:
        assert re.search("Try: iotprovision -c azure (dbgupgrade )?certs provision links\n", outcome.err)
    assert snapshot(tmp_path) == before


def test_an_application_of_ones_own(tmp_path: Path) -> None:
    file = image_path("avr-iot-google-demo")
    outcome = run_tool(tmp_path, *ALL, "-app", str(file), "--json")
    assert outcome.code == 0, outcome.err
    flash = hex_image("avr-iot-google-demo").flash
    assert content(tmp_path, "flash.bin")[: len(flash)] == flash
    assert "first_connection" not in outcome.document, "the local cloud is none of Azure's"


# --- ID scope


@pytest.mark.parametrize(
    "text", ["", "0ne", "0ne0012345", "0ne001234567", "1ne00123456", "0NE00123456", "0ne0012345é", "0ne 0123456"]
)
def test_what_is_no_id_scope(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ID scope"):
        IdScope(text)
    outcome = run_tool(tmp_path, *JOB, "--id-scope", text)
    assert outcome.code == ExitCode.USAGE
    assert "not an ID scope" in outcome.err
    assert not (tmp_path / "simulator" / "avr-iot-wa").exists()


def test_a_line_end_is_no_part_of_an_id_scope() -> None:
    with pytest.raises(UsageError):
        IdScope(ID_SCOPE + "\n")


@pytest.mark.parametrize("rest", [("-c", "aws"), ("-c", "google"), ("-c", "azure", "links")])
def test_an_id_scope_that_nothing_would_write(rest: tuple[str, ...], tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "--simulate", *rest, "--id-scope", ID_SCOPE)
    assert outcome.code == ExitCode.USAGE
    assert "-c azure provision" in outcome.err


def test_an_id_scope_in_the_settings_waits_for_azure(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"id-scope: {ID_SCOPE}\n")
    assert run_tool(tmp_path, "--simulate", "-c", "google", "provision").code == 0
    assert run_tool(tmp_path, *ALL, "links").code == 0
    assert slot_8(tmp_path) == BLANK
    assert run_tool(tmp_path, *JOB).code == 0
    assert slot_8(tmp_path)[:12] == ID_SCOPE.encode() + b"\0"


def test_another_id_scope_replaces_the_first(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "--id-scope", ID_SCOPE).code == 0
    assert run_tool(tmp_path, *JOB, "--id-scope", "0ne99999999").code == 0
    assert slot_8(tmp_path) == b"0ne99999999\0" + BLANK[12:]
    assert run_tool(tmp_path, *JOB).code == 0
    assert slot_8(tmp_path)[:11] == b"0ne99999999", "left alone when not given"


def test_a_locked_slot_is_told_and_the_kit_stays_as_it_was(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    element = secure_element(tmp_path)
    config = bytearray.fromhex(element["config"])
    config[89] &= ~1  # the lock of slot 8
    element["config"] = config.hex()
    (kit_folder(tmp_path) / "ecc608.yaml").write_text(yaml.safe_dump(element))
    winc, board = content(tmp_path, "winc.bin"), content(tmp_path, "board-config.bin")
    outcome = run_tool(tmp_path, *JOB, "--id-scope", ID_SCOPE)
    assert outcome.code == ExitCode.CHIP_REFUSED
    for words in ("refuses slot 8", "locked", f"idscope {ID_SCOPE}"):
        assert words in outcome.err
    assert (content(tmp_path, "winc.bin"), content(tmp_path, "board-config.bin")) == (winc, board)
    assert slot_8(tmp_path) == BLANK
    assert run_tool(tmp_path, *JOB).code == 0, "without the ID scope the kit can be provisioned"


def test_a_secure_element_that_refuses_to_be_read(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(secure_element_refused_slots=[8])
        outcome = run_tool(tmp_path, *JOB, "--id-scope", ID_SCOPE)
        assert outcome.code == ExitCode.CHIP_REFUSED
        assert "slot 8" in outcome.err


# --- other rules


def test_links_alone_need_nothing_and_leave_the_program(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before = content(tmp_path, "flash.bin")
    outcome = run_tool(tmp_path, *ALL, "links")
    assert outcome.code == 0, outcome.err
    assert content(tmp_path, "board-config.bin")[0xC00 + 0x0C] == 0x20
    assert content(tmp_path, "flash.bin") == before
    counted = meters(tmp_path)
    for counter in ("target_flash_erases", "target_flash_page_writes", "uart_bytes_to_kit"):
        assert counted.get(counter, 0) == 0, counter


def test_provision_without_an_authority(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *ALL, "provision")
    assert outcome.code == ExitCode.STORE
    assert meters(tmp_path).get("target_flash_erases", 0) == 0


@pytest.mark.parametrize("method", ["jitr", "mar", "sandbox"])
def test_methods_of_aws_are_refused(method: str, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *JOB, "-m", method)
    assert outcome.code == ExitCode.USAGE
    assert "iotprovision -c azure" in outcome.err
