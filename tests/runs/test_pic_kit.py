"""The main jobs on simulated PIC-IoT kits, beside what tests/project/test_kits_page.py runs on every kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import serial
import yaml
from support.kit_contents import read_client_store
from support.running import Outcome, kit_folder, meters, run_tool
from support.simulated import kits_on_the_bus

from iotprovision.errors import ExitCode

WG, WA = "pic-iot-wg", "pic-iot-wa"
WRITES = ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks", "register_writes")


def run(home: Path, kit: str, *arguments: str) -> Outcome:
    return run_tool(home, "--simulate", kit, *arguments, "--json")


def step(outcome: Outcome, title: str) -> dict[str, Any]:
    (found,) = [step for step in outcome.document["steps"] if step["title"] == title]
    return dict(found)


def test_a_dry_run_programs_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path, WA, "-c", "aws", "-m", "mar", "--dry-run")
    assert outcome.code == 0, outcome.err
    counted = meters(tmp_path, WA)
    assert [counted[name] for name in (*WRITES, "target_flash_erases", "target_flash_page_writes")] == [0] * 7


def test_wifi_is_set_at_the_console_of_the_demo(tmp_path: Path) -> None:
    variables = {"IOTPROVISION_WIFI_PSK": "secretsecret"}
    for cloud in ("aws", "google"):
        arguments = ("--simulate", WA, "-c", cloud, "--wifi-ssid", "home", "application", "--json")
        outcome = run_tool(tmp_path, *arguments, variables=variables)
        assert outcome.code == 0, outcome.err
        assert "sent 'home'" in step(outcome, "Wi-Fi network")["done"]


@pytest.mark.parametrize("actions", [["wincupgrade"], ["all", "-w"]])
def test_an_upgrade_of_the_wifi_module_is_refused_before_anything_is_written(
    tmp_path: Path, actions: list[str]
) -> None:
    outcome = run(tmp_path, WA, "-c", "aws", "-m", "mar", *actions)
    assert outcome.code == ExitCode.USAGE
    assert "does not do the action wincupgrade on PIC-IoT WA" in outcome.err
    assert "Nothing was changed." in outcome.err
    counted = meters(tmp_path, WA)
    assert [counted[name] for name in (*WRITES, "target_flash_erases", "debugger_reboots")] == [0] * 7
    assert not list((tmp_path / "simulator" / "certificates").glob("*.key"))


def test_an_application_of_the_users_own_is_saved_and_put_back(tmp_path: Path) -> None:
    assert run(tmp_path, WA, "-c", "aws", "application").code == 0
    file = kit_folder(tmp_path, WA) / "flash.bin"
    content = bytearray(file.read_bytes())
    content[0x20000:0x20008] = b"\x12\x34\x56\x00\x78\x9a\xbc\x00"
    file.write_bytes(content)
    outcome = run(tmp_path, WA, "-c", "aws", "-m", "mar", "certs", "provision")
    assert outcome.code == 0, outcome.err
    assert "saved as application-" in step(outcome, "Application that the kit held")["done"]
    assert file.read_bytes() == content
    assert len(list(tmp_path.rglob("application-*.hex"))) == 1


def test_azure_from_one_end_to_the_other(tmp_path: Path) -> None:
    job = ("-c", "azure", "--id-scope", "0ne001A2B3C", "--wifi-ssid", "home")
    variables = {"IOTPROVISION_WIFI_PSK": "secretsecret"}
    outcome = run_tool(tmp_path, "--simulate", WG, *job, "--json", variables=variables)
    assert outcome.code == 0, outcome.err
    assert "pic-iot-azure-demo 1.1.1" in step(outcome, "Application")["done"]
    assert "sent 'home'" in step(outcome, "Wi-Fi network")["done"]
    slot = bytes.fromhex(
        yaml.safe_load((kit_folder(tmp_path, WG) / "ecc608.yaml").read_text(encoding="utf-8"))["slots"][8]
    )
    assert slot[:12] == b"0ne001A2B3C\0"
    assert read_client_store((kit_folder(tmp_path, WG) / "winc.bin").read_bytes())
    with kits_on_the_bus(tmp_path / "simulator", WG) as kits:
        line = serial.serial_for_url(kits.kits[0].uart, timeout=5)
        with line:
            for command, answer in (
                (b"idscope", b"Current ID Scope : 0ne001A2B3C\r\n"),
                (b"version", b"v1.1.1\r\n\x04"),
                (b"cli_version", b"2.1\r\n\x04"),
                (b"idscope 0ne1", b"ID Scope entered : 0ne1. Wrong ID Scope length.  Should be 0neXXXXXXXX format\r\n"),
                (b"idscope 1ne001A2B3C", b"ID Scope entered : 1ne001A2B3C. ID Scope should start with 0ne\r\n"),
                (b"idscope 0neABCDEFGH", b"Writing ID Scope 0neABCDEFGH to ATCA\r\nNew ID Scope : 0neABCDEFGH\r\n"),
                (b"idscope", b"Current ID Scope : 0neABCDEFGH\r\n"),
                (b"nonsense", b"idscope [DPS ID Scope]\r\n" + b"-" * 44 + b"\r\n\x04"),
            ):
                line.write(command + b"\n")
                assert line.read_until(answer).endswith(answer), command
    # The next run finds the scope that somebody typed, and writes what it was told.
    outcome = run(tmp_path, WG, "-c", "azure", "provision", *job[2:4])
    assert outcome.code == 0, outcome.err
    slot = bytes.fromhex(
        yaml.safe_load((kit_folder(tmp_path, WG) / "ecc608.yaml").read_text(encoding="utf-8"))["slots"][8]
    )
    assert slot[:12] == b"0ne001A2B3C\0"


@pytest.mark.parametrize("name", ["pic-iot-wa@emulated", "pic-iot-wg@emulated#2"])
def test_there_is_no_emulator(tmp_path: Path, name: str) -> None:
    outcome = run(tmp_path, name)
    assert outcome.code == ExitCode.USAGE
    assert "PIC24FJ128GA705" in outcome.err
    assert f"the modelled kit: {name.replace('@emulated', '')}" in outcome.err
