"""Google and Azure on the emulated kit: the vendor's provisioning firmware and Google demo really run."""

import importlib.util
from pathlib import Path

import pytest
import yaml
from support.kit_contents import read_client_store, slot_locked
from support.running import kit_folder, meters, run_command
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg.wire.console import BAUD_RATE, DemoConsole
from iotprovision.boards.serial_port import open_port

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(
        importlib.util.find_spec("yasimavr") is None, reason="yasimavr is not installed (emulator extra)"
    ),
]

KIT = "avr-iot-wg@emulated"


def test_google(tmp_path: Path) -> None:
    job = ("--simulate", KIT, "-c", "google", "-ssid", "lab", "--psk", "correct horse", "--json")
    outcome = run_command(tmp_path, *job)
    assert outcome.code == 0, outcome.err
    serial_number = yaml.safe_load((kit_folder(tmp_path, KIT) / "ecc608.yaml").read_text())["serial_number"]
    (kept,) = (tmp_path / "simulator" / "certificates").glob("*/ecc_serial_number.txt")
    assert kept.read_text() == serial_number.upper()
    with kits_on_the_bus(tmp_path / "simulator", KIT) as kits, open_port(kits.kits[0].uart, BAUD_RATE) as line:
        console = DemoConsole(line)
        console.wait_ready()
        assert console.version() == "4.0.0"
        device = console.device()
        assert device is not None
        assert device.hex() == serial_number


def test_azure(tmp_path: Path) -> None:
    job = ("--simulate", KIT, "-c", "azure", "certs", "provision", "links", "--id-scope", "0ne00AbCd12", "--json")
    first = run_command(tmp_path, *job, "--verify")
    assert first.code == 0, first.err
    element = yaml.safe_load((kit_folder(tmp_path, KIT) / "ecc608.yaml").read_text())
    slot = bytes.fromhex(element["slots"][8])
    assert (slot[:12], set(slot[12:])) == (b"0ne00AbCd12\0", {0xFF})
    assert not any(slot_locked(element, number) for number in range(8, 16))
    flash = (kit_folder(tmp_path, KIT) / "winc.bin").read_bytes()
    assert len(read_client_store(flash)) == 3
    assert set(flash[0x6E00:0x7000]) == {0xFF}
    (device_id,) = (tmp_path / "simulator" / "certificates").glob("*/azure-device-id.txt")
    assert device_id.read_text() == "sn" + element["serial_number"].upper()

    before = meters(tmp_path, KIT)
    second = run_command(tmp_path, *job)
    assert second.code == 0, second.err
    after = meters(tmp_path, KIT)
    for counter in ("winc_sector_erases", "winc_page_writes", "secure_element_writes", "register_writes"):
        assert after.get(counter, 0) == before.get(counter, 0), counter
