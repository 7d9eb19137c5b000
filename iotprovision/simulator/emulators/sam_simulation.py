"""An ATSAMD21G18A with the chips of a SAM-IoT board around it: program memory in, UART bytes in and out.

Everything runs in simulated time; nothing here knows of threads or wall time. What is left out: see docs/simulator.md.
"""

from __future__ import annotations

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.ecc608_bus import Ecc608Bus
from iotprovision.simulator.chips.winc1510_bus import Winc1510Bus
from iotprovision.simulator.emulators.cortex_m0 import CortexM0
from iotprovision.simulator.emulators.sam_dma import DmaController
from iotprovision.simulator.emulators.sam_peripherals import (
    ClockController,
    DeviceServiceUnit,
    FlashController,
    Pins,
    PowerManager,
    SystemController,
    Timer,
)
from iotprovision.simulator.emulators.sercom import Sercom

CLOCK = 48_000_000
STANDARD_RATES = (9600, 19200, 38400, 57600, 115200)
RATE_BEFORE_SETUP = 115200

RAM, RAM_SIZE = 0x20000000, 0x8000
AUXILIARY, AUXILIARY_SIZE = 0x800000, 0x10000
USER_ROW, CALIBRATION = 0x4000, 0x6020
_CALIBRATION_VALUE = bytes.fromhex("ffffffffffffffffffffff0fffffffff")
_PERIPHERAL_RANGES = ((0x40000000, 0x2000), (0x41000000, 0x7000), (0x42000000, 0x6000), (0x60000000, 0x1000))
_PORT, _FAST_PORT = 0x41004400, 0x60000000
_DMA_INTERRUPT, _FIRST_SERIAL_INTERRUPT, _FIRST_TIMER_INTERRUPT = 6, 9, 18

# On the boards: SERCOM3 with the secure element, SERCOM4 with the Wi-Fi module, SERCOM5 with the debugger.
_SECURE_ELEMENT, _WIFI_MODULE, _UART = 3, 4, 5
_WIFI_MODULE_RESET, _WIFI_MODULE_ENABLE = 32 + 10, 32 + 11


class SamSimulation:
    """One run of what is in the board's flash, from reset on.

    :param board: flash and user row are copied; the chips are used as they are
    """

    def __init__(self, board: Board) -> None:
        auxiliary = bytearray(AUXILIARY_SIZE)
        auxiliary[USER_ROW : USER_ROW + len(board.user_row)] = board.user_row
        auxiliary[CALIBRATION : CALIBRATION + len(_CALIBRATION_VALUE)] = _CALIBRATION_VALUE
        memories = {RAM: bytes(RAM_SIZE), AUXILIARY: bytes(auxiliary)}
        self._machine = CortexM0(bytes(board.flash), memories, _PERIPHERAL_RANGES)
        self._sent = bytearray()
        self._line_free_at = 0
        self._connect_chips(board)
        self._machine.reset()

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return self._machine.cycle / CLOCK

    @property
    def baud_rate(self) -> int | None:
        """The rate that the firmware set at its UART; None until it has."""
        rate = self._uart.baud_rate(CLOCK)
        return None if rate is None else min(STANDARD_RATES, key=lambda standard: abs(standard - rate))

    def run(self, seconds: float) -> bytes:
        """Run for simulated seconds: the bytes that left at the UART.

        :raises SimulationEndedError: the MCU crashed
        """
        self._machine.run(int(seconds * CLOCK))
        sent, self._sent = bytes(self._sent), bytearray()
        return sent

    def receive(self, data: bytes) -> None:
        """Bytes for the UART; they come in one after the other at the rate that the firmware set."""
        machine, uart = self._machine, self._uart
        byte_cycles = 10 * CLOCK // (self.baud_rate or RATE_BEFORE_SETUP)
        arrival = max(machine.cycle, self._line_free_at)
        for byte in data:
            arrival += byte_cycles
            machine.at(arrival, lambda byte=byte: uart.receive(byte))  # type: ignore[misc]
        self._line_free_at = arrival

    def _connect_chips(self, board: Board) -> None:
        machine = self._machine
        interfaces = [Sercom(machine, _FIRST_SERIAL_INTERRUPT + number) for number in range(6)]
        for number, interface in enumerate(interfaces):
            machine.add(0x42000800 + 0x400 * number, interface)
        for number in range(3):
            machine.add(0x42002C00 + 0x400 * number, Timer(machine, _FIRST_TIMER_INTERRUPT + number))
        machine.add(0x40000400, PowerManager(machine))
        machine.add(0x40000800, SystemController(machine))
        machine.add(0x40000C00, ClockController(machine))
        machine.add(0x41002000, DeviceServiceUnit(machine))
        machine.add(0x41004000, FlashController(machine))
        machine.add(0x41004800, DmaController(machine, _DMA_INTERRUPT, interfaces))
        machine.add(_PORT, Pins(machine, self._pin_changed))
        machine.mirror(_FAST_PORT, _PORT)

        self._uart = interfaces[_UART]
        self._uart.transmitted = self._sent_byte
        secure_element = Ecc608Bus(board.secure_element)
        secure_element.sleep()
        interfaces[_SECURE_ELEMENT].clients[board.secure_element_address] = secure_element
        self._wifi_module = Winc1510Bus(board.wifi_module)
        self._wifi_module.reset()
        self._on_miso = 0
        interfaces[_WIFI_MODULE].exchange = self._exchange_with_wifi_module

    def _sent_byte(self, byte: int) -> None:
        self._sent.append(byte)

    def _exchange_with_wifi_module(self, byte: int) -> int:
        """What the module makes of a byte is on the line during the next one."""
        answer, self._on_miso = self._on_miso, self._wifi_module.exchange(byte)
        return answer

    def _pin_changed(self, pin: int, level: bool) -> None:
        if pin in (_WIFI_MODULE_RESET, _WIFI_MODULE_ENABLE) and not level:
            self._wifi_module.reset()
