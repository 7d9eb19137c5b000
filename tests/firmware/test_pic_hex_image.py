"""Intel HEX files for a PIC: four bytes an instruction, configuration words in flash, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from intelhex import IntelHex
from support.firmware_images import firmware_cache, hex_image, image_path

from iotprovision.errors import UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import mcu_by_name

MCU = "pic24fj128ga705"
GOTO = bytes.fromhex("0002040000000000")
ERASED = b"\xff\xff\xff\x00"
CONFIGURATION = 0x2BE00


def load(folder: Path, *parts: tuple[int, bytes]) -> HexImage:
    content = IntelHex()
    for address, data in parts:
        content.frombytes(data, offset=address)
    content.write_hex_file(str(folder / "image.hex"))
    return HexImage.load(folder / "image.hex", MCU)


def test_segments_are_whole_units(tmp_path: Path) -> None:
    image = load(tmp_path, (0, GOTO), (0x2004, b"\x12\x34\x56\x00"), (CONFIGURATION, b"\xff\xff\xff\x00"))
    held = {segment.offset: segment.data for segment in image.segments}
    assert held == {
        0: GOTO + 2 * ERASED,
        0x2000: ERASED + b"\x12\x34\x56\x00" + 2 * ERASED,
        CONFIGURATION: 4 * ERASED,
    }


def test_holes_hold_erased_instructions(tmp_path: Path) -> None:
    image = load(tmp_path, (0, GOTO), (0x0C, b"\x12\x34\x56\x00"), (0x108, b"\x01\x02\x03\x00"))
    (segment,) = image.segments
    filling = (0x108 - 0x10) // 4 * ERASED
    assert segment.data == GOTO + ERASED + b"\x12\x34\x56\x00" + filling + b"\x01\x02\x03\x00" + ERASED
    assert image.flash == segment.data


def test_the_byte_that_does_not_exist_may_be_left_out(tmp_path: Path) -> None:
    whole = load(tmp_path, (0, GOTO), (8, b"\x12\x34\x56\x00")).flash
    assert load(tmp_path, (0, GOTO[:7]), (8, b"\x12\x34\x56")).flash == whole


def test_the_digest_does_not_depend_on_what_is_erased_behind(tmp_path: Path) -> None:
    assert load(tmp_path, (0, GOTO)).flash_sha256 == load(tmp_path, (0, GOTO + 200 * ERASED)).flash_sha256


def test_what_was_read_makes_the_same_image(tmp_path: Path) -> None:
    image = hex_image("pic-iot-provisioning")
    flash = image.flash + ERASED * ((0x2C000 - len(image.flash)) // 4)
    saved = HexImage.of_memory(tmp_path / "saved.hex", MCU, {"flash": flash})
    saved.path.write_bytes(saved.as_hex())
    assert HexImage.load(saved.path, MCU).flash_sha256 == image.flash_sha256
    assert saved.size < image.size + 4096, "erased pages are left out"


def test_the_configuration_words_of_the_vendors_images_are_there() -> None:
    for image in firmware_cache().index.images:
        if image.mcu == MCU:
            reference = IntelHex(str(image_path(image.name)))
            flash = hex_image(image.name).flash
            for address in range(CONFIGURATION, CONFIGURATION + 0x5C):
                if address in reference.addresses():
                    assert flash[address] == reference[address]


def test_is_erased() -> None:
    mcu = mcu_by_name(MCU)
    assert mcu.is_erased(100 * ERASED)
    assert mcu.is_erased(ERASED[2:] + ERASED, 6)
    assert not mcu.is_erased(b"\xff" * 8)
    assert not mcu_by_name("atmega4808").is_erased(ERASED)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([(0, bytes.fromhex("0c9440010c945d01"))], "more than 24 bits"),
        ([(0, bytes.fromhex("0002370000000000"))], "does not begin with a jump"),
        ([(0, bytes.fromhex("0102040000000000"))], "does not begin with a jump"),
        ([(0, bytes.fromhex("0002040000000100"))], "does not begin with a jump"),
        ([(0, bytes.fromhex("000204000200 0000"))], "does not begin with a jump"),
        ([(0x400, GOTO)], "nothing at address 0"),
        ([(0, GOTO), (0x2BFFC, b"\xff" * 3 + b"\0" + GOTO)], "too large"),
        ([(0, GOTO), (CONFIGURATION, b"\x7f\xff\xff\x00")], "code protection"),
    ],
)
def test_refused(tmp_path: Path, parts: list[tuple[int, bytes]], reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(tmp_path, *parts)
    assert reason in str(raised.value)


@pytest.mark.parametrize("name", ["avr-iot-provisioning", "sam-iot-wg-provisioning"])
def test_an_image_for_another_mcu_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        hex_image(name, MCU)


def test_an_image_for_the_pic_is_refused_for_an_avr() -> None:
    with pytest.raises(UsageError):
        hex_image("pic-iot-provisioning", "atmega4808")
