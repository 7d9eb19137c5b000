"""The main job on the emulated kit: the vendor's provisioning firmware and then the vendor's demo really run."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from support.running import kit_folder, run_command
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg.wire.console import BAUD_RATE, DemoConsole
from iotprovision.boards.serial_port import open_port

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(
        importlib.util.find_spec("yasimavr") is None, reason="yasimavr is not installed (emulator extra)"
    ),
]

KIT = "avr-iot-wa@emulated"
JOB = ("--simulate", KIT, "-c", "aws", "-m", "jitr", "--json", "-ssid", "lab", "-psk", "correct horse")


def test_main_job_on_the_vendors_firmware(tmp_path: Path) -> None:
    first = run_command(tmp_path, *JOB)
    assert first.code == 0, first.err
    connection = first.document["first_connection"]
    accepted = [attempt["accepted"] for attempt in connection["attempts"]]
    assert (accepted[0], accepted[-1]) == (False, True)
    assert (connection["network"], connection["failure"]) == ("lab", "")
    assert connection["first_topic"] == f"{connection['client_id']}/sensors"
    assert connection["shadow"] in ({"toggle": 0}, {"toggle": 1})
    (step,) = (step for step in first.document["steps"] if step["title"] == "First connection")
    for said in ("'lab'", connection["client_id"], connection["first_topic"], "toggle"):
        assert said in step["done"]

    serial_number = yaml.safe_load((kit_folder(tmp_path, KIT) / "ecc608.yaml").read_text())["serial_number"]
    with kits_on_the_bus(tmp_path / "simulator", KIT) as kits, open_port(kits.kits[0].uart, BAUD_RATE) as line:
        console = DemoConsole(line)
        console.wait_ready()
        assert console.version() == "4.1.2"
        assert console.thing() == connection["client_id"], "the demo reads the thing name from the Wi-Fi module"
        device = console.device()
        assert device is not None
        assert device.hex() == serial_number

    second = run_command(tmp_path, *JOB, "--verify")
    assert second.code == 0, second.err
    assert second.document["account"]["writes"] == []
    again = second.document["first_connection"]
    assert [attempt["accepted"] for attempt in again["attempts"]] == [True]
    assert again["shadow"] == {"toggle": 1 - connection["shadow"]["toggle"]}, "the state that was asked for this time"


def test_another_passphrase_than_that_of_the_access_point(tmp_path: Path) -> None:
    outcome = run_command(tmp_path, *JOB, "--simulate-ap", "lab:battery staple")
    assert outcome.code == 7
    assert "has another passphrase" in outcome.err
    assert "--simulate-ap" in outcome.err
    for secret in ("correct horse", "battery staple"):
        assert secret not in outcome.err + outcome.out
