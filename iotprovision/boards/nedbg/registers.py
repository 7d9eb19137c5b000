"""The registers of a board: 512 bytes of configuration in its debugger, read and written with pydebuggerconfig."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iotprovision.boards.nedbg.debugger import connection, vendor_errors
from iotprovision.errors import ProofError, UsageError

RegisterValue = int | str | bytes

BLOCK_SIZE = 512
HEX_BYTES = re.compile(r"([0-9A-Fa-f]{2})+")
KEY2_SIZE = 32


@dataclass(frozen=True)
class Register:
    """Where a register lies; ``kind`` is STRING, ARRAY, or for numbers BYTE, ENUM, BITS."""

    name: str
    offset: int
    size: int
    kind: str

    def decode(self, block: bytes) -> RegisterValue:
        content = block[self.offset : self.offset + self.size]
        if self.kind == "STRING":
            return content.split(b"\0")[0].decode("ascii", "replace")
        if self.kind == "ARRAY":
            return content
        return int.from_bytes(content, "little")

    def complete(self, value: RegisterValue) -> RegisterValue:
        """The value as it will be read: arrays are filled with zeros."""
        return value.ljust(self.size, b"\0") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class Written:
    """What a write did.

    :param previous: the 512 bytes as they were, to be kept where nobody loses them; they restore the board
    :param changed: old and new value of each register that was different; empty when nothing was written
    """

    previous: bytes
    changed: Mapping[str, tuple[RegisterValue, RegisterValue]]


@dataclass(frozen=True)
class LinkRegisters:
    """The registers that decide where CLICK-ME.HTM on the kit's drive leads to.

    :param click_me_type: code of the cloud, from the kit's description
    :param key2: what the page is told about this device, at most 32 bytes; None leaves what the board holds
    """

    click_me_type: int
    key2: bytes | None = None

    @classmethod
    def for_device(cls, click_me_type: int, identifier: str) -> LinkRegisters:
        """Links that name the device: by its thing name, or the serial number of its secure element.

        :param identifier: hex digits of 1 to 32 bytes
        :raises UsageError: it is something else, which the register cannot hold
        """
        key2 = bytes.fromhex(identifier) if HEX_BYTES.fullmatch(identifier) else b""
        if not 1 <= len(key2) <= KEY2_SIZE:
            raise UsageError(
                f"'{identifier}' cannot be put into the link of the kit",
                f"The debugger keeps it as at most {KEY2_SIZE} bytes: up to {2 * KEY2_SIZE} hex digits, two a byte.",
            )
        return cls(click_me_type, key2)

    @property
    def registers(self) -> dict[str, RegisterValue]:
        cloud: dict[str, RegisterValue] = {"CLICK_ME_TYPE": self.click_me_type}
        return cloud if self.key2 is None else {**cloud, "KEY2": self.key2, "KEY2_LEN": len(self.key2)}


def read(serial_number: str, names: Sequence[str]) -> dict[str, RegisterValue]:
    """Registers of a board: numbers as int, text as str without its padding, arrays as bytes with it.

    :raises UsageError: no such register
    :raises AccessError: the debugger cannot be reached, or its configuration is blank
    """
    with connection(serial_number) as transport:
        configuration = _read_configuration(serial_number, transport)
        block = bytes(configuration.data_array["kit"])
        return {name: _register(configuration, name).decode(block) for name in names}


def differences(
    serial_number: str, values: Mapping[str, RegisterValue]
) -> dict[str, tuple[RegisterValue, RegisterValue]]:
    """What the board holds and what it should hold, for the registers where that is not the same.

    :param values: as for write()
    :raises UsageError, AccessError: as in read()
    """
    with connection(serial_number) as transport:
        configuration = _read_configuration(serial_number, transport)
        return _differences(configuration, values)


def write(
    serial_number: str, values: Mapping[str, RegisterValue], keep: Callable[[bytes], None] = lambda block: None
) -> Written:
    """Make registers hold these values and leave all others; nothing is written when they already do.

    Arrays may be shorter than the register, the rest becomes zero. Values that the specification of the board's version
    does not know need a newer one, so the board is first brought to the newest that its major version allows, as the
    vendor's tools do.

    :param keep: called with the 512 bytes as they are, before anything is written
    :raises UsageError: no such register, or a value that does not fit it
    :raises ProofError: the board does not read back as written
    :raises AccessError: the debugger cannot be reached, or its configuration is blank
    """
    with connection(serial_number) as transport:
        configuration = _read_configuration(serial_number, transport)
        previous = bytes(configuration.data_array["kit"])
        changed = _differences(configuration, values)
        if not changed:
            return Written(previous, {})
        keep(previous)
        with vendor_errors(serial_number):
            _update_specification(configuration)
            for name in changed:
                _set(configuration, name, values[name])
        wanted = bytes(configuration.data_array["kit"])
        with vendor_errors(serial_number):
            configuration.config_program(source="kit", update_date=False)
        _prove(serial_number, transport, wanted)
        return Written(previous, changed)


def read_block(serial_number: str) -> bytes:
    """All 512 bytes.

    :raises AccessError: as in read()
    """
    with connection(serial_number) as transport:
        return bytes(_read_configuration(serial_number, transport).data_array["kit"])


def check_saved(serial_number: str, block: bytes) -> None:
    """Whether :func:`restore` would take these bytes; writes nothing.

    :raises UsageError, AccessError: as there
    """
    _check_size(block)
    with connection(serial_number) as transport:
        _check_same_kit(_read_configuration(serial_number, transport), block)


def restore(serial_number: str, block: bytes) -> None:
    """Write back all 512 bytes that an earlier write() returned.

    :raises UsageError: not 512 bytes, or with the name or serial number of another kit
    :raises ProofError, AccessError: as in write()
    """
    _check_size(block)
    with connection(serial_number) as transport:
        configuration = _read_configuration(serial_number, transport)
        _check_same_kit(configuration, block)
        configuration.data_array["kit"] = list(block)
        with vendor_errors(serial_number):
            configuration.config_program(source="kit", update_date=False)
        _prove(serial_number, transport, block)


def _check_size(block: bytes) -> None:
    if len(block) != BLOCK_SIZE:
        raise UsageError(f"A saved board configuration has {BLOCK_SIZE} bytes, this one has {len(block)}")


def _check_same_kit(configuration: Any, block: bytes) -> None:
    present = bytes(configuration.data_array["kit"])
    for name in ("KITNAME", "SERNUM"):
        register = _register(configuration, name)
        found, saved = register.decode(present), register.decode(block)
        if found != saved:
            raise UsageError(
                "The saved board configuration is of another kit",
                f"Its register {name} is {saved!r}, that of this kit {found!r}. Nothing was written.",
            )


def _read_configuration(serial_number: str, transport: Any) -> Any:
    # It brings an XML schema library, which takes longer to import than a look at a kit needs for all else.
    from pydebuggerconfig.boardconfig import BoardConfig

    configuration = BoardConfig()
    with vendor_errors(serial_number):
        configuration.transport_set(transport)
        configuration.config_read_from_kit()
    return configuration


def _prove(serial_number: str, transport: Any, wanted: bytes) -> None:
    found = bytes(_read_configuration(serial_number, transport).data_array["kit"])
    if found != wanted:
        place = next(index for index in range(BLOCK_SIZE) if found[index] != wanted[index])
        raise ProofError(
            f"The board configuration of kit {serial_number} does not read back as it was written",
            f"Byte 0x{place:03X}: expected 0x{wanted[place]:02X}, found 0x{found[place]:02X}.",
            "run the command again.",
        )


def _register(configuration: Any, name: str) -> Register:
    element = configuration.specification_xml["kit"].find(f"./registers/register[@name='{name}']")
    if element is None:
        raise UsageError(f"The board has no register named '{name}'")
    return Register(name, int(element.get("offset"), 0), int(element.get("size"), 0), element.get("type"))


def _differences(
    configuration: Any, values: Mapping[str, RegisterValue]
) -> dict[str, tuple[RegisterValue, RegisterValue]]:
    block = bytes(configuration.data_array["kit"])
    changed = {}
    for name, value in values.items():
        register = _register(configuration, name)
        found, wanted = register.decode(block), register.complete(value)
        if found != wanted:
            changed[name] = (found, wanted)
    return changed


def _update_specification(configuration: Any) -> None:
    updated, version = configuration.specification_update()
    if updated:
        _, configuration.minor["kit"], configuration.build["kit"] = (int(part) for part in version.split("."))
        configuration.specification_open("kit")


def _set(configuration: Any, name: str, value: RegisterValue) -> None:
    """pydebuggerconfig leaves out a value it does not know and only logs that; here it is an error."""
    register = _register(configuration, name)
    size = len(value) if isinstance(value, bytes | str) else max(1, (value.bit_length() + 7) // 8)
    numeric = register.kind not in ("STRING", "ARRAY")
    expected = int if numeric else str if register.kind == "STRING" else bytes
    if not isinstance(value, expected) or size > register.size or (isinstance(value, int) and value < 0):
        raise UsageError(
            f"{value!r} does not fit register {name}", f"It takes {register.size} bytes ({register.kind})."
        )
    if numeric and not configuration.is_register_value_valid(name, str(value), "kit"):
        raise UsageError(f"{value!r} has no meaning in register {name}", "The board's specification does not list it.")
    configuration.register_set(name, list(value) if isinstance(value, bytes) else value, "kit")
