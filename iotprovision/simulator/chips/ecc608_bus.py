"""The I2C side of the simulated ATECC608A: word addresses, packets, CRC, wake, idle and sleep (from its datasheet)."""

from __future__ import annotations

from iotprovision.simulator.chips.ecc608 import Ecc608

I2C_ADDRESS = 0x58  # 7 bits; the configuration zone holds it shifted left: 0xB0
AWAKE = b"\x11"
COMMUNICATION_ERROR = b"\xff"

_RESET_ADDRESS_COUNTER, _SLEEP, _IDLE, _COMMAND = 0, 1, 2, 3
_SMALLEST_PACKET = 7  # count, opcode, parameter 1, parameter 2 (2), CRC (2)


def crc16(data: bytes) -> bytes:
    """CRC of packets: polynomial 0x8005, start 0, least significant bit of each byte first; low byte first."""
    crc = 0
    for byte in data:
        for bit in range(8):
            feedback = (crc >> 15) ^ (byte >> bit & 1)
            crc = crc << 1 & 0xFFFF
            if feedback:
                crc ^= 0x8005
    return crc.to_bytes(2, "little")


def response_packet(payload: bytes) -> bytes:
    """Count, payload and CRC."""
    body = bytes([len(payload) + 3]) + payload
    return body + crc16(body)


class Ecc608Bus:
    """One chip on the I2C bus. The bus master's bytes go in with :meth:`write`, ended by :meth:`stop`."""

    def __init__(self, chip: Ecc608) -> None:
        self.chip = chip
        self.awake = False
        self._received = bytearray()
        self._answer = bytearray()

    @property
    def present(self) -> bool:
        """False when the chip does not answer on the bus at all."""
        return not self.chip.faults.secure_element_silent

    def wake(self) -> None:
        """The wake pulse (SDA low), answered by a packet that says so."""
        if not self.awake and self.present:
            self.awake = True
            self._answer = bytearray(response_packet(AWAKE))

    def start(self) -> None:
        """A transfer to this chip's address begins."""
        self._received.clear()

    def write(self, byte: int) -> None:
        """A byte from the master; the first of a transfer is the word address."""
        self._received.append(byte)

    def read(self) -> int:
        """The next byte for the master; 0xFF when there is none."""
        return self._answer.pop(0) if self._answer else 0xFF

    def stop(self) -> None:
        """The transfer ended: do what it said."""
        received = bytes(self._received)
        self._received.clear()
        if not received:
            return
        if received[0] == _SLEEP:
            self.sleep()
        elif received[0] == _IDLE:
            self.awake = False
            self._answer.clear()
        elif received[0] == _COMMAND:
            self._answer = bytearray(response_packet(self.execute(received[1:])))

    def sleep(self) -> None:
        """Asleep: RAM is lost, nothing is answered until the next wake pulse."""
        self.awake = False
        self._received.clear()
        self._answer.clear()
        self.chip.sleep()

    def execute(self, packet: bytes) -> bytes:
        """The payload that answers a command packet (count .. CRC)."""
        count = packet[0] if packet else 0
        if count < _SMALLEST_PACKET or count > len(packet):
            return COMMUNICATION_ERROR
        if crc16(packet[: count - 2]) != packet[count - 2 : count]:
            return COMMUNICATION_ERROR
        parameter2 = int.from_bytes(packet[3:5], "little")
        return self.chip.command(packet[1], packet[2], parameter2, packet[5 : count - 2])
