"""The kits that can be simulated: a file each, called as the kit is on a command line. ``kinds.py`` reads them."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "avr-iot-wa"
"""The one that is meant where none is named."""
SUFFIX = ".yaml"


def names() -> tuple[str, ...]:
    """What they are called."""
    files = os.listdir(__path__[0])  # noqa: PTH208 - pathlib costs --help too much
    return tuple(sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)))


def file(name: str) -> Path:
    """What describes one of them."""
    from pathlib import Path

    return Path(__path__[0]) / f"{name}{SUFFIX}"
