"""An ATmega4808 in yasimavr with the chips of an AVR-IoT board around it."""

from __future__ import annotations

from typing import Any

from yasimavr.device_library import load_device
from yasimavr.lib import core
from yasimavr.utils.spi import SPISimpleClient
from yasimavr.utils.twi import TWISimpleClient

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.mcp9808 import I2C_ADDRESS as TEMPERATURE_SENSOR_ADDRESS
from iotprovision.simulator.chips.mcp9808 import Mcp9808
from iotprovision.simulator.chips.winc1510_bus import Winc1510Bus
from iotprovision.simulator.emulators.avr_simulation import AvrSimulation
from iotprovision.simulator.radio.firmware import WincFirmware

_USART_ROUTES = 0x05E2
_USART2_NOT_ROUTED = 3 << 4
_SPI0_INTFLAGS = 0x08C3
_INTERRUPT_FLAG = 0x80

_WINC_MOSI, _WINC_MISO, _WINC_CLOCK, _WINC_SELECT, _WINC_RESET, _WINC_INTERRUPT = (
    "PA4",
    "PA5",
    "PA6",
    "PA7",
    "PA1",
    "PF2",
)
_BUTTONS = ("PF5", "PF6")
_LIGHT_SENSOR = "PD5"


class _TemperatureSensorOnTwi(TWISimpleClient):  # type: ignore[misc]
    """The MCP9808 on the TWI pins. Without it the demo waits for ever for somebody to acknowledge its address."""

    def __init__(self) -> None:
        super().__init__(TEMPERATURE_SENSOR_ADDRESS)
        self._sensor = Mcp9808()

    def transfer_start(self, rw: int) -> None:
        self._sensor.start()

    def write_handler(self, data: int) -> bool:
        self._sensor.write(data)
        return True

    def read_handler(self) -> int:
        return self._sensor.read()


class _WifiModuleOnSpi(SPISimpleClient):  # type: ignore[misc]
    """The WINC1510 on the SPI pins."""

    def __init__(self, bus: Winc1510Bus, probe: Any) -> None:
        super().__init__()
        self._bus = bus
        self._probe = probe
        self.enabled = True

    def frame_completed(self) -> None:
        self.set_shift_data(self._bus.exchange(self.shift_data()))
        # Silicon clears IF when INTFLAGS is read and then DATA accessed; yasimavr clears it on the access to DATA only
        # after a 1 was written to INTFLAGS. So that is written for the firmware.
        self._probe.write_ioreg(_SPI0_INTFLAGS, _INTERRUPT_FLAG)


class AvrIotSimulation(AvrSimulation):
    """An AVR-IoT board."""

    # The firmware divides the 20 MHz oscillator by two.
    clock = 10_000_000
    uart = 2
    secure_element_pins = ("PA2", "PA3")

    def _make_device(self) -> Any:
        return load_device("atmega4808")

    def _baud_register_written(self, event: Any, tag: Any) -> None:
        # yasimavr samples TXD instead of RXD whenever CTRLA is written, and then receives what the firmware sends.
        # Without pins nothing is sampled; bytes go in and out through the peripheral all the same.
        self._probe.write_ioreg(_USART_ROUTES, _USART2_NOT_ROUTED)
        super()._baud_register_written(event, tag)

    def _connect_board(self, board: Board) -> None:
        self._wifi_module = Winc1510Bus(board.wifi_module)
        self._wifi_module.reset()
        spi = _WifiModuleOnSpi(self._wifi_module, self._probe)
        spi.mosi_line.attach(self._device.find_pin(_WINC_MOSI))
        spi.miso_line.attach(self._device.find_pin(_WINC_MISO))
        spi.clock_line.attach(self._device.find_pin(_WINC_CLOCK))
        spi.select_line.attach(self._device.find_pin(_WINC_SELECT))
        # The module has pull-ups on its select and reset inputs. Without the first, yasimavr's SPI takes a floating
        # select for low over a reset of the MCU and stays a client.
        spi.select_line.set_state("U")
        reset = self._device.find_pin(_WINC_RESET)
        reset.set_external_state("U")
        self._hook(reset.signal(), self._reset_pin_changed)
        interrupt = self._device.find_pin(_WINC_INTERRUPT)
        self._wifi_firmware = WincFirmware(
            board.wifi_module,
            lambda level: interrupt.set_external_state("H" if level else "L"),
            lambda: board.surroundings,
            board.connections,
        )
        self._connect_to_twi(_TemperatureSensorOnTwi())
        for button in _BUTTONS:
            self._device.find_pin(button).set_external_state("U")
        self._device.find_pin(_LIGHT_SENSOR).set_external_state("A", 0.25)
        self._kept += [spi, reset, interrupt]

    def run(self, seconds: float) -> bytes:
        sent = super().run(seconds)
        self._wifi_firmware.tick(self.now)
        return sent

    def _reset_pin_changed(self, event: Any, _tag: Any) -> None:
        if event.sigid == core.Wire.SignalId.DigitalChange and not event.data.as_uint():
            self._wifi_module.reset()
            self._wifi_firmware.reset()
