"""The kits that can be driven (``kits.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import yaml

from iotprovision.errors import KitNotFoundError, UsageError
from iotprovision.firmware.index import Image, load_index

WINC1510 = "WINC1510"


@dataclass(frozen=True)
class KitDescription:
    """One kind of kit.

    :param name: value of its KITNAME register
    :param mcu: lower case, as pymcuprog spells it
    :param modem: what connects it to the network
    :param console: the family of commands its demo applications take
    :param links: CLICK_ME_TYPE for each cloud
    :param left_out: actions that cannot be done on it, and why
    :param demos_without_network: clouds whose demo application is told no Wi-Fi network on its console
    :param other_names: other values that its KITNAME register may have
    """

    name: str
    mcu: str
    modem: str
    console: str
    links: Mapping[str, int]
    left_out: Mapping[str, str] = field(default_factory=dict)
    demos_without_network: Sequence[str] = ()
    other_names: Sequence[str] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All values that its KITNAME register may have."""
        return (self.name, *self.other_names)

    @property
    def has_wifi(self) -> bool:
        """Whether it connects over Wi-Fi; otherwise over a cellular network."""
        return self.modem == WINC1510

    @property
    def has_console(self) -> bool:
        """Whether a demo application of this kit takes commands."""
        return self.console != "none"

    def image(self, job: str) -> Image:
        """The firmware image that does a job on this kit.

        :raises UsageError: there is none
        """
        return load_index().find(self.name, job)


@cache
def kits() -> tuple[KitDescription, ...]:
    """All kits of the catalogue."""
    text = resources.files("iotprovision.boards").joinpath("kits.yaml").read_text(encoding="utf-8")
    return tuple(KitDescription(**fields) for fields in yaml.safe_load(text)["kits"])


def kit_of(name: str) -> KitDescription | None:
    """The kit with that KITNAME, None for one that is not in the catalogue; letter case does not matter."""
    return next((kit for kit in kits() if name.lower() in map(str.lower, kit.names)), None)


def kit_by_name(name: str) -> KitDescription:
    """The kit that somebody named: ``AVR-IoT WA``, or ``avr-iot-wa`` for a shell.

    :raises UsageError: it is not in the catalogue
    """
    for kit in kits():
        if _plain(name) in map(_plain, kit.names):
            return kit
    raise UsageError(f"There is no kit named '{name}'", f"Known are: {_known()}.")


def no_known_kit(name: str, serial_number: str) -> KitNotFoundError:
    """What is said of a kit that does not name one of the catalogue.

    :param name: value of its KITNAME register; empty where it was never written
    """
    if name:
        what = f"The kit {serial_number} calls itself '{name}', and no such kit is known"
    else:
        what = f"The board registers of kit {serial_number} are blank: they do not tell which kit it is"
    return KitNotFoundError(
        what,
        f"Known are: {_known()}.",
        "--kit NAME takes it for one of them, if its MCU is the one of that kit;\n"
        "a newer version of this program may know it.",
    )


def _known() -> str:
    return ", ".join(name for kit in kits() for name in kit.names)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "-")
