"""A board with a modem, for tests of the modelled microcontroller and of what talks to it."""

from __future__ import annotations

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.sequans import Sequans
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.kit.kinds import KINDS
from iotprovision.simulator.models.modelled_mcu import ModelledMcu
from support.simulated_chips import flash_of, recorded_secure_element

MINI, CELLULAR = "avr-iot-cellular-mini", "avr-iot-cellular"


def cellular_board(kind: str) -> Board:
    """A board with the provisioning firmware of its kit and the recorded chip."""
    kit = KINDS[kind]
    return Board(
        kit_name=kit.register_name,
        microcontroller=kit.part.name,
        flash=bytearray(flash_of(f"{kind}-provisioning").ljust(kit.part.flash_size, b"\xff")),
        eeprom=bytearray(b"\xff" * kit.part.eeprom_size),
        fuses=bytearray(kit.part.factory_fuses),
        user_row=bytearray(b"\xff" * kit.part.user_row_size),
        secure_element=recorded_secure_element(),
        wifi_module=Winc1510(),
        modem=Sequans(),
    )


class CellularBoard:
    """A board whose MCU runs the provisioning firmware, and what was sent."""

    def __init__(self, kind: str = MINI) -> None:
        self.board = cellular_board(kind)
        assert self.board.modem
        self.modem = self.board.modem
        self._sent = bytearray()
        self.mcu = ModelledMcu(self.board, self._sent.extend)

    def start(self) -> bytes:
        self.mcu.start()
        return self.take()

    def take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def ask(self, data: bytes) -> bytes:
        self.mcu.receive(data)
        return self.take()
