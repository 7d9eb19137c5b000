"""What is connected: the kits, and what has the debugger of one and cannot be used as one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from iotprovision.boards.catalogue import KitDescription
from iotprovision.errors import ProvisioningError


@dataclass(frozen=True)
class FoundKit:
    """A connected kit.

    :param serial_number: of its debugger, as USB reports it
    :param mcu: as the debugger names it; as the catalogue does where the debugger names none
    :param debugger_version: major.minor.build
    :param port: its serial port; None where the system shows none with this serial number
    :param name_given: the board does not tell which kit it is, and somebody said it
    """

    serial_number: str
    kit: KitDescription
    mcu: str
    debugger_version: str
    port: str | None
    name_given: bool = False

    may_be_meant = True

    @property
    def name(self) -> str:
        return self.kit.name


class Obstacle(Enum):
    """Why something that has the debugger of a kit cannot be used as one."""

    NO_ACCESS = "cannot be opened"
    SAME_NUMBER = "has the serial number of another one"
    BLANK = "board registers are blank"
    NO_KNOWN_KIT = "no known kit"
    OTHER_MCU = "its debugger is set up for another MCU"
    BOOT_MODE = "in boot mode, USB 03eb:2fc0"
    BUSY = "in use by another run"
    IN_UPGRADE = "another run is upgrading its debugger"


OF_OTHER_RUNS = frozenset({Obstacle.BUSY, Obstacle.IN_UPGRADE})
"""Nothing is wrong with such a kit; it is free when the other run has ended."""


@dataclass(frozen=True)
class UnreachableKit:
    """Something that has the debugger of a kit and cannot be used as one, or not now.

    :param serial_number: empty where the system does not tell it
    :param reason: what is raised where this one is meant
    :param name: what its registers call it; empty where that is not known
    """

    serial_number: str
    obstacle: Obstacle
    reason: ProvisioningError
    port: str | None = None
    name: str = ""

    @property
    def may_be_meant(self) -> bool:
        """False for boards that have this debugger too and are other products."""
        return self.obstacle != Obstacle.NO_KNOWN_KIT


@dataclass(frozen=True)
class ConnectedKits:
    """Everything on USB that has the debugger of a kit, and what other runs are using, seen on USB or not.

    :param other_probes: product and USB ids of debuggers of other kinds
    """

    kits: tuple[FoundKit, ...]
    unreachable: tuple[UnreachableKit, ...]
    other_probes: tuple[str, ...]

    @property
    def all(self) -> tuple[FoundKit | UnreachableKit, ...]:
        """The kits, and then what cannot be used as one."""
        return (*self.kits, *self.unreachable)
