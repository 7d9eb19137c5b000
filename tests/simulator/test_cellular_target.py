"""The simulated AVR128DB48 behind the debugger, driven by the vendor's programs and by the product's programmer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from intelhex import IntelHex
from support.firmware_images import hex_image
from support.simulated import kits_on_the_bus, on_the_bus

from iotprovision.boards.finding import find_kit
from iotprovision.boards.nedbg.programming import TargetProgrammer
from iotprovision.errors import AccessError, UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.simulator.usb.host import KitProcess

KIT, MCU = "avr-iot-cellular-mini", "avr128db48"
FLASH_SIZE, PAGE = 128 * 1024, 512


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[KitProcess]:
    with kits_on_the_bus(tmp_path / "simulator", KIT) as kits:
        yield kits


def content(kit: KitProcess, name: str) -> bytes:
    kit.save()
    return (kit.kits[0].folder / name).read_bytes()


@pytest.fixture
def run(kit: KitProcess) -> Callable[..., str]:
    def run(*command: object) -> str:
        result = on_the_bus(kit.kits[0].folder.parent, *command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def hex_file(path: Path, size: int, start: int = 0) -> bytes:
    data = random.Random(7).randbytes(size)
    image = IntelHex()
    image.puts(start, data)
    image.write_hex_file(str(path))
    return data


def test_it_is_detected(kit: KitProcess) -> None:
    found = find_kit()
    assert (found.name, found.mcu) == ("AVR-IoT Cellular Mini", "AVR128DB48")
    assert found.kit.mcu == MCU
    assert mcu_by_name(MCU).flash.size == FLASH_SIZE
    assert mcu_by_name(MCU).flash.page_size == PAGE
    assert not found.kit.has_wifi


def test_ping_erase_write_verify_read(run: Callable[..., str], kit: KitProcess, tmp_path: Path) -> None:
    """Beyond 64 KiB too: addresses of flash have 17 bits."""
    assert "Ping response: 1E970C" in run("pymcuprog", "ping")
    data = hex_file(tmp_path / "image.hex", 70_000)
    run("pymcuprog", "erase")
    run("pymcuprog", "write", "-f", tmp_path / "image.hex")
    assert "Verify successful" in run("pymcuprog", "verify", "-f", tmp_path / "image.hex")
    run("pymcuprog", "read", "-m", "flash", "-o", "0x10000", "-b", "1000", "-f", tmp_path / "read.hex")
    assert IntelHex(str(tmp_path / "read.hex")).tobinstr(0x10000, 0x10000 + 999) == data[0x10000 : 0x10000 + 1000]
    assert content(kit, "flash.bin") == data.ljust(FLASH_SIZE, b"\xff")
    assert kit.meters()["target_flash_page_writes"] == -(-70_000 // PAGE)


def test_fuses_user_row_and_eeprom(run: Callable[..., str], kit: KitProcess) -> None:
    run("pymcuprog", "write", "-m", "fuses", "-o", "1", "-l", "0x02")
    run("pymcuprog", "write", "-m", "user_row", "-o", "4", "-l", "0x12", "0x34")
    run("pymcuprog", "write", "-m", "eeprom", "-o", "510", "-l", "1", "2")
    assert content(kit, "fuses.bin")[1] == 2
    assert content(kit, "user-row.bin")[4:6] == b"\x12\x34"
    assert content(kit, "eeprom.bin")[510:] == b"\x01\x02"


def test_registers_are_those_of_the_factory(run: Callable[..., str]) -> None:
    said = run("pydebuggerconfig", "read-board")
    for value in ("AVR-IoT Cellular Mini", "AVR128DB48", "0049"):
        assert f'"{value}"' in said


def test_a_target_whose_lock_bits_are_not_the_key_is_locked(run: Callable[..., str], kit: KitProcess) -> None:
    """Any byte of the four locks."""
    serial_number = kit.kits[0].serial_number
    with TargetProgrammer(serial_number, MCU) as programmer:
        lock_bits = mcu_by_name(MCU).areas["lockbits"]
        assert programmer.read(lock_bits, 0, 4) == bytes.fromhex("5cc5c55c")
    run("pymcuprog", "write", "-m", "lockbits", "-o", "2", "-l", "0")
    with pytest.raises(AccessError, match="locked"), TargetProgrammer(serial_number, MCU):
        pass


@pytest.mark.parametrize("name", ["avr-iot-cellular-mini-provisioning", "avr-iot-cellular-mini-aws-demo"])
def test_the_vendors_images_are_programmed_and_proved(kit: KitProcess, name: str) -> None:
    image = hex_image(name)
    with TargetProgrammer(kit.kits[0].serial_number, MCU) as programmer:
        assert programmer.first_difference(image) is not None
        programmer.program(image)
        programmer.verify(image)
    assert content(kit, "flash.bin") == bytes(image.flash).ljust(FLASH_SIZE, b"\xff")
    assert content(kit, "fuses.bin") == bytes.fromhex("0000000000c0080000")


def test_a_damaged_page_is_found(kit: KitProcess) -> None:
    image = hex_image("avr-iot-cellular-mini-provisioning")
    kit.faults(target_flip_after_writes=3)
    with TargetProgrammer(kit.kits[0].serial_number, MCU) as programmer:
        programmer.program(image)
        difference = programmer.first_difference(image)
    assert difference is not None and (difference.area, difference.address) == ("flash", 3 * PAGE)


@pytest.mark.parametrize(
    ("start", "data"),
    [(0x82_0005, b"\x02"), (0x83_0000, bytes(4)), (0x20000, b"\x00")],
)
def test_images_that_would_do_harm_are_refused(tmp_path: Path, start: int, data: bytes) -> None:
    """A fuse bit that does not exist, lock bits that lock, more than there is flash."""
    image: Any = IntelHex()
    image.puts(0, b"\x0c\x94\x00\x01" * 4)
    image.puts(start, data)
    image.write_hex_file(str(tmp_path / "image.hex"))
    with pytest.raises(UsageError):
        HexImage.load(tmp_path / "image.hex", MCU)


def test_an_image_for_the_other_mcu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        hex_image("avr-iot-cellular-mini-aws-demo", "atmega4808")
