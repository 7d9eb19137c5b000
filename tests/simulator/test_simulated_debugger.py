"""The simulated debugger under the vendor's libraries, unmodified."""

import random
import re
import shutil
import time
from contextlib import contextmanager

import pytest
import serial
import serial.tools.list_ports
import yaml
from intelhex import IntelHex
from pyedbglib.hidtransport import cyhidapi
from pyedbglib.hidtransport.hidtransportfactory import hid_transport
from pyedbglib.protocols.avr8protocol import Avr8Protocol
from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol
from pyedbglib.protocols.jtagice3protocol import Jtagice3ResponseError
from pyedbglib.pyedbglib_errors import PyedbglibError
from pyedbglib.serialport.serialportmap import SerialPortMap
from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.pymcuprog_errors import PymcuprogDeviceLockedError, PymcuprogToolConnectionError
from pymcuprog.toolconnection import ToolUsbHidConnection
from support.firmware_images import image_path
from support.simulated import eventually, kits_on_the_bus, on_the_bus

from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import start_kits

PAGE = 128
FLASH_SIZE = 0xC000


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with kits_on_the_bus(tmp_path_factory.mktemp("kits"), "avr-iot-wa") as kits:
        yield kits


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    """The folder of a kit that has never been used: copying it is quicker than making another."""
    folder = tmp_path_factory.mktemp("factory")
    start_kits([SimulatedKitName.parse("avr-iot-wa")], folder).stop()
    return folder


@pytest.fixture
def fresh_kit(tmp_path, factory):
    shutil.copytree(factory, tmp_path, dirs_exist_ok=True)
    with kits_on_the_bus(tmp_path, "avr-iot-wa") as kits:
        yield kits


@pytest.fixture
def transport(kit):
    connection = hid_transport()
    assert connection.connect(product="nedbg")
    yield connection
    connection.disconnect()


@pytest.fixture
def avr8(transport):
    """The AVR8 protocol in programming mode."""
    protocol = Avr8Protocol(transport)
    protocol.set_variant(Avr8Protocol.AVR8_VARIANT_UPDI)
    protocol.set_function(Avr8Protocol.AVR8_FUNC_PROGRAMMING)
    protocol.set_interface(Avr8Protocol.AVR8_PHY_INTF_PDI_1W)
    protocol.activate_physical()
    protocol.enter_progmode()
    yield protocol
    protocol.leave_progmode()
    protocol.deactivate_physical()


@contextmanager
def failure(code):
    with pytest.raises(Jtagice3ResponseError) as raised:
        yield
    assert raised.value.code == code


def programming_session(**options):
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=None, tool_name="nedbg"))
    session = SessionConfig("atmega4808")
    session.special_options = options
    try:
        backend.start_session(session)
    except BaseException:
        backend.disconnect_from_tool()
        raise
    return backend


def end(backend):
    backend.end_session()
    backend.disconnect_from_tool()


def hex_file(path, size, seed=1):
    content = random.Random(seed).randbytes(size)
    image = IntelHex()
    image.puts(0, content)
    image.write_hex_file(str(path))
    return content


class TestVendorPrograms:
    """The command lines of pymcuprog and pydebuggerconfig, as other programs on the bus."""

    @pytest.fixture
    def run(self, kit):
        def run(*command):
            result = on_the_bus(kit.folder.parent, *command)
            assert result.returncode == 0, result.stdout + result.stderr
            return result.stdout

        return run

    def test_ping_finds_the_device_on_the_board(self, run, kit):
        said = run("pymcuprog", "ping")
        assert f"serial number {kit.kits[0].serial_number}" in said
        assert "Debugger firmware version 1.22.73" in said
        assert "Ping response: 1E9650" in said

    def test_erase_write_verify_read_reset(self, run, kit, tmp_path):
        content = hex_file(tmp_path / "image.hex", 5000)
        run("pymcuprog", "erase")
        run("pymcuprog", "write", "-f", tmp_path / "image.hex")
        assert "Verify successful" in run("pymcuprog", "verify", "-f", tmp_path / "image.hex")
        run("pymcuprog", "read", "-m", "flash", "-o", "0", "-b", "5000", "-f", tmp_path / "read.hex")
        assert IntelHex(str(tmp_path / "read.hex")).tobinstr(0, 4999) == content
        run("pymcuprog", "reset")
        kit.save()
        assert (kit.folder / "flash.bin").read_bytes() == content.ljust(FLASH_SIZE, b"\xff")

    def test_verify_finds_a_flipped_bit(self, run, kit, tmp_path):
        hex_file(tmp_path / "image.hex", 1000)
        kit.faults(target_flip_after_writes=3)
        run("pymcuprog", "write", "--erase", "-f", tmp_path / "image.hex")
        result = on_the_bus(kit.folder.parent, "pymcuprog", "verify", "-f", tmp_path / "image.hex")
        assert "Verify failed" in result.stdout + result.stderr
        assert "0x000180" in result.stdout + result.stderr

    def test_fuses_user_row_and_eeprom(self, run, kit):
        run("pymcuprog", "write", "-m", "fuses", "-o", "2", "-l", "0x02")
        run("pymcuprog", "write", "-m", "user_row", "-o", "4", "-l", "0x12", "0x34")
        run("pymcuprog", "write", "-m", "eeprom", "-o", "62", "-l", "1", "2", "3", "4")
        kit.save()
        assert (kit.folder / "fuses.bin").read_bytes()[2] == 2
        assert (kit.folder / "user-row.bin").read_bytes()[4:6] == b"\x12\x34"
        assert (kit.folder / "eeprom.bin").read_bytes()[62:66] == b"\x01\x02\x03\x04"

    def test_registers_are_those_of_the_factory(self, run):
        said = run("pydebuggerconfig", "read")
        for name, value in (("KITNAME", "AVR-IoT WA"), ("DEVNAME", "ATmega4808"), ("REDIRECT", "0029")):
            assert re.search(rf'{name}: +"{value}"', said)
        assert re.search(r"CLICK_ME_TYPE: +0x01", said)
        assert re.search(r"FLASH_BYTES: 0x0000C000", said)  # the device block is there, too

    def test_replaced_registers_stay_and_reach_the_drive_after_a_reboot(self, run, kit):
        click_me = kit.folder / "drive" / "CLICK-ME.HTM"
        before = click_me.read_text()
        assert f"/2/0029/01?serial={kit.kits[0].serial_number}" in before
        identifier = "a thing of 20 bytes."
        run("pydebuggerconfig", "replace", "-r", "CLICK_ME_TYPE=0x20", "KEY2_LEN=20", f"KEY2={identifier}")
        assert click_me.read_text() == before
        assert kit.meters()["register_writes"] == 16
        run("pymcuprog", "reboot-debugger")
        eventually(serial.tools.list_ports.comports, "the debugger is back")
        assert f"/2/0029/20/{identifier.encode().hex().upper()}?serial=" in click_me.read_text()
        assert re.search(r"KEY2_LEN: +0x14", run("pydebuggerconfig", "read"))


class TestReports:
    def test_versions_and_voltage(self, transport):
        housekeeping = Jtagice3HousekeepingProtocol(transport)
        housekeeping.start_session()
        versions = housekeeping.read_version_info()
        assert (versions["firmware_major"], versions["firmware_minor"]) == (1, 22)
        assert versions["build"] == 73
        context, target = housekeeping.HOUSEKEEPING_CONTEXT_ANALOG, housekeeping.HOUSEKEEPING_ANALOG_VTREF
        assert housekeeping.get_le16(context, target) == 3300
        with pytest.raises(Jtagice3ResponseError):
            housekeeping.get_le16(context, housekeeping.HOUSEKEEPING_TSUP_VOLTAGE)
        housekeeping.end_session()

    def test_page_write_clears_bits_and_does_not_erase(self, avr8):
        flash = Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE
        avr8.erase(Avr8Protocol.ERASE_CHIP, 0)
        avr8.memory_write(flash, PAGE, bytes([0xF3]) * PAGE)
        avr8.memory_write(flash, PAGE, bytes([0x3F]) * PAGE)
        assert bytes(avr8.memory_read(flash, 0, 3 * PAGE)) == b"\xff" * PAGE + b"\x33" * PAGE + b"\xff" * PAGE
        avr8.erase(Avr8Protocol.ERASE_APP_PAGE, PAGE + 5)
        assert bytes(avr8.memory_read(flash, PAGE, PAGE)) == b"\xff" * PAGE

    @pytest.mark.parametrize(("fuse", "left"), [(0xE4, b"\xff"), (0xE5, b"\x42")])
    def test_chip_erase_spares_the_eeprom_where_the_fuse_says_so(self, avr8, fuse, left):
        avr8.memory_write(Avr8Protocol.AVR8_MEMTYPE_EEPROM_ATOMIC, 0x1403, b"\x42")
        avr8.memory_write(Avr8Protocol.AVR8_MEMTYPE_FUSES, 0x1285, bytes([fuse]))
        avr8.erase(Avr8Protocol.ERASE_CHIP, 0)
        assert bytes(avr8.memory_read(Avr8Protocol.AVR8_MEMTYPE_EEPROM, 0x1403, 1)) == left

    @pytest.mark.parametrize("length", [1, 59, 60, 61, 120, 512])
    def test_answers_of_every_length_arrive(self, avr8, length):
        flash = Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE
        content = random.Random(length).randbytes(4 * PAGE)
        avr8.erase(Avr8Protocol.ERASE_CHIP, 0)
        for start in range(0, len(content), PAGE):
            avr8.memory_write(flash, start, content[start : start + PAGE])
        assert bytes(avr8.memory_read(flash, 0, length)) == content[:length]

    @pytest.mark.parametrize(
        ("memory", "address", "length", "code"),
        [
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, 0, PAGE - 1, 0x35),
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, 0, 2 * PAGE, 0x35),
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, 2, PAGE, 0x37),
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, FLASH_SIZE, PAGE, 0x38),
            (Avr8Protocol.AVR8_MEMTYPE_FUSES, 0x1280, 2, 0x35),
            (Avr8Protocol.AVR8_MEMTYPE_EEPROM_ATOMIC, 0x1400, 65, 0x35),
            (Avr8Protocol.AVR8_MEMTYPE_EEPROM_ATOMIC, 0x1500, 1, 0x38),
            (Avr8Protocol.AVR8_MEMTYPE_APPL_FLASH_ATOMIC, 0, PAGE, 0x34),
        ],
    )
    def test_writes_that_hardware_refuses(self, avr8, memory, address, length, code):
        with failure(code):
            avr8.memory_write(memory, address, bytes(length))

    @pytest.mark.parametrize(
        ("memory", "address", "length", "code"),
        [
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, 0, 513, 0x35),
            (Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, FLASH_SIZE - 1, 2, 0x38),
            (Avr8Protocol.AVR8_MEMTYPE_REGFILE, 0, 32, 0x34),
        ],
    )
    def test_reads_that_hardware_refuses(self, avr8, memory, address, length, code):
        with failure(code):
            avr8.memory_read(memory, address, length)

    def test_memory_is_out_of_reach_outside_programming_mode(self, avr8):
        avr8.leave_progmode()
        with failure(0x32):
            avr8.memory_read(Avr8Protocol.AVR8_MEMTYPE_FLASH_PAGE, 0, 16)
        avr8.deactivate_physical()
        with failure(0x31):
            avr8.enter_progmode()
        avr8.activate_physical()
        with failure(0x31):
            avr8.activate_physical()

    def test_unknown_reports_and_handlers_are_answered(self, transport):
        assert transport.hid_transfer(bytearray([0x99]))[0] == 0xFF
        unknown = Jtagice3HousekeepingProtocol(transport)
        unknown.handler = 0x77
        with pytest.raises(Jtagice3ResponseError):
            unknown.start_session()

    def test_every_report_is_answered(self, transport, kit):
        """Whatever arrives, the debugger answers: random reports of all kinds, whole and torn commands."""
        source = random.Random(7)
        heads = [
            b"\x00",
            b"\x80\x11\x00\x14\x0e\x00\x01\x00",
            b"\x80",
            b"\x81",
            b"\x82",
            b"\x83\x01\x40",
            b"\x84\x20",
            b"",
        ]
        handlers = [b"\x01\x02\x00", b"\x12\x21\x00\xb0", b"\x12\x23", b"\x12", b"\x20", b""]
        before = kit.meters()["debugger_reboots"]
        for _ in range(3000):
            report = (source.choice(heads) + source.choice(handlers) + source.randbytes(64))[:64]
            if report[0] != 0x84:  # the registers stay as they are
                assert len(transport.hid_transfer(bytearray(report))) == 64
        assert kit.meters()["debugger_reboots"] == before

    def test_configuration_below_the_blocks_cannot_be_written(self, transport):
        address = (0x00E0).to_bytes(2, "little")
        assert transport.hid_transfer(bytearray([0x84, 32, 0x40, *address, *bytes(32)]))[1] != 0


class TestMicrocontroller:
    """The vendor's provisioning firmware, programmed over HID, talks on the serial port of the kit."""

    @pytest.mark.parametrize("name", ["avr-iot-wa", pytest.param("avr-iot-wa@emulated", marks=pytest.mark.emulated)])
    def test_programmed_image_runs(self, tmp_path, name):
        image = image_path("avr-iot-provisioning")
        with kits_on_the_bus(tmp_path, name) as kits:
            backend = programming_session()
            backend.erase()
            backend.write_hex_to_target(str(image))
            assert backend.verify_hex(str(image))
            with serial.serial_for_url(kits.kits[0].uart, 115200, timeout=10) as port:
                end(backend)
                assert port.read_until(b"READY\r\n").startswith(b"Welcome to the avr-iot command handler!\r\n")
                port.write(b"MC+ECC+SERIAL\n")
                answer = port.read_until(b"OK\r\n").decode()
                chip = yaml.safe_load((kits.folder / "ecc608.yaml").read_text())
                assert answer.split()[0].lower() == chip["serial_number"]
                again = programming_session()
                counted = kits.meters()["uart_bytes_from_kit"]
                port.write(b"MC+ECC+SERIAL\n")
                eventually(lambda: kits.meters()["uart_bytes_to_kit"] == 28, "the arrival of the bytes")
                assert kits.meters()["uart_bytes_from_kit"] == counted, "nothing runs in programming mode"
                end(again)
                assert port.read_until(b"READY\r\n").startswith(b"Welcome"), "leaving programming mode is a reset"


class TestFaults:
    def test_locked_device_until_it_is_erased_by_key(self, fresh_kit):
        fresh_kit.faults(target_locked=True)
        with pytest.raises(PymcuprogDeviceLockedError):
            programming_session()
        end(programming_session(**{"chip-erase-locked-device": True}))
        end(programming_session())

    def test_no_target_power(self, fresh_kit):
        fresh_kit.faults(target_unpowered=True)
        with failure(0x22):
            programming_session()

    def test_open_denied(self, fresh_kit):
        fresh_kit.faults(hid_open_denied=True)
        with pytest.raises(PymcuprogToolConnectionError, match="open failed"):
            programming_session()

    def test_no_access_to_usb_hides_the_strings(self, fresh_kit):
        fresh_kit.faults(usb_access_denied=True)
        (entry,) = cyhidapi.hid.enumerate()
        assert (entry["vendor_id"], entry["product_id"]) == (0x03EB, 0x2175)
        assert entry["serial_number"] == entry["product_string"] == entry["manufacturer_string"] == ""
        with pytest.raises(OSError, match="open failed"):
            cyhidapi.hid.device().open_path(entry["path"])
        (port,) = serial.tools.list_ports.comports()
        assert port.serial_number == fresh_kit.kits[0].serial_number

    def test_programmer_that_died_in_the_middle(self, fresh_kit):
        backend = programming_session()
        backend.write_memory(bytearray(b"\x55" * PAGE), "flash", 0)
        backend.transport.disconnect()
        again = programming_session()
        assert bytes(again.read_memory("flash", 0, 4)[0].data) == b"\x55" * 4
        end(again)

    def test_second_opener_is_turned_away_until_the_first_has_closed(self, fresh_kit):
        first, second = hid_transport(), hid_transport()
        assert first.connect(product="nedbg")
        with pytest.raises(OSError, match="open failed"):
            second.connect(product="nedbg")
        first.disconnect()
        assert second.connect(product="nedbg")
        second.disconnect()

    def test_unplugged_in_the_middle(self, fresh_kit):
        backend = programming_session()
        fresh_kit.faults(unplug_after_transactions=5)
        with pytest.raises((OSError, PyedbglibError)):
            backend.read_memory("flash", 0, 4096)
        assert serial.tools.list_ports.comports() == []
        with pytest.raises(PymcuprogToolConnectionError):
            programming_session()
        fresh_kit.plug_in()
        end(programming_session())

    def test_garbage_answer(self, fresh_kit):
        backend = programming_session()
        fresh_kit.faults(hid_answer_garbage_after_transactions=2)
        with pytest.raises(Exception, match="invalid"):
            backend.read_memory("flash", 0, 512)

    def test_late_answer(self, fresh_kit):
        backend = programming_session()
        fresh_kit.faults(hid_answer_delay=0.05)
        start = time.monotonic()
        backend.read_memory("flash", 0, 16)
        assert time.monotonic() - start >= 0.1
        end(backend)

    def test_unknown_fault_is_an_error(self, fresh_kit):
        with pytest.raises(Exception, match="no such fault: blue_moon"):
            fresh_kit.faults(blue_moon=True)


class TestBus:
    def test_two_kits_are_told_apart(self, tmp_path):
        with kits_on_the_bus(tmp_path, "avr-iot-wa", "avr-iot-wg") as kits:
            first, second = (kit.serial_number for kit in kits.kits)
            assert first != second
            assert all(re.fullmatch(r"MCHP3261[0-9]{12}", number) for number in (first, second))
            assert {device.serial_number for device in hid_transport().devices} == {first, second}
            ports = SerialPortMap()
            assert ports.find_serial_port(first) != ports.find_serial_port(second)
            with pytest.raises(PymcuprogToolConnectionError):
                programming_session()
            backend = Backend()
            backend.connect_to_tool(ToolUsbHidConnection(serialnumber=second[-6:], tool_name="nedbg"))
            backend.disconnect_from_tool()
            assert kits.meters("avr-iot-wg")["hid_transactions"] > 0
            assert kits.meters("avr-iot-wa")["hid_transactions"] == 0

    def test_reboot_takes_the_debugger_off_the_bus_and_the_port_with_it(self, fresh_kit):
        transport = hid_transport()
        transport.connect(product="nedbg")
        port = serial.serial_for_url(fresh_kit.kits[0].uart, timeout=5)
        housekeeping = Jtagice3HousekeepingProtocol(transport)
        housekeeping.start_session()
        housekeeping.end_session(reset_tool=True)
        with pytest.raises((OSError, PyedbglibError)):
            housekeeping.start_session()
        assert hid_transport().devices == []
        with pytest.raises(serial.SerialException):
            port.read(1)
        eventually(lambda: hid_transport().devices, "the debugger is back")
        assert fresh_kit.meters()["debugger_reboots"] == 1

    def test_other_debugger_firmware(self, tmp_path):
        with kits_on_the_bus(tmp_path, debugger_version="1.30.35"):
            backend = programming_session()
            assert backend.housekeeper.get_byte(0, 2) == 30
            end(backend)

    def test_this_process_is_put_back(self, tmp_path):
        before = cyhidapi.hid, serial.tools.list_ports.comports
        with kits_on_the_bus(tmp_path):
            assert cyhidapi.hid is not before[0]
        assert (cyhidapi.hid, serial.tools.list_ports.comports) == before
