"""What can run on a board."""

from __future__ import annotations

from enum import Enum


class Program(Enum):
    """What runs on a board while a step looks at it and changes it; the value is what a person calls it."""

    NONE = "no program: the processor stands still"
    ANY = "any program"
    """Whatever it holds runs, and nobody has stopped it to look at it."""
    PROVISIONING = "the provisioning firmware"
    BRIDGE = "the bridge to the Wi-Fi module"
    APPLICATION = "the application"
