"""The main job on simulated SAM-IoT kits, beside what tests/project/test_kits_page.py runs on every kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.running import Outcome, kit_folder, run_tool, snapshot

from iotprovision.errors import ExitCode

ACTIONS = ("certs", "provision", "links")
FACTORY_ROW = bytes.fromhex("ffc7e0d85dfcffff")
OWN_PROGRAM = bytes.fromhex("00800020 01010000") + b"a program of the user's own"


def run(home: Path, kit: str, method: str, *actions: str) -> Outcome:
    return run_tool(home, "--simulate", kit, "-c", "aws", "-m", method, *actions, "--json")


def steps(outcome: Outcome) -> dict[str, Any]:
    return {step["title"]: step for step in outcome.document["steps"]}


@pytest.mark.parametrize("actions", [("all",), ("provision", "application")])
def test_without_a_demo_nothing_is_changed(actions: tuple[str, ...], tmp_path: Path) -> None:
    kit = "sam-iot-wx"
    assert run_tool(tmp_path, "--simulate", kit, "none").code == 0
    before = snapshot(tmp_path)
    outcome = run(tmp_path, kit, "jitr", *actions)
    assert outcome.code == ExitCode.USAGE
    assert "no AWS demo application for SAMD21-IoT Wx" in outcome.err
    assert "-app FILE" in outcome.err
    assert "Try: iotprovision -c aws -m jitr " in outcome.err
    assert snapshot(tmp_path) == before


def test_an_application_of_the_users_own_is_saved_and_put_back(tmp_path: Path) -> None:
    """With the user row, which the provisioning firmware's image changes."""
    kit = "sam-iot-wg"
    assert run(tmp_path, kit, "mar", "certs").code == 0
    assert run_tool(tmp_path, "--simulate", kit, "none").code == 0
    flash = kit_folder(tmp_path, kit) / "flash.bin"
    flash.write_bytes(OWN_PROGRAM.ljust(0x3F000, b"\xff") + b"settings".ljust(0x1000, b"\xff"))
    before = flash.read_bytes(), (kit_folder(tmp_path, kit) / "user-row.bin").read_bytes()
    assert before[1][:8] == FACTORY_ROW
    outcome = run(tmp_path, kit, "mar", "provision")
    assert outcome.code == 0, outcome.err
    assert steps(outcome)["Application that the kit held"]["done"].startswith("saved as application-")
    assert (flash.read_bytes(), (kit_folder(tmp_path, kit) / "user-row.bin").read_bytes()) == before


def test_a_demo_that_can_be_had_again_is_put_back(tmp_path: Path) -> None:
    kit = "sam-iot-wg"
    demo = run_tool(tmp_path, "--simulate", kit, "-c", "google", "application", "--json")
    assert demo.code == 0, demo.err
    assert run(tmp_path, kit, "mar", "certs").code == 0
    before = (kit_folder(tmp_path, kit) / "flash.bin").read_bytes()
    outcome = run(tmp_path, kit, "mar", "provision")
    assert outcome.code == 0, outcome.err
    assert steps(outcome)["Application that the kit held"]["done"] == "nothing"
    assert (kit_folder(tmp_path, kit) / "flash.bin").read_bytes() == before


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    kit = "sam-iot-wg"
    assert run_tool(tmp_path, "--simulate", kit, "none").code == 0
    before = snapshot(tmp_path)
    outcome = run(tmp_path, kit, "jitr", *ACTIONS, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert snapshot(tmp_path) == before
