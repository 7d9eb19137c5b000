"""The vendor's bridge firmware really running: the model is measured by it, and a module upgraded through it."""

from random import Random

import pytest
from bridge_frames import frame, random_frame
from simulated_chips import board_with, flash_of

from iotprovision.simulator.board import Board
from iotprovision.simulator.modelled_mcu import ModelledMcu

pytest.importorskip("yasimavr", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.avr_simulation import AvrSimulation

pytestmark = pytest.mark.emulated

# Simulated seconds.
STEP = 0.002
BYTE_TIME = 10 / 115200
START_TIME = 0.6
ANSWER_TIME = 2.0
AFTERWARDS = 0.02


class RealBridge:
    """A simulation that is asked in simulated time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._simulation = AvrSimulation(board)
        self.first = self.run(START_TIME)

    def run(self, seconds: float, size: int | None = None) -> bytes:
        """What is sent within so many seconds, or until there are so many bytes."""
        sent = bytearray()
        end = self._simulation.now + seconds
        while self._simulation.now < end and (size is None or len(sent) < size):
            sent += self._simulation.run(STEP)
        return bytes(sent)

    def ask(self, data: bytes, expected: bytes) -> bytes:
        """What is sent in answer: as much as is expected, and what comes shortly after it."""
        self._simulation.receive(data)
        time = BYTE_TIME * (len(data) + len(expected)) + (ANSWER_TIME if expected else AFTERWARDS)
        return self.run(time, len(expected) or None) + self.run(AFTERWARDS)


class ModelledBridge:
    """The model of the same, asked in no time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._sent = bytearray()
        self._mcu = ModelledMcu(board, self._sent.extend)
        self._mcu.start()
        self.first = bytes(self._sent)

    def ask(self, data: bytes) -> bytes:
        self._sent.clear()
        self._mcu.receive(data)
        return bytes(self._sent)


def bridge_board() -> Board:
    board = board_with(flash_of("avr-iot-winc-upgrade"))
    board.wifi_module.flash[0x5000:0x5400] = Random(1).randbytes(0x400)
    return board


def pair() -> tuple[RealBridge, ModelledBridge]:
    return RealBridge(bridge_board()), ModelledBridge(bridge_board())


@pytest.mark.parametrize("seed", range(4))
def test_model_and_real_bridge_cannot_be_told_apart(seed: int) -> None:
    random = Random(seed)
    real, model = pair()
    assert real.first == model.first == b""
    for number in range(40):
        request = random_frame(random)
        expected = model.ask(request)
        assert real.ask(request, expected) == expected, f"seed {seed}, frame {number}: {request[:12].hex()}"
    assert real.board.wifi_module.flash == model.board.wifi_module.flash
    for meter in ("winc_sector_erases", "winc_page_writes"):
        assert getattr(real.board.wifi_module.meters, meter) == getattr(model.board.wifi_module.meters, meter)


def test_a_module_that_does_not_answer() -> None:
    real, model = pair()
    for board in (real.board, model.board):
        board.wifi_module.faults.winc_silent = board.faults.winc_silent = True
    for request in (frame(6), frame(1, 0x100), frame(5, 0x1000), frame(3, 0x100, bytes(256)), frame(6)):
        expected = model.ask(request)
        assert expected
        assert real.ask(request, expected) == expected
    for request in (frame(0), frame(6)):
        assert model.ask(request) == b"", "the bridge hangs for good"
        assert real.ask(request, b"") == b""


def test_a_module_whose_firmware_does_not_start() -> None:
    real, model = pair()
    for board in (real.board, model.board):
        board.wifi_module.flash[0xA000:0xA010] = bytes(16)
    for request in (frame(2, 0xA000), frame(5, 0xB000), frame(6)):
        expected = model.ask(request)
        assert expected
        assert real.ask(request, expected) == expected
    for request in (frame(0), frame(6)):
        assert model.ask(request) == b"", "the bridge hangs for good"
        assert real.ask(request, b"") == b""
