"""The commands of the provisioning firmware, each working on the one data buffer that the firmware has.

A blob lies in the buffer before a command runs; what a command returns lies there afterwards. Several commands leave
remains there that a later one shows, so the buffer is kept as in the firmware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iotprovision.formats.ecc608_zones import OTP_SIZE, slot_size
from iotprovision.simulator.chips.ecc608 import ZONE_DATA, ZONE_OTP
from iotprovision.simulator.models.c_numbers import strtol, strtoul
from iotprovision.simulator.models.chip_drivers import DriverError, SecureElementDriver, WifiModuleDriver
from iotprovision.simulator.models.provisioning_editions import AVR_IOT, Edition

HANDLER_VERSION = "1.3.0"
DATA_BUFFER_SIZE = 1024

OK, BAD_COMMAND, LINE_OVERRUN, ARGUMENT_COUNT, BAD_BLOB, ARGUMENT_VALUE = 0, 1, 2, 3, 4, 5

_DIGEST_SIZE = 32
_KEY_SIZE = 64
_FLASH_PAGE = 256
_LARGEST_ADDRESS = 0xFF
_ADDRESS_BITS = 0x7F
_HEX_DIGITS = b"0123456789ABCDEF"


class ResetRequestedError(Exception):
    """The firmware resets the MCU."""


class CommandError(Exception):
    """The command ends with a status and no data."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _EchoedError(Exception):
    """A bad argument value; what is in the buffer is sent back all the same."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


@dataclass(frozen=True)
class Command:
    """A command by its name.

    :param takes_blob: the last argument is the length of a blob that follows
    :param run: takes the arguments and the length of the blob, returns the length of the data in the buffer
    """

    name: bytes
    takes_blob: bool
    run: Callable[[list[bytes], int], int]


def _nibble(character: int) -> int:
    """Value of a hex digit; 0 for anything else, as in the firmware."""
    return max(0, _HEX_DIGITS.find(bytes([character]).upper()))


def _uint16(text: bytes) -> int:
    number = strtoul(text)
    if not text or not number.complete or number.value > 0xFFFF:
        raise CommandError(ARGUMENT_VALUE)
    return number.value


def _uint32(text: bytes) -> int:
    number = strtoul(text)
    if not text or not number.complete:
        raise CommandError(ARGUMENT_VALUE)
    return number.value


def _slot(text: bytes) -> int:
    slot = _uint16(text)
    if slot > 15:
        raise CommandError(ARGUMENT_VALUE)
    return slot


def check_count(arguments: list[bytes], *allowed: int) -> None:
    if len(arguments) not in allowed:
        raise CommandError(ARGUMENT_COUNT)


class ProvisioningCommands:
    """The commands, the data buffer and the LEDs."""

    def __init__(
        self, secure_element: SecureElementDriver, wifi_module: WifiModuleDriver, edition: Edition = AVR_IOT
    ) -> None:
        self._secure_element = secure_element
        self._wifi_module = wifi_module
        self._edition = edition
        self.buffer = bytearray(DATA_BUFFER_SIZE)
        self.leds = 0
        addressing: tuple[Command, ...] = (
            Command(b"MC+ECC+ADDR+READ", False, self._read_address),
            Command(b"MC+ECC+ADDR+WRITE", False, self._write_address),
        )
        if edition.secure_element_address is None:
            addressing = ()
        table: tuple[Command, ...] = (
            Command(b"MC+ABOUT", False, self._about),
            Command(b"MC+BLOBTEST", True, self._blob_test),
            Command(b"MC+PING", False, self._ping),
            *addressing,
            Command(b"MC+ECC+GENPUBKEY", False, self._generate_public_key),
            Command(b"MC+ECC+LOCK", False, self._lock),
            Command(b"MC+ECC+OTP+READ", False, self._read_otp),
            Command(b"MC+ECC+READ", False, self._read_slot),
            Command(b"MC+ECC+PUBKEY+READ", False, self._read_public_key),
            Command(b"MC+ECC+SERIAL", False, self._serial_number),
            Command(b"MC+ECC+SIGNDIGEST", True, self._sign_digest),
            Command(b"MC+ECC+WRITEBLOB", True, self._write_slot),
            Command(b"MC+ECC+PUBKEY+WRITE", True, self._write_public_key),
            Command(b"MC+GETLED", False, self._get_led),
            Command(b"MC+LISTCOMMANDS", False, self._list_commands),
            Command(b"MC+RESET", False, self._reset),
            Command(b"MC+SETLED", False, self._set_led),
            Command(b"MC+VERSION", False, self._version),
            Command(b"MC+WINC+ERASE", False, self._erase_sector),
            Command(b"MC+WINC+READ", False, self._read_flash),
            Command(b"MC+WINC+WRITEBLOB", True, self._write_flash),
        )
        order = edition.order or tuple(command.name for command in table)
        self.table = tuple(sorted(table, key=lambda command: order.index(command.name)))

    def run(self, command: Command, arguments: list[bytes], blob_length: int) -> tuple[int, bytes]:
        """Run a command on the buffer: its status and the data it returns.

        :raises ResetRequestedError: it was the reset command
        :raises ChipHangsError: the secure element does not answer
        """
        try:
            return OK, bytes(self.buffer[: command.run(arguments, blob_length)])
        except CommandError as error:
            return error.status, b""
        except _EchoedError as error:
            return ARGUMENT_VALUE, bytes(self.buffer[: error.length])
        except DriverError as error:
            return error.code, b""

    # --- buffer --------------------------------------------------------------------------------------------------

    def _text(self, text: bytes) -> int:
        """Text with its final NUL into the buffer."""
        self.buffer[: len(text) + 1] = text + b"\0"
        return len(text)

    def _hex(self, data: bytes) -> int:
        """Data as upper-case hex into the buffer."""
        self.buffer[: 2 * len(data)] = data.hex().upper().encode()
        return 2 * len(data)

    def _decode(self, length: int) -> int:
        """Hex digits in the buffer to bytes in place; the number of bytes. An odd digit pairs with what lies behind."""
        if length < 2:
            return 0
        size = (length + 1) // 2
        for index in range(size):
            high, low = self.buffer[2 * index], self.buffer[2 * index + 1]
            self.buffer[index] = _nibble(high) << 4 | _nibble(low)
        return size

    # --- housekeeping --------------------------------------------------------------------------------------------

    def _winc_versions(self) -> bytes:
        firmware, driver = self._wifi_module.versions()
        return b"WINC firmware %d.%d.%d\r\nWINC driver %d.%d.%d\r\n" % (*firmware, *driver)

    def _about(self, _arguments: list[bytes], _blob_length: int) -> int:
        versions = self._winc_versions()
        edition = self._edition
        lines = (
            edition.product + b"\r\nFW " + edition.version,
            b"\r\n" + versions + b"Command handler ",
            HANDLER_VERSION.encode(),
            b"\r\nfor the " + edition.board + b"\r\n",
        )
        return self._text(b"".join(lines))

    def _blob_test(self, _arguments: list[bytes], blob_length: int) -> int:
        return blob_length

    def _ping(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        return self._text(b"MC+PONG=" + arguments[0])

    def _list_commands(self, _arguments: list[bytes], _blob_length: int) -> int:
        return self._text(b"".join(command.name + b"\r\n" for command in self.table))

    def _reset(self, _arguments: list[bytes], _blob_length: int) -> int:
        raise ResetRequestedError

    def _version(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0, 1)
        if not arguments or arguments[0] == b"COMMANDHANDLER":
            return self._text(HANDLER_VERSION.encode() + b"\r\n")
        if arguments[0] == b"FIRMWARE":
            return self._text(self._edition.version + b"\r\n")
        if arguments[0] == b"WINC":
            return self._text(self._winc_versions())
        raise CommandError(ARGUMENT_VALUE)

    def _led(self, name: bytes) -> int:
        if name not in self._edition.leds:
            raise CommandError(ARGUMENT_VALUE)
        return self._edition.leds[name]

    def _set_led(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 2)
        led = self._led(arguments[0])
        if arguments[1] == b"ON":
            self.leds |= led
        elif arguments[1] == b"OFF":
            self.leds &= ~led
        else:
            raise CommandError(ARGUMENT_VALUE)
        return 0

    def _get_led(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        on = self.leds & self._led(arguments[0])
        return self._text(b"LED:%s is %s\n\r" % (arguments[0], b"ON" if on else b"OFF"))

    # --- secure element ------------------------------------------------------------------------------------------

    def _read_address(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0)
        return self._text(b"0x%02X\r\n" % self._secure_element.address)

    def _write_address(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        address = _uint16(arguments[0])
        if address > _LARGEST_ADDRESS:
            raise CommandError(ARGUMENT_VALUE)
        # The address is changed before it is tried, and stays when nothing answers there.
        self._secure_element.address = address & _ADDRESS_BITS
        self._secure_element.serial_number()
        return 0

    def _serial_number(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0)
        return self._hex(self._secure_element.serial_number())

    def _generate_public_key(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0, 1)
        slot = _slot(arguments[0]) if arguments else 0
        return self._hex(self._secure_element.public_key(slot))

    def _read_public_key(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        return self._hex(self._secure_element.read_public_key(_slot(arguments[0])))

    def _write_public_key(self, arguments: list[bytes], blob_length: int) -> int:
        if blob_length != 2 * _KEY_SIZE:
            raise CommandError(ARGUMENT_VALUE)
        check_count(arguments, 2)
        slot = _slot(arguments[0])
        size = self._decode(blob_length)
        self._secure_element.write_public_key(slot, bytes(self.buffer[:size]))
        return 0

    def _sign_digest(self, arguments: list[bytes], blob_length: int) -> int:
        check_count(arguments, 2)
        # The firmware keeps the size in one byte, so that 288 bytes pass for 32.
        if self._decode(blob_length) & 0xFF != _DIGEST_SIZE:
            raise _EchoedError(blob_length)
        return self._hex(self._secure_element.sign(0, bytes(self.buffer[:_DIGEST_SIZE])))

    def _read_slot(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1, 2)
        slot = _slot(arguments[0])
        length = _uint16(arguments[1]) if len(arguments) > 1 else slot_size(slot)
        if not length:
            raise CommandError(ARGUMENT_VALUE)
        return self._hex(self._secure_element.read(ZONE_DATA, slot, length))

    def _read_otp(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0, 1)
        length = _uint16(arguments[0]) if arguments else OTP_SIZE
        if not length:
            raise CommandError(ARGUMENT_VALUE)
        return self._hex(self._secure_element.read(ZONE_OTP, 0, length))

    def _write_slot(self, arguments: list[bytes], blob_length: int) -> int:
        check_count(arguments, 3)
        slot, length = _slot(arguments[0]), _uint16(arguments[1])
        if not length or blob_length != 2 * length % 0x10000:
            raise CommandError(ARGUMENT_VALUE)
        self._decode(blob_length)
        self._secure_element.write(slot, bytes(self.buffer[:length]).ljust(length, b"\0"))
        return 0

    def _lock(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        self._secure_element.lock(_slot(arguments[0]))
        return 0

    # --- Wi-Fi module --------------------------------------------------------------------------------------------

    @staticmethod
    def _address_and_length(arguments: list[bytes], count: int) -> tuple[int, int]:
        check_count(arguments, count)
        address, length = _uint32(arguments[0]), _uint16(arguments[1])
        if not 1 <= length <= _FLASH_PAGE:
            raise CommandError(ARGUMENT_VALUE)
        return address, length

    def _erase_sector(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 1)
        # Text that is no number is taken for 0: the firmware does not look whether the whole argument was used.
        self._wifi_module.erase_sector(strtol(arguments[0]).value % 2**32)
        return 0

    def _read_flash(self, arguments: list[bytes], _blob_length: int) -> int:
        address, length = self._address_and_length(arguments, 2)
        return self._hex(self._wifi_module.read(address, length))

    def _write_flash(self, arguments: list[bytes], blob_length: int) -> int:
        address, length = self._address_and_length(arguments, 3)
        if blob_length != 2 * length:
            raise CommandError(ARGUMENT_VALUE)
        self._decode(blob_length)
        self._wifi_module.write(address, bytes(self.buffer[:length]), bytes(self.buffer[length : length + 1]))
        return 0
