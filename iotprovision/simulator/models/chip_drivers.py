"""What the libraries on the MCU do with the chips: CryptoAuthLib with the ECC608, the WINC driver with the WINC1510.

The modelled firmware calls these; they use the same commands and registers, in the same order, as the code in
provisioning firmware 0.4.9, so that the chips end up in the same state.
"""

from __future__ import annotations

from contextlib import suppress

from iotprovision.formats.ecc608_zones import OTP_SIZE, slot_size
from iotprovision.formats.winc_flash import PAGE, SECTOR
from iotprovision.simulator.chips import ecc608, winc1510
from iotprovision.simulator.chips.ecc608 import BLOCK, WORD, Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510

BAD_PARAMETER = 0xE2  # ATCA_BAD_PARAM
_NO_CHIP = 0xF0  # ATCA_COMM_FAIL
# ATCA status codes of the status bytes that the chip answers.
_STATUS_CODES = {
    b"\x01": 0xD1,
    b"\x03": 0xD2,
    b"\x05": 0xD6,
    b"\x07": 0xD7,
    b"\x08": 0xFA,
    b"\x0f": 0xF4,
    b"\xff": 0xD4,
}


class ChipHangsError(Exception):
    """The library waits for ever for a chip that does not answer."""


class DriverError(Exception):
    """A library call failed.

    :param source: 1 CryptoAuthLib, 2 WINC driver
    :param status: the status byte of that source
    """

    def __init__(self, source: int, status: int) -> None:
        super().__init__(f"{source:#x} {status:#x}")
        self.code = source << 8 | status


class SecureElementDriver:
    """CryptoAuthLib, as far as the firmware uses it. Every method raises DriverError when the chip refuses."""

    def __init__(self, chip: Ecc608, address: int | None = None) -> None:
        self._chip = chip
        self._own_address = address
        self.address = address or 0
        """Where it looks for the chip, where the firmware can be told."""

    def _command(self, opcode: int, parameter1: int = 0, parameter2: int = 0, data: bytes = b"") -> bytes:
        silent = self._chip.faults.secure_element_silent
        if silent and self._own_address is None:
            raise ChipHangsError
        if silent or self._own_address is not None and self.address != self._own_address:
            raise DriverError(1, _NO_CHIP)
        answer = self._chip.command(opcode, parameter1, parameter2, data)
        if len(answer) == 1 and answer != ecc608.SUCCESS:
            raise DriverError(1, _STATUS_CODES.get(answer, 0xE0))
        return answer

    @staticmethod
    def _zone_size(zone: int, slot: int) -> int:
        return slot_size(slot) if zone == ecc608.ZONE_DATA else OTP_SIZE

    @staticmethod
    def _address(zone: int, slot: int, offset: int) -> int:
        block, word = offset // BLOCK, offset % BLOCK // WORD
        if zone == ecc608.ZONE_DATA:
            return block << 8 | slot << 3 | word
        return block << 3 | word

    def read(self, zone: int, slot: int, length: int) -> bytes:
        """Bytes from the beginning of a zone: whole blocks, then words where a whole block would not fit."""
        size = self._zone_size(zone, slot)
        if length > size:
            raise DriverError(1, BAD_PARAMETER)
        data = b""
        while len(data) < length:
            whole = size - len(data) >= BLOCK
            mode = zone | ecc608.WHOLE_BLOCK if whole else zone
            data += self._command(ecc608.READ, mode, self._address(zone, slot, len(data)))
        return data[:length]

    def write(self, slot: int, data: bytes) -> None:
        """Bytes to the beginning of a slot: whole blocks, then words."""
        if len(data) % WORD or len(data) > slot_size(slot):
            raise DriverError(1, BAD_PARAMETER)
        offset = 0
        while offset < len(data):
            length = BLOCK if len(data) - offset >= BLOCK else WORD
            mode = ecc608.ZONE_DATA | (ecc608.WHOLE_BLOCK if length == BLOCK else 0)
            address = self._address(ecc608.ZONE_DATA, slot, offset)
            self._command(ecc608.WRITE, mode, address, data[offset : offset + length])
            offset += length

    def serial_number(self) -> bytes:
        """9 bytes."""
        block = self._command(ecc608.READ, ecc608.ZONE_CONFIG | ecc608.WHOLE_BLOCK)
        return block[0:4] + block[8:13]

    def public_key(self, slot: int) -> bytes:
        """X ‖ Y, computed from the private key in the slot."""
        return self._command(ecc608.GENKEY, 0, slot)

    def read_public_key(self, slot: int) -> bytes:
        """X ‖ Y from a slot that holds a padded public key; all three blocks of the slot are read."""
        if slot < 8:
            raise DriverError(1, BAD_PARAMETER)
        mode = ecc608.ZONE_DATA | ecc608.WHOLE_BLOCK
        blocks = [
            self._command(ecc608.READ, mode, self._address(ecc608.ZONE_DATA, slot, offset)) for offset in (0, 32, 64)
        ]
        padded = b"".join(blocks)
        return padded[4:36] + padded[40:72]

    def write_public_key(self, slot: int, key: bytes) -> None:
        """X ‖ Y into a slot, padded, as three whole blocks."""
        padded = (bytes(4) + key[:32] + bytes(4) + key[32:]).ljust(3 * BLOCK, b"\0")
        mode = ecc608.ZONE_DATA | ecc608.WHOLE_BLOCK
        for offset in (0, 32, 64):
            address = self._address(ecc608.ZONE_DATA, slot, offset)
            self._command(ecc608.WRITE, mode, address, padded[offset : offset + BLOCK])

    def sign(self, slot: int, digest: bytes) -> bytes:
        """R ‖ S over a digest of 32 bytes; the chip's random generator is run first to renew its seed."""
        self._command(ecc608.RANDOM)
        self._command(ecc608.NONCE, 0x43, 0, digest)
        return self._command(ecc608.SIGN, 0xA0, slot)

    def lock(self, slot: int) -> None:
        """Lock a slot for ever, unless the configuration zone says that it is locked."""
        word = self._command(ecc608.READ, ecc608.ZONE_CONFIG, ecc608.SLOT_LOCKED // WORD)
        if word[slot // 8] >> slot % 8 & 1:
            self._command(ecc608.LOCK, slot << 2 | ecc608.ZONE_DATA)

    def start(self, locks_slot_0: bool = True, tests_generator: bool = True) -> None:
        """What the firmware does at every start: identify the chip, lock slot 0, test the random generator.

        :raises ChipHangsError: the library of that kit waits for a chip that does not answer
        """
        self.address = self._own_address or 0
        commands = [(ecc608.READ, ecc608.ZONE_CONFIG | ecc608.WHOLE_BLOCK)]
        if locks_slot_0:
            commands.append((ecc608.LOCK, ecc608.ZONE_DATA))
        if tests_generator:
            commands.append((ecc608.SELFTEST, 0x01))
        for opcode, parameter1 in commands:
            with suppress(DriverError):  # the firmware ignores these answers
                self._command(opcode, parameter1)


class WifiModuleDriver:
    """The WINC driver's access to versions and flash. Every method raises DriverError when the module is silent."""

    _BUFFER = 0xD0000  # shared memory through which flash content passes
    _FAIL = 0xF4  # M2M_ERR_FAIL, -12

    def __init__(self, module: Winc1510) -> None:
        self._module = module

    def _check_present(self) -> None:
        if not self._module.present:
            raise DriverError(2, self._FAIL)

    def versions(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Versions of the module's firmware and of the driver that it asks for. Refused where it does not start."""
        self._check_present()
        versions = self._module.versions
        if versions is None:
            raise DriverError(2, self._FAIL)
        return versions

    def _run(self, opcode: int, address: int | None, count: int = 0, program_size: int = 0) -> None:
        """One command to the flash. The top byte of a 32-bit address falls into the opcode, as in the driver."""
        module = self._module
        command, length = opcode, 1
        if address is not None:
            command |= (
                address >> 24 | (address >> 16 & 0xFF) << 8 | (address >> 8 & 0xFF) << 16 | (address & 0xFF) << 24
            )
            length = 4
        if count:
            length = 5
        module.write_register(winc1510.FLASH_DATA_COUNT, count)
        module.write_register(winc1510.FLASH_COMMAND_LOW, command)
        module.write_register(winc1510.FLASH_COMMAND_HIGH, 0xA5)
        module.write_register(winc1510.FLASH_DMA_ADDRESS, self._BUFFER if count or program_size else 0)
        module.write_register(winc1510.FLASH_COMMAND_COUNT, program_size << 8 | 0x80 | length)

    def read(self, address: int, length: int) -> bytes:
        """Flash content; what the buffer held before, when the address makes an opcode that the flash ignores."""
        self._check_present()
        self._run(winc1510.FAST_READ, address, count=length)
        return self._module.read_memory(self._BUFFER, length)

    def write(self, address: int, data: bytes, behind: bytes = b"") -> None:
        """Program bytes, page by page; the address wraps at 32 bits.

        :param behind: the byte that lies behind the data in the firmware's memory: the driver never transfers a single
            byte, it takes the next one along, into a buffer that a later read may show
        """
        self._check_present()
        while data:
            size = min(len(data), PAGE - address % PAGE)
            self._module.write_memory(self._BUFFER, (data + behind)[: max(size, 2)])
            self._run(winc1510.WRITE_ENABLE, None)
            self._run(winc1510.PROGRAM, address, program_size=size)
            self._run(winc1510.WRITE_DISABLE, None)
            address, data = (address + size) % 2**32, data[size:]

    def erase_sector(self, address: int) -> None:
        """Erase the sector that an address lies in; nothing happens where address + 4096 does not fit 32 bits."""
        self._check_present()
        if address + SECTOR >= 2**32:
            return
        self._run(winc1510.WRITE_ENABLE, None)
        self._run(winc1510.ERASE_SECTOR, address)
