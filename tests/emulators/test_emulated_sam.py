"""The vendor's firmware for SAM-IoT kits really running, in the Unicorn engine: what the models are measured by."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from support.command_streams import LINE_ENDS, number, stream
from support.provisioning_transcript import SAM_IOT_WG, SAM_IOT_WX, check_answer, exchanges
from support.running import kit_folder, run_tool
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.bench import Simulation
from iotprovision.simulator.board.board import Board
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

pytest.importorskip("unicorn", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.emulators.sam_simulation import SamSimulation

pytestmark = pytest.mark.emulated

WG, WX = "sam-iot-wg-provisioning", "sam-iot-wx-provisioning"
ADDRESSES = {WG: 0x58, WX: 0x36}
# Simulated seconds. The longest silence in an answer is the Wi-Fi module's change to download mode, 1.0 s.
STEP = 0.002
ANSWER_TIME = 1.5
AFTERWARDS = 0.01
BYTE_TIME = 10 / 115200
START_TIME = 1.5


def board(image: str) -> Board:
    made = board_with(flash_of(image))
    made.secure_element_address = ADDRESSES[image]
    return made


class RealFirmware:
    """A simulation that is asked in simulated time."""

    def __init__(self, on: Board) -> None:
        self.board = on
        self.simulation = SamSimulation(on)

    def run(self, seconds: float) -> bytes:
        return self.simulation.run(seconds)

    def start(self, expected: bytes) -> bytes:
        return self._collect(expected, START_TIME)

    def ask(self, data: bytes, expected: bytes) -> bytes:
        """What is sent in answer: as much as is expected, and what comes shortly after it."""
        self.simulation.receive(data)
        sent = self.run(len(data) * BYTE_TIME)
        return sent + self._collect(expected[len(sent) :], ANSWER_TIME)

    def _collect(self, expected: bytes, longest: float) -> bytes:
        sent = bytearray()
        end = self.simulation.now + longest
        while len(sent) < len(expected) and self.simulation.now < end:
            sent += self.run(STEP)
        return bytes(sent) + self.run(AFTERWARDS)


class Model:
    """The model of the same, asked in no time."""

    def __init__(self, on: Board) -> None:
        self.board = on
        self._sent = bytearray()
        self._mcu = ModelledMcu(on, self._sent.extend)

    def start(self) -> bytes:
        self._mcu.start()
        return self._take()

    def ask(self, data: bytes) -> bytes:
        self._mcu.receive(data)
        return self._take()

    def _take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent


@pytest.mark.parametrize(("image", "transcript"), [(WG, SAM_IOT_WG), (WX, SAM_IOT_WX)])
def test_the_transcript_is_what_the_real_firmware_answers(image: str, transcript: str) -> None:
    firmware = RealFirmware(board(image))
    start, *lines = exchanges(transcript)
    assert firmware.start(start.answer) == start.answer
    assert firmware.simulation.baud_rate == 115200
    public_key = firmware.board.secure_element.private_keys[0].public_key()
    for exchange in lines:
        check_answer(exchange, firmware.ask(exchange.sent, exchange.answer), public_key)


def addressing(random: Random) -> list[bytes]:
    """Commands about the address of the secure element, in between; mostly the right one comes back."""
    end = random.choice(LINE_ENDS)
    lines = [b"MC+ECC+ADDR+READ", b"MC+ECC+ADDR+WRITE=" + number(random, 0x36, 0x58, 0x6A, 0xB0), b"MC+ECC+ADDR+READ=1"]
    return [random.choice(lines) + end, b"MC+ECC+ADDR+WRITE=0x58" + end]


@pytest.mark.parametrize("seed", range(6))
def test_model_and_real_firmware_cannot_be_told_apart(seed: int) -> None:
    real, model = RealFirmware(board(WG)), Model(board(WG))
    banner = model.start()
    assert real.start(banner) == banner
    random = Random(seed)
    bursts = stream(seed, commands=60)
    place = 0
    while place < len(bursts):
        burst = bursts[place]
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected, f"seed {seed}, burst {place}: {burst!r}"
        place += 1
    for burst in [line for _ in range(20) for line in (b"\r\n", *addressing(random))]:
        expected = model.ask(burst)
        assert real.ask(burst, expected) == expected, f"seed {seed}: {burst!r}"
    for part in ("config", "otp", "slots"):
        assert getattr(real.board.secure_element, part) == getattr(model.board.secure_element, part)
    assert real.board.wifi_module.flash == model.board.wifi_module.flash
    for meter in ("secure_element_writes", "secure_element_locks"):
        assert getattr(real.board.secure_element.meters, meter) == getattr(model.board.secure_element.meters, meter)
    for meter in ("winc_sector_erases", "winc_page_writes"):
        assert getattr(real.board.wifi_module.meters, meter) == getattr(model.board.wifi_module.meters, meter)


@pytest.mark.parametrize("lines", [9, 10, 14])
def test_the_receive_ring_is_as_large_as_that_of_the_real_firmware(lines: int) -> None:
    """Lines that come in while the Wi-Fi module is worked with for the first time, a second long."""
    pings = b"".join(b"MC+PING=%04d\r\n" % line for line in range(lines))
    real, model = RealFirmware(board(WG)), Model(board(WG))
    real.start(model.start())
    burst = b"MC+WINC+READ=0,16\r\n" + pings
    answers = [asked.count(b"PONG") for asked in (real.ask(burst, b"?" * 10_000), model.ask(burst))]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("chip", ["secure_element_silent", "winc_silent"])
def test_a_missing_chip(chip: str) -> None:
    boards = board(WG), board(WG)
    for one in boards:
        setattr(one.faults, chip, True)
        one.secure_element.faults = one.wifi_module.faults = one.faults
    real, model = RealFirmware(boards[0]), Model(boards[1])
    banner = model.start()
    assert real.start(banner) == banner
    for command in (b"MC+ABOUT", b"MC+ECC+SERIAL", b"MC+WINC+READ=0,16", b"MC+ECC+ADDR+READ", b"MC+ECC+LOCK=9"):
        expected = model.ask(command + b"\r\n")
        assert real.ask(command + b"\r\n", expected) == expected


@pytest.mark.parametrize(
    ("kit", "method"), [("sam-iot-wg", "sandbox"), ("sam-iot-wg", "jitr"), ("sam-iot-wg", "mar"), ("sam-iot-wx", "mar")]
)
def test_provisioned_and_connected(kit: str, method: str, tmp_path: Path) -> None:
    name = f"{kit}@emulated"
    job = ("--simulate", name, "-c", "aws", "-m", method, "certs", "provision", "links")
    first = run_tool(tmp_path, *job, "--json")
    assert first.code == 0, first.err
    assert (kit_folder(tmp_path, name) / "winc.bin").is_file()
    with Simulation(tmp_path / "simulator", name, "default", method == "sandbox") as bench:
        connection = bench.power_up()
    assert connection["failure"] == ""
    assert connection["attempts"][-1]["accepted"]
