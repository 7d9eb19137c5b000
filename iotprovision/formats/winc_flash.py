"""The flash of the WINC1510 Wi-Fi module as the kits use it (1 MiB; WINC1500 software package, ``spi_flash_map.h``).

Erasing sets a whole sector to 0xFF, programming clears bits of at most one page.
"""

from __future__ import annotations

from dataclasses import dataclass

SECTOR = 0x1000
PAGE = 0x100
SIZE = 0x100000
ERASED = 0xFF


@dataclass(frozen=True)
class FlashArea:
    """A stretch of the flash, in bytes."""

    address: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size

    def sectors(self) -> list[int]:
        """The addresses of the sectors that hold any byte of it."""
        return list(range(self.address - self.address % SECTOR, self.end, SECTOR))

    def holds(self, address: int, size: int = 1) -> bool:
        """Whether all bytes from the address on lie inside."""
        return self.address <= address and address + size <= self.end


BOOT_FIRMWARE = FlashArea(0x0000, 0x1000)
CONTROL = FlashArea(0x1000, 0x2000)
# Measured for each module when it was made; nothing can bring it back.
CALIBRATION = FlashArea(0x3000, 0x1000)
ROOT_STORE = FlashArea(0x4000, 0x1000)
# The module's firmware calls it the TLS server area. The demos keep two values of their own in its last pages.
CLIENT_AREA = FlashArea(0x5000, 0x2000)
CLIENT_STORE = FlashArea(0x5000, 0x1E00)
ENDPOINT = FlashArea(0x6E00, PAGE)
THING_NAME = FlashArea(0x6F00, PAGE)
WEB_PAGES = FlashArea(0x7000, 0x2000)
WIFI_CONNECTION = FlashArea(0x9000, 0x1000)
FIRMWARE = FlashArea(0xA000, 0x3B000)
OTA_FIRMWARE = FlashArea(0x45000, 0x3B000)
HOST_FILES = FlashArea(0x80000, 0x80000)


def pages(address: int, content: bytes) -> dict[int, bytes]:
    """What to write after an erase so that the flash holds a content: address, and at most 256 bytes inside one page.

    :param address: of the first byte, the beginning of a page
    """
    written = {}
    for start in range(0, len(content), PAGE):
        if page := content[start : start + PAGE].rstrip(bytes([ERASED])):
            written[address + start] = page
    return written
