"""An emulated AVR: the thread of an emulated MCU with yasimavr in it."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.simulator.avr_simulation import AvrSimulation
from iotprovision.simulator.board import Board
from iotprovision.simulator.emulated_mcu import EmulatedMcu


class EmulatedAvr(EmulatedMcu):
    """The AVR of a board. See :class:`iotprovision.simulator.board.Microcontroller`."""

    has_radio = True

    def __init__(self, board: Board, transmit: Callable[[bytes], None]) -> None:
        super().__init__(board, transmit, AvrSimulation)
