"""The console of the SAM-IoT WG's Azure demo: its command line, and the network that it is told."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.firmware_images import hex_image
from support.running import Outcome, kit_folder, run_tool, snapshot
from support.serial_peer import MemoryPort
from support.simulated_chips import board_with, flash_of

from iotprovision.boards.nedbg.wire.console import HarmonyConsole, console_kind
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ChipRefusedError, ExitCode, SerialLinkError, UsageError
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.demo_firmware import DemoFirmware, WifiCredentials
from iotprovision.simulator.models.harmony_demo import HarmonyDemoFirmware
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

# The texts of the image.
USAGE = (
    b"\r\nWiFi command\r\n  Set WiFi pairing   : -set <ssid>[,<pass>,[authType]]\r\n"
    b"  Get WiFi Status    : -status\r\n  Scan Access Points : -scan\r\n\x04"
)
LOG = b"\x04 \x1b[37mINFO  \x1b[37m \x1b[37mNORMAL\x1b[37m CLOUD: WiFi Connect timer start with 5000 ms\x1b[0m\r\n"
# Put together, so that no source line in a traceback holds it.
SECRET = "-".join(["correct", "horse"])


class Demo:
    """The modelled demo behind a port in memory."""

    def __init__(self) -> None:
        self.firmware = HarmonyDemoFirmware(Ecc608(), Winc1510())
        self.port = MemoryPort(self.firmware.receive)
        self.console = HarmonyConsole(self.port.line(), self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.port.now += seconds


# --- the command line of the model


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\n", b"\r\n>"),
        (b"version\n", b"version\r\n\r\nFirmware Version\r\n2.0.0\r\n>"),
        (b"version\r\n", b"version\r\n\r\nFirmware Version\r\n2.0.0\r\n>\r\n>"),
        (b"wifi\n", b"wifi\r\n" + USAGE + b">"),
        (b"wifi lab-ap,12345678,2\n", b"wifi lab-ap,12345678,2\r\n" + USAGE + b">"),
        (b"wifi -set lab-ap,12345678,2\n", b"wifi -set lab-ap,12345678,2\r\n\r\nOK\r\n\x04>"),
        (
            b"wifi -set a,b,4\n",
            b"wifi -set a,b,4\r\n\r\nError. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04>",
        ),
        (b"idscope\n", b"idscope\r\n\r\nGet/Set DPS ID Scope\r\nCurrent ID Scope : 0ne00AbCd12 \r\n>"),
        (b"frobnicate\n", b"frobnicate\r\n *** Command Processor: unknown command. ***\r\n>"),
        (b"  \n", b"  \r\n *** Command Processor: Please type in a command***\r\n>"),
        (b"x" * 128, b"x" * 127 + b" *** Command Processor buffer exceeded. Retry. ***\r\n>"),
    ],
)
def test_what_the_demo_answers(sent: bytes, answer: bytes) -> None:
    board = board_with(flash_of("sam-iot-wg-azure-demo"))
    board.secure_element.slots[8][:12] = b"0ne00AbCd12\0"
    output = bytearray()
    mcu = ModelledMcu(board, output.extend)
    mcu.start()
    assert mcu.baud_rate == 9600
    output.clear()
    mcu.receive(sent)
    assert output == answer


# --- the host's side


@pytest.mark.parametrize(
    ("network", "credentials"),
    [
        (WifiNetwork("lab-ap", "29passwords"), WifiCredentials(b"lab-ap", b"29passwords", 2)),
        (WifiNetwork("12345", security="open"), WifiCredentials(b"12345", b"", 1)),
        (WifiNetwork("n" * 20, "p" * 63), WifiCredentials(b"n" * 20, b"p" * 63, 2)),
        (
            WifiNetwork("Büro", "Grüße-aus-Trondheim"),
            WifiCredentials("Büro".encode(), "Grüße-aus-Trondheim".encode(), 2),
        ),
    ],
)
def test_the_simulated_demo_gets_what_was_asked_for(network: WifiNetwork, credentials: WifiCredentials) -> None:
    demo = Demo()
    demo.console.wait_ready()
    assert demo.console.version() == "2.0.0"
    demo.console.set_wifi(network)
    assert demo.firmware.credentials == credentials


def test_half_a_line_and_log_lines_in_between_do_no_harm() -> None:
    demo = Demo()
    demo.firmware.receive(b"wifi -set somewhere-else,")
    receive = demo.port.answer
    demo.port.answer = lambda data: LOG + receive(data) + LOG
    demo.console.wait_ready()
    demo.console.set_wifi(WifiNetwork("lab-ap", "12345678"))
    assert demo.firmware.credentials == WifiCredentials(b"lab-ap", b"12345678", 2)


def test_a_lost_character_costs_a_second_try_and_no_more() -> None:
    demo = Demo()
    demo.console.wait_ready()
    receive, lost = demo.port.answer, []

    def lose_one(data: bytes) -> bytes:
        if data.startswith(b"wifi -set") and not lost:
            lost.append(data)
            return receive(data[1:])
        return receive(data)

    demo.port.answer = lose_one
    demo.console.set_wifi(WifiNetwork("lab-ap", "12345678"))
    assert lost
    assert demo.firmware.credentials == WifiCredentials(b"lab-ap", b"12345678", 2)


@pytest.mark.parametrize("answer", [b"", b"\r\nError. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04"])
def test_the_passphrase_is_echoed_and_in_no_error(answer: bytes) -> None:
    demo = Demo()
    receive = demo.port.answer
    demo.port.answer = lambda data: data[:-1] + b"\r\n" + answer if b"-set" in data else receive(data)
    with pytest.raises((ChipRefusedError, SerialLinkError)) as failure:
        demo.console.set_wifi(WifiNetwork("lab-ap", SECRET))
    assert SECRET not in "".join(traceback.format_exception(failure.value)) + repr(failure.value)


def test_a_demo_whose_command_has_another_form_is_not_told() -> None:
    """The Google demo of the same kit would take "-set" for part of the network's name, and say OK."""
    port = MemoryPort(
        lambda data: data + b"\r\nError. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04>"
    )
    with pytest.raises(ChipRefusedError, match="as expected"):
        HarmonyConsole(port.line()).set_wifi(WifiNetwork("lab-ap", SECRET))
    assert not any(SECRET.encode() in sent for sent in port.sent)


@pytest.mark.parametrize("kind", ["other program", "other demo"])
def test_another_program_is_not_taken_for_the_demo(kind: str) -> None:
    demo = DemoFirmware(Ecc608(), Winc1510())
    demo.start()
    port = MemoryPort(demo.receive if kind == "other demo" else lambda sent: b"\r\nERROR: 0x1\r\n")
    with pytest.raises(SerialLinkError, match="does not answer"):
        HarmonyConsole(port.line()).wait_ready()


@pytest.mark.parametrize(
    ("ssid", "passphrase", "text"),
    [
        ("two words", "12345678", "network name has a space"),
        ("lab-ap", "correct horse", "passphrase has a space"),
        ("n" * 32, "p" * 55, "too long together"),
    ],
)
def test_networks_that_this_console_cannot_take(ssid: str, passphrase: str, text: str) -> None:
    network = WifiNetwork(ssid, passphrase)
    assert console_kind("microchip-cli").wifi_line(network)
    with pytest.raises(UsageError, match=text) as refused:
        console_kind("harmony").wifi_line(network)
    assert passphrase not in str(refused.value)


# --- the whole


KIT, JOB = "sam-iot-wg", ("-c", "azure", "application")


def azure(home: Path, *more: str) -> Outcome:
    return run_tool(home, "--simulate", KIT, "-c", "azure", *more, "--json")


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Outcome]]:
    home = tmp_path_factory.mktemp("home")
    secret = home / "passphrase.txt"
    secret.write_text(SECRET)
    yield home, azure(home, "-ssid", "lab-ap", "--psk-file", str(secret), "--id-scope", "0ne00AbCd12")


def test_azure_from_end_to_end(provisioned: tuple[Path, Outcome]) -> None:
    home, outcome = provisioned
    assert outcome.code == 0, outcome.err
    demo = hex_image("sam-iot-wg-azure-demo").flash
    assert (kit_folder(home, KIT) / "flash.bin").read_bytes()[: len(demo)] == demo
    element = yaml.safe_load((kit_folder(home, KIT) / "ecc608.yaml").read_text())
    assert bytes.fromhex(element["slots"][8])[:12] == b"0ne00AbCd12\0"
    steps = {step["title"]: step for step in outcome.document["steps"]}
    assert steps["Wi-Fi network"]["done"] == "sent 'lab-ap'"
    assert SECRET not in outcome.err + outcome.out
    for file in home.rglob("*"):
        assert file.name == "passphrase.txt" or not file.is_file() or SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(("ssid", "passphrase"), [("two words", "12345678"), ("lab-ap", "correct horse")])
def test_a_network_that_cannot_be_set_is_told_before_anything_is_written(
    ssid: str, passphrase: str, tmp_path: Path
) -> None:
    assert run_tool(tmp_path, "--simulate", KIT, "none").code == 0
    secret = tmp_path / "passphrase.txt"
    secret.write_text(passphrase)
    before = snapshot(tmp_path)
    outcome = azure(tmp_path, "application", "-ssid", ssid, "--psk-file", str(secret))
    assert outcome.code == ExitCode.USAGE
    assert "has a space" in outcome.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("kit", "cloud", "name"),
    [("sam-iot-wx", "azure", "Azure"), ("sam-iot-wx", "google", "Google"), ("sam-iot-wg", "aws", "AWS")],
)
def test_where_there_is_no_demo_nothing_is_changed(kit: str, cloud: str, name: str, tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", kit, "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, "--simulate", kit, "-c", cloud, "-ssid", "lab-ap", "-auth", "open", "application")
    assert outcome.code == ExitCode.USAGE
    assert f"no {name} demo application for SAMD21-IoT" in outcome.err
    assert snapshot(tmp_path) == before


def test_a_demo_that_takes_no_network_is_told_none(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "sam-iot-wg", "none").code == 0
    before = snapshot(tmp_path)
    outcome = run_tool(tmp_path, "--simulate", "sam-iot-wg", "-c", "google", "-ssid", "lab-ap", "-auth", "open")
    assert outcome.code == ExitCode.USAGE
    assert "takes no Wi-Fi network" in outcome.err
    assert snapshot(tmp_path) == before
