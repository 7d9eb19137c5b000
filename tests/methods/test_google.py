"""Google on a simulated AVR-IoT WG: the identity of the kit and its links, and nothing in its chips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.firmware_images import hex_image
from support.kit_contents import slot_locked
from support.running import Outcome, kit_folder, meters, run_command, run_tool, snapshot

from iotprovision.errors import ExitCode

KIT = "avr-iot-wg"
JOB = ("--simulate", KIT, "-c", "google")
LAST_BLOCK = slice(0xC00, 0xE00)


@dataclass(frozen=True)
class Done:
    """A kit that was provisioned for AWS in an earlier life, and then twice for Google."""

    home: Path
    before: dict[str, bytes]
    first: Outcome
    second: Outcome
    meters_between: dict[str, int]

    @property
    def files(self) -> Path:
        serial_number: str = self.first.document["kit"]["serial_number"]
        return self.home / "simulator" / "certificates" / serial_number

    @property
    def chip_serial_number(self) -> str:
        element: Any = yaml.safe_load((kit_folder(self.home, KIT) / "ecc608.yaml").read_text())
        return str(element["serial_number"]).upper()


def content(home: Path, name: str) -> bytes:
    return (kit_folder(home, KIT) / name).read_bytes()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("home")
    aws = run_tool(home, "--simulate", KIT, "-c", "aws", "-m", "jitr", "--no-lock", "certs", "provision", "links")
    assert aws.code == 0, aws.err
    before = {name: content(home, name) for name in ("winc.bin", "ecc608.yaml")}
    first = run_command(home, *JOB, "--json")
    assert first.code == 0, first.err
    between = meters(home, KIT)
    second = run_command(home, *JOB, "--json")
    assert second.code == 0, second.err
    return Done(home, before, first, second, between)


def test_serial_number_of_the_secure_element_is_kept(done: Done) -> None:
    assert (done.files / "ecc_serial_number.txt").read_bytes() == done.chip_serial_number.encode()
    assert re.fullmatch(r"0123[0-9A-F]{14}", done.chip_serial_number)


def test_nothing_is_written_to_the_chips(done: Done) -> None:
    assert {name: content(done.home, name) for name in done.before} == done.before
    element = yaml.safe_load(done.before["ecc608.yaml"])
    # Every start of the provisioning firmware locks the slot of the device's key.
    assert [slot for slot in range(16) if slot_locked(element, slot)] == [0]


def test_registers_lead_to_google_with_the_serial_number(done: Done) -> None:
    block = content(done.home, "board-config.bin")[LAST_BLOCK]
    assert (block[0x0C], block[0x105]) == (0x00, 9)
    assert block[0x148 : 0x148 + 32] == bytes.fromhex(done.chip_serial_number) + bytes(23)
    page = (kit_folder(done.home, KIT) / "drive" / "CLICK-ME.HTM").read_text()
    assert f"/redirect/2/0004/00/{done.chip_serial_number}?serial=" in page


def test_demo_for_google_is_in_the_flash(done: Done) -> None:
    demo = hex_image("avr-iot-google-demo").flash
    assert content(done.home, "flash.bin")[: len(demo)] == demo


def test_second_run_writes_nothing_but_the_program(done: Done) -> None:
    after = meters(done.home, KIT)
    for counter in ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks"):
        assert after.get(counter, 0) == done.meters_between.get(counter, 0), counter
    assert after["register_writes"] == done.meters_between["register_writes"]
    changed = {step["title"]: step["done"] for step in done.second.document["steps"] if step["done"] != "nothing"}
    assert set(changed) == {"Provisioning firmware", "Application"}


def test_the_end_of_the_service_is_told_once(done: Done) -> None:
    assert done.first.err.count("August 2023") == 1
    assert "Cloud IoT Core" in done.first.err
    assert "account" not in done.first.document, "no account is asked"


def test_help_says_it_too(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "--help")
    assert outcome.code == 0
    assert "August 2023" in " ".join(outcome.out.split())


def test_wifi_is_set_through_the_demo(done: Done) -> None:
    outcome = run_tool(done.home, *JOB, "application", "-ssid", "lab", "-psk", "correct horse", "--json")
    assert outcome.code == 0, outcome.err
    (step,) = (step for step in outcome.document["steps"] if step["title"] == "Wi-Fi network")
    assert step["done"] == "sent 'lab'"


def test_proof_of_the_whole(done: Done) -> None:
    outcome = run_tool(done.home, *JOB, "--verify", "--json")
    assert outcome.code == 0, outcome.err
    proofs = [step for step in outcome.document["steps"] if step["title"].startswith("Proof")]
    assert {step["state"] for step in proofs} == {"in place"}
    assert any("serial number" in step["title"] for step in proofs)


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", KIT, "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, *JOB, "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    assert snapshot(tmp_path) == before
    states = {step["title"]: step["state"] for step in outcome.document["steps"]}
    assert states["Serial number of the secure element in the store"] == "unknown"
    assert states["Links on the kit's drive"] == "unknown"


def test_links_alone(tmp_path: Path) -> None:
    missing = run_tool(tmp_path, *JOB, "links")
    assert missing.code == ExitCode.STORE
    assert "serial number of the secure element" in missing.err
    assert "provision first" in missing.err
    assert run_tool(tmp_path, *JOB, "provision").code == 0
    # Another cloud's links in between, so that there is something to write.
    assert run_tool(tmp_path, "--simulate", KIT, "-c", "azure", "links").code == 0
    before, flash = meters(tmp_path, KIT), content(tmp_path, "flash.bin")
    outcome = run_tool(tmp_path, *JOB, "links")
    assert outcome.code == 0, outcome.err
    after = meters(tmp_path, KIT)
    assert content(tmp_path, "board-config.bin")[LAST_BLOCK][0x0C] == 0x00
    assert content(tmp_path, "flash.bin") == flash
    for counter in ("target_flash_erases", "target_flash_page_writes", "uart_bytes_to_kit"):
        assert after.get(counter, 0) == before.get(counter, 0), counter


@pytest.mark.parametrize("kept", [b"", b"0123", b"not a serial number", b"0123456789ABCDEF0G"])
def test_a_damaged_file_does_not_become_a_link(done: Done, kept: bytes) -> None:
    file = done.files / "ecc_serial_number.txt"
    whole = file.read_bytes()
    try:
        file.write_bytes(kept)
        assert run_tool(done.home, *JOB, "links").code == ExitCode.STORE
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("method", ["jitr", "mar", "sandbox"])
def test_methods_of_aws_are_refused(method: str, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *JOB, "-m", method)
    assert outcome.code == ExitCode.USAGE
    assert "iotprovision -c google" in outcome.err
    assert not list(tmp_path.iterdir())


def test_a_method_in_the_settings_is_for_aws(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("provision-method: jitr\n")
    assert run_tool(tmp_path, *JOB, "-m", "custom", "certs").code == 0
    assert run_tool(tmp_path, *JOB, "certs").code == 0
