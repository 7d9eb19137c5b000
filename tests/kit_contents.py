"""What a kit's chips hold, read by their layouts alone: nothing of the product judges itself."""

from __future__ import annotations

import struct
from typing import Any


def read_client_store(flash: bytes) -> dict[str, bytes]:
    """The files of the client certificate store, read by its layout alone: magic, count, 56-byte entries."""
    magic, count, _ = struct.unpack_from("<8sII", flash, 0x5000)
    assert magic == bytes.fromhex("abfe185b70c34692")
    files = {}
    for number in range(count):
        name, size, address = struct.unpack_from("<48sII", flash, 0x5000 + 16 + 56 * number)
        files[name.split(b"\0")[0].decode()] = flash[address : address + size]
    return files


def slot_locked(element: Any, slot: int) -> bool:
    """Bytes 88 and 89 of the configuration zone: a bit a slot, 0 is locked (ATECC608A datasheet, SlotLocked)."""
    data = bytes.fromhex(element["config"])
    return not data[88 + slot // 8] >> slot % 8 & 1
