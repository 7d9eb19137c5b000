"""The main job on simulated SAM-IoT kits: all but the application, of which the vendor made none for AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kit_contents import read_client_store, slot_locked
from running import Outcome, kit_folder, meters, run_tool, snapshot

from iotprovision.errors import ExitCode
from iotprovision.simulator.bench import SimulatedBench

KITS = {"sam-iot-wg": "SAMD21-IoT WG", "sam-iot-wx": "SAMD21-IoT Wx"}
METHODS = ("sandbox", "jitr", "mar")
ACTIONS = ("certs", "provision", "links")
WRITES = ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks", "register_writes")
FACTORY_ROW = bytes.fromhex("ffc7e0d85dfcffff")
OWN_PROGRAM = bytes.fromhex("00800020 01010000") + b"a program of the user's own"


def run(home: Path, kit: str, method: str, *actions: str) -> Outcome:
    return run_tool(home, "--simulate", kit, "-c", "aws", "-m", method, *actions, "--json")


def steps(outcome: Outcome) -> dict[str, Any]:
    return {step["title"]: step for step in outcome.document["steps"]}


@pytest.mark.parametrize("kit", KITS)
@pytest.mark.parametrize("method", METHODS)
def test_provisioned_and_connected(kit: str, method: str, tmp_path: Path) -> None:
    first = run(tmp_path, kit, method, *ACTIONS)
    assert first.code == 0, first.err
    found = first.document["kit"]
    assert (found["name"], found["mcu"].lower()) == (KITS[kit], "atsamd21g18a")
    folder = kit_folder(tmp_path, kit)
    flash = (folder / "winc.bin").read_bytes()
    assert len(read_client_store(flash)) == 3
    element = yaml.safe_load((folder / "ecc608.yaml").read_text())
    if method != "sandbox":
        assert [slot for slot in range(9, 16) if slot_locked(element, slot)] == [10, 11, 12]
    before = meters(tmp_path, kit)
    with SimulatedBench(tmp_path / "simulator", kit, "default", method == "sandbox") as bench:
        connection = json.loads(json.dumps(bench.power_up()))
    assert connection["failure"] == ""
    assert connection["attempts"][-1]["accepted"]
    second = run(tmp_path, kit, method, *ACTIONS)
    assert second.code == 0, second.err
    after = meters(tmp_path, kit)
    for name in (*WRITES, "target_flash_erases", "debugger_reboots"):
        assert after[name] == before[name], name
    assert second.document.get("account", {"writes": []})["writes"] == []


@pytest.mark.parametrize(
    ("method", "actions"),
    [("sandbox", ()), ("jitr", ()), ("mar", ()), ("jitr", ("all",)), ("jitr", ("provision", "application"))],
)
def test_without_a_demo_nothing_is_changed(method: str, actions: tuple[str, ...], tmp_path: Path) -> None:
    kit = "sam-iot-wx"
    assert run_tool(tmp_path, "--simulate", kit, "none").code == 0
    before = snapshot(tmp_path)
    outcome = run(tmp_path, kit, method, *actions)
    assert outcome.code == ExitCode.USAGE
    assert "no AWS demo application for SAMD21-IoT Wx" in outcome.err
    assert "-app FILE" in outcome.err
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


@pytest.mark.parametrize("kit", KITS)
def test_azure_and_google_as_far_as_the_kit_goes(kit: str, tmp_path: Path) -> None:
    for cloud in ("azure", "google"):
        outcome = run_tool(tmp_path, "--simulate", kit, "-c", cloud, *ACTIONS, "--json")
        assert outcome.code == 0, outcome.err
