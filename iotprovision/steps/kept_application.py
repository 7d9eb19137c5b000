"""The application that a kit held before a run needed its MCU: saved, and put back where nothing else replaces it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from iotprovision.boards.board import Programmer
from iotprovision.boards.program import Program
from iotprovision.findings import Finding, State
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import EEPROM, FLASH, FUSES, USER_ROW, Mcu, mcu_by_name
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "keep"
KIND = "application"
# An MCU whose first page is erased runs nothing: its vectors would be there.
FIRST_PART = 512


@dataclass(frozen=True)
class KnownImage:
    """An image that can be programmed again at any time, so that a kit which holds it need not be read.

    :param is_application: False for firmware that only this tool needs: it is never put back
    """

    name: str
    load: Callable[[], HexImage]
    is_application: bool


class ApplicationKept(Step):
    """What the erase of the MCU would destroy is in a file, unless it is an image that can be had again.

    A chip erase takes flash and EEPROM; fuses, and a user row that holds settings of the MCU, are written with each
    image.
    """

    title = "Application that the kit held"
    action = ACTION
    about = About.STORE
    proof = "compared with the MCU, every byte equal"
    would = "save it in the store"
    needs = Program.NONE

    def __init__(
        self,
        programmer: Programmer,
        known: Sequence[KnownImage],
        files: Store,
        clock: Callable[[], datetime],
        saved_by: str = ACTION,
    ) -> None:
        self._programmer = programmer
        self._saved_by = saved_by
        self._known = known
        self._files = files
        self._clock = clock
        self._saved: HexImage | None = None
        self.image: HexImage | None = None
        """What to put back; None where the kit held no application."""
        self.path: Path | None = None
        """The file it was saved in, where that was needed."""

    def check(self, progress: Progress) -> Finding:
        if self._saved is not None:
            difference = self._programmer.first_difference(self._saved, progress)
            if difference is None:
                return Finding(State.IN_PLACE, f"saved as {self._saved.path.name}")
            return Finding(State.DIFFERENT, str(difference), "what was saved")
        mcu = mcu_by_name(self._programmer.mcu)
        runs_nothing = mcu.is_erased(self._programmer.read(FLASH, 0, FIRST_PART))
        eeprom = self._programmer.read(EEPROM, 0, mcu.areas[EEPROM].size) if EEPROM in mcu.areas else b""
        holds_data = bool(eeprom.strip(b"\xff"))
        if runs_nothing and holds_data:
            return Finding(State.MISSING, "none, and data in the EEPROM that is in no file")
        if runs_nothing:
            return Finding(State.IN_PLACE, "none", proof="the flash is erased where programs begin")
        if not holds_data:
            for known in self._known:
                image = known.load()
                if self._holds(image, progress):
                    self.image = image if known.is_application else None
                    return Finding(State.IN_PLACE, f"{known.name}, which can be had again")
        return Finding(State.MISSING, "one that is in no file")

    def _holds(self, image: HexImage, progress: Progress) -> bool:
        """Whether the MCU holds this image and nothing else."""
        if self._programmer.first_difference(image, progress) is not None:
            return False
        flash_size = image.mcu.flash.size
        return all(
            image.mcu.is_erased(self._programmer.read(FLASH, start, end - start), start)
            for start, end in image.flash_gaps(flash_size)
        )

    def apply(self, progress: Progress) -> str:
        mcu = mcu_by_name(self._programmer.mcu)
        content = {name: self._programmer.read(name, 0, mcu.areas[name].size, progress) for name in _taken(mcu)}
        name = backups.file_name(KIND, self._clock(), "hex")
        image = HexImage.of_memory(self._files.path(name), self._programmer.mcu, content)
        text = image.as_hex()
        same = backups.saved_before(self._files, KIND, text, self._saved_by)
        if same:
            name = same.name
            image = dataclasses.replace(image, path=self._files.path(name))
        else:
            backups.save(self._files, name, text, self._saved_by)
        self.path, self.image, self._saved = image.path, image, image
        return f"was saved before, as {name}" if same else f"saved as {name}"


def _taken(mcu: Mcu) -> list[str]:
    """The memories that programming an image may change."""
    names = [name for name in (FLASH, EEPROM, FUSES) if name in mcu.areas]
    return [*names, USER_ROW] if mcu.user_row_bits else names


class ApplicationPutBack(Step):
    """The MCU holds what it held before the run."""

    title = "Application put back"
    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "program it again"

    def __init__(self, programmer: Programmer, kept: ApplicationKept) -> None:
        self._programmer = programmer
        self._kept = kept

    @property
    def needs(self) -> Program | None:  # type: ignore[override]
        """None where the MCU held nothing: then it is not stopped for this."""
        return Program.NONE if self._kept.image else None

    @property
    def brings(self) -> Program | None:  # type: ignore[override]
        """None where the MCU held nothing."""
        return Program.APPLICATION if self._kept.image else None

    def check(self, progress: Progress) -> Finding:
        image = self._kept.image
        if image is None:
            return Finding(State.IN_PLACE, "there was none", proof="not needed")
        difference = self._programmer.first_difference(image, progress)
        if difference is None:
            return Finding(State.IN_PLACE, "it is there")
        place = f"{difference.area} 0x{difference.address:04X}"
        return Finding(State.DIFFERENT, f"other content, from {place} on", "what the kit held before")

    def apply(self, progress: Progress) -> str:
        assert self._kept.image is not None, "nothing is put back where there was nothing"
        self._programmer.program(self._kept.image, progress)
        return "programmed"
