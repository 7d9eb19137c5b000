"""The vendor's sandbox on the emulated kit: the vendor's firmware reads the secure element and then its own work."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from support.kit_contents import slot_locked
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

JOB = ("--json", "--verify")
WIFI = ("-ssid", "lab", "-psk", "correct horse")


@pytest.mark.parametrize("kit", ["avr-iot-wa@emulated", "avr-iot-wg@emulated"])
def test_sandbox_on_the_vendors_firmware(kit: str, tmp_path: Path) -> None:
    first = run_command(tmp_path, "--simulate", kit, *JOB, *WIFI)
    assert first.code == 0, first.err
    connection = first.document["first_connection"]
    assert [attempt["accepted"] for attempt in connection["attempts"]] == [True]
    assert connection["endpoint"] == "a1gqt8sttiign3.iot.us-east-2.amazonaws.com"
    assert connection["first_topic"] == f"{connection['client_id']}/sensors"
    assert connection["shadow"] in ({"toggle": 0}, {"toggle": 1})
    element = yaml.safe_load((kit_folder(tmp_path, kit) / "ecc608.yaml").read_text())
    assert [slot for slot in range(8, 16) if slot_locked(element, slot)] == [10, 11, 12]

    with kits_on_the_bus(tmp_path / "simulator", kit) as kits, open_port(kits.kits[0].uart, BAUD_RATE) as line:
        console = DemoConsole(line)
        console.wait_ready()
        assert console.thing() == connection["client_id"], "the demo reads the thing name from the Wi-Fi module"

    flash = (kit_folder(tmp_path, kit) / "winc.bin").read_bytes()
    second = run_command(tmp_path, "--simulate", kit, *JOB)
    assert second.code == 0, second.err
    assert (kit_folder(tmp_path, kit) / "winc.bin").read_bytes() == flash
