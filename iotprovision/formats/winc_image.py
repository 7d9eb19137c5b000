"""An image of the Wi-Fi module's flash, and what of it belongs on a module that is in use."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iotprovision.errors import UsageError
from iotprovision.formats.winc_flash import (
    BOOT_FIRMWARE,
    CALIBRATION,
    CLIENT_AREA,
    CONTROL,
    ERASED,
    HOST_FILES,
    ROOT_STORE,
    SECTOR,
    SIZE,
    WIFI_CONNECTION,
    FlashArea,
)

KEPT_AREAS = {
    CALIBRATION: "calibration",
    ROOT_STORE: "root certificates",
    CLIENT_AREA: "client certificates, thing name and endpoint",
    WIFI_CONNECTION: "saved Wi-Fi connection",
    HOST_FILES: "host files",
}
"""What a module does not get from its firmware: it stays as it is wherever it holds anything."""

FACTORY_ROOT_STORES = {
    "ee69ec114ce265ac13a17358a7978f3c49988a954e4cc795d5e674bb8cf333d4",  # in firmware 19.7.6
    "c2f59ac19910f80cdfd89ff88400df370a349227f61fafc1a4e10225ac8712e7",  # in firmware 19.7.7
}
"""SHA-256 of sectors with root certificates that came with a firmware: nobody chose these, so they may be renewed."""

COMMIT_SECTOR = CONTROL.address
COMMIT_SECTORS = (BOOT_FIRMWARE.address, COMMIT_SECTOR)
"""Written last, when all others have been read back: what they hold tells whether an upgrade came to its end."""

# The control section: magic number, then at 16 the address of the firmware that is to be started and its version, the
# driver version in the upper half (WINC1500 software package, tstrOtaControlSec).
_CONTROL_MAGIC = 0x1ABCDEF9
_CONTROL = struct.Struct("<I12xIHH")


@dataclass(frozen=True)
class FirmwareVersion:
    """Versions as texts like ``19.7.7``; ``driver`` is what the firmware asks of its host."""

    firmware: str
    driver: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """To tell the newer of two firmware versions."""
        return tuple(int(number) for number in self.firmware.split("."))


def control_section_version(sector: bytes) -> FirmwareVersion | None:
    """What the control section says about the firmware that it starts; None where it is no control section."""
    magic, _, firmware, driver = _CONTROL.unpack_from(sector)
    return FirmwareVersion(_unpacked(firmware), _unpacked(driver)) if magic == _CONTROL_MAGIC else None


def _unpacked(version: int) -> str:
    return f"{version >> 8}.{version >> 4 & 0xF}.{version & 0xF}"


def is_blank(data: bytes) -> bool:
    """Whether all of it is erased."""
    return data.count(ERASED) == len(data)


def kept_area(sector: int) -> FlashArea | None:
    """The kept area that a sector lies in; None for the firmware's own."""
    return next((area for area in KEPT_AREAS if area.holds(sector)), None)


class WincImage:
    """1 MiB, as the module's flash would be when it were written as a whole.

    :raises UsageError: the content has another size, or no control section
    """

    def __init__(self, content: bytes, name: str) -> None:
        if len(content) != SIZE:
            raise UsageError(
                f"{name} is no image of the Wi-Fi module's flash",
                f"It has {len(content)} bytes, and the flash of a WINC1510 has {SIZE}.",
                "take an image of the whole flash, such as the vendor's or another backup",
            )
        self._content = content
        version = control_section_version(self.sector(COMMIT_SECTOR))
        if version is None:
            raise UsageError(
                f"{name} is no image of the Wi-Fi module's flash",
                f"It has no control section at 0x{COMMIT_SECTOR:X}, so the module would not start its firmware.",
                "take an image of the whole flash, such as the vendor's or another backup",
            )
        self.name = name
        self.version = version

    @classmethod
    def load(cls, path: Path) -> WincImage:
        """Read an image from a file.

        :raises UsageError: it cannot be read, or is none
        """
        try:
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise UsageError(f"The Wi-Fi module image {path} cannot be read", str(error.strerror)) from error

    def sector(self, address: int) -> bytes:
        """The 4096 bytes of a sector."""
        return self._content[address : address + SECTOR]

    def sectors(self) -> list[int]:
        """The sectors that an upgrade has to look at: those of the firmware, and kept ones that it could fill.

        Whatever the others hold, it stays: the image has nothing for them.
        """
        return [
            address
            for address in range(0, SIZE, SECTOR)
            if kept_area(address) is None or not is_blank(self.sector(address))
        ]

    def wanted(self, address: int, found: bytes) -> bytes:
        """What a sector shall hold, from what it holds."""
        area = kept_area(address)
        if area is None or is_blank(found):
            return self.sector(address)
        if area == ROOT_STORE and hashlib.sha256(found).hexdigest() in FACTORY_ROOT_STORES:
            return self.sector(address)
        return found


def writing_order(sectors: Iterable[int]) -> list[int]:
    """The order in which sectors are written: by address, those that start the firmware last."""
    return sorted(sectors, key=lambda address: (address == COMMIT_SECTOR, address in COMMIT_SECTORS, address))
