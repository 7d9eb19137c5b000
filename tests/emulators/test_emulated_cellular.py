"""The vendor's firmware for cellular kits really running, in yasimavr: what the models are measured by."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import yaml
from support.cellular_board import CELLULAR, MINI, CellularBoard, cellular_board
from support.command_streams import LINE_ENDS, stream
from support.provisioning_transcript import CELLULAR_MINI, check_answer, exchanges
from support.running import kit_folder, meters, run_command, run_tool

from iotprovision.simulator.bench import Simulation
from iotprovision.simulator.board.board import Board

pytest.importorskip("yasimavr", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.emulators.avr_cellular_simulation import AvrCellularSimulation

pytestmark = pytest.mark.emulated

KITS = (MINI, CELLULAR)
# Simulated seconds. A signature is the longest silence in an answer.
STEP = 0.002
ANSWER_TIME = 0.8
AFTERWARDS = 0.02
BYTE_TIME = 10 / 115200
START_TIME = 0.5
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n" + b"QUJD" * 300 + b"\n-----END CERTIFICATE-----\n"


class RealFirmware:
    """A simulation that is asked in simulated time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        assert board.modem
        self.modem = board.modem
        self.modem.faults = board.faults
        self.simulation = AvrCellularSimulation(board)

    def start(self, expected: bytes) -> bytes:
        return self._collect(expected, START_TIME)

    def ask(self, data: bytes, expected: bytes) -> bytes:
        """What is sent in answer: as much as is expected, and what comes shortly after it."""
        self.simulation.receive(data)
        sent = self.simulation.run(len(data) * BYTE_TIME)
        return sent + self._collect(expected[len(sent) :], ANSWER_TIME)

    def _collect(self, expected: bytes, longest: float) -> bytes:
        sent = bytearray()
        end = self.simulation.now + longest
        while len(sent) < len(expected) and self.simulation.now < end:
            sent += self.simulation.run(STEP)
        return bytes(sent) + self.simulation.run(AFTERWARDS)


def both(kind: str) -> tuple[RealFirmware, CellularBoard]:
    """The firmware and its model, started."""
    real, model = RealFirmware(cellular_board(kind)), CellularBoard(kind)
    banner = model.start()
    assert banner.endswith(b"READY\r\n")
    assert real.start(banner) == banner
    assert real.simulation.baud_rate == 115200
    return real, model


def test_the_transcript_is_what_the_real_firmware_answers() -> None:
    board = cellular_board(MINI)
    board.faults.modem_silent = True
    firmware = RealFirmware(board)
    start, *lines = exchanges(CELLULAR_MINI)
    assert firmware.start(start.answer) == start.answer
    public_key = board.secure_element.private_keys[0].public_key()
    for exchange in lines:
        check_answer(exchange, firmware.ask(exchange.sent, exchange.answer), public_key)


def talk_with_the_modem(random: Random) -> list[bytes]:
    """The bridge opened, used and left, mostly well."""
    commands = [b"AT", b"ATI", b"AT+CMEE=2", b"AT+SQNSPCFG?", b"AT+NONE", b'AT+SQNSNVR="certificate",18', b"MC+PING=1"]
    said = [command + b"\r" for command in random.sample(commands, 3)]
    opening = random.choice([b"MC+BRIDGEMODE", b"mc+bridgemode", b"MC+BRIDGEMODE=NOW", b"MC+BRIDGEMODE=PERMANENT,1"])
    return [opening + random.choice(LINE_ENDS), *said, b"\x04", b"\r\n"]


@pytest.mark.parametrize("kind", KITS)
@pytest.mark.parametrize("seed", range(4))
def test_model_and_real_firmware_cannot_be_told_apart(kind: str, seed: int) -> None:
    real, model = both(kind)
    random = Random(seed)
    # A stream may end inside a blob; what is said to the modem comes first, and again when all else is done.
    bursts = [*talk_with_the_modem(random), *stream(seed, commands=60)]
    bursts += [b"\r\n" * 600, b"\r\n", *talk_with_the_modem(random), *talk_with_the_modem(random)]
    for place, burst in enumerate(bursts):
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected, f"seed {seed}, burst {place}: {burst!r}"
    for part in ("config", "otp", "slots"):
        assert getattr(real.board.secure_element, part) == getattr(model.board.secure_element, part)
    for meter in ("secure_element_writes", "secure_element_locks"):
        assert getattr(real.board.secure_element.meters, meter) == getattr(model.board.secure_element.meters, meter)
    assert real.modem.state() == model.modem.state()


@pytest.mark.parametrize("kind", KITS)
def test_every_command_that_both_know(kind: str) -> None:
    real, model = both(kind)
    leds = (b"ERR", b"ERROR", b"DATA", b"CONN", b"CELL", b"WIFI", b"USER", b"ALL")
    lines = [b"MC+ABOUT", b"MC+LISTCOMMANDS", b"MC+VERSION", b"MC+VERSION=FIRMWARE", b"MC+VERSION=WINC", b"MC+PING=abc"]
    lines += [b"MC+ECC+SERIAL", b"MC+ECC+ADDR+READ", b"MC+WINC+READ=0,16"]
    lines += [line for led in leds for line in (b"MC+SETLED=%s,ON" % led, b"MC+GETLED=%s" % led)]
    for line in lines:
        expected = model.ask(line + b"\r\n")
        assert real.ask(line + b"\r\n", expected) == expected, line


@pytest.mark.parametrize("kind", KITS)
def test_a_certificate_through_the_bridge(kind: str) -> None:
    real, model = both(kind)
    write = b'AT+SQNSNVW="certificate",18,%d\r' % len(CERTIFICATE)
    for burst in (b"MC+BRIDGEMODE\r", write, CERTIFICATE, b'AT+SQNSNVR="certificate",18\r', b"\x04", b"MC+VERSION\r\n"):
        expected = model.ask(burst)
        assert expected
        assert real.ask(burst, expected) == expected
    assert real.modem.memory["certificate"] == {18: CERTIFICATE}


@pytest.mark.parametrize(("kind", "again"), [(MINI, True), (CELLULAR, False)])
def test_which_firmware_resets_the_modem(kind: str, again: bool) -> None:
    real, model = both(kind)
    for burst in (b"MC+BRIDGEMODE\r", b"\x04", b"MC+RESET\r", b"MC+BRIDGEMODE\r"):
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected
    assert (b"+SYSSTART" in expected) == again


@pytest.mark.parametrize("kind", KITS)
def test_a_permanent_bridge_gives_the_modem_everything(kind: str) -> None:
    real, model = both(kind)
    for burst in (b"MC+BRIDGEMODE=PERMANENT\r", b"\x04AT\r", b"AT\r", b"MC+PING=1\r"):
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected


@pytest.mark.parametrize("kind", KITS)
@pytest.mark.parametrize("more", [64, 65])
def test_the_receive_ring_is_as_large_as_that_of_the_real_firmware(kind: str, more: int) -> None:
    """Of a hundred characters that come while a key is made, 63 stay; a line has room for 127 before its end."""
    real, model = both(kind)
    for burst in (b"MC+ECC+GENPUBKEY\r" + b"Q" * 100, b"A" * more + b"\r"):
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected
    assert expected == (b"\r\nERROR: 0x1\r\n" if more == 64 else b"ERROR: 0x2\r\n")


# --- end to end ------------------------------------------------------------------------------------------------------


def job(kind: str, method: str, *actions: str) -> tuple[str, ...]:
    return ("--simulate", f"{kind}@emulated", "-c", "aws", "-m", method, *actions, "--json")


@pytest.mark.parametrize("method", ["sandbox", "jitr"])
def test_provisioned_by_the_vendors_firmware(method: str, tmp_path: Path) -> None:
    """Programmed by pymcuprog through the simulated debugger; a second run writes nothing."""
    first = run_command(tmp_path, *job(MINI, method))
    assert first.code == 0, first.err
    connection = first.document["first_connection"]
    assert connection["failure"] == ""
    assert connection["attempts"][-1]["accepted"]
    folder = kit_folder(tmp_path, f"{MINI}@emulated")
    modem = yaml.safe_load((folder / "modem.yaml").read_text(encoding="utf-8"))
    assert set(modem["memory"]["certificate"]) == {18, 19} and set(modem["profiles"]) == {1}
    before = meters(tmp_path, f"{MINI}@emulated")["modem_writes"]
    assert before == 3

    second = run_command(tmp_path, *job(MINI, method))
    assert second.code == 0, second.err
    assert second.document.get("account", {"writes": []})["writes"] == []
    assert meters(tmp_path, f"{MINI}@emulated")["modem_writes"] == before


def test_the_kit_without_a_demo(tmp_path: Path) -> None:
    """Its firmware answers no ping as it should, and the modem is used several times in between."""
    outcome = run_tool(tmp_path, *job(CELLULAR, "mar", "certs", "provision", "links"))
    assert outcome.code == 0, outcome.err
    with Simulation(tmp_path / "simulator", f"{CELLULAR}@emulated", "default", False) as bench:
        connection = bench.power_up()
    assert connection["failure"] == "" and connection["attempts"][-1]["accepted"]
