"""A simulated SAM-IoT kit behind its debugger: the vendor's pymcuprog, and what this program demands of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from intelhex import IntelHex
from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.toolconnection import ToolUsbHidConnection
from support.firmware_images import hex_image, image_path
from support.simulated import kits_on_the_bus, on_the_bus

from iotprovision.boards.finding import find_kit
from iotprovision.boards.nedbg.programming import Difference, TargetProgrammer, reset_target
from iotprovision.errors import AccessError, ExitCode, ProofError, UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import FLASH, USER_ROW, mcu_by_name
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.usb.host import KitProcess

MCU = "atsamd21g18a"
KIT = "sam-iot-wg"
PROVISIONING = "sam-iot-wg-provisioning"
VECTORS = bytes.fromhex("00800020 01010000")
USER_ROW_ADDRESS = 0x804000
# SAM D21 data sheet: what the factory leaves; and what all of the vendor's images hold.
FACTORY_ROW = bytes.fromhex("ffc7e0d85dfcffff")
VENDOR_ROW = bytes.fromhex("77c700d85c00ffff")
ROW_SIZE = 256


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitProcess]:
    with kits_on_the_bus(tmp_path_factory.mktemp("kits"), KIT) as kits:
        yield kits


@pytest.fixture
def kits(served: KitProcess) -> Iterator[KitProcess]:
    yield served
    served.faults(**Faults().as_dict())


def serial(kits: KitProcess) -> str:
    return kits.kits[0].serial_number


def content(kits: KitProcess, name: str) -> bytes:
    kits.save()
    return (kits.kits[0].folder / name).read_bytes()


def image(folder: Path, user_row: bytes = VENDOR_ROW, size: int = 1000) -> HexImage:
    file = IntelHex()
    file.frombytes((VECTORS + bytes(range(1, 252)) * (size // 251 + 1))[:size])
    if user_row:
        file.frombytes(user_row, offset=USER_ROW_ADDRESS)
    file.write_hex_file(str(folder / "small.hex"))
    return HexImage.load(folder / "small.hex", MCU)


@pytest.fixture
def vendor(kits: KitProcess) -> Iterator[Backend]:
    """pymcuprog without any code of ours."""
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=serial(kits), tool_name="nedbg"))
    backend.start_session(SessionConfig(MCU))
    yield backend
    backend.end_session()
    backend.disconnect_from_tool()


def set_row(kits: KitProcess, row: bytes) -> None:
    """The user row with pymcuprog: erased and written."""
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=serial(kits), tool_name="nedbg"))
    backend.start_session(SessionConfig(MCU))
    backend.erase(USER_ROW)
    backend.write_memory(bytearray(row), USER_ROW, 0)
    backend.end_session()
    backend.disconnect_from_tool()
    assert content(kits, "user-row.bin") == row.ljust(ROW_SIZE, b"\xff")


# --- the vendor's program


def test_pymcuprog_erases_writes_and_verifies_the_vendors_image(tmp_path: Path) -> None:
    """From the factory's user row alone the vendor's program succeeds: it writes without erasing."""
    path = image_path(PROVISIONING)
    file = shutil.copy(path, tmp_path / "image.hex")
    state = tmp_path / "state"
    with kits_on_the_bus(state, KIT) as kits:
        assert content(kits, "user-row.bin") == FACTORY_ROW.ljust(ROW_SIZE, b"\xff")
        ping = on_the_bus(state, "pymcuprog", "ping", "-t", "nedbg")
        assert "10010305" in ping.stdout, ping.stderr
        written = on_the_bus(state, "pymcuprog", "write", "-t", "nedbg", "-f", file, "--erase", "--verify")
        assert written.returncode == 0, written.stderr
        reference = IntelHex(str(path))
        flash = content(kits, "flash.bin")
        assert all(flash[address] == reference[address] for address in reference.addresses() if address < len(flash))
        assert content(kits, "user-row.bin") == VENDOR_ROW.ljust(ROW_SIZE, b"\xff")
        assert kits.meters()["target_flash_erases"] == 1


def test_it_is_found(kits: KitProcess) -> None:
    kit = find_kit(serial(kits))
    assert (kit.name, kit.mcu.lower()) == ("SAMD21-IoT WG", MCU)


def test_a_write_only_clears_bits(vendor: Backend, kits: KitProcess) -> None:
    vendor.erase()
    vendor.write_memory(bytearray(b"\xf0" * 64), FLASH, 0x1000)
    vendor.write_memory(bytearray(b"\x3c" * 64), FLASH, 0x1000)
    (memory,) = vendor.read_memory(FLASH, 0x1000, 64)
    assert bytes(memory.data) == b"\x30" * 64


def test_a_blank_chip_reads_erased(vendor: Backend) -> None:
    vendor.erase()
    (memory,) = vendor.read_memory(FLASH, 0x3FC00, 0x400)
    assert bytes(memory.data) == b"\xff" * 0x400


# --- what this program programs and proves


def test_an_image_is_programmed_and_proved(kits: KitProcess) -> None:
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(hex_image(PROVISIONING))
        target.verify(hex_image(PROVISIONING))
        before = kits.meters()["hid_transactions"]
        assert target.first_difference(hex_image(PROVISIONING)) is None
    assert kits.meters()["hid_transactions"] - before < 9000


@pytest.mark.parametrize("size", [997, 998, 1000, 1021])
def test_sizes_that_are_no_multiple_of_a_word(size: int, kits: KitProcess, tmp_path: Path) -> None:
    small = image(tmp_path, size=size)
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(small)
        target.verify(small)
        assert target.read(small.mcu.flash, 3, 10) == small.flash[3:13]
    assert content(kits, "flash.bin") == small.flash.ljust(0x40000, b"\xff")


def test_a_bit_that_went_wrong_is_found(kits: KitProcess, tmp_path: Path) -> None:
    small = image(tmp_path)
    kits.faults(target_flip_after_writes=0)
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(small)
        assert target.first_difference(small) == Difference(FLASH, 0, expected=0x00, found=0x01)
        with pytest.raises(ProofError, match="flash 0x0000"):
            target.verify(small)


def test_factory_calibration_in_the_user_row_is_kept(kits: KitProcess, tmp_path: Path) -> None:
    """Of the vendor's 8 bytes only the settings are written: here one bit of the watchdog's window."""
    set_row(kits, FACTORY_ROW)
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(image(tmp_path))
        target.verify(image(tmp_path))
    assert content(kits, "user-row.bin")[:8] == bytes.fromhex("ffc7e0d85cfcffff")


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(VENDOR_ROW, id="as pymcuprog leaves it"),
        pytest.param(bytes.fromhex("ffc7e0d85cfcffff"), id="as this program leaves it"),
    ],
)
def test_a_user_row_with_the_settings_of_the_image_is_left_alone(kits: KitProcess, row: bytes, tmp_path: Path) -> None:
    set_row(kits, row)
    erases = kits.meters()["target_flash_erases"]
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(image(tmp_path))
        target.verify(image(tmp_path))
    assert content(kits, "user-row.bin")[:8] == row
    assert kits.meters()["target_flash_erases"] == erases + 1, "the chip, not the row"


def test_a_setting_that_a_write_cannot_bring_is_set_all_the_same(kits: KitProcess, tmp_path: Path) -> None:
    """A boot loader of 8 KiB was protected, which is BOOTPROT 2; data of the user's own lies behind the settings."""
    set_row(kits, bytes.fromhex("fac7e0d85dfcffff") + b"serial number 17")
    with TargetProgrammer(serial(kits), MCU) as target:
        assert target.first_difference(image(tmp_path)) is not None
        target.program(image(tmp_path))
        target.verify(image(tmp_path))
    assert content(kits, "user-row.bin")[:24] == bytes.fromhex("ffc7e0d85cfcffff") + b"serial number 17"


def test_another_setting_is_a_difference(kits: KitProcess, tmp_path: Path) -> None:
    small = image(tmp_path)
    with TargetProgrammer(serial(kits), MCU) as target:
        target.program(small)
    set_row(kits, bytes.fromhex("73c700d85c00ffff"))
    with TargetProgrammer(serial(kits), MCU) as target:
        assert target.first_difference(small) == Difference(USER_ROW, 0, expected=0x77, found=0x73)


def test_a_locked_target_is_told_and_not_erased(kits: KitProcess) -> None:
    erases = kits.meters()["target_flash_erases"]
    kits.faults(target_locked=True)
    with pytest.raises(AccessError, match="locked") as raised:
        reset_target(serial(kits), MCU)
    assert "pymcuprog erase" in str(raised.value)
    assert kits.meters()["target_flash_erases"] == erases
    command = str(raised.value).rpartition("pymcuprog ")[2].split()
    folder = kits.kits[0].folder.parent
    assert on_the_bus(folder, "pymcuprog", *command).returncode == 0, "what the hint says helps"
    reset_target(serial(kits), MCU)


def test_a_target_without_power_is_told(kits: KitProcess) -> None:
    kits.faults(target_unpowered=True)
    with pytest.raises(AccessError, match="has no power"):
        reset_target(serial(kits), MCU)


# --- which images are taken


def refusal(path: Path, mcu: str = MCU) -> str:
    with pytest.raises(UsageError) as raised:
        HexImage.load(path, mcu)
    assert raised.value.exit_code == ExitCode.USAGE
    return str(raised.value)


@pytest.mark.parametrize("name", ["provisioning", "winc-upgrade", "azure-demo", "google-demo"])
def test_the_vendors_images_are_taken(name: str) -> None:
    taken = hex_image(f"sam-iot-wg-{name}")
    assert taken.mcu == mcu_by_name(MCU)
    (row,) = [segment for segment in taken.segments if segment.area.name == USER_ROW]
    assert row.data == VENDOR_ROW
    pages = [
        part.offset // 256 for segment in taken.segments for part in segment.chunks(256) if part.area.name == FLASH
    ]
    assert len(pages) == len(set(pages))


def test_an_image_for_an_avr_is_refused(tmp_path: Path) -> None:
    assert "0x820000" in refusal(image_path("avr-iot-provisioning")), "it has fuses, which a SAM has not"
    file = IntelHex()
    file.frombytes(bytes.fromhex("0c946f00 0c946f00") * 40)
    file.write_hex_file(str(tmp_path / "avr.hex"))
    assert "stack pointer" in refusal(tmp_path / "avr.hex")
    assert "too large" in refusal(image_path(PROVISIONING), "atmega4808")


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ("00900020 01010000", "0x20009000"),
        ("02800020 01010000", "0x20008002"),
        ("00000020 01010000", "0x20000000"),
        ("00800020 00010000", "Thumb"),
        ("00800020 01010300", "Thumb"),
        ("00800020", "Thumb"),
    ],
)
def test_a_vector_table_that_cannot_be(vectors: str, reason: str, tmp_path: Path) -> None:
    file = IntelHex()
    file.frombytes(bytes.fromhex(vectors).ljust(1000 if len(vectors) > 8 else 4, b"\x46"))
    file.write_hex_file(str(tmp_path / "odd.hex"))
    assert reason in refusal(tmp_path / "odd.hex")
