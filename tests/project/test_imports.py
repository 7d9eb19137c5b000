"""Who may import whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.source import PACKAGE, Fault, Import, Module, Source, check, loops, made_up, package_source

FLOORS = (
    ("__main__",),
    ("cli",),
    ("commands",),
    ("command_line", "inspection", "web"),
    ("runs",),
    ("methods",),
    ("steps",),
    ("boards", "simulator"),
    ("cloud", "pki", "firmware"),
    ("formats", "store"),
    ("errors", "findings", "interrupts", "progress", "environment", "option", "frozen", "lock_files", "__init__"),
)
"""From the top to the ground. A room may import what lies on its own floor or below."""

LIBRARIES = {
    "argparse": ("command_line/", "simulator/__main__.py"),
    "boto3": ("cloud/aws/", "simulator/cloud/"),
    "botocore": ("cloud/aws/", "simulator/cloud/"),
    # Sizes and addresses of the memories of an MCU are those that it is programmed with.
    "pymcuprog": ("boards/nedbg/", "firmware/mcu.py", "simulator/"),
    "pyedbglib": ("boards/nedbg/", "simulator/"),
    "pydebuggerconfig": ("boards/nedbg/", "simulator/"),
    "pydebuggerupgrade": ("boards/nedbg/", "simulator/"),
    "pykitcommander": (),
    "pytrustplatform": (),
    "pyawsutils": (),
}
"""Where a library may be imported."""


def _floor(room: str) -> int | None:
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def _arrow(importer: Module, imported: str, found: Import) -> Fault:
    return Fault(f"{importer.path} imports {imported}", f"{PACKAGE}/{importer.path}:{found.line}")


def unknown_rooms(source: Source) -> Iterator[Fault]:
    for module in source:
        if _floor(module.room) is None:
            yield Fault(f"{module.room} is on no floor", f"{PACKAGE}/{module.path}")


def upward(source: Source) -> Iterator[Fault]:
    for importer, imported, found in source.inner_imports():
        here, there = _floor(importer.room), _floor(imported.room)
        if here is not None and there is not None and there < here:
            yield _arrow(importer, imported.path, found)


def simulator_from_elsewhere(source: Source) -> Iterator[Fault]:
    for importer, imported, found in source.inner_imports():
        if imported.room == "simulator" and importer.room != "simulator" and importer.path != "runs/bench.py":
            yield _arrow(importer, imported.path, found)


def families_of_each_other(source: Source) -> Iterator[Fault]:
    for importer, imported, found in source.inner_imports():
        families = [module.path.split("/")[1] for module in (importer, imported) if module.path.count("/") > 1]
        if importer.room == imported.room == "boards" and len(set(families)) == 2:
            yield _arrow(importer, imported.path, found)


PROTOCOLS = ("boards/board.py", "boards/program.py", "boards/upgrade_turn.py", "boards/wifi_network.py")
"""What methods may know of boards: that they have parts, and run programs."""


def boards_from_methods(source: Source) -> Iterator[Fault]:
    for importer, imported, found in source.inner_imports():
        if importer.room == "methods" and imported.room == "boards" and imported.path not in PROTOCOLS:
            yield _arrow(importer, imported.path, found)


def families_from_above(source: Source) -> Iterator[Fault]:
    """What is above boards asks boards/finding.py, and the parts of a board."""
    for importer, imported, found in source.inner_imports():
        family = (
            imported.path.split("/")[1] if imported.path.startswith("boards/") and imported.path.count("/") > 1 else ""
        )
        if family and importer.room not in ("boards", "simulator"):
            yield _arrow(importer, imported.path, found)


def libraries_elsewhere(source: Source) -> Iterator[Fault]:
    for module, imports in source.imports.items():
        for found in imports:
            library = found.name.split(".", maxsplit=1)[0]
            if library in LIBRARIES and not module.path.startswith(LIBRARIES[library] or ("-",)):
                yield _arrow(module, library, found)


def module_loops(source: Source, deferred: bool) -> Iterator[Fault]:
    graph = defaultdict(set)
    for importer, imported, found in source.inner_imports():
        if deferred or not found.is_deferred:
            graph[importer.path].add(imported.path)
    yield from (Fault(" → ".join(loop)) for loop in loops(graph))


def room_loops(source: Source) -> Iterator[Fault]:
    """Arrows that run up are told already: a loop without one is between rooms of one floor."""
    graph = defaultdict(set)
    for importer, imported, _ in source.inner_imports():
        here, there = _floor(importer.room), _floor(imported.room)
        if importer.room != imported.room and here is not None and there is not None and here <= there:
            graph[importer.room].add(imported.room)
    yield from (Fault(" → ".join(loop)) for loop in loops(graph))


def simulator_room_loops(source: Source) -> Iterator[Fault]:
    graph = defaultdict(set)
    for importer, imported, _ in source.inner_imports():
        if importer.room == imported.room == "simulator":
            here, there = (module.path.split("/")[1] for module in (importer, imported))
            if here != there:
                graph[here].add(there)
    yield from (Fault(" → ".join(loop)) for loop in loops(graph))


RULES = {
    "rooms": (unknown_rooms, "every room has its floor in FLOORS"),
    "upward": (upward, "imports run downward only: " + " → ".join(", ".join(rooms) for rooms in FLOORS)),
    "simulator": (simulator_from_elsewhere, "only runs/bench.py imports the simulator"),
    "families": (families_of_each_other, "families of boards do not know each other"),
    "above families": (families_from_above, "nothing above boards knows a family of them"),
    "methods": (boards_from_methods, f"methods know nothing of boards but {PROTOCOLS}"),
    "libraries": (libraries_elsewhere, f"libraries are imported where they belong: {LIBRARIES}"),
    "circles": (
        lambda source: module_loops(source, deferred=False),
        "no modules import each other in a circle when they are imported",
    ),
    "circles with deferred imports": (
        lambda source: module_loops(source, deferred=True),
        "no modules import each other in a circle, in functions and for types neither",
    ),
    "circles of rooms": (room_loops, "no rooms import each other in a circle"),
    "circles in the simulator": (simulator_room_loops, "no rooms of the simulator import each other in a circle"),
}


@pytest.mark.parametrize("name", RULES)
def test_imports(name: str) -> None:
    guard, rule = RULES[name]
    check(rule, guard(package_source()))


MADE_UP = {
    "steps/up.py": "from iotprovision import runs\nfrom ..runs import report\n",
    "runs/__init__.py": "",
    "runs/report.py": "def late():\n    import iotprovision.methods.method\n",
    "runs/bench.py": "import iotprovision.simulator.bench",
    "runs/pool.py": "import iotprovision.simulator.bench",
    "simulator/bench.py": "",
    "simulator/usb/bus.py": "import iotprovision.simulator.kit.state",
    "simulator/kit/state.py": "def late():\n    from iotprovision.simulator.usb import bus\n",
    "methods/method.py": "TYPE_CHECKING = 0\nif TYPE_CHECKING:\n    from iotprovision.runs.report import Report\n",
    "methods/aws.py": "from iotprovision.boards.board import Board\nfrom iotprovision.boards.finding import find\n",
    "inspection/look.py": (
        "from iotprovision.boards.nedbg.board import Board\nfrom iotprovision.command_line import options\n"
    ),
    "boards/board.py": "",
    "boards/finding.py": "import iotprovision.boards.nedbg.board",
    "boards/nedbg/board.py": "from iotprovision.boards.esp32.board import Board",
    "boards/esp32/board.py": "from iotprovision.boards import board",
    "formats/one.py": "import boto3.session, pymcuprog\nfrom iotprovision.formats import two\n",
    "formats/two.py": "from iotprovision.formats.one import what",
    "cloud/aws/account.py": "import botocore",
    "command_line/options.py": (
        "from argparse import Action\nfrom importlib import import_module as get\n"
        "def late():\n    import iotprovision.inspection.look\n"
    ),
    "commands/old.py": "import importlib\nimportlib.import_module('pykitcommander')\n",
    "attic/old.py": "",
}
FOUND = {
    "rooms": ["attic is on no floor"],
    "upward": [
        "methods/method.py imports runs/report.py",
        "steps/up.py imports runs/__init__.py",
        "steps/up.py imports runs/report.py",
    ],
    "simulator": ["runs/pool.py imports simulator/bench.py"],
    "families": ["boards/nedbg/board.py imports boards/esp32/board.py"],
    "above families": ["inspection/look.py imports boards/nedbg/board.py"],
    "methods": ["methods/aws.py imports boards/finding.py"],
    "libraries": [
        "commands/old.py imports pykitcommander",
        "formats/one.py imports boto3",
        "formats/one.py imports pymcuprog",
    ],
    "circles": ["formats/one.py → formats/two.py → formats/one.py"],
    "circles with deferred imports": [
        "command_line/options.py → inspection/look.py → command_line/options.py",
        "formats/one.py → formats/two.py → formats/one.py",
        "methods/method.py → runs/report.py → methods/method.py",
        "simulator/kit/state.py → simulator/usb/bus.py → simulator/kit/state.py",
    ],
    "circles of rooms": ["command_line → inspection → command_line"],
    "circles in the simulator": ["kit → usb → kit"],
}


@pytest.mark.parametrize("name", RULES)
def test_the_guards_see_what_they_are_for(name: str, tmp_path: Path) -> None:
    source = made_up(tmp_path, MADE_UP)
    assert sorted(fault.text for fault in RULES[name][0](source)) == FOUND[name]
