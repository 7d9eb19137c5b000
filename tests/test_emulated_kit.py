"""The vendor's firmware really running: it is what the models are measured by."""


import pytest
from command_streams import stream
from provisioning_transcript import check_answer, exchanges
from simulated_chips import board_with, flash_of

from iotprovision.simulator.board import Board
from iotprovision.simulator.modelled_mcu import ModelledMcu

pytest.importorskip("yasimavr", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.avr_simulation import AvrSimulation

pytestmark = pytest.mark.emulated

# Simulated seconds. The longest silence in an answer is the Wi-Fi module's change to download mode, 0.34 s.
STEP = 0.002
ANSWER_TIME = 0.8
AFTERWARDS = 0.02
BYTE_TIME = 10 / 115200
START_TIME = 0.6
# Wall seconds, for the emulated MCU in its thread on a loaded machine.
TIMEOUT = 60.0


class RealFirmware:
    """A simulation that is asked in simulated time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.simulation = AvrSimulation(board)

    def run(self, seconds: float) -> bytes:
        sent = bytearray()
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            sent += self.simulation.run(STEP)
        return bytes(sent)

    def ask(self, data: bytes, expected: bytes) -> bytes:
        """What is sent in answer: as much as is expected, and what comes shortly after it."""
        self.simulation.receive(data)
        sent = bytearray(self.run(len(data) * BYTE_TIME))
        end = self.simulation.now + ANSWER_TIME
        while len(sent) < len(expected) and self.simulation.now < end:
            sent += self.simulation.run(STEP)
        return bytes(sent) + self.run(AFTERWARDS)


class Model:
    """The model of the same, asked in no time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._sent = bytearray()
        self._mcu = ModelledMcu(board, self._sent.extend)

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


def provisioning_board() -> Board:
    board = board_with(flash_of("avr-iot-provisioning"))
    board.wifi_module.flash[0x4000:0x4100] = bytes(range(256))
    return board


def test_the_transcript_is_what_the_real_firmware_answers():
    board = board_with(flash_of("avr-iot-provisioning"))
    firmware = RealFirmware(board)
    start, *lines = exchanges()
    assert firmware.run(START_TIME) == start.answer
    assert firmware.simulation.baud_rate == 115200
    public_key = board.secure_element.private_keys[0].public_key()
    for exchange in lines:
        check_answer(exchange, firmware.ask(exchange.sent, exchange.answer), public_key)


@pytest.mark.parametrize("seed", range(6))
def test_model_and_real_firmware_cannot_be_told_apart(seed):
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    assert real.run(START_TIME) == model.start()
    for place, burst in enumerate(stream(seed, commands=60)):
        expected = model.ask(burst)
        answer = real.ask(burst, expected)
        assert answer == expected, f"seed {seed}, burst {place}: {burst!r}"
    for part in ("config", "otp", "slots"):
        assert getattr(real.board.secure_element, part) == getattr(model.board.secure_element, part)
    assert real.board.wifi_module.flash == model.board.wifi_module.flash
    for meter in ("secure_element_writes", "secure_element_locks"):
        assert getattr(real.board.secure_element.meters, meter) == getattr(model.board.secure_element.meters, meter)
    for meter in ("winc_sector_erases", "winc_page_writes"):
        assert getattr(real.board.wifi_module.meters, meter) == getattr(model.board.wifi_module.meters, meter)
