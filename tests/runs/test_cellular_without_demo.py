"""The AVR-IoT Cellular: provisioned like the Mini, but the vendor made no demo application for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from support.firmware_images import hex_image
from support.running import Outcome, kit_folder, meters, run_tool
from support.simulated import kits_on_the_bus, on_the_bus

from iotprovision.boards.finding import find_kit
from iotprovision.cloud.aws.server_authorities import server_authorities
from iotprovision.errors import ExitCode
from iotprovision.simulator.bench import Simulation
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import reset

KIT, NAME = "avr-iot-cellular", "AVR-IoT Cellular"
WITHOUT_DEMO = ("certs", "dbgupgrade", "provision", "links")


CHIP_FILES = ("modem.yaml", "ecc608.yaml", "flash.bin", "fuses.bin", "board-config.bin")


def chips(home: Path) -> dict[str, bytes]:
    return {name: (kit_folder(home, KIT) / name).read_bytes() for name in CHIP_FILES}


def job(method: str, *arguments: str) -> tuple[str, ...]:
    return ("--simulate", KIT, "-c", "aws", "-m", method, *arguments)


@dataclass(frozen=True)
class Done:
    """A kit after two runs of a method, and how it connected in between."""

    home: Path
    method: str
    second: Outcome
    connection: dict[str, Any]
    writes: tuple[int, int]


@pytest.fixture(scope="module", params=["sandbox", "jitr", "mar"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    home, method = tmp_path_factory.mktemp(request.param), request.param
    first = run_tool(home, *job(method, *WITHOUT_DEMO))
    assert first.code == 0, first.err
    writes = meters(home, KIT)["modem_writes"]
    with Simulation(home / "simulator", KIT, "default", method == "sandbox") as bench:
        connection = bench.power_up()
    second = run_tool(home, *job(method, *WITHOUT_DEMO), "--json")
    assert second.code == 0, second.err
    return Done(home, method, second, dict(connection), (writes, meters(home, KIT)["modem_writes"]))


def test_the_board_connected(done: Done) -> None:
    assert done.connection["failure"] == ""
    accepted = [attempt["accepted"] for attempt in done.connection["attempts"]]
    assert accepted[-1] and (not accepted[0]) == (done.method == "jitr")


def test_what_the_chips_hold(done: Done) -> None:
    folder = kit_folder(done.home, KIT)
    modem = yaml.safe_load((folder / "modem.yaml").read_text(encoding="utf-8"))
    held = modem["memory"]["certificate"]
    assert held[19].encode() == server_authorities()
    x509.load_pem_x509_certificate(held[18].encode())
    assert modem["profiles"] == {1: '2,"0xc02b",1,19,18,0,"","",1'}
    slot = bytes.fromhex(yaml.safe_load((folder / "ecc608.yaml").read_text(encoding="utf-8"))["slots"][8])
    assert slot[2:42] == done.connection["client_id"].encode()
    registers = (folder / "board-config.bin").read_bytes()[0xC00:]
    assert registers[0x0C] == (1 if done.method == "sandbox" else 0x41)


def test_a_second_run_writes_nothing(done: Done) -> None:
    assert done.writes == (3, 3)
    assert {step["done"] for step in done.second.document["steps"] if "modem" in step["title"]} == {"nothing"}


@pytest.mark.parametrize("method", ["sandbox", "jitr", "mar"])
def test_without_a_demo_nothing_is_begun(method: str, tmp_path: Path) -> None:
    reset(tmp_path / "simulator", SimulatedKitName.parse(KIT))
    before = chips(tmp_path)
    outcome = run_tool(tmp_path, *job(method))
    assert outcome.code == ExitCode.USAGE
    assert f"The vendor made no AWS demo application for {NAME}" in outcome.err
    assert "iotprovision -c aws" in outcome.err and "provision links" in outcome.err
    assert chips(tmp_path) == before
    assert not (tmp_path / "simulator" / "certificates" / "root-ca.key").exists()


def test_with_an_application_of_the_users_own(tmp_path: Path) -> None:
    """A program for the same MCU: it is programmed, and the board connects with what its chips hold."""
    application = tmp_path / "mine.hex"
    application.write_bytes(hex_image("avr-iot-cellular-mini-aws-demo").as_hex())
    outcome = run_tool(tmp_path, *job("mar", "-app", str(application), "--json"))
    assert outcome.code == 0, outcome.err
    assert outcome.document["first_connection"]["failure"] == ""
    flash = (kit_folder(tmp_path, KIT) / "flash.bin").read_bytes()
    assert flash == bytes(hex_image("avr-iot-cellular-mini-aws-demo").flash).ljust(len(flash), b"\xff")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-c", "azure", "provision"), "cannot be provisioned for this cloud"),
        (("-c", "aws", "wincupgrade"), "has no Wi-Fi module"),
        (("-c", "aws", "-ssid", "lab", "-psk", "correct horse"), "has no Wi-Fi"),
    ],
)
def test_what_cannot_be_done_on_it(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    outcome = run_tool(tmp_path, "--simulate", KIT, *arguments)
    assert outcome.code == ExitCode.USAGE
    assert words in outcome.err


def test_it_is_programmed_by_the_vendors_programmer(tmp_path: Path) -> None:
    image = tmp_path / "image.hex"
    image.write_bytes(hex_image("avr-iot-cellular-provisioning").as_hex())
    with kits_on_the_bus(tmp_path / "simulator", KIT):
        for command, answer in (
            (("ping",), "1E970B"),
            (("erase",), ""),
            (("write", "-f", image), ""),
            (("verify", "-f", image), "Verify successful"),
        ):
            result = on_the_bus(tmp_path / "simulator", "pymcuprog", *command)
            assert result.returncode == 0 and answer in result.stdout, result.stdout + result.stderr


def test_both_names_in_the_registers_are_this_kit(tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "simulator", KIT):
        found = find_kit()
        assert (found.name, found.mcu) == (NAME, "AVR128DB64")
        write = ("pydebuggerconfig", "replace", "-r", "KITNAME=AVR-IoT LTE-M")
        result = on_the_bus(tmp_path / "simulator", *write)
        assert result.returncode == 0, result.stdout + result.stderr
        renamed = find_kit()
    assert renamed == found
