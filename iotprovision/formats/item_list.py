"""The list of items in slot 8 of the secure element, from which applications for cellular networks take their names.

Each item is a header of 16 bits, little endian, and its text without a NUL. Bits 0 to 8 of the header say where the
next item begins, counted from the start of the slot; bits 9 to 15 are the type. A type of 0 ends the list.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

from iotprovision.errors import ProofError
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT, slot_size

SIZE = slot_size(PROVISIONING_DATA_SLOT)
HEADER_SIZE = 2
_NEXT_BITS = 9
_NEXT_MASK = (1 << _NEXT_BITS) - 1
# A slot that was never written reads as this, which would be a type of 0x7F.
_BLANK = b"\xff\xff"


class Item(IntEnum):
    """What an item is."""

    AWS_THING_NAME = 1
    AWS_ENDPOINT = 2
    AZURE_ID_SCOPE = 3
    AZURE_HUB_NAME = 4
    AZURE_DEVICE_ID = 5
    GOOGLE_PROJECT_ID = 6
    GOOGLE_REGION = 7
    GOOGLE_REGISTRY = 8
    GOOGLE_DEVICE_ID = 9


def build(items: Mapping[Item, str]) -> bytes:
    """The whole slot, 416 bytes, filled with zeros behind the list.

    :raises ProofError: the items do not fit
    """
    data = bytearray()
    for kind, text in items.items():
        content = text.encode("utf-8")
        following = len(data) + HEADER_SIZE + len(content)
        if following > SIZE:
            raise ProofError(
                f"Slot {PROVISIONING_DATA_SLOT} of the secure element is too small",
                f"It holds {SIZE} bytes; with {text!r} there would be {following}. Nothing was written.",
                "use shorter names",
            )
        data += struct.pack("<H", kind << _NEXT_BITS | following) + content
    return bytes(data).ljust(SIZE, b"\0")


def parse(data: bytes) -> dict[int, str]:
    """The items by their type. Where the list makes no sense it ends.

    :param data: the slot, or as much of it as was read
    """
    items: dict[int, str] = {}
    position = 0
    while position + HEADER_SIZE <= len(data) and data[position : position + HEADER_SIZE] != _BLANK:
        (header,) = struct.unpack_from("<H", data, position)
        kind, following = header >> _NEXT_BITS, header & _NEXT_MASK
        if not kind or not position + HEADER_SIZE <= following <= len(data):
            break
        items[kind] = data[position + HEADER_SIZE : following].decode("utf-8", "replace")
        position = following
    return items
