"""What the provisioning firmware says about itself when it starts and when it is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WELCOME = "Welcome to the"
_VERSION = r"(\d+(?:\.\d+)+)"


@dataclass(frozen=True)
class About:
    """Name and versions, as texts like ``19.7.7``.

    :ivar board: the name built into the firmware; an AVR-IoT WA says ``AVR-IoT WG`` as well
    :ivar winc_firmware: version of the firmware inside the Wi-Fi module; None on kits without one
    :ivar winc_driver: version that the firmware expects there
    """

    board: str
    firmware: str
    command_handler: str
    winc_firmware: str | None
    winc_driver: str | None

    @classmethod
    def parse(cls, lines: Sequence[str]) -> About | None:
        """None where name, firmware or command handler is missing."""
        text = "\n".join(lines)
        board = _find(r"for the (\S.*)", text)
        firmware = _find(rf"FW {_VERSION}", text)
        command_handler = _find(rf"Command handler {_VERSION}", text)
        if board is None or firmware is None or command_handler is None:
            return None
        winc_firmware = _find(rf"WINC firmware {_VERSION}", text)
        return cls(board, firmware, command_handler, winc_firmware, _find(rf"WINC driver {_VERSION}", text))


@dataclass(frozen=True)
class Banner:
    """What came before READY.

    :ivar welcome: the welcome line, empty when its beginning was missed
    :ivar about: None where the firmware could not start its Wi-Fi module
    """

    welcome: str
    about: About | None

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Banner:
        """Parse the lines before READY; those before the last welcome line belong to an earlier start."""
        starts = [number for number, line in enumerate(lines) if _WELCOME in line]
        if not starts:
            return cls("", About.parse(lines))
        own = lines[starts[-1] :]
        return cls(own[0][own[0].index(_WELCOME) :].strip(), About.parse(own))


def _find(pattern: str, text: str) -> str | None:
    match = re.search(rf"^{pattern}$", text, re.MULTILINE)
    return match[1].strip() if match else None
