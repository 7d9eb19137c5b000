"""The flash of the debugger's own chip, as far as its firmware lies in it, and what makes that firmware start.

The area begins at 0x2000, behind the boot loader, and ends at 0x3E000, before the configuration. Its last four bytes
hold a CRC over the others, which the boot loader writes at the end of an upgrade. The host never sees the CRC; that it
is CRC-32, and compared at each start, is the simulator's own choice.
"""

from __future__ import annotations

import zlib

BASE_ADDRESS = 0x2000
SIZE = 0x3E000 - BASE_ADDRESS
CRC_SIZE = 4
BLANK = 0xFF
UNKNOWN_VERSION = "0.0.0"

# The vendor's image 1.30.35 ends with FF 01 1E 00 23 00 FF 0F: major, minor, a zero, build in 16 bits. No other image
# was there to compare.
_END_SIZE = 8


def crc(flash: bytes | bytearray) -> bytes:
    """The CRC that belongs at the end of the area."""
    return zlib.crc32(flash[: SIZE - CRC_SIZE]).to_bytes(CRC_SIZE, "little")


def is_whole(flash: bytes | bytearray) -> bool:
    """Whether the firmware can be started: it was written to its end and the CRC after it."""
    return bytes(flash[SIZE - CRC_SIZE :]) == crc(flash)


def version(flash: bytes | bytearray) -> str:
    """What the firmware in the area says it is, e.g. ``1.30.35``; 0.0.0 where it does not say so in the known place."""
    end = bytes(flash[: SIZE - CRC_SIZE]).rstrip(bytes([BLANK]))[-_END_SIZE:]
    if len(end) < _END_SIZE or (end[0], end[3], end[6], end[7]) != (0xFF, 0x00, 0xFF, 0x0F):
        return UNKNOWN_VERSION
    return f"{end[1]}.{end[2]}.{int.from_bytes(end[4:6], 'little')}"


def image_end(firmware_version: str) -> bytes:
    """The last bytes of an image of that version.

    :raises ValueError: a number does not fit: major and minor have 8 bits, build 16
    """
    major, minor, build = (int(part) for part in firmware_version.split("."))
    try:
        return bytes([0xFF, major, minor, 0x00]) + build.to_bytes(2, "little") + bytes([0xFF, 0x0F])
    except OverflowError as error:
        raise ValueError(f"{firmware_version} is no version of a debugger") from error


def stand_in(firmware_version: str) -> bytearray:
    """An area that counts as firmware of that version; the factory's own image was never published."""
    flash = bytearray([BLANK]) * SIZE
    end = image_end(firmware_version)
    flash[: len(end)] = end
    flash[SIZE - CRC_SIZE :] = crc(flash)
    return flash
