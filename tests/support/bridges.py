"""The vendor's bridge firmware really running and its model, to be asked the same."""

from __future__ import annotations

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.emulators.emulated_mcu import Simulation
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

# Simulated seconds.
STEP = 0.002
BYTE_TIME = 10 / 115200
START_TIME = 0.6
ANSWER_TIME = 2.0
AFTERWARDS = 0.02


class RealBridge:
    """A simulation that is asked in simulated time."""

    def __init__(self, board: Board, simulation: Simulation) -> None:
        self.board = board
        self._simulation = simulation
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
