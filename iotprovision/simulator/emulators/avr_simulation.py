"""An AVR in yasimavr with a secure element on its TWI: program memory in, UART bytes in and out.

Everything runs in simulated time; nothing here knows of threads or wall time. What a board has besides is in
:mod:`.avr_iot_simulation` and :mod:`.avr_cellular_simulation`. yasimavr 0.1.6 differs from silicon in places that the
vendor's firmware meets; each is made up for, without changing it, where a comment says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from yasimavr.lib import core
from yasimavr.utils.twi import TWISimpleClient
from yasimavr.utils.uart import UART

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.ecc608_bus import I2C_ADDRESS, Ecc608Bus
from iotprovision.simulator.emulators.emulated_mcu import SimulationEndedError

SUPPLY_VOLTS = 3.3
STANDARD_RATES = (9600, 19200, 38400, 57600, 115200)

_FIRST_USART, _USART_SIZE, _BAUD = 0x800, 0x20, 8
_UNUSED_ADDRESS = 0x13F0
_JUMP_TO_ITSELF = b"\xff\xcf"
_WATCHDOG_TIME = 0.03


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


def usart_register(number: int, offset: int) -> int:
    """The address of a register of a USART."""
    return _FIRST_USART + _USART_SIZE * number + offset


class AvrSimulation(ABC):
    """One run of what is in the board's flash, from reset on. A kind of board is a class below this one.

    :param board: flash and fuses are copied; the chips are used as they are
    """

    clock: int
    """Hz, as the firmware sets it."""
    uart: int
    """The number of the USART that the debugger is connected to."""
    secure_element_pins: tuple[str, str]
    """SDA and SCL."""

    def __init__(self, board: Board) -> None:
        core.global_logger().set_level(core.Logger.Level.Silent)
        self._device = self._make_device()
        self._device.logger().set_level(core.Logger.Level.Silent)
        # The firmware writes to ports that its part does not have.
        self._device.set_option(core.Device.Option.IgnoreBadCpuIO, True)
        self._loop = core.SimLoop(self._device)
        self._loop.set_fast_mode(True)
        self.baud_rate: int | None = None
        self._sent = bytearray()
        self._waiting_since: float | None = None
        # yasimavr keeps no references to what it is given.
        self._kept: list[Any] = []
        self._load(self._program(bytes(board.flash)), bytes(board.fuses))
        self._connect_uart()
        self._connect_secure_element(board)
        self._connect_board(board)

    @abstractmethod
    def _make_device(self) -> Any:
        """The MCU of yasimavr."""

    @abstractmethod
    def _connect_board(self, board: Board) -> None:
        """What is on the board besides the secure element."""

    def _program(self, flash: bytes) -> bytes:
        """Program memory as yasimavr can execute it."""
        return flash

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return float(self._loop.cycle()) / self.clock

    def run(self, seconds: float) -> bytes:
        """Run for simulated seconds: the bytes that left at the UART.

        :raises SimulationEndedError: the MCU crashed
        """
        self._loop.run(int(seconds * self.clock))
        if self._loop.state() == core.SimLoop.State.Done:
            raise SimulationEndedError(str(self._device.state()))
        self._reset_when_waiting_for_the_watchdog()
        sent = bytes(self._sent)
        self._sent.clear()
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
        self._bytes_to_usart(self.uart, data)

    def _bytes_to_usart(self, number: int, data: bytes) -> None:
        request = core.ctlreq_data_t()
        request.data = core.vardata_t(data)
        self._device.ctlreq(core.IOCTL_UART(str(number)), core.CTLREQ_USART_BYTES, request)

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
        firmware.frequency = self.clock
        firmware.vcc = firmware.aref = SUPPLY_VOLTS
        self._device.load_firmware(firmware)
        self._kept.append(firmware)

    def _hook(self, signal: Any, handler: Callable[[Any, Any], None]) -> None:
        hook = core.CallableSignalHook(handler)
        signal.connect(hook)
        self._kept.append(hook)

    def _connect_uart(self) -> None:
        self._hook_bytes_of_usart(self.uart, self._sent.append)
        self._probe = core.DeviceDebugProbe(self._device)
        flags = core.DeviceDebugProbe.WatchpointFlags
        self._probe.insert_watchpoint(usart_register(self.uart, _BAUD), 2, flags.Write | flags.Signal)
        self._hook(self._probe.watchpoint_signal(), self._baud_register_written)

    def _hook_bytes_of_usart(self, number: int, handler: Callable[[int], None]) -> None:
        _, answer = self._device.ctlreq(core.IOCTL_UART(str(number)), core.CTLREQ_GET_SIGNAL)
        signal = answer.data.value(core.Signal)
        self._kept.append(signal)

        def byte_sent(event: Any, _tag: Any) -> None:
            if event.sigid == UART.SignalId.TX_Data:
                handler(event.data.as_uint() & 0xFF)

        self._hook(signal, byte_sent)

    def _baud_register_written(self, _event: Any, _tag: Any) -> None:
        baud = usart_register(self.uart, _BAUD)
        divisor = self._probe.read_ioreg(baud) | self._probe.read_ioreg(baud + 1) << 8
        if divisor:
            rate = 4 * self.clock / divisor
            self.baud_rate = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))

    def _connect_secure_element(self, board: Board) -> None:
        secure_element = Ecc608Bus(board.secure_element)
        # On silicon its watchdog puts the chip to sleep within 1.3 s, which is shorter than programming takes.
        secure_element.sleep()
        self._connect_to_twi(_SecureElementOnTwi(secure_element))

    def _connect_to_twi(self, chip: TWISimpleClient) -> None:
        """The secure element, or another chip beside it."""
        data, clock = self.secure_element_pins
        chip.sda_wire.attach(self._device.find_pin(data))
        chip.scl_wire.attach(self._device.find_pin(clock))
        chip.init(self._loop.cycle_manager())
        chip.set_enabled(True)
        self._kept.append(chip)
