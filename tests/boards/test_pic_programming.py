"""Programming a PIC with the vendor's pymcuprog and scripts, in a process of its own, on a simulated kit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from intelhex import IntelHex
from support.firmware_images import firmware_cache, hex_image, image_path
from support.simulated import kits_on_the_bus, on_the_bus

from iotprovision.boards.nedbg.programming import Difference, TargetProgrammer, reset_target
from iotprovision.boards.nedbg.script_session import ScriptSession
from iotprovision.errors import AccessError, ExitCode, KitNotFoundError, ProofError, ProvisioningError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.usb.host import KitProcess

MCU = "PIC24FJ128GA705"
KIT = "pic-iot-wa"
PROVISIONING, DEMO = "pic-iot-provisioning", "pic-iot-aws-demo"
ERASED = b"\xff\xff\xff\x00"
PAGE = 512


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitProcess]:
    with kits_on_the_bus(tmp_path_factory.mktemp("kits"), KIT) as kits:
        yield kits


@pytest.fixture
def kits(served: KitProcess) -> Iterator[KitProcess]:
    yield served
    served.faults(**Faults().as_dict())
    served.plug_in()


@pytest.fixture
def small_image(tmp_path: Path) -> HexImage:
    """Ten pages, so that tests are quick."""
    content = IntelHex()
    instructions = bytes.fromhex("0002040000000000") + b"".join(bytes([n % 255, 0x12, 0x34, 0]) for n in range(1278))
    content.frombytes(instructions)
    content.write_hex_file(str(tmp_path / "small.hex"))
    return HexImage.load(tmp_path / "small.hex", MCU)


def serial_number(kits: KitProcess) -> str:
    return kits.kits[0].serial_number


def flash(kits: KitProcess) -> bytes:
    kits.save()
    return (kits.folder / "flash.bin").read_bytes()


@pytest.mark.parametrize("name", [PROVISIONING, DEMO, "pic-iot-azure-demo"])
def test_a_vendor_image_is_programmed_and_proved(kits: KitProcess, name: str) -> None:
    image = hex_image(name)
    written, verified = [], []
    with TargetProgrammer(serial_number(kits), MCU) as target:
        assert target.first_difference(image) is not None
        target.program(image, lambda done, total: written.append((done, total)))
        target.verify(image, lambda done, total: verified.append((done, total)))
    assert written[-1] == verified[-1] == (image.size, image.size)
    reference, content = IntelHex(str(image_path(name))), flash(kits)
    assert len(content) == 0x2C000
    for address in reference.addresses():
        assert content[address] == reference[address], f"0x{address:X}"
    covered = set(reference.addresses())
    for start in range(0, len(content), 4):
        if start not in covered:
            assert content[start : start + 4] == ERASED, f"0x{start:X}"
    check_with_the_vendors_tool(kits, name)


def check_with_the_vendors_tool(kits: KitProcess, name: str) -> None:
    """pymcuprog without our code."""
    pack = firmware_cache().scripts_for(MCU)
    command = ["pymcuprog.pymcuprog", "verify", "-t", "nedbg", "-d", MCU.lower(), "-p", pack, "-f", image_path(name)]
    done = on_the_bus(kits.folder.parent, sys.executable, "-B", "-m", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verify successful" in done.stdout


def test_comparing_stops_at_the_first_difference(kits: KitProcess, small_image: HexImage) -> None:
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
        assert target.first_difference(small_image) is None
        before = kits.meters()
        assert target.first_difference(hex_image(PROVISIONING)) == Difference("flash", 1, expected=0x01, found=0x02)
    assert kits.meters()["hid_transactions"] - before["hid_transactions"] < 40
    assert kits.meters()["target_flash_erases"] == before["target_flash_erases"]


def test_every_row_is_written_once(kits: KitProcess, small_image: HexImage) -> None:
    before = kits.meters()
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
    after = kits.meters()
    assert after["target_flash_erases"] - before["target_flash_erases"] == 1
    assert after["target_flash_page_writes"] - before["target_flash_page_writes"] == 10


def test_a_bit_that_did_not_take_is_found_at_its_address(kits: KitProcess, small_image: HexImage) -> None:
    kits.faults(target_flip_after_writes=3)
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
        with pytest.raises(ProofError, match="read back") as raised:
            target.verify(small_image)
    expected = small_image.flash[3 * PAGE]
    assert f"flash 0x0600: expected 0x{expected:02X}, found 0x{expected ^ 1:02X}" in raised.value.why


def test_the_firmware_starts_when_the_session_ends(kits: KitProcess) -> None:
    with serial.serial_for_url(kits.kits[0].uart, timeout=5) as line:
        with TargetProgrammer(serial_number(kits), MCU) as target:
            target.program(hex_image(PROVISIONING))
            line.timeout = 0
            assert line.read(1) == b""
            line.timeout = 5
        assert line.readline() == b"Welcome to the PIC-IoT command handler!\r\n"
        assert line.read_until(b"READY\r\n").endswith(b"READY\r\n")
        reset_target(serial_number(kits), MCU)
        assert line.readline() == b"Welcome to the PIC-IoT command handler!\r\n"


def test_the_modules_of_this_process_stay_as_they_are(kits: KitProcess) -> None:
    modules, path = set(sys.modules), list(sys.path)
    reset_target(serial_number(kits), MCU)
    assert sys.path == path
    assert modules <= set(sys.modules)
    assert not {"gen4engineinterface", "common", "common.picdevice"} & set(sys.modules)


def test_nothing_compiled_is_left_with_the_scripts(kits: KitProcess) -> None:
    reset_target(serial_number(kits), MCU)
    assert not list(firmware_cache().scripts_for(MCU).rglob("*.pyc"))


def test_a_locked_mcu_says_what_unlocking_costs(kits: KitProcess, small_image: HexImage) -> None:
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
    kits.faults(target_locked=True)
    with pytest.raises(AccessError, match="locked") as raised, TargetProgrammer(serial_number(kits), MCU):
        pytest.fail("a locked MCU was opened")
    assert "erases all" in raised.value.why
    assert raised.value.exit_code == ExitCode.ACCESS
    unlock = raised.value.hint.split()
    assert unlock[0] == "pymcuprog"
    done = on_the_bus(kits.folder.parent, sys.executable, "-B", "-m", "pymcuprog.pymcuprog", *unlock[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    with TargetProgrammer(serial_number(kits), MCU) as target:
        assert target.first_difference(small_image) is not None


def test_an_mcu_without_power_is_named(kits: KitProcess) -> None:
    kits.faults(target_unpowered=True)
    with pytest.raises(AccessError, match="no power"), TargetProgrammer(serial_number(kits), MCU):
        pytest.fail("an MCU without power was opened")


def test_another_mcu_is_noticed(kits: KitProcess) -> None:
    with pytest.raises(AccessError), TargetProgrammer(serial_number(kits), "atmega4808"):
        pytest.fail("a PIC was taken for an AVR")


def test_an_unplugged_kit_is_named(kits: KitProcess, small_image: HexImage) -> None:
    with pytest.raises(ProvisioningError) as raised, TargetProgrammer(serial_number(kits), MCU) as target:
        kits.faults(unplug_after_transactions=20)
        target.program(small_image)
    assert isinstance(raised.value, (AccessError, KitNotFoundError))
    with pytest.raises(KitNotFoundError, match=serial_number(kits)):
        reset_target(serial_number(kits), MCU)
    kits.plug_in()
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
        target.verify(small_image)


def test_a_busy_debugger_is_named(kits: KitProcess) -> None:
    with TargetProgrammer(serial_number(kits), MCU), pytest.raises(AccessError, match="cannot be opened"):
        reset_target(serial_number(kits), MCU)
    reset_target(serial_number(kits), MCU)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_process_may_die(kits: KitProcess, small_image: HexImage) -> None:
    session = ScriptSession(serial_number(kits), MCU.lower(), firmware_cache().scripts_for(MCU))
    os.kill(session._process.pid, signal.SIGKILL)
    with pytest.raises(AccessError, match="process that programs the MCU"):
        session.read("flash", 0, 16)
    session.abandon()
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(small_image)
        target.verify(small_image)


def test_the_process_ends_with_the_one_that_started_it(kits: KitProcess) -> None:
    """Killed, so that it can tell nobody; the MCU must run all the same."""
    with TargetProgrammer(serial_number(kits), MCU) as target:
        target.program(hex_image(PROVISIONING))
    program = (
        "import os, sys\n"
        "from iotprovision.boards.nedbg.programming import TargetProgrammer\n"
        f"TargetProgrammer({serial_number(kits)!r}, {MCU!r}).__enter__()\n"
        "print('open', flush=True)\n"
        "os._exit(1)\n"
    )
    with serial.serial_for_url(kits.kits[0].uart, timeout=10) as line:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout == "open\n", done.stderr
        assert line.read_until(b"READY\r\n").endswith(b"READY\r\n")
