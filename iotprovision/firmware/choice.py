"""A firmware image that was chosen for a board: its name, and what loads and judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.index import Image


@dataclass(frozen=True)
class Firmware:
    """An image to be programmed: what a person calls it, and what loads and judges it."""

    name: str
    load: Callable[[], HexImage]


def name_of(image: Image) -> str:
    """What a person calls an image of the index."""
    return f"{image.name} {image.version or ''}".strip()
