"""The simulated debugger's boot mode under pydebuggerupgrade, unmodified, and under single DFU transfers."""

from __future__ import annotations

import hashlib
import random
import shutil
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
import usb.core
from pydebuggerupgrade.backend import Backend
from pydebuggerupgrade.flipprogrammer import FlipProgrammer
from pydebuggerupgrade.pydebuggerupgrade_errors import PydebuggerupgradeError
from pyedbglib.hidtransport import cyhidapi
from pyedbglib.hidtransport.hidtransportfactory import hid_transport
from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol
from pyedbglib.protocols.jtagice3protocol import Jtagice3ResponseError
from serial.tools import list_ports
from support.debugger_archives import FACTORY_VERSION, VERSION, archive_of_version, vendor_archive, vendor_image
from support.simulated import eventually, kits_on_the_bus, on_the_bus

from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import KitProcess, start_kits

VID, PID, BOOT_PID = 0x03EB, 0x2175, 0x2FC0
AREA = 0x3E000 - 0x2000
WRITE, READ = 0x21, 0xA1
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS = 1, 2, 3, 4
IDLE, ERROR = 2, 10
UNTOUCHED = ("flash.bin", "eeprom.bin", "fuses.bin", "user-row.bin", "board-config.bin", "winc.bin", "ecc608.yaml")


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factory")
    start_kits([SimulatedKitName.parse("avr-iot-wa")], folder).stop()
    return folder


@pytest.fixture
def kit(tmp_path: Path, factory: Path) -> Iterator[KitProcess]:
    shutil.copytree(factory, tmp_path, dirs_exist_ok=True)
    with kits_on_the_bus(tmp_path, "avr-iot-wa") as kits:
        yield kits


@pytest.fixture
def blank_kit(tmp_path: Path, factory: Path) -> Iterator[KitProcess]:
    """A kit whose debugger has no firmware: it starts in boot mode."""
    shutil.copytree(factory, tmp_path, dirs_exist_ok=True)
    (tmp_path / "avr-iot-wa" / "debugger-flash.bin").write_bytes(b"\xff" * AREA)
    with kits_on_the_bus(tmp_path, "avr-iot-wa") as kits:
        yield kits


@pytest.fixture
def boot_loader(blank_kit: KitProcess) -> usb.core.Device:
    device = usb.core.find(idVendor=VID, idProduct=BOOT_PID)
    device.set_configuration()
    return device


def command(device: usb.core.Device, *parts: int, data: bytes = b"") -> tuple[int, int]:
    """One command; gives (status, state)."""
    device.ctrl_transfer(WRITE, DNLOAD, 0, 0, bytes(parts) + data, 1000)
    answer = device.ctrl_transfer(READ, GETSTATUS, 0, 0, 6, 1000)
    assert isinstance(answer, array)
    assert len(answer) == 6
    return answer[0], answer[4]


def contents(kit: KitProcess) -> dict[str, str]:
    kit.save()
    return {name: hashlib.sha256((kit.folder / name).read_bytes()).hexdigest() for name in UNTOUCHED}


def debugger_flash(kit: KitProcess) -> bytes:
    kit.save()
    return (kit.folder / "debugger-flash.bin").read_bytes()


def versions() -> dict[str, str]:
    """Serial number and firmware version of every debugger on the bus."""
    backend = Backend()
    return {
        tool.serialnumber: backend.get_current_version("nedbg", tool.serialnumber)
        for tool in backend.get_matching_tools("nedbg")
    }


def boot_mode() -> int:
    return len(list(usb.core.find(find_all=True, idVendor=VID, idProduct=BOOT_PID)))


def enter_boot_mode() -> None:
    transport = hid_transport()
    assert transport.connect(product="nedbg")
    housekeeping = Jtagice3HousekeepingProtocol(transport)
    housekeeping.start_session()
    housekeeping.enter_upgrade_mode()
    eventually(boot_mode, "boot mode")


# --- pydebuggerupgrade


def test_the_vendors_tool_upgrades_the_debugger(kit: KitProcess, tmp_path: Path) -> None:
    before, serial_number = contents(kit), kit.kits[0].serial_number
    assert versions() == {serial_number: FACTORY_VERSION}
    tool = Path(sys.executable).parent / "pydebuggerupgrade"
    result = on_the_bus(tmp_path, tool, "-t", "nedbg", vendor_archive())
    assert result.returncode == 0, result.stderr
    assert f"Upgrade to firmware version '{VERSION}' successful" in result.stdout
    assert eventually(versions, "coming back") == {serial_number: VERSION}
    assert debugger_flash(kit)[: len(vendor_image())] == vendor_image()
    assert set(debugger_flash(kit)[len(vendor_image()) : -4]) == {0xFF}
    assert contents(kit) == before
    assert f"Debugger firmware: {VERSION}" in (kit.folder / "drive" / "KIT-INFO.TXT").read_text()


def test_the_new_firmware_stays_when_the_kit_is_served_anew(tmp_path: Path, factory: Path) -> None:
    shutil.copytree(factory, tmp_path, dirs_exist_ok=True)
    with kits_on_the_bus(tmp_path, "avr-iot-wa") as kits:
        assert Backend().upgrade_from_source(str(vendor_archive()), serialnumber=kits.kits[0].serial_number)[0]
    with kits_on_the_bus(tmp_path, "avr-iot-wa"):
        assert list(versions().values()) == [VERSION]
    with kits_on_the_bus(tmp_path, "avr-iot-wa", debugger_version="1.15.479"):
        assert list(versions().values()) == ["1.15.479"]


def test_the_vendors_tool_goes_back_to_an_older_one(kit: KitProcess, tmp_path: Path) -> None:
    archive = str(archive_of_version(tmp_path / "older.zip", "1.20.513"))
    serial_number = kit.kits[0].serial_number
    backend = Backend()
    assert backend.upgrade_from_source(archive, serialnumber=serial_number) == (False, FACTORY_VERSION)
    assert backend.upgrade_from_source(archive, serialnumber=serial_number, force=True) == (True, "1.20.513")
    assert eventually(versions, "coming back") == {serial_number: "1.20.513"}


def test_boot_mode_shows_a_boot_loader_and_nothing_else(kit: KitProcess) -> None:
    assert boot_mode() == 0
    assert "03eb:2175" in usb.core.show_devices()
    enter_boot_mode()
    assert "03eb:2fc0" in usb.core.show_devices()
    assert "03eb:2175" not in usb.core.show_devices()
    assert cyhidapi.hid.enumerate() == []
    assert list_ports.comports() == []
    (device,) = usb.core.find(find_all=True)
    assert not device.serial_number
    assert Backend.is_any_tool_in_bootmode("nedbg")


def test_boot_mode_needs_the_key(kit: KitProcess) -> None:
    transport = hid_transport()
    assert transport.connect(product="nedbg")
    housekeeping = Jtagice3HousekeepingProtocol(transport)
    housekeeping.start_session()
    with pytest.raises(Jtagice3ResponseError):
        housekeeping.enter_upgrade_mode(key=0x31727C11)
    housekeeping.end_session()
    transport.disconnect()
    assert list(versions().values()) == [FACTORY_VERSION]


def test_boot_mode_that_was_entered_in_vain_ends_with_the_power(kit: KitProcess) -> None:
    enter_boot_mode()
    kit.unplug()
    assert boot_mode() == 0
    kit.plug_in()
    assert list(versions().values()) == [FACTORY_VERSION]


def test_power_lost_in_an_upgrade_leaves_boot_mode_which_the_vendors_tool_finishes(kit: KitProcess) -> None:
    serial_number = kit.kits[0].serial_number
    kit.faults(power_loss_after_dfu_transfers=100)
    with pytest.raises((PydebuggerupgradeError, usb.core.USBError)):
        Backend().upgrade_from_source(str(vendor_archive()), serialnumber=serial_number)
    assert (boot_mode(), cyhidapi.hid.enumerate()) == (0, [])
    kit.plug_in()
    assert (boot_mode(), cyhidapi.hid.enumerate()) == (1, [])
    assert Backend().upgrade_from_source(str(vendor_archive()), boot_mode=True) == (True, VERSION)
    assert versions() == {serial_number: VERSION}


def test_boot_mode_that_may_not_be_opened(blank_kit: KitProcess) -> None:
    blank_kit.faults(usb_access_denied=True)
    assert boot_mode() == 1
    with pytest.raises(usb.core.USBError) as raised:
        FlipProgrammer(VID, BOOT_PID)
    assert raised.value.errno == 13


# --- single transfers


def test_only_one_program_has_the_boot_loader(boot_loader: usb.core.Device) -> None:
    second = usb.core.find(idVendor=VID, idProduct=BOOT_PID)
    with pytest.raises(usb.core.USBError) as raised:
        second.set_configuration()
    assert raised.value.errno == 16
    del raised
    assert command(boot_loader, 6, 3, 0, 0, 0, 0) == (0, IDLE)


def test_flash_is_written_by_parts_and_read_back(boot_loader: usb.core.Device) -> None:
    data = random.Random(7).randbytes(500)
    start, end = 0x1230, 0x1230 + len(data) - 1
    place = (start >> 8, start & 0xFF, end >> 8, end & 0xFF)
    assert command(boot_loader, 6, 3, 0, 0, 0, 0) == (0, IDLE)
    assert command(boot_loader, 6, 3, 1, 0, 2, 0) == (0, IDLE)
    assert command(boot_loader, 3, 1, *place) == (0, IDLE)
    padding = bytes(64 - 6) + b"\xff" * (start % 64)
    assert command(boot_loader, 1, 0, *place, data=padding + data) == (0, IDLE)
    assert command(boot_loader, 3, 1, *place) == (5, IDLE)
    boot_loader.ctrl_transfer(WRITE, DNLOAD, 0, 0, bytes((3, 0, *place)), 1000)
    assert bytes(boot_loader.ctrl_transfer(READ, UPLOAD, 0, 0, len(data), 1000)) == data
    assert command(boot_loader, 4, 0, 0xFF, 0, 0, 0) == (0, IDLE)
    assert command(boot_loader, 3, 1, *place) == (0, IDLE)


def test_flash_keeps_bits_that_were_cleared(boot_loader: usb.core.Device, blank_kit: KitProcess) -> None:
    for value in (0xF0, 0x3C):
        assert command(boot_loader, 1, 0, 0, 0, 0, 0, data=bytes(58) + bytes([value])) == (0, IDLE)
    assert debugger_flash(blank_kit)[0] == 0xF0 & 0x3C


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((6, 3, 0, 9, 0, 0), (3, ERROR)),
        ((3, 0, 0, 9, 0, 0), (8, ERROR)),
        ((1, 0, 0, 0, 0, 9), (8, ERROR)),
        ((7, 7, 0, 0, 0, 0), (15, ERROR)),
        ((1, 2), (15, ERROR)),
        ((4, 3, 0, 0, 0, 0), (7, ERROR)),
    ],
    ids=["no such memory", "end before start", "data missing", "no such command", "short", "start without firmware"],
)
def test_what_the_boot_loader_refuses(
    parts: tuple[int, ...], status: tuple[int, int], boot_loader: usb.core.Device
) -> None:
    assert command(boot_loader, *parts) == status
    boot_loader.ctrl_transfer(WRITE, CLRSTATUS, 0, 0, None, 1000)
    assert boot_loader.ctrl_transfer(READ, GETSTATUS, 0, 0, 6, 1000)[0] == 0


def test_addresses_behind_the_flash(boot_loader: usb.core.Device) -> None:
    assert command(boot_loader, 6, 3, 1, 0, 3, 0) == (0, IDLE)
    assert command(boot_loader, 3, 1, 0xBF, 0xFF, 0xC0, 0x00) == (8, ERROR)
    assert command(boot_loader, 3, 1, 0xBF, 0xFE, 0xBF, 0xFF) == (0, IDLE)


def test_a_request_that_there_is_not_stalls(boot_loader: usb.core.Device) -> None:
    with pytest.raises(usb.core.USBError) as raised:
        boot_loader.ctrl_transfer(READ, 0x55, 0, 0, 6, 1000)
    assert raised.value.errno == 32
    assert boot_loader.ctrl_transfer(READ, GETSTATUS, 0, 0, 6, 1000)[4] == IDLE


def test_a_boot_loader_that_is_unplugged(boot_loader: usb.core.Device, blank_kit: KitProcess) -> None:
    blank_kit.unplug()
    for _ in range(2):
        with pytest.raises(usb.core.USBError) as raised:
            boot_loader.ctrl_transfer(READ, GETSTATUS, 0, 0, 6, 1000)
        assert raised.value.errno == 19
    blank_kit.plug_in()
    with pytest.raises(usb.core.USBError):
        boot_loader.ctrl_transfer(READ, GETSTATUS, 0, 0, 6, 1000)


@pytest.mark.parametrize("damage", [0, 1000, 106147, AREA - 1])
def test_one_wrong_bit_keeps_the_debugger_in_boot_mode(damage: int, tmp_path: Path, factory: Path) -> None:
    shutil.copytree(factory, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "avr-iot-wa" / "debugger-flash.bin"
    content = bytearray(file.read_bytes())
    content[damage] ^= 0x10
    file.write_bytes(content)
    with kits_on_the_bus(tmp_path, "avr-iot-wa"):
        assert (boot_mode(), versions()) == (1, {})
