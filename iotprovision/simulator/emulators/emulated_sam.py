"""An emulated SAM D21: the thread of an emulated MCU with the Unicorn engine in it."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.emulators.emulated_mcu import EmulatedMcu
from iotprovision.simulator.emulators.sam_simulation import SamSimulation


class EmulatedSam(EmulatedMcu):
    """The SAM D21 of a board. See :class:`iotprovision.simulator.board.board.Microcontroller`."""

    # The firmware starts within 1.1 s and answers within 1.1 s; the first command to the Wi-Fi module takes longest.
    # The demos say nothing in the engine.
    start_time = 2.0
    quiet_time = 2.0

    def __init__(self, board: Board, transmit: Callable[[bytes], None]) -> None:
        super().__init__(board, transmit, SamSimulation)
