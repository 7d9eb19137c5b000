"""An archive with firmware for the debugger, judged before the debugger is touched.

A zip with ``avrtools_fw.xml``, which names tool, version and image, and the image as Intel HEX. Nothing in it is signed
and its checksum is a constant, so what can be judged is whether the parts fit together and fit an nEDBG.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from intelhex import HexReaderError, IntelHex

from iotprovision.errors import UsageError

MANIFEST = "avrtools_fw.xml"
TOOL = "nedbg"
IMAGE_FILE = "nedbg.hex"
PRODUCT = "nEDBG"

# The chip of the debugger (SAMD21, 256 KiB): its boot loader lies below, its configuration from 0x3F000 on. The boot
# loader puts a CRC into the last four bytes of what is left.
BASE_ADDRESS = 0x2000
END_ADDRESS = 0x3E000 - 4
RAM = range(0x2000_0000, 0x2000_8000 + 1)
VECTORS_SIZE = 0x40

# The vendor's archive unpacks to 0.3 MB.
LARGEST_FILE = 8 * 1024 * 1024
LARGEST_MANIFEST = 64 * 1024

Version = tuple[int, int, int]


def parse_version(text: str) -> Version:
    """``1.30.35`` as numbers, which compare as versions do.

    :raises ValueError: it is not three numbers
    """
    major, minor, build = (int(part) for part in text.split("."))
    return major, minor, build


@dataclass(frozen=True)
class DebuggerArchive:
    """Firmware for the debugger.

    :param version: major.minor.build, as the manifest says
    :param hex_text: the image, an Intel HEX file
    :param size: bytes of the image
    """

    path: Path
    version: str
    hex_text: bytes
    size: int

    @classmethod
    def load(cls, path: Path) -> DebuggerArchive:
        """Read and judge an archive.

        :raises UsageError: it is missing, no zip, has no manifest, is for another tool, or its image is not one for the
            debugger
        """
        try:
            with zipfile.ZipFile(path) as archive:
                version = _version(_read(archive, MANIFEST, LARGEST_MANIFEST))
                hex_text = _read(archive, IMAGE_FILE, LARGEST_FILE)
        except FileNotFoundError:
            raise _refusal(path, "There is no such file.") from None
        except zipfile.BadZipFile as error:
            raise _refusal(path, f"It is not a zip archive, or a damaged one: {str(error).lower()}.") from error
        except (OSError, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise _refusal(path, "It is a folder." if path.is_dir() else f"It cannot be read: {error}.") from error
        except _UnusableError as error:
            raise _refusal(path, str(error)) from error
        try:
            return cls(path, version, hex_text, len(_judged(hex_text)))
        except _UnusableError as error:
            raise _refusal(path, f"{IMAGE_FILE} in it {error}") from error


class _UnusableError(Exception):
    """What is wrong with the archive, as a sentence."""


def _read(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise _UnusableError(
            f"It has no {name}; an archive of debugger firmware has {MANIFEST} and {IMAGE_FILE}."
        ) from None
    with archive.open(entry) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise _UnusableError(f"{name} in it has more than {largest} bytes.")
    return content


def _version(manifest: bytes) -> str:
    """What the manifest says about the image for the nEDBG."""
    try:
        root = ElementTree.fromstring(manifest)  # noqa: S314 - small, and chosen by the user
    except ElementTree.ParseError as error:
        raise _UnusableError(f"{MANIFEST} in it is not XML: {error}.") from error
    tool = root.get("tool", "")
    if tool.lower() != TOOL:
        raise _UnusableError(f"It is for the debugger '{tool}', and the kits have an '{TOOL}'.")
    for image in root:
        if image.get("filename") == IMAGE_FILE:
            break
    else:
        raise _UnusableError(f"{MANIFEST} in it names no {IMAGE_FILE}.")
    numbers = [image.get(name, "") for name in ("major", "minor", "build")]
    if not all(number.isascii() and number.isdecimal() and len(number) <= 5 for number in numbers):
        raise _UnusableError(f"{MANIFEST} in it says no version of {IMAGE_FILE}.")
    base = image.get("base_address", "")
    try:
        is_elsewhere = int(base, 16) != BASE_ADDRESS
    except ValueError:
        is_elsewhere = True
    if is_elsewhere:
        raise _UnusableError(f"{MANIFEST} in it has the base address '{base}', and not 0x{BASE_ADDRESS:06X}.")
    return ".".join(str(int(number)) for number in numbers)


@lru_cache(maxsize=2)
def _judged(hex_text: bytes) -> bytes:
    """The image from its first to its last byte."""
    content = IntelHex()
    try:
        content.loadhex(io.StringIO(hex_text.decode("ascii")))
    except (HexReaderError, UnicodeDecodeError, ValueError) as error:
        raise _UnusableError(f"is no Intel HEX file: {error}.") from error
    if not len(content):
        raise _UnusableError("is empty.")
    start, end = content.minaddr(), content.maxaddr() + 1
    if start != BASE_ADDRESS or end > END_ADDRESS:
        raise _UnusableError(
            f"fills addresses 0x{start:X} to 0x{end - 1:X}; the firmware of the debugger begins at 0x{BASE_ADDRESS:X} "
            f"and ends below 0x{END_ADDRESS:X}."
        )
    image = bytes(content.tobinstr())
    if len(image) < VECTORS_SIZE:
        raise _UnusableError(f"has {len(image)} bytes only.")
    # ARMv6-M: the first word is the stack pointer, the second the address of the first instruction, its bit 0 set
    stack, first = (int.from_bytes(image[offset : offset + 4], "little") for offset in (0, 4))
    if stack not in RAM or not first & 1 or not start <= first < end:
        raise _UnusableError("does not begin like a program for the chip of the debugger.")
    if PRODUCT.encode("ascii") not in image and PRODUCT.encode("utf-16-le") not in image:
        raise _UnusableError(f"does not have the name {PRODUCT} in it; it is for another device.")
    return image


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"Cannot use {path} as firmware of the debugger",
        reason,
        f"give the vendor's archive ({TOOL}_fw.zip), or leave out -A for the one that comes with this version",
    )
