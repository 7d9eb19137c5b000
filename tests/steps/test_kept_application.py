"""What the MCU held before a run: saved when it is in no file, and put back when no application replaces it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.firmware_images import hex_image
from support.running import Outcome, kit_folder, run_tool
from support.simulated import kits_on_the_bus

from iotprovision.errors import ExitCode

JOB = ("--simulate", "-c", "aws", "-m", "jitr")


def flash(home: Path) -> bytes:
    return (kit_folder(home) / "flash.bin").read_bytes()


def done(outcome: Outcome, title: str) -> str:
    (step,) = [step for step in outcome.document["steps"] if step["title"] == title]
    return f"{step['found']}; {step['done']}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A kit with the vendor's demo on it, and an account that knows the signer."""
    assert run_tool(tmp_path, *JOB, "certs").code == 0
    outcome = run_tool(tmp_path, "--simulate", "application", "--json")
    assert outcome.code == 0, outcome.err
    assert done(outcome, "Application that the kit held") == "none; nothing"
    return tmp_path


def change_flash(home: Path, address: int, data: bytes) -> bytes:
    """Put something of the user's own into the MCU; returns the whole flash."""
    content = bytearray(flash(home))
    content[address : address + len(data)] = data
    (kit_folder(home) / "flash.bin").write_bytes(content)
    return bytes(content)


def test_a_known_demo_is_put_back_without_being_saved(home: Path) -> None:
    before = flash(home)
    outcome = run_tool(home, *JOB, "provision", "--json")
    assert outcome.code == 0, outcome.err
    assert "can be had again; nothing" in done(outcome, "Application that the kit held")
    assert flash(home) == before
    assert not list(home.rglob("application-*.hex"))


@pytest.mark.parametrize("address", [0x100, 0xBF00])
def test_an_application_of_the_users_own_is_saved_and_put_back(address: int, home: Path) -> None:
    before = change_flash(home, address, b"my own program")
    (kit_folder(home) / "eeprom.bin").write_bytes(b"settings".ljust(256, b"\xff"))
    outcome = run_tool(home, *JOB, "provision", "--json")
    assert outcome.code == 0, outcome.err
    assert "saved as application-" in done(outcome, "Application that the kit held")
    assert flash(home) == before
    assert (kit_folder(home) / "eeprom.bin").read_bytes().startswith(b"settings")
    (saved,) = home.rglob("application-*.hex")

    assert run_tool(home, "--simulate", "application", "-f").code == 0
    assert flash(home) != before
    assert run_tool(home, "--simulate", "application", "-app", str(saved)).code == 0
    assert flash(home) == before, "the saved file brings it back at any time"


def test_data_in_the_eeprom_is_kept_where_there_is_no_program(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "certs").code == 0
    kit = kit_folder(tmp_path)
    assert run_tool(tmp_path, "status", "--simulate").code == 0
    assert not flash(tmp_path).strip(b"\xff"), "the kit is not blank"
    (kit / "eeprom.bin").write_bytes(b"settings".ljust(256, b"\xff"))
    outcome = run_tool(tmp_path, *JOB, "provision", "--json")
    assert outcome.code == 0, outcome.err
    assert "saved as application-" in done(outcome, "Application that the kit held")
    assert (kit / "eeprom.bin").read_bytes().startswith(b"settings")
    assert not flash(tmp_path).strip(b"\xff")


def test_a_fault_of_the_program_costs_no_application(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    before = flash(home)
    monkeypatch.setattr("iotprovision.boards.nedbg.secure_element.device_request", faulty)
    assert run_tool(home, *JOB, "provision").code == ExitCode.BUG
    assert flash(home) == before


def test_a_blank_kit_is_left_with_the_provisioning_firmware(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *JOB, "certs", "provision", "--json")
    assert outcome.code == 0, outcome.err
    assert done(outcome, "Application put back") == "there was none; nothing"
    content = hex_image("avr-iot-provisioning").flash
    assert flash(tmp_path)[: len(content)] == content


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_puts_the_application_back(home: Path) -> None:
    before = change_flash(home, 0xBF00, b"my own program")
    tool = subprocess.Popen(
        [sys.executable, "-m", "iotprovision", *JOB, "provision"],
        env={**os.environ, "IOTPROVISION_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tool.stderr is not None
    while not tool.stderr.readline().startswith("Device certificate"):
        assert tool.poll() is None
    tool.send_signal(signal.SIGINT)
    _, err = tool.communicate(timeout=60)
    assert tool.returncode == 130, err
    assert flash(home) == before
    assert "Application put back" in err


def test_a_run_that_fails_puts_the_application_back(home: Path) -> None:
    before = change_flash(home, 0xBF00, b"my own program")
    with kits_on_the_bus(home / "simulator") as kits:
        kits.faults(secure_element_refused_slots=[0])
        outcome = run_tool(home, *JOB, "provision")
        assert outcome.code == 6, outcome.err
        assert "application-" in outcome.err
        kits.save()
        assert flash(home) == before
