"""An ATmega4808 in yasimavr with the chips of an AVR-IoT board around it: program memory in, UART bytes in and out.

yasimavr 0.1.6 differs from silicon in seven places that the vendor's firmware meets; each is made up for here, without
changing it, where a comment says so. Everything runs in simulated time; nothing here knows of threads or wall time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from yasimavr.device_library import load_device
from yasimavr.lib import core
from yasimavr.utils.spi import SPISimpleClient
from yasimavr.utils.twi import TWISimpleClient
from yasimavr.utils.uart import UART

from iotprovision.simulator.board import Board
from iotprovision.simulator.ecc608_bus import I2C_ADDRESS, Ecc608Bus
from iotprovision.simulator.emulated_mcu import SimulationEndedError
from iotprovision.simulator.mcp9808 import I2C_ADDRESS as TEMPERATURE_SENSOR_ADDRESS
from iotprovision.simulator.mcp9808 import Mcp9808
from iotprovision.simulator.winc1510_bus import Winc1510Bus
from iotprovision.simulator.winc1510_firmware import WincFirmware

logger = logging.getLogger(__name__)

# The firmware of the kits divides the 20 MHz oscillator by two.
CLOCK = 10_000_000
SUPPLY_VOLTS = 3.3
STANDARD_RATES = (9600, 19200, 38400, 57600, 115200)

# The UART that the debugger is connected to.
_UART = "2"
_USART2_BAUD = 0x0848
_USART_ROUTES = 0x05E2
_USART2_NOT_ROUTED = 3 << 4
_SPI0_INTFLAGS = 0x08C3
_INTERRUPT_FLAG = 0x80
_UNUSED_ADDRESS = 0x13F0
_JUMP_TO_ITSELF = b"\xff\xcf"
_WATCHDOG_TIME = 0.03

_ECC_DATA, _ECC_CLOCK = "PA2", "PA3"
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


class _SecureElementOnTwi(TWISimpleClient):  # type: ignore[misc]
    """The ECC608 on the TWI pins. A transfer to address 0 is its wake pulse: SDA low for eight bit times."""

    def __init__(self, bus: Ecc608Bus) -> None:
        super().__init__(I2C_ADDRESS)
        self._bus = bus

    def address_match(self, addr_rw: int) -> bool:
        # The demo's library sends no wake pulse of its own: it calls the address until it is acknowledged. The SDA low
        # of the address bits wakes the chip.
        if not self._bus.awake or addr_rw == 0:
            self._bus.wake()
            return False
        return bool(addr_rw >> 1 == I2C_ADDRESS) and self._bus.present

    def transfer_start(self, rw: int) -> None:
        self._bus.start()

    def write_handler(self, data: int) -> bool:
        self._bus.write(data)
        return True

    def read_handler(self) -> int:
        return self._bus.read()

    def transfer_stop(self, ok: bool) -> None:
        self._bus.stop()


class _TemperatureSensorOnTwi(TWISimpleClient):  # type: ignore[misc]
    """The MCP9808 on the same pins. Without it the demo waits for ever for somebody to acknowledge its address."""

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


class AvrSimulation:
    """One run of what is in the board's flash, from reset on.

    :param board: flash and fuses are copied; the chips are used as they are
    """

    def __init__(self, board: Board) -> None:
        core.global_logger().set_level(core.Logger.Level.Silent)
        self._device = load_device("atmega4808")
        self._device.logger().set_level(core.Logger.Level.Silent)
        # The firmware writes to ports that the 28 and 32 pin parts do not have.
        self._device.set_option(core.Device.Option.IgnoreBadCpuIO, True)
        self._loop = core.SimLoop(self._device)
        self._loop.set_fast_mode(True)
        self.baud_rate: int | None = None
        self._sent = bytearray()
        self._waiting_since: float | None = None
        # yasimavr keeps no references to what it is given.
        self._kept: list[Any] = []
        self._load(bytes(board.flash), bytes(board.fuses))
        self._connect_uart()
        self._connect_chips(board)

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return float(self._loop.cycle()) / CLOCK

    def run(self, seconds: float) -> bytes:
        """Run for simulated seconds: the bytes that left at the UART.

        :raises SimulationEndedError: the MCU crashed
        """
        self._loop.run(int(seconds * CLOCK))
        if self._loop.state() == core.SimLoop.State.Done:
            raise SimulationEndedError(str(self._device.state()))
        self._wifi_firmware.tick(self.now)
        self._reset_when_waiting_for_the_watchdog()
        sent, self._sent = bytes(self._sent), bytearray()
        return sent

    def _reset_when_waiting_for_the_watchdog(self) -> None:
        # yasimavr loses what the firmware writes to WDT.CTRLA. The firmware arms the watchdog only to be reset by it,
        # in a jump to itself that nothing else can end.
        if self._device.state() != core.Device.State.Sleeping or not self._at_jump_to_itself():
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = self.now
        elif self.now - self._waiting_since > _WATCHDOG_TIME:
            self._waiting_since = None
            self._probe.reset_device()

    def _at_jump_to_itself(self) -> bool:
        return bytes(self._probe.read_flash(self._probe.read_pc(), len(_JUMP_TO_ITSELF))) == _JUMP_TO_ITSELF

    def receive(self, data: bytes) -> None:
        """Bytes for the UART; they come in one after the other at the rate that the firmware set."""
        request = core.ctlreq_data_t()
        request.data = core.vardata_t(data)
        self._device.ctlreq(core.IOCTL_UART(_UART), core.CTLREQ_USART_BYTES, request)

    # --- setting up ----------------------------------------------------------------------------------------------

    def _load(self, flash: bytes, fuses: bytes) -> None:
        firmware = core.Firmware()
        for area, content in ((core.Firmware.Area.Flash, flash.rstrip(b"\xff")), (core.Firmware.Area.Fuses, fuses)):
            block = core.Firmware.block_view_t()
            block.bytes = content
            block.base = 0
            self._kept += [content, block]
            firmware.add_block(area, block)
        # The default of 0 makes yasimavr print what the firmware writes to VPORTA.DIR instead of setting it.
        firmware.console_register = _UNUSED_ADDRESS
        firmware.frequency = CLOCK
        firmware.vcc = firmware.aref = SUPPLY_VOLTS
        self._device.load_firmware(firmware)
        self._kept.append(firmware)

    def _hook(self, signal: Any, handler: Callable[[Any, Any], None]) -> None:
        hook = core.CallableSignalHook(handler)
        signal.connect(hook)
        self._kept.append(hook)

    def _connect_uart(self) -> None:
        _, answer = self._device.ctlreq(core.IOCTL_UART(_UART), core.CTLREQ_GET_SIGNAL)
        signal = answer.data.value(core.Signal)
        self._kept.append(signal)
        self._hook(signal, self._byte_sent)
        self._probe = core.DeviceDebugProbe(self._device)
        flags = core.DeviceDebugProbe.WatchpointFlags
        self._probe.insert_watchpoint(_USART2_BAUD, 2, flags.Write | flags.Signal)
        self._hook(self._probe.watchpoint_signal(), self._baud_register_written)

    def _byte_sent(self, event: Any, _tag: Any) -> None:
        if event.sigid == UART.SignalId.TX_Data:
            self._sent.append(event.data.as_uint() & 0xFF)

    def _baud_register_written(self, _event: Any, _tag: Any) -> None:
        # yasimavr samples TXD instead of RXD whenever CTRLA is written, and then receives what the firmware sends.
        # Without pins nothing is sampled; bytes go in and out through the peripheral all the same.
        self._probe.write_ioreg(_USART_ROUTES, _USART2_NOT_ROUTED)
        divisor = self._probe.read_ioreg(_USART2_BAUD) | self._probe.read_ioreg(_USART2_BAUD + 1) << 8
        if divisor:
            rate = 4 * CLOCK / divisor
            self.baud_rate = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))

    def _connect_chips(self, board: Board) -> None:
        secure_element = Ecc608Bus(board.secure_element)
        # On silicon its watchdog puts the chip to sleep within 1.3 s, which is shorter than programming takes.
        secure_element.sleep()
        for twi in (_SecureElementOnTwi(secure_element), _TemperatureSensorOnTwi()):
            twi.sda_wire.attach(self._device.find_pin(_ECC_DATA))
            twi.scl_wire.attach(self._device.find_pin(_ECC_CLOCK))
            twi.init(self._loop.cycle_manager())
            twi.set_enabled(True)
            self._kept.append(twi)

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
        for button in _BUTTONS:
            self._device.find_pin(button).set_external_state("U")
        self._device.find_pin(_LIGHT_SENSOR).set_external_state("A", 0.25)
        self._kept += [spi, reset, interrupt]

    def _reset_pin_changed(self, event: Any, _tag: Any) -> None:
        if event.sigid == core.Wire.SignalId.DigitalChange and not event.data.as_uint():
            self._wifi_module.reset()
            self._wifi_firmware.reset()
