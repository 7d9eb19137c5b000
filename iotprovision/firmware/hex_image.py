"""An Intel HEX file, judged before anything is done with it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from intelhex import HexReaderError, IntelHex

from iotprovision.errors import UsageError
from iotprovision.firmware.mcu import FLASH, FUSES, LOCK_BITS, Area, Mcu, mcu_by_name

BLANK = 0xFF

# A text of many megabytes is no image for MCUs that have at most some hundred kilobytes.
LARGEST_FILE = 8 * 1024 * 1024

# AVR instruction set manual: JMP is 1001 010k kkkk 110k, RJMP is 1100 kkkk kkkk kkkk.
_JMP_MASK, _JMP = 0xFE0E, 0x940C
_RJMP_MASK, _RJMP = 0xF000, 0xC000
# 16-bit MCU and DSC Programmer's Reference Manual: GOTO is 04 and the lower address bits, then the upper seven bits.
_GOTO = 0x04
# PIC24FJ256GA705 family data sheet, configuration word FSEC at 0x15F00: bits 7 and 6 are set where nothing is
# protected.
_FSEC, _FSEC_GSS = 0x2BE00, 0xC0


@dataclass(frozen=True)
class Segment:
    """Bytes that lie together in one memory.

    :param offset: from the start of the memory
    """

    area: Area
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.data)

    def chunks(self, size: int) -> Iterator[Segment]:
        """The segment in parts that end at multiples of ``size`` bytes."""
        offset = self.offset
        while offset < self.end:
            stop = min(self.end, (offset // size + 1) * size)
            yield Segment(self.area, offset, self.data[offset - self.offset : stop - self.offset])
            offset = stop


@dataclass(frozen=True)
class HexImage:
    """The content of an Intel HEX file for one MCU.

    :param segments: sorted; no flash page belongs to two of them, because flash pages are written once after an erase.
        Holes between records that share a page, or lie in neighbouring pages, are filled with what is erased, and so
        are the units of flash that a segment begins and ends in
    """

    path: Path
    mcu: Mcu
    segments: tuple[Segment, ...]

    @classmethod
    def load(cls, path: Path, mcu: str) -> HexImage:
        """Read and judge a file.

        :param mcu: name of the MCU it is meant for, in any letter case
        :raises UsageError: missing, empty, not Intel HEX, too large, or for another MCU
        """
        return _judged(path, _text(path), mcu_by_name(mcu).name)

    @classmethod
    def of_memory(cls, path: Path, mcu: str, content: Mapping[str, bytes]) -> HexImage:
        """What was read from an MCU.

        :param path: where it is kept
        :param content: each memory from its start, by its name; pages of a memory that are erased are left out, fuses
            never are
        """
        target = mcu_by_name(mcu)
        segments = []
        for name, data in content.items():
            area = target.areas[name]
            step = max(area.page_size, 1) if name != FUSES else len(data)
            for start in range(0, len(data), step):
                page = data[start : start + step]
                erased = target.erased_flash(start, len(page)) if name == FLASH else bytes([BLANK]) * len(page)
                if name == FUSES or page != erased:
                    segments.append(Segment(area, start, page))
        return cls(path, target, tuple(_joined(segments)))

    def as_hex(self) -> bytes:
        """The image as an Intel HEX file."""
        file = IntelHex()
        for segment in self.segments:
            file.frombytes(segment.data, offset=segment.area.hex_address + segment.offset)
        text = io.StringIO()
        file.write_hex_file(text)
        return text.getvalue().encode("ascii")

    @property
    def size(self) -> int:
        """Bytes in all segments."""
        return sum(len(segment.data) for segment in self.segments)

    @property
    def flash(self) -> bytes:
        """The flash from address 0 to the last byte of the image; what is not in the image is erased."""
        parts = [segment for segment in self.segments if segment.area.name == FLASH]
        content = bytearray(self.mcu.erased_flash(0, max((segment.end for segment in parts), default=0)))
        for segment in parts:
            content[segment.offset : segment.end] = segment.data
        return bytes(content)

    def flash_gaps(self, size: int) -> list[tuple[int, int]]:
        """Start and end of each stretch of a flash of ``size`` bytes that the image does not fill."""
        edges = [0]
        for segment in self.segments:
            if segment.area.name == FLASH:
                edges += [segment.offset, segment.end]
        edges.append(size)
        return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]

    @property
    def flash_sha256(self) -> str:
        """Of the flash without its erased end: equal for images that leave the flash equal. Lower-case hex digits."""
        return hashlib.sha256(self.mcu.without_erased_end(self.flash)).hexdigest()


@lru_cache(maxsize=8)
def _judged(path: Path, text: bytes, mcu: str) -> HexImage:
    """A run looks at the same few images several times, and to parse one takes long."""
    target = mcu_by_name(mcu)
    image = HexImage(path, target, _segments(_parse(path, text), target, path))
    _check_target(image)
    return image


def _text(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _refusal(path, f"It has {path.stat().st_size} bytes, which is more than any MCU of a kit can take.")
        text = path.read_bytes()
    except FileNotFoundError:
        raise _refusal(path, "There is no such file.") from None
    except IsADirectoryError:
        raise _refusal(path, "It is a folder.") from None
    except OSError as error:
        raise _refusal(path, "It is a folder." if path.is_dir() else str(error)) from error
    if not text.strip():
        raise _refusal(path, "The file is empty.")
    return text


def _parse(path: Path, text: bytes) -> IntelHex:
    content = IntelHex()
    try:
        content.loadhex(io.StringIO(text.decode("ascii")))
    except HexReaderError as error:
        raise _refusal(path, f"It is not an Intel HEX file: {error}.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise _refusal(path, "It is not an Intel HEX file: it is not text.") from error
    if not len(content):
        raise _refusal(path, "It is an Intel HEX file without any data.")
    return content


def _segments(content: IntelHex, mcu: Mcu, path: Path) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for start, stop in content.segments():
        area = _area_at(start, stop, mcu, path)
        data = bytes(content.tobinarray(start=start, end=stop - 1))
        segment = _whole_units(Segment(area, start - area.hex_address, data), mcu)
        previous = segments[-1] if segments and segments[-1].area == area else None
        if (
            area.name == FLASH
            and previous
            and segment.offset // area.page_size <= (previous.end - 1) // area.page_size + 1
        ):
            segments[-1] = _merged(previous, segment, mcu)
        else:
            segments.append(segment)
    return tuple(segments)


def _whole_units(segment: Segment, mcu: Mcu) -> Segment:
    """The segment, begun and ended where units of flash do, where these are also only written together."""
    if segment.area.name != FLASH or not mcu.programmed_with_scripts:
        return segment
    unit = segment.area.unit
    start = segment.offset // unit * unit
    end = -(-segment.end // unit) * unit
    before, behind = segment.offset - start, end - segment.end
    data = mcu.erased_flash(start, before) + segment.data + mcu.erased_flash(segment.end, behind)
    return Segment(segment.area, start, data)


def _merged(first: Segment, second: Segment, mcu: Mcu) -> Segment:
    """Two segments of flash as one. Of whole units, they may share one: then what is erased in one is the other's."""
    if second.offset >= first.end:
        hole = mcu.erased_flash(first.end, second.offset - first.end)
        return Segment(first.area, first.offset, first.data + hole + second.data)
    shared = first.end - second.offset
    erased = mcu.erased_flash(second.offset, shared)
    both = bytes(
        old if new == blank else new
        for old, new, blank in zip(first.data[-shared:], second.data[:shared], erased, strict=True)
    )
    return Segment(first.area, first.offset, first.data[:-shared] + both + second.data[shared:])


def _joined(segments: Iterable[Segment]) -> list[Segment]:
    """Segments that touch, as one."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last and last.area == segment.area and last.end == segment.offset:
            joined[-1] = Segment(last.area, last.offset, last.data + segment.data)
        else:
            joined.append(segment)
    return joined


def _area_at(start: int, stop: int, mcu: Mcu, path: Path) -> Area:
    for area in mcu.areas.values():
        if area.hex_address <= start < area.hex_end:
            if stop <= area.hex_end:
                return area
            if area.name == FLASH:
                break
    flash = mcu.flash
    other_areas = [area.hex_address for area in mcu.areas.values() if area.name != FLASH]
    if stop > flash.size and start < min(other_areas, default=1 << 32):
        raise _refusal(
            path,
            f"It is too large, or for another MCU: it fills addresses up to 0x{stop - 1:X}, "
            f"and the {flash.size // 1024} KiB of flash of the {mcu.name} end at 0x{flash.hex_end - 1:X}.",
        )
    raise _refusal(
        path, f"It has data at address 0x{start:X}, where the {mcu.name} has no memory; is it for another MCU?"
    )


def _check_target(image: HexImage) -> None:
    flash = image.flash
    if len(flash) < 4 or image.mcu.is_erased(flash[:4]):
        raise _refusal(image.path, "It has nothing at address 0, where the MCU starts.")
    if image.mcu.architecture == "PIC24":
        _check_pic24(image)
    if image.mcu.ram is not None:
        _check_vector_table(image, *image.mcu.ram)
    if image.mcu.architecture != "avr8x":
        return
    first = int.from_bytes(flash[:2], "little")
    if first & _JMP_MASK != _JMP and first & _RJMP_MASK != _RJMP:
        raise _other_mcu(image, "it does not begin with a jump, as a program for this MCU does")
    vectors = 0
    while int.from_bytes(flash[4 * vectors : 4 * vectors + 2], "little") & _JMP_MASK == _JMP:
        vectors += 1
    if image.mcu.vectors and vectors > image.mcu.vectors:
        raise _other_mcu(image, f"it has {vectors} interrupt vectors, this MCU has {image.mcu.vectors} at most")
    for segment in image.segments:
        if segment.area.name == FUSES and image.mcu.fuse_bits:
            _check_fuses(image, segment)
        if segment.area.name == LOCK_BITS and segment.data != image.mcu.unlocked:
            raise _refusal(
                image.path,
                "It sets the lock bits: afterwards nobody could read or program the MCU without erasing all of it.",
            )


def _check_pic24(image: HexImage) -> None:
    flash = image.flash
    if any(flash[3::4]):
        raise _other_mcu(image, "it has more than 24 bits in an instruction")
    target = int.from_bytes(flash[:2], "little") | (flash[4] & 0x7F) << 16 if len(flash) >= 8 else 1
    if flash[2] != _GOTO or target & 1 or any(flash[5:8]) or not 0 < target < image.mcu.flash.size // 2:
        raise _other_mcu(image, "it does not begin with a jump into its flash, as a program for this MCU does")
    security = flash[_FSEC : _FSEC + 1] or bytes([BLANK])
    if security[0] & _FSEC_GSS != _FSEC_GSS:
        raise _refusal(
            image.path,
            "It sets code protection: afterwards nobody could read or program the MCU without erasing all of it.",
        )


def _check_vector_table(image: HexImage, ram_start: int, ram_end: int) -> None:
    """ARMv6-M: the first word is the stack pointer, the second the address of the first instruction, with bit 0 set."""
    flash = image.flash
    stack, reset = int.from_bytes(flash[:4], "little"), int.from_bytes(flash[4:8], "little")
    if not ram_start < stack <= ram_end or stack % 4:
        raise _other_mcu(image, f"it begins with 0x{stack:08X}, where a stack pointer into its RAM belongs")
    if not reset & 1 or reset >= len(flash):
        raise _other_mcu(image, f"its second word 0x{reset:08X} is not the address of a Thumb instruction in it")


def _check_fuses(image: HexImage, segment: Segment) -> None:
    for number, value in enumerate(segment.data, start=segment.offset):
        if number in image.mcu.fuse_bits and value & ~image.mcu.fuse_bits[number]:
            raise _other_mcu(image, f"fuse {number} is 0x{value:02X}, which sets bits that this MCU does not have")


def _other_mcu(image: HexImage, reason: str) -> UsageError:
    return _refusal(image.path, f"It is not for the {image.mcu.name}: {reason}.")


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"Cannot use the firmware file {path}", reason, "give an Intel HEX file built for the MCU of the kit."
    )
