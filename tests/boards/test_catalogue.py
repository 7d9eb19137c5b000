"""The catalogue of kits: what is in it is read, and the simulator has every kit of it."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import iotprovision
from iotprovision.boards.catalogue import KitDescription, kit_by_name, kits
from iotprovision.runs.bench import simulated_kits
from iotprovision.simulator.kit.kinds import KINDS, SimulatedKitName

PACKAGE = Path(iotprovision.__file__).parent


def attributes_read() -> set[str]:
    """Names of all attributes that the program reads, of whatever object, outside the simulator."""
    files = [file for file in PACKAGE.rglob("*.py") if "simulator" not in file.parts]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def test_every_field_of_a_kit_is_read() -> None:
    assert {field.name for field in dataclasses.fields(KitDescription)} - attributes_read() == set()


@pytest.mark.parametrize("kit", kits(), ids=lambda kit: kit.name)
def test_every_kit_can_be_simulated(kit: KitDescription) -> None:
    (kind,) = [kind for kind in KINDS.values() if kind.register_name == kit.name]
    assert (kind.part.name.lower(), kind.has_modem) == (kit.mcu, not kit.has_wifi)


@pytest.mark.parametrize("name", simulated_kits())
def test_every_simulated_kit_is_one_of_the_catalogue(name: str) -> None:
    assert kit_by_name(SimulatedKitName.parse(name).kind.register_name)
