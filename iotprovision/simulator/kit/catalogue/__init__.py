"""The kits that can be simulated: a file each, in the folder of its family, called as the kit is on a command line.

``kinds.py`` reads them.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "avr-iot-wa"
"""The one that is meant where none is named."""
EMULATED = "@emulated"
EMULATORS = {
    "avr-db": "iotprovision.simulator.emulators.emulated_avr:EmulatedCellularAvr",
    "mega-avr": "iotprovision.simulator.emulators.emulated_avr:EmulatedAvr",
    "sam-d21": "iotprovision.simulator.emulators.emulated_sam:EmulatedSam",
}
"""Module and class that execute the firmware of a family's kits; there is none of the others."""
SUFFIX = ".yaml"


def families() -> dict[str, str]:
    """The family of each kit, by what the kit is called."""
    folder = __path__[0]
    # Not with pathlib, which costs --help too much.
    found = (
        (file.removesuffix(SUFFIX), family.name)
        for family in os.scandir(folder)  # noqa: PTH208
        if family.is_dir()
        for file in os.listdir(family.path)  # noqa: PTH208
        if file.endswith(SUFFIX)
    )
    return dict(sorted(found))


def names() -> tuple[str, ...]:
    """All that a simulated kit can be called, but for numbers behind it."""
    kits = families().items()
    return tuple(name + what for name, family in kits for what in ("", *([EMULATED] if family in EMULATORS else [])))


def file(name: str) -> Path:
    """What describes a kit."""
    from pathlib import Path

    return Path(__path__[0], families()[name], f"{name}{SUFFIX}")
