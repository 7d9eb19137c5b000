"""An AVR128DB in yasimavr with the chips of a board for cellular networks around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yasimavr.lib import core

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.sequans import Sequans
from iotprovision.simulator.emulators.avr_db_device import load_avr_db, without_extended_loads
from iotprovision.simulator.emulators.avr_simulation import AvrSimulation, usart_register

_MODEM_UART = 1
_BYTE_TIME = 10 / 115200
# Simulated seconds after which it is looked whether the modem has something to say.
_LISTENING_TIME = 0.001
_CTRLB, _RECEIVER_ENABLED = 6, 0x80
# Out of the MCU: high while its buffer for what the modem says is full.
_WAIT = "PC7"


@dataclass(frozen=True)
class _Wiring:
    """Where the board has what, as the provisioning firmware uses it.

    :param uart: number of the USART that the debugger is connected to
    :param secure_element: SDA and SCL
    :param modem_waits: into the MCU: high while the modem takes nothing
    :param modem_reset: out of the MCU; None where its firmware never resets the modem
    """

    uart: int
    secure_element: tuple[str, str]
    modem_waits: str
    modem_reset: str | None


_WIRING = {
    "AVR128DB48": _Wiring(uart=3, secure_element=("PC2", "PC3"), modem_waits="PC4", modem_reset="PC5"),
    "AVR128DB64": _Wiring(uart=5, secure_element=("PF2", "PF3"), modem_waits="PC6", modem_reset=None),
}


class AvrCellularSimulation(AvrSimulation):
    """A board with a modem; the modem is given power together with the MCU."""

    clock = 24_000_000

    def __init__(self, board: Board) -> None:
        assert board.modem is not None, "the board has a modem"
        self._part = board.microcontroller
        self._wiring = _WIRING[self._part]
        self.uart = self._wiring.uart
        self.secure_element_pins = self._wiring.secure_element
        self._modem: Sequans = board.modem
        self._said = bytearray()
        super().__init__(board)

    def run(self, seconds: float) -> bytes:
        """Run for simulated seconds: the bytes that left at the UART.

        :raises SimulationEndedError: the MCU crashed
        """
        end = self.now + seconds
        sent = bytearray()
        while (remaining := end - self.now) > 1 / self.clock:
            if self._hears_modem():
                self._said += self._modem.listen()
            if self._said and not self._waits.digital_state():
                self._bytes_to_usart(_MODEM_UART, bytes([self._said.pop(0)]))
            sent += super().run(min(remaining, _BYTE_TIME if self._said else _LISTENING_TIME))
        return bytes(sent)

    def _make_device(self) -> Any:
        return load_avr_db(self._part)

    def _program(self, flash: bytes) -> bytes:
        return without_extended_loads(flash.rstrip(b"\xff"))

    def _connect_board(self, board: Board) -> None:
        self._modem.power_up()
        self._hook_bytes_of_usart(_MODEM_UART, self._byte_for_modem)
        self._device.find_pin(self._wiring.modem_waits).set_external_state("L")
        self._waits = self._device.find_pin(_WAIT)
        if self._wiring.modem_reset:
            reset = self._device.find_pin(self._wiring.modem_reset)
            self._hook(reset.signal(), self._reset_pin_changed)
            # The firmware resets it long before it has started, so that it says so only once.
            self._modem.listen()
            self._kept.append(reset)

    def _hears_modem(self) -> bool:
        return bool(self._probe.read_ioreg(usart_register(_MODEM_UART, _CTRLB)) & _RECEIVER_ENABLED)

    def _byte_for_modem(self, byte: int) -> None:
        self._said += self._modem.receive(bytes([byte]))

    def _reset_pin_changed(self, event: Any, _tag: Any) -> None:
        if event.sigid == core.Wire.SignalId.DigitalChange and event.data.as_uint():
            self._said.clear()
            self._modem.power_up()
