"""Archives with firmware for the debugger: the vendor's, and others made of it."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

from intelhex import IntelHex

from support.firmware_images import image_path

VERSION = "1.30.35"
FACTORY_VERSION = "1.22.73"
BASE = 0x2000
MANIFEST = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<avrtools_firmware tool="{tool}" date="2023-10-25" release="">\n'
    '<image id="0x00" filename="{file}" major="{major}" minor="{minor}" build="{build}" type="MCU" pagesize="0x40" '
    'base_address="{base}" description="MCU firmware" md5="FFFF"/>\n</avrtools_firmware>\n'
)


def vendor_archive() -> Path:
    return image_path("nedbg-1.30.35")


@cache
def vendor_image() -> bytes:
    """The image from 0x2000 on."""
    with zipfile.ZipFile(vendor_archive()) as archive:
        content = IntelHex(io.StringIO(archive.read("nedbg.hex").decode("ascii")))
    assert content.segments() == [(BASE, BASE + 106148)]
    return bytes(content.tobinstr())


def image_of_version(version: str) -> bytes:
    """The vendor's image, saying that it is another version: its last eight bytes hold it."""
    major, minor, build = (int(part) for part in version.split("."))
    end = bytes([0xFF, major, minor, 0, build & 0xFF, build >> 8, 0xFF, 0x0F])
    return vendor_image()[: -len(end)] + end


def hex_text(image: bytes, address: int = BASE) -> str:
    content, text = IntelHex(), io.StringIO()
    content.frombytes(image, address)
    content.write_hex_file(text)
    return text.getvalue()


def manifest(version: str = VERSION, tool: str = "nedbg", file: str = "nedbg.hex", base: str = "0x002000") -> str:
    major, minor, build = version.split(".")
    return MANIFEST.format(tool=tool, file=file, major=major, minor=minor, build=build, base=base)


def write_zip(path: Path, **files: str) -> Path:
    """A zip; the names of its files are given with ``_`` for the dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            stem, _, suffix = name.rpartition("_")
            archive.writestr(f"{stem}.{suffix}", content)
    return path


def archive_of_version(path: Path, version: str) -> Path:
    return write_zip(path, avrtools_fw_xml=manifest(version), nedbg_hex=hex_text(image_of_version(version)))
