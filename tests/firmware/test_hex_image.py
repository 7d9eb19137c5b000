"""Intel HEX files: taken, or refused with the reason, before a kit is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from intelhex import IntelHex
from support.firmware_images import hex_image, image_path

from iotprovision.errors import ExitCode, UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.index import load_index

MCU = "atmega4808"
JUMP = bytes.fromhex("0c946f00")
FUSES_ADDRESS = 0x820000
HEX_IMAGES = [image for image in load_index().images if image.file.endswith(".hex")]


def hex_file(folder: Path, *parts: tuple[int, bytes]) -> Path:
    content = IntelHex()
    for address, data in parts:
        content.frombytes(data, offset=address)
    path = folder / "application.hex"
    content.write_hex_file(str(path))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as raised:
        HexImage.load(path, MCU)
    assert raised.value.exit_code == ExitCode.USAGE
    assert str(path) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("image", HEX_IMAGES, ids=lambda image: image.name)
def test_of_the_vendors_images_exactly_those_for_the_mcu_are_taken(image) -> None:
    if image.mcu == MCU:
        assert HexImage.load(image_path(image.name), "ATmega4808").size > 10000
    else:
        assert MCU in refusal(image_path(image.name))


@pytest.mark.parametrize("name", [image.name for image in HEX_IMAGES if image.mcu == MCU])
def test_the_content_is_that_of_the_file(name: str) -> None:
    reference = IntelHex(str(image_path(name)))
    image = hex_image(name)
    addresses = {"flash": 0, "fuses": FUSES_ADDRESS}
    taken = {
        addresses[segment.area.name] + segment.offset + index: value
        for segment in image.segments
        for index, value in enumerate(segment.data)
    }
    for address in reference.addresses():
        assert taken.pop(address) == reference[address]
    assert set(taken.values()) <= {0xFF}, "only holes are added, as the erased flash has them"


@pytest.mark.parametrize("name", [image.name for image in HEX_IMAGES if image.mcu == MCU])
def test_no_flash_page_is_in_two_segments(name: str) -> None:
    pages: set[int] = set()
    for segment in hex_image(name).segments:
        if segment.area.name == "flash":
            own = set(range(segment.offset // 128, (segment.end - 1) // 128 + 1))
            assert not own & pages
            pages |= own


def test_the_vendors_fuses_are_kept() -> None:
    (fuses,) = [segment for segment in hex_image("avr-iot-provisioning").segments if segment.area.name == "fuses"]
    assert (fuses.offset, fuses.data.hex()) == (0, "0000020000c0070000")


def test_a_far_part_of_the_flash_stays_a_segment_of_its_own(tmp_path: Path) -> None:
    image = HexImage.load(hex_file(tmp_path, (0, JUMP), (0x8000, b"text")), MCU)
    assert [(segment.offset, segment.data) for segment in image.segments] == [(0, JUMP), (0x8000, b"text")]
    assert image.flash[0x7FFF:] == b"\xfftext"


def test_chunks_end_at_multiples_of_their_size(tmp_path: Path) -> None:
    image = HexImage.load(hex_file(tmp_path, (0, JUMP), (0x1064, bytes(range(250)))), MCU)
    chunks = list(image.segments[1].chunks(128))
    assert [(chunk.offset, len(chunk.data)) for chunk in chunks] == [(0x1064, 28), (0x1080, 128), (0x1100, 94)]
    assert b"".join(chunk.data for chunk in chunks) == bytes(range(250))


def test_images_that_leave_the_same_flash_have_the_same_hash(tmp_path: Path) -> None:
    first = HexImage.load(hex_file(tmp_path, (0, JUMP)), MCU).flash_sha256
    second = HexImage.load(hex_file(tmp_path, (0, JUMP + b"\xff" * 40)), MCU).flash_sha256
    third = HexImage.load(hex_file(tmp_path, (0, JUMP + b"\x00")), MCU).flash_sha256
    assert first == second != third


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "application.hex")


def test_a_folder(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\r\n \n"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "application.hex"
    path.write_bytes(content)
    assert "empty" in refusal(path)


def test_a_file_with_an_end_and_no_data(tmp_path: Path) -> None:
    path = tmp_path / "application.hex"
    path.write_text(":00000001FF\n")
    assert "without any data" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"This is not a program.\n",
        b"\x7fELF\x01\x01\x01\xff\xfe\xfd" * 20,
        b":0400000068696A6B00\n",  # wrong checksum
        b":10000000",  # cut off
        "schlüssel\n".encode("utf-16"),
        b":0400000068696A6B56\n:0400020068696A6B54\n:00000001FF\n",  # two records for the same bytes
    ],
)
def test_what_is_not_intel_hex(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "application.hex"
    path.write_bytes(content)
    assert "not an Intel HEX file" in refusal(path)


def test_a_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "application.hex"
    path.write_bytes(b":00000001FF\n" * 1_000_000)
    assert "more than any MCU" in refusal(path)


@pytest.mark.parametrize("address", [0xBFFF, 0xC000, 0x10000])
def test_more_flash_than_the_mcu_has(tmp_path: Path, address: int) -> None:
    reason = refusal(hex_file(tmp_path, (0, JUMP), (address, b"\x01\x02")))
    assert "too large" in reason
    assert "0xBFFF" in reason


def test_the_whole_flash_fits(tmp_path: Path) -> None:
    assert HexImage.load(hex_file(tmp_path, (0, JUMP), (0xBFFE, b"\x01\x02")), MCU).segments[-1].end == 0xC000


@pytest.mark.parametrize("address", [0x804000, 0x820009, 0x840000, 0x1000000])
def test_an_address_where_the_mcu_has_no_memory(tmp_path: Path, address: int) -> None:
    assert f"0x{address:X}" in refusal(hex_file(tmp_path, (0, JUMP), (address, b"\x01")))


def test_eeprom_and_user_row_are_taken(tmp_path: Path) -> None:
    path = hex_file(tmp_path, (0, JUMP), (0x810010, b"eeprom"), (0x850000, b"row"))
    found = [(segment.area.name, segment.offset, segment.data) for segment in HexImage.load(path, MCU).segments[1:]]
    assert found == [("eeprom", 16, b"eeprom"), ("user_row", 0, b"row")]


def test_nothing_where_the_mcu_starts(tmp_path: Path) -> None:
    assert "address 0" in refusal(hex_file(tmp_path, (0x200, JUMP)))


def test_no_avr_program(tmp_path: Path) -> None:
    # A program for an Arm core begins with the address of its stack.
    assert "jump" in refusal(hex_file(tmp_path, (0, bytes.fromhex("f87f0020b5010000"))))


def test_fuses_of_another_avr(tmp_path: Path) -> None:
    # SYSCFG1 of an AVR128DB48 has a bit that the ATmega4808 lacks.
    fuses = bytes.fromhex("0000000000c0080000")
    assert "fuse 6" in refusal(hex_file(tmp_path, (0, JUMP), (FUSES_ADDRESS, fuses)))


def test_lock_bits_that_lock(tmp_path: Path) -> None:
    assert "lock bits" in refusal(hex_file(tmp_path, (0, JUMP), (0x830000, b"\x00")))


def test_lock_bits_that_do_not_lock(tmp_path: Path) -> None:
    assert HexImage.load(hex_file(tmp_path, (0, JUMP), (0x830000, b"\xc5")), MCU).segments[-1].area.name == "lockbits"


def test_an_unknown_mcu(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="atmega9999"):
        HexImage.load(hex_file(tmp_path, (0, JUMP)), "atmega9999")
