"""The serial interface (SERCOM) of the SAM D21 as UART, as SPI host and as I2C host.

Registers: SAM D21 data sheet. Bytes on the UART and on SPI take their time; those on I2C take none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from iotprovision.simulator.chips.ecc608_bus import Ecc608Bus
from iotprovision.simulator.emulators.cortex_m0 import CortexM0, Peripheral

CONTROL_A, CONTROL_B, BAUD, DISABLE, ENABLE, FLAGS, STATUS, BUSY, ADDRESS, DATA = (
    0x00,
    0x04,
    0x0C,
    0x14,
    0x16,
    0x18,
    0x1A,
    0x1C,
    0x24,
    0x28,
)
SOFTWARE_RESET, ON = 0x01, 0x02
UART, SPI_HOST, I2C_HOST = 1, 3, 5
# Flags of UART and SPI; of I2C
EMPTY, COMPLETE, RECEIVED, FAILED = 0x01, 0x02, 0x04, 0x80
HOST_ON_BUS, CLIENT_ON_BUS = 0x01, 0x02
NOT_ACKNOWLEDGED, OVERFLOWED, BUS_STATE, BUS_IDLE, BUS_OWNED = 0x04, 0x04, 0x30, 0x10, 0x20
READ_ON, STOP_ON = 2, 3  # commands in CTRLB of the I2C host
# Two bytes of buffer and the shift register
RECEIVE_ROOM = 3
BITS_PER_BYTE = 10


class Sercom(Peripheral):
    """One interface. What hangs on it is set by :attr:`transmitted`, :attr:`exchange` and :attr:`clients`."""

    def __init__(self, machine: CortexM0, interrupt: int) -> None:
        super().__init__(machine, interrupt)
        self.transmitted: Callable[[int], None] = lambda byte: None
        self.exchange: Callable[[int], int] = lambda byte: 0xFF
        self.clients: dict[int, Ecc608Bus] = {}
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._enabled = self._flags = self._status = 0
        self._received: deque[int] = deque()
        self._shifting = False
        self._held: int | None = None
        self._client: Ecc608Bus | None = None
        self._reading = False

    @property
    def mode(self) -> int:
        return self.registers[0] >> 2 & 7

    @property
    def byte_cycles(self) -> int:
        """Cycles of the core that a byte takes on UART or SPI."""
        if self.mode == SPI_HOST:
            return 16 * (self.registers[BAUD] + 1)
        return int(BITS_PER_BYTE * self._bit_cycles)

    @property
    def _bit_cycles(self) -> float:
        sampling = self.value(CONTROL_A) >> 13 & 7
        samples = {2: 8, 3: 8, 4: 3}.get(sampling, 16)
        baud = self.value(BAUD, 2)
        if sampling in (1, 3):  # fractional
            return samples * ((baud & 0x1FFF) + (baud >> 13) / 8)
        return samples / (1 - baud / 65536)

    def baud_rate(self, clock: int) -> float | None:
        """Of the UART; None while it is off."""
        if self.mode != UART or not self.registers[0] & ON or not self.value(BAUD, 2):
            return None
        return clock / self._bit_cycles

    def receive(self, byte: int) -> None:
        """A byte at RXD."""
        if not self.registers[0] & ON or not self.value(CONTROL_B) >> 17 & 1:
            return
        if len(self._received) >= RECEIVE_ROOM:
            self._status |= OVERFLOWED
            self._flags |= FAILED
        else:
            self._received.append(byte)
            self._flags |= RECEIVED
        self._update()

    def _update(self) -> None:
        self.machine.set_interrupt(self.interrupt, bool(self._enabled & self._flags))

    # --- registers

    def read(self, offset: int, size: int) -> int:
        values = {DISABLE: self._enabled, ENABLE: self._enabled, STATUS: self._status, BUSY: 0}
        if offset == FLAGS:
            return self._flags | self._status << 16
        if offset == DATA:
            return self._read_data()
        return values.get(offset, self.value(offset, size))

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == CONTROL_A:
            self._write_control(size, value)
        elif offset == DISABLE:
            self._enabled &= ~value
        elif offset == ENABLE:
            self._enabled |= value
        elif offset == FLAGS:
            # Those of data that came and of room for data follow the data.
            self._flags &= ~value if self.mode == I2C_HOST else ~value | EMPTY | RECEIVED
        elif offset == STATUS:
            self._write_status(value)
        elif offset == DATA:
            self._write_data(value & 0xFF)
        elif self.mode == I2C_HOST and offset == ADDRESS:
            self._call(value & 0xFF)
        elif self.mode == I2C_HOST and offset in (CONTROL_B, CONTROL_B + 2):
            upper = value >> 16 if offset == CONTROL_B else value
            self.set_value(offset, size, value & ~0x30000 if offset == CONTROL_B else value & ~3)
            if upper & 3:
                self._command(upper & 3)
        else:
            self.set_value(offset, size, value)
        self._update()

    def _write_control(self, size: int, value: int) -> None:
        if value & SOFTWARE_RESET:
            self.reset()
            return
        self.set_value(CONTROL_A, size, value)
        if not value & ON:
            self._flags = 0
        elif self.mode in (UART, SPI_HOST):
            self._flags |= EMPTY

    def _write_status(self, value: int) -> None:
        if self.mode != I2C_HOST:
            self._status &= ~value
            return
        if value & BUS_STATE == BUS_IDLE:
            self._status = self._status & ~BUS_STATE | BUS_IDLE
        self._status &= ~(value & 0x03)

    def _read_data(self) -> int:
        if self.mode == I2C_HOST:
            value = self.registers[DATA]
            self._flags &= ~CLIENT_ON_BUS
            if self.value(CONTROL_B) >> 8 & 1:  # smart mode: reading acknowledges
                self._command(READ_ON)
        else:
            value = self._received.popleft() if self._received else 0
            if not self._received:
                self._flags &= ~RECEIVED
        self._update()
        return value

    def _write_data(self, byte: int) -> None:
        if self.mode == I2C_HOST:
            self._send_to_client(byte)
        elif self._shifting:
            self._held = byte
            self._flags &= ~EMPTY
        else:
            self._shift(byte)

    # --- UART and SPI

    def _shift(self, byte: int) -> None:
        self._shifting = True
        self._flags = self._flags & ~COMPLETE | EMPTY
        self.machine.at(self.machine.cycle + self.byte_cycles, lambda: self._shifted(byte))

    def _shifted(self, byte: int) -> None:
        if self.mode == SPI_HOST:
            answer = self.exchange(byte)
            if self.value(CONTROL_B) >> 17 & 1 and len(self._received) < RECEIVE_ROOM - 1:
                self._received.append(answer)
                self._flags |= RECEIVED
        else:
            self.transmitted(byte)
        self._shifting = False
        if self._held is not None:
            held, self._held = self._held, None
            self._shift(held)
        else:
            self._flags |= COMPLETE
        self._update()

    # --- I2C

    def _call(self, address: int) -> None:
        """Start, or start again: the address, and whether the client shall send."""
        self._reading = bool(address & 1)
        self._flags &= ~(HOST_ON_BUS | CLIENT_ON_BUS)
        if self._client:
            self._client.stop()
        if address == 0:
            # So slow that the low level on the line is a wake pulse
            for client in self.clients.values():
                client.wake()
        client_called = self.clients.get(address >> 1)
        self._client = client_called if client_called and client_called.present and client_called.awake else None
        self._status = self._status & ~(BUS_STATE | NOT_ACKNOWLEDGED) | BUS_OWNED
        if self._client is None:
            self._status |= NOT_ACKNOWLEDGED
            self._flags |= HOST_ON_BUS
            return
        self._client.start()
        if self._reading:
            self._take_byte(self._client)
        else:
            self._flags |= HOST_ON_BUS

    def _take_byte(self, client: Ecc608Bus) -> None:
        self.registers[DATA] = client.read()
        self._flags |= CLIENT_ON_BUS

    def _send_to_client(self, byte: int) -> None:
        self._flags &= ~(HOST_ON_BUS | CLIENT_ON_BUS)
        if self._client:
            self._client.write(byte)
            self._status &= ~NOT_ACKNOWLEDGED
        else:
            self._status |= NOT_ACKNOWLEDGED
        self._flags |= HOST_ON_BUS

    def _command(self, command: int) -> None:
        self._flags &= ~(HOST_ON_BUS | CLIENT_ON_BUS)
        if command == STOP_ON:
            if self._client:
                self._client.stop()
                self._client = None
            self._status = self._status & ~BUS_STATE | BUS_IDLE
        elif command == READ_ON and self._reading and self._client:
            self._take_byte(self._client)
