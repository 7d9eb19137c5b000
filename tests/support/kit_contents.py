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


def read_root_store(sector: bytes) -> list[dict[str, Any]]:
    """The entries of the root certificate store, read by its layout alone: magic, count, 44 bytes and a key each."""
    assert sector[:16].hex() == "11f112f213f314f415f516f617f718f8"
    entries, at = [], 20
    for _ in range(int.from_bytes(sector[16:20], "little")):
        kind, first, second = struct.unpack_from("<IHH", sector, at + 36)
        years = [int.from_bytes(sector[at + offset : at + offset + 2], "little") for offset in (20, 28)]
        dates = [(year, *sector[at + offset : at + offset + 5]) for year, offset in zip(years, (22, 30), strict=True)]
        sizes = {1: (first, second), 2: (second, second)}[kind]
        assert kind == 1 or (first, second) == (23, 32)
        key = [sector[at + 44 : at + 44 + sizes[0]], sector[at + 44 + sizes[0] : at + 44 + sum(sizes)]]
        entries.append({"name": sector[at : at + 20].hex(), "dates": dates, "kind": kind, "key": key})
        at += (44 + sum(sizes) + 3) // 4 * 4
    assert set(sector[at:]) <= {0xFF}
    return entries


def slot_locked(element: Any, slot: int) -> bool:
    """Bytes 88 and 89 of the configuration zone: a bit a slot, 0 is locked (ATECC608A datasheet, SlotLocked)."""
    data = bytes.fromhex(element["config"])
    return not data[88 + slot // 8] >> slot % 8 & 1
