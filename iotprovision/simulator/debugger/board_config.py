"""The configuration flash of the debugger: 4 KiB with the board's registers and the data of the target device.

Layout: pyedbglib ``configprotocol`` (blocks and addresses), pydebuggerconfig ``board_config_defines-1.9.63.xml``
(registers). The factory content of a kit is what pydebuggerconfig's own board and device files say.
"""

from __future__ import annotations

from dataclasses import dataclass

SIZE = 0x1000
ERASED = 0xFF
CHUNK = 32


@dataclass(frozen=True)
class Block:
    """A part of the configuration flash: where it starts, and its size in bytes."""

    address: int
    size: int


DEVICE_BLOCK = Block(0x100, 0xB00)
USER_BLOCK = Block(0xC00, 0x200)
FACTORY_BLOCK = Block(0xE00, 0x200)
WRITABLE_START = DEVICE_BLOCK.address  # what lies below belongs to the debugger itself


@dataclass(frozen=True)
class Register:
    """A register of the board block: offset in the block, and size in bytes."""

    offset: int
    size: int


MSD_SETTINGS = Register(0x00B, 1)
CLICK_ME_TYPE = Register(0x00C, 1)
KITNAME = Register(0x048, 60)
MNFRNAME = Register(0x084, 60)
DEVNAME = Register(0x0C0, 32)
SERNUM = Register(0x0E0, 20)
REDIRECT = Register(0x0F4, 4)
KEY1_TYPE = Register(0x100, 1)
KEY1_LEN = Register(0x104, 1)
KEY2_LEN = Register(0x105, 1)
KEY1 = Register(0x108, 64)
KEY2 = Register(0x148, 32)

BLANK_SERIAL_NUMBER = "F" * SERNUM.size  # what the debugger enumerates with when SERNUM was never written


class ConfigurationFlash:
    """The 4 KiB, read and written as the debugger's reports 0x83 and 0x84 do.

    :param content: 4096 bytes saved earlier
    :raises ValueError: the content has another size
    """

    def __init__(self, content: bytes | bytearray) -> None:
        if len(content) != SIZE:
            raise ValueError(f"a configuration flash has {SIZE} bytes, not {len(content)}")
        self.content = bytearray(content)

    def read(self, address: int, size: int) -> bytes | None:
        """Some bytes, or None where the flash ends before."""
        return bytes(self.content[address : address + size]) if address + size <= SIZE else None

    def write(self, address: int, data: bytes) -> bool:
        """Erase and write one chunk of 32 bytes; false where the debugger would refuse it."""
        if len(data) != CHUNK or address % CHUNK or not WRITABLE_START <= address <= SIZE - CHUNK:
            return False
        self.content[address : address + CHUNK] = data
        return True

    def value(self, register: Register) -> bytes:
        """The bytes of a register in the user block, the one that counts."""
        start = USER_BLOCK.address + register.offset
        return bytes(self.content[start : start + register.size])

    def number(self, register: Register) -> int:
        """The value of a numeric register."""
        return int.from_bytes(self.value(register), "little")

    def text(self, register: Register) -> str:
        """The value of a text register, without its padding; nothing where the register was never written."""
        value = self.value(register)
        if value == bytes([ERASED]) * register.size:
            return ""
        return value.split(b"\0")[0].decode("ascii", "replace")

    @property
    def serial_number(self) -> str:
        """What the debugger takes for its USB serial number when it starts."""
        return self.text(SERNUM) or BLANK_SERIAL_NUMBER


def factory_configuration(
    board_file: str, device_file: str, serial_number: str, kit_name: str, mcu: str
) -> ConfigurationFlash:
    """What the factory leaves: board registers twice (user and factory block) and the data of the target device.

    :param board_file: name below ``pydebuggerconfig/board-configs``, e.g. ``AVR-IoT_WA.xml``
    :param device_file: name below ``pydebuggerconfig/device-configs``
    :param serial_number: 20 ASCII characters
    :param kit_name: there is no file for some kits; theirs is that of a like kit, which has another name
    :param mcu: likewise
    """
    # Half a second of imports that only the making of a new kit should pay
    from pydebuggerconfig.boardconfig import BoardConfig
    from pydebuggerconfig.deviceconfig import DeviceConfig

    board = BoardConfig()
    board.config_open_xml(f"board-configs/{board_file}")
    registers = bytearray(board.data_array["xml"])
    for register, text in ((SERNUM, serial_number), (KITNAME, kit_name), (DEVNAME, mcu)):
        registers[register.offset : register.offset + register.size] = text.encode("ascii").ljust(register.size, b"\0")
    device = DeviceConfig()
    device.config_open_xml(f"device-configs/{device_file}")

    content = bytearray([ERASED]) * SIZE
    for block, data in (
        (USER_BLOCK, registers),
        (FACTORY_BLOCK, registers),
        (DEVICE_BLOCK, bytes(device.data_array["xml"])),
    ):
        content[block.address : block.address + block.size] = data
    return ConfigurationFlash(content)
