"""Emulated AVRs: the thread of an emulated MCU with yasimavr in it."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.emulators.avr_cellular_simulation import AvrCellularSimulation
from iotprovision.simulator.emulators.avr_iot_simulation import AvrIotSimulation
from iotprovision.simulator.emulators.emulated_mcu import EmulatedMcu


class EmulatedAvr(EmulatedMcu):
    """The AVR of an AVR-IoT board. See :class:`iotprovision.simulator.board.board.Microcontroller`."""

    has_radio = True

    def __init__(self, board: Board, transmit: Callable[[bytes], None]) -> None:
        super().__init__(board, transmit, AvrIotSimulation)


class EmulatedCellularAvr(EmulatedMcu):
    """The AVR of a board for cellular networks. See :class:`iotprovision.simulator.board.board.Microcontroller`."""

    def __init__(self, board: Board, transmit: Callable[[bytes], None]) -> None:
        super().__init__(board, transmit, AvrCellularSimulation)
