"""The vendor's images for tests: fetched with pip once, kept in the user's cache."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from iotprovision.firmware.cache import FirmwareCache
from iotprovision.firmware.hex_image import HexImage


@cache
def firmware_cache() -> FirmwareCache:
    """Where the images are; needs a network the first time."""
    return FirmwareCache(os.environ)


@cache
def image_path(name: str) -> Path:
    """The file of an image of the index."""
    images = firmware_cache()
    return images.path(images.index.image(name))


@cache
def hex_image(name: str, mcu: str | None = None) -> HexImage:
    """An image of the index, loaded: for its own MCU, or for another."""
    of_index = firmware_cache().index.image(name).mcu
    assert of_index is not None, "it is no program for an MCU"
    return HexImage.load(image_path(name), mcu or of_index)
