"""The parts on a simulated board, and what the debugger needs of a microcontroller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.conditions.meters import Meters

if TYPE_CHECKING:
    from iotprovision.simulator.board.surroundings import Surroundings
    from iotprovision.simulator.chips.ecc608 import Ecc608
    from iotprovision.simulator.chips.sequans import Sequans
    from iotprovision.simulator.chips.winc1510 import Winc1510


@dataclass
class Board:
    """What is soldered to the board and keeps its content without power.

    :param kit_name: name of the kit as its board configuration spells it, e.g. ``AVR-IoT WA``
    :param microcontroller: e.g. ``ATmega4808``
    :param flash: program memory of the MCU, all of it (ATmega4808: 49152 bytes), 0xFF where erased
    :param eeprom: EEPROM of the MCU
    :param fuses: fuse bytes of the MCU, one byte a fuse, in address order
    :param user_row: user row of the MCU
    :param wifi_module: on a board for cellular networks there is none, and nothing reaches this one
    :param modem: on a board for cellular networks only
    :param lock_bits: of the MCU, the first byte in the low bits; 0xC5 is unlocked on an ATmega4808
    :param serial_number: of the debugger, 20 characters
    :param secure_element_address: on the I2C bus, 7 bits
    :param surroundings: what the radio of the Wi-Fi module reaches, where an emulated MCU uses it
    :param connections: what the Wi-Fi module saw when it did
    """

    kit_name: str
    microcontroller: str
    flash: bytearray
    eeprom: bytearray
    fuses: bytearray
    user_row: bytearray
    secure_element: Ecc608
    wifi_module: Winc1510
    lock_bits: int = 0xC5
    modem: Sequans | None = None
    serial_number: str = ""
    secure_element_address: int = 0x58
    surroundings: Surroundings | None = None
    connections: ConnectionRecord = field(default_factory=ConnectionRecord)
    meters: Meters = field(default_factory=Meters)
    faults: Faults = field(default_factory=Faults)


class Microcontroller(Protocol):
    """A microcontroller, constructed as ``Microcontroller(board, transmit)``.

    ``transmit`` takes bytes that leave at the UART; it never blocks and may be called from any thread.
    The secure element is put to sleep by :meth:`start`, so that a transaction cut off by :meth:`stop` leaves no trace.
    """

    @property
    def baud_rate(self) -> int | None:
        """The rate of the UART of the image that runs; None while nothing runs or nothing listens."""

    def start(self) -> None:
        """Reset, and run what is in flash. Called at power-up and when programming mode is left; twice is a reset."""

    def stop(self) -> None:
        """Halt: programming mode was entered. Nothing is transmitted until :meth:`start`."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host at the UART; must not block."""

    def close(self) -> None:
        """Halt for good and free threads."""


MicrocontrollerFactory = Callable[[Board, Callable[[bytes], None]], Microcontroller]
