"""Which kits can be simulated, and how they are called on a command line."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from iotprovision.errors import UsageError
from iotprovision.formats.ecc608_zones import Kind as SecureElementKind
from iotprovision.simulator.board.board import Board, Microcontroller
from iotprovision.simulator.debugger.nedbg import Target
from iotprovision.simulator.kit import catalogue
from iotprovision.simulator.kit.catalogue import EMULATED, EMULATORS
from iotprovision.simulator.targets.icsp_part import PIC24FJ128GA705
from iotprovision.simulator.targets.icsp_target import IcspTarget
from iotprovision.simulator.targets.swd_part import ATSAMD21G18A
from iotprovision.simulator.targets.swd_target import SwdTarget
from iotprovision.simulator.targets.updi_part import ATMEGA4808, AVR128DB48, AVR128DB64
from iotprovision.simulator.targets.updi_target import UpdiTarget


class Part(Protocol):
    """The MCU on a board: its name, and its memories as they leave the factory; sizes in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def flash_size(self) -> int: ...
    @property
    def erased_flash(self) -> bytes: ...
    @property
    def eeprom_size(self) -> int: ...
    @property
    def factory_fuses(self) -> bytes: ...
    @property
    def factory_user_row(self) -> bytes: ...
    @property
    def unlocked(self) -> bytes: ...


@dataclass(frozen=True)
class Family:
    """What stands for the MCUs of a family: a folder of the catalogue.

    :param target: the side towards the debugger, made of board, part and microcontroller
    :param parts: the MCUs
    :param emulator: module and class of the emulator of its programs; empty where there is none
    """

    target: Callable[[Board, Any, Microcontroller], Target]
    parts: tuple[Part, ...]
    emulator: str = ""


FAMILIES = {
    "mega-avr": Family(UpdiTarget, (ATMEGA4808,), EMULATORS["mega-avr"]),
    "avr-db": Family(UpdiTarget, (AVR128DB48, AVR128DB64), EMULATORS["avr-db"]),
    "pic24": Family(IcspTarget, (PIC24FJ128GA705,)),
    "sam-d21": Family(SwdTarget, (ATSAMD21G18A,), EMULATORS["sam-d21"]),
}


@dataclass(frozen=True)
class KitKind:
    """One kit of the catalogue: a file in the folder of its family, which is called as the kit is on a command line.

    :param register_name: KITNAME as the factory writes it
    :param family: of its MCU
    :param part: its MCU
    :param board_file: the factory's board registers, in ``pydebuggerconfig/board-configs``, or those of a like kit
    :param device_file: the factory's device data, in ``pydebuggerconfig/device-configs``
    :param secure_element: which of the two kinds of factory certificates its chip has: MAH1H or MAH4I
    :param secure_element_address: on the I2C bus, 7 bits
    :param has_modem: whether it has a modem for cellular networks in the place of a Wi-Fi module
    :param has_radio: whether its programs, emulated, can join a simulated network
    """

    register_name: str
    family: Family
    part: Part
    board_file: str
    device_file: str
    secure_element: SecureElementKind
    secure_element_address: int = 0x58
    has_modem: bool = False
    has_radio: bool = False


class _Kinds(Mapping[str, KitKind]):
    """All kits of the catalogue, by their names."""

    def __getitem__(self, name: str) -> KitKind:
        return _read(catalogue.file(name))

    def __iter__(self) -> Iterator[str]:
        return iter(catalogue.families())

    def __len__(self) -> int:
        return len(catalogue.families())


@functools.cache
def _read(file: Path) -> KitKind:
    fields: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    family, secure_element = FAMILIES[file.parent.name], SecureElementKind[fields["secure_element"]]
    part = next(part for part in family.parts if part.name == fields["part"])
    return KitKind(**{**fields, "family": family, "part": part, "secure_element": secure_element})


KINDS = _Kinds()
_NAME = re.compile(r"(?P<kind>[a-z0-9-]+?)(?P<emulated>@emulated)?(?P<number>#(?:[2-9]|[1-9][0-9]))?")


@dataclass(frozen=True)
class SimulatedKitName:
    """``KIND``, ``KIND@emulated``, and ``#2`` and so on behind either for more than one of a kind."""

    text: str
    kind: KitKind
    emulated: bool

    @classmethod
    def parse(cls, text: str) -> SimulatedKitName:
        """:raises UsageError: there is no such kit; the hint lists those that there are"""
        match = _NAME.fullmatch(text.lower())
        kind = KINDS.get(match["kind"]) if match else None
        if match is None or kind is None:
            choices = ", ".join(
                f"{name}, {name}{EMULATED}" if known.family.emulator else name for name, known in KINDS.items()
            )
            raise UsageError(f"There is no simulated kit named {text!r}", hint=f"one of {choices} (#2, #3 … for more)")
        if match["emulated"] and not kind.family.emulator:
            raise UsageError(
                f"The microcontroller of {match['kind']} cannot be emulated",
                f"No emulator executes the firmware of the {kind.part.name}.",
                f"use the modelled kit: {match['kind']}{match['number'] or ''}",
            )
        return cls(text.lower(), kind, match["emulated"] is not None)
