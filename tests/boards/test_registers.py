"""Board registers in the debugger, through the vendor's pydebuggerconfig, on a simulated kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydebuggerconfig.backend import Backend
from support.mixed_bus import erase_registers
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.registers import LinkRegisters
from iotprovision.errors import AccessError, ExitCode, KitNotFoundError, ProofError, UsageError
from iotprovision.simulator.debugger.nedbg import SET_CONFIGURATION
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import KitState

if TYPE_CHECKING:
    from support.kits_on_bus import KitsOnBus

pytest_plugins = ["support.kits_on_bus"]

THING = "588df50f0123456789abcdef00112233445566ff"
GOOGLE, AZURE, AWS_CUSTOM = 0x00, 0x20, 0x41
USER_BLOCK = slice(0xC00, 0xE00)
# pydebuggerconfig board_config_defines: CONFIG_FORMAT_MINOR and _BUILD, CLICK_ME_TYPE, KEY2_LEN, KEY2
FORMAT, CLICK_ME_TYPE, KEY2_LEN, KEY2 = slice(0x001, 0x004), 0x00C, 0x105, slice(0x148, 0x168)


@pytest.fixture
def fresh(kits: KitsOnBus):
    """The kit as the factory made it, before and after."""
    Backend(kits.serial).restore_board_config()
    yield kits
    Backend(kits.serial).restore_board_config()


def block(kits: KitsOnBus) -> bytes:
    return kits.content("board-config.bin")[USER_BLOCK]


def writes(kits: KitsOnBus) -> int:
    return kits.process.meters()["register_writes"]


def test_registers_are_read_by_name(fresh: KitsOnBus) -> None:
    found = registers.read(fresh.serial, ["KITNAME", "CLICK_ME_TYPE", "SERNUM", "KEY2", "CONFIG_FORMAT_BUILD"])
    assert found == {
        "KITNAME": "AVR-IoT WA",
        "CLICK_ME_TYPE": 0x01,
        "SERNUM": fresh.serial,
        "KEY2": bytes(32),
        "CONFIG_FORMAT_BUILD": 63,
    }


def test_links_are_written_and_all_else_is_kept(fresh: KitsOnBus) -> None:
    before = block(fresh)
    transactions = fresh.transactions()
    written = registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    assert fresh.transactions() - transactions <= 48
    after = block(fresh)
    assert written.previous == before
    assert set(written.changed) == {"CLICK_ME_TYPE", "KEY2", "KEY2_LEN"}
    assert written.changed["CLICK_ME_TYPE"] == (0x01, 0x41)
    assert after[CLICK_ME_TYPE] == 0x41
    assert after[KEY2_LEN] == 20
    assert after[KEY2] == bytes.fromhex(THING) + bytes(12)
    rest_before, rest_after = bytearray(before), bytearray(after)
    for rest in (rest_before, rest_after):
        rest[FORMAT] = bytes(3)
        rest[CLICK_ME_TYPE] = rest[KEY2_LEN] = 0
        rest[KEY2] = bytes(32)
    assert rest_before == rest_after
    vendor = Backend(fresh.serial)
    assert vendor.read_field_from_current_config("CLICK_ME_TYPE") == "0x41"
    assert vendor.read_field_from_current_config("KITNAME") == "AVR-IoT WA"


def test_registers_that_are_right_are_not_written(fresh: KitsOnBus) -> None:
    links = LinkRegisters.for_device(AWS_CUSTOM, THING).registers
    assert set(registers.differences(fresh.serial, links)) == set(links)
    registers.write(fresh.serial, links)
    before, transactions = writes(fresh), fresh.transactions()
    assert registers.differences(fresh.serial, links) == {}
    assert registers.write(fresh.serial, links).changed == {}
    assert writes(fresh) == before
    assert fresh.transactions() - transactions <= 32


def test_asking_for_differences_writes_nothing(fresh: KitsOnBus) -> None:
    before = writes(fresh)
    registers.differences(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    assert writes(fresh) == before


def test_a_saved_block_brings_back_the_old_board(fresh: KitsOnBus) -> None:
    before = block(fresh)
    written = registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    registers.restore(fresh.serial, written.previous)
    assert block(fresh) == before


def test_a_saved_block_of_another_size_is_refused(fresh: KitsOnBus) -> None:
    with pytest.raises(UsageError, match="511"):
        registers.restore(fresh.serial, bytes(511))


@pytest.mark.parametrize(
    "values",
    [
        {"NO_SUCH_REGISTER": 1},
        {"CLICK_ME_TYPE": 0x77},  # not in the list of the specification: the vendor's library would leave it out
        {"CLICK_ME_TYPE": 0x141},
        {"CLICK_ME_TYPE": b"\x41"},
        {"KEY2_LEN": -1},
        {"KEY2_LEN": "20"},
        {"KEY2": bytes(33)},
        {"KEY2": "588df5"},
        {"KITNAME": "x" * 61},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(fresh: KitsOnBus, values: dict) -> None:
    before = writes(fresh)
    with pytest.raises(UsageError) as raised:
        registers.write(fresh.serial, {"KEY2_LEN": 20, **values})
    assert next(iter(values)) in str(raised.value)
    assert writes(fresh) == before


def test_an_unknown_register_cannot_be_read(fresh: KitsOnBus) -> None:
    with pytest.raises(UsageError, match="NO_SUCH"):
        registers.read(fresh.serial, ["NO_SUCH"])


def test_a_blank_board_is_told(tmp_path: Path) -> None:
    name = SimulatedKitName.parse("avr-iot-wa")
    KitState.load_or_create(tmp_path, name)
    erase_registers(tmp_path / name.text)
    with kits_on_the_bus(tmp_path) as process, pytest.raises(AccessError, match="blank") as raised:
        registers.read(process.kits[0].serial_number, ["KITNAME"])
    assert raised.value.exit_code == ExitCode.ACCESS


def test_another_kits_block_is_not_written(fresh: KitsOnBus) -> None:
    before, blank = block(fresh), b"\xff" * 512
    with pytest.raises(UsageError, match="another kit"):
        registers.restore(fresh.serial, blank)
    assert block(fresh) == before


def test_a_board_of_a_major_version_that_nobody_knows(fresh: KitsOnBus) -> None:
    with pytest.raises(AccessError, match="cannot be used"):
        registers.restore(fresh.serial, b"\x07" + block(fresh)[1:])


def test_a_write_that_did_not_take_is_noticed(fresh: KitsOnBus, monkeypatch) -> None:
    # The report that carries KEY2 gets lost on its way: the debugger says OK and has something else.
    from pyedbglib.hidtransport.cyhidapi import CyHidApiTransport

    send = CyHidApiTransport.hid_write

    def lose(transport, report):
        if report[0] == SET_CONFIGURATION and report[3:5] == (0xC00 + 0x140).to_bytes(2, "little"):
            report = report[:20] + bytes([report[20] ^ 1]) + report[21:]
        return send(transport, report)

    monkeypatch.setattr(CyHidApiTransport, "hid_write", lose)
    with pytest.raises(ProofError, match="read back") as raised:
        registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    assert "0x14F" in raised.value.why


@pytest.mark.parametrize("moment", [0, 3, 16, 17, 31, 32, 40])
def test_a_kit_that_is_unplugged_meanwhile(fresh: KitsOnBus, moment: int) -> None:
    fresh.faults(unplug_after_transactions=moment)
    with pytest.raises(AccessError, match="broke"):
        registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    fresh.process.plug_in("avr-iot-wa")
    registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)


def test_a_kit_that_is_not_there(fresh: KitsOnBus) -> None:
    fresh.process.unplug("avr-iot-wa")
    with pytest.raises(KitNotFoundError):
        registers.read(fresh.serial, ["KITNAME"])
    fresh.process.plug_in("avr-iot-wa")


@pytest.mark.parametrize("name", ["my-thing", "588df", "58 8d", "5é", "ab" * 33, ""])
def test_a_name_that_is_not_hex_of_at_most_32_bytes_cannot_be_linked(name: str) -> None:
    with pytest.raises(UsageError, match="link of the kit"):
        LinkRegisters.for_device(AWS_CUSTOM, name)


@pytest.mark.parametrize("serial_number", ["0123B2B40FAEBA9B01", "ab" * 32])
def test_any_identifier_of_up_to_32_bytes_is_linked(fresh: KitsOnBus, serial_number: str) -> None:
    registers.write(fresh.serial, LinkRegisters.for_device(GOOGLE, serial_number).registers)
    after = block(fresh)
    size = len(serial_number) // 2
    assert (after[CLICK_ME_TYPE], after[KEY2_LEN]) == (GOOGLE, size)
    assert after[KEY2] == bytes.fromhex(serial_number) + bytes(32 - size)


def test_links_without_an_identifier_leave_the_old_one(fresh: KitsOnBus) -> None:
    registers.write(fresh.serial, LinkRegisters.for_device(AWS_CUSTOM, THING).registers)
    written = registers.write(fresh.serial, LinkRegisters(AZURE).registers)
    assert set(written.changed) == {"CLICK_ME_TYPE"}
    after = block(fresh)
    assert (after[CLICK_ME_TYPE], after[KEY2_LEN]) == (AZURE, 20)
    assert after[KEY2] == bytes.fromhex(THING) + bytes(12)
