"""Programming the MCU of a kit with the vendor's pymcuprog, on a simulated kit."""

from __future__ import annotations

import _thread
import threading
from typing import TYPE_CHECKING

import pytest
import serial
from intelhex import IntelHex
from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.toolconnection import ToolUsbHidConnection
from support.firmware_images import hex_image, image_path

from iotprovision.boards.nedbg.programming import Difference, TargetProgrammer, reset_target
from iotprovision.boards.nedbg.reboot import reboot_debugger
from iotprovision.errors import AccessError, ExitCode, KitNotFoundError, ProofError, ProvisioningError
from iotprovision.firmware.hex_image import HexImage

if TYPE_CHECKING:
    from support.kits_on_bus import KitsOnBus

pytest_plugins = ["support.kits_on_bus"]

MCU = "ATmega4808"
PROVISIONING, DEMO = "avr-iot-provisioning", "avr-iot-aws-demo"
PAGE = 128
FUSES_ADDRESS = 0x820000


@pytest.fixture
def small_image(tmp_path) -> HexImage:
    """20 pages and the fuses, so that tests are quick."""
    content = IntelHex()
    content.frombytes(bytes.fromhex("0c944000") + bytes(range(1, 253)) * 10)
    content.frombytes(bytes.fromhex("0000020000c0070000"), offset=FUSES_ADDRESS)
    content.write_hex_file(str(tmp_path / "small.hex"))
    return HexImage.load(tmp_path / "small.hex", MCU)


def program(kits: KitsOnBus, image: HexImage) -> None:
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(image)


def vendor_session(kits: KitsOnBus) -> Backend:
    """pymcuprog without our code."""
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=kits.serial, tool_name="nedbg"))
    backend.start_session(SessionConfig(MCU.lower()))
    return backend


@pytest.mark.parametrize(("name", "transactions"), [(PROVISIONING, 1871), (DEMO, 2319)])
def test_a_vendor_image_is_programmed_and_proved_in_one_session(kits: KitsOnBus, name: str, transactions: int) -> None:
    image = hex_image(name)
    before = kits.transactions()
    with TargetProgrammer(kits.serial, MCU) as target:
        assert target.first_difference(image) is not None
        target.program(image)
        target.verify(image)
    assert kits.transactions() - before <= transactions, "pymcuprog needs so many to write and verify the file"
    reference = IntelHex(str(image_path(name)))
    flash, fuses = kits.content("flash.bin"), kits.content("fuses.bin")
    for address in reference.addresses():
        held = fuses[address - FUSES_ADDRESS] if address >= FUSES_ADDRESS else flash[address]
        assert held == reference[address], f"0x{address:X}"
    with vendor_session(kits) as vendor:
        assert vendor.verify_hex(str(image_path(name)))


def test_every_page_is_written_once(kits: KitsOnBus) -> None:
    before = kits.process.meters()
    program(kits, hex_image(PROVISIONING))
    after = kits.process.meters()
    assert after["target_flash_erases"] - before["target_flash_erases"] == 1
    # Some pages of the file hold nothing but 0xFF.
    assert after["target_flash_page_writes"] - before["target_flash_page_writes"] <= -(-34797 // PAGE)


def test_comparing_stops_at_the_first_difference(kits: KitsOnBus) -> None:
    program(kits, hex_image(PROVISIONING))
    before = kits.transactions()
    with TargetProgrammer(kits.serial, MCU) as target:
        assert target.first_difference(hex_image(DEMO)) == Difference("flash", 2, expected=0x93, found=0x6F)
    assert kits.transactions() - before <= 45


def test_an_equal_image_shows_no_difference_and_nothing_is_written(kits: KitsOnBus, small_image: HexImage) -> None:
    program(kits, small_image)
    before = kits.process.meters()
    with TargetProgrammer(kits.serial, MCU) as target:
        assert target.first_difference(small_image) is None
        target.verify(small_image)
    after = kits.process.meters()
    assert after["target_flash_page_writes"] == before["target_flash_page_writes"]
    assert after["target_flash_erases"] == before["target_flash_erases"]


def test_a_bit_that_did_not_take_is_found_at_its_address(kits: KitsOnBus, small_image: HexImage) -> None:
    kits.faults(target_flip_after_writes=10)
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(small_image)
        difference = target.first_difference(small_image)
        expected = small_image.flash[10 * PAGE]
        assert difference == Difference("flash", 10 * PAGE, expected=expected, found=expected ^ 1)
        with pytest.raises(ProofError, match="read back") as raised:
            target.verify(small_image)
    assert raised.value.exit_code == ExitCode.PROOF
    assert f"flash 0x0500: expected 0x{expected:02X}, found 0x{expected ^ 1:02X}" in raised.value.why


def test_a_fuse_that_differs_is_found_and_mended(kits: KitsOnBus, small_image: HexImage) -> None:
    program(kits, small_image)
    with vendor_session(kits) as vendor:
        vendor.write_memory(bytearray([0x01]), "fuses", 2)
    with TargetProgrammer(kits.serial, MCU) as target:
        assert target.first_difference(small_image) == Difference("fuses", 2, expected=0x02, found=0x01)
        target.program(small_image)
        target.verify(small_image)
    assert kits.content("fuses.bin")[:9].hex() == "0000020000c0070000"


def test_eeprom_and_user_row_of_an_image_are_written_too(kits: KitsOnBus, tmp_path) -> None:
    content = IntelHex()
    content.frombytes(bytes.fromhex("0c944000"))
    content.frombytes(b"thirty-three bytes of EEPROM data", offset=0x810007)
    content.frombytes(b"user row", offset=0x850010)
    content.write_hex_file(str(tmp_path / "all.hex"))
    image = HexImage.load(tmp_path / "all.hex", MCU)
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(image)
        target.verify(image)
    with vendor_session(kits) as vendor:
        assert vendor.verify_hex(str(tmp_path / "all.hex"))


def test_progress_counts_every_byte_once(kits: KitsOnBus, small_image: HexImage) -> None:
    written, verified = [], []
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(small_image, lambda done, total: written.append((done, total)))
        target.verify(small_image, lambda done, total: verified.append((done, total)))
    for reports in (written, verified):
        assert reports == sorted(set(reports))
        assert reports[-1] == (small_image.size, small_image.size)
        assert len(reports) >= 3


def test_a_locked_mcu_is_told_with_the_way_out_and_left_locked(kits: KitsOnBus, small_image: HexImage) -> None:
    program(kits, small_image)
    before = kits.content("flash.bin")
    kits.faults(target_locked=True)
    with pytest.raises(AccessError, match="locked") as raised, TargetProgrammer(kits.serial, MCU):
        pass
    assert "erases all" in raised.value.why
    assert raised.value.hint.startswith("pymcuprog erase --chip-erase-locked-device")
    assert kits.content("flash.bin") == before


def test_an_mcu_without_power(kits: KitsOnBus) -> None:
    kits.faults(target_unpowered=True)
    with pytest.raises(AccessError, match="no power"), TargetProgrammer(kits.serial, MCU):
        pass


def test_another_mcu_than_expected_ends_the_session(kits: KitsOnBus) -> None:
    with (
        pytest.raises(AccessError, match="does not meet the MCU") as raised,
        TargetProgrammer(kits.serial, "atmega4809"),
    ):
        pass
    assert "1E9650" in raised.value.why
    reset_target(kits.serial, MCU)


def test_a_kit_that_is_not_there(kits: KitsOnBus) -> None:
    kits.process.unplug("avr-iot-wa")
    with pytest.raises(KitNotFoundError, match=kits.serial), TargetProgrammer(kits.serial, MCU):
        pass


def test_a_kit_that_may_not_be_opened(kits: KitsOnBus) -> None:
    kits.faults(hid_open_denied=True)
    with pytest.raises(AccessError, match="cannot be opened"), TargetProgrammer(kits.serial, MCU):
        pass


@pytest.mark.parametrize("moment", [0, 1, 7, 20, 29, 33, 60, 101])
def test_a_kit_that_is_unplugged_at_any_moment(kits: KitsOnBus, small_image: HexImage, moment: int, capfd) -> None:
    kits.faults(unplug_after_transactions=moment)
    with pytest.raises(ProvisioningError) as raised:
        program(kits, small_image)
    assert raised.value.exit_code in (ExitCode.ACCESS, ExitCode.KIT)
    kits.process.plug_in("avr-iot-wa")
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(small_image)
        target.verify(small_image)
    assert capfd.readouterr() == ("", ""), "the vendor's libraries are quiet"


@pytest.mark.parametrize("moment", [0, 1, 2, 9, 27, 28, 31, 70])
def test_a_debugger_that_answers_nonsense_at_any_moment(kits: KitsOnBus, small_image: HexImage, moment: int) -> None:
    kits.faults(hid_answer_garbage_after_transactions=moment)
    with pytest.raises(AccessError):
        program(kits, small_image)
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(small_image)
        target.verify(small_image)


def test_an_error_inside_the_session_ends_it(kits: KitsOnBus, small_image: HexImage) -> None:
    def fail(_done: int, _total: int) -> None:
        raise RuntimeError("nothing to do with the kit")

    with pytest.raises(RuntimeError), TargetProgrammer(kits.serial, MCU) as target:
        target.program(small_image, fail)
    reset_target(kits.serial, MCU)


def test_ctrl_c_while_programming_ends_the_session(kits: KitsOnBus) -> None:
    # Not between two exchanges with the debugger but at any time: from a thread of its own.
    image = hex_image(PROVISIONING)
    for delay in (0.02, 0.05, 0.1):
        timer = threading.Timer(delay, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt), TargetProgrammer(kits.serial, MCU) as target:
            timer.start()
            while True:
                target.program(image)
        timer.join()
    with TargetProgrammer(kits.serial, MCU) as target:
        target.program(image)
        target.verify(image)


def test_the_mcu_stands_still_until_the_session_ends(kits: KitsOnBus) -> None:
    image = hex_image(PROVISIONING)
    with TargetProgrammer(kits.serial, MCU) as target:
        if target.first_difference(image):
            target.program(image)
        port = serial.serial_for_url(kits.first.uart, 115200, timeout=0.3)
        assert port.read(1) == b""
    with port:
        port.timeout = 10
        assert port.read_until(b"READY\r\n").startswith(b"Welcome to the avr-iot command handler!")
        # Entering and leaving programming mode is a reset.
        reset_target(kits.serial, MCU)
        assert port.read_until(b"READY\r\n").endswith(b"for the AVR-IoT WG\r\nREADY\r\n")


def test_closing_twice_is_harmless(kits: KitsOnBus) -> None:
    with TargetProgrammer(kits.serial, MCU) as target:
        target.close()


def test_the_debugger_restarts_and_is_back_when_the_call_returns(kits: KitsOnBus) -> None:
    before = kits.process.meters()["debugger_reboots"]
    reboot_debugger(kits.serial)
    assert kits.process.meters()["debugger_reboots"] == before + 1
    reset_target(kits.serial, MCU)


def test_a_debugger_that_is_gone_before_its_answer_is_read(kits: KitsOnBus) -> None:
    kits.faults(hid_answer_garbage_after_transactions=1)
    reboot_debugger(kits.serial)
    reset_target(kits.serial, MCU)


def test_a_debugger_that_does_not_come_back(kits: KitsOnBus) -> None:
    with pytest.raises(AccessError, match="did not come back"):
        reboot_debugger(kits.serial, back_timeout=0.05)
    kits.process.unplug("avr-iot-wa")
    kits.process.plug_in("avr-iot-wa")


def test_a_restart_of_a_kit_that_is_not_there(kits: KitsOnBus) -> None:
    kits.process.unplug("avr-iot-wa")
    with pytest.raises(KitNotFoundError):
        reboot_debugger(kits.serial)
