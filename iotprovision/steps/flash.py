"""An image in the flash of the MCU."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.boards.nedbg.board import Target
from iotprovision.findings import Finding, State
from iotprovision.firmware.hex_image import HexImage
from iotprovision.steps.step import About, Progress, Step


class ImageInFlash(Step):
    """Flash and fuses of the MCU hold an image.

    :param load: reads and judges the image; called before anything on the kit is changed
    :param name: what a person calls the image
    """

    proof = "flash and fuses read back, every byte equal"
    about = About.KIT
    would = "erase the MCU and program it"
    forced_by = frozenset({"force"})

    def __init__(self, target: Target, load: Callable[[], HexImage], name: str) -> None:
        self._target = target
        self._load = load
        self._name = name
        self._image: HexImage | None = None

    def prepare(self) -> None:
        self._image = self._load()

    def check(self, progress: Progress) -> Finding:
        difference = self._target.first_difference(self._wanted, progress)
        if difference is None:
            return Finding(State.IN_PLACE, self._name)
        place = f"{difference.area} 0x{difference.address:04X}"
        return Finding(
            State.DIFFERENT, f"other content, from {place} on", f"{self._name}, 0x{difference.expected:02X} at {place}"
        )

    def apply(self, progress: Progress) -> str:
        self._target.program(self._wanted, progress)
        return f"programmed {self._name}"

    def finish(self, in_place: bool) -> None:
        self._target.start()

    @property
    def _wanted(self) -> HexImage:
        assert self._image is not None, "a step is prepared before it is checked"
        return self._image
