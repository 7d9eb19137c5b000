"""No branch on a cloud or a kit outside the rooms that are about them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from support.source import Fault, Module, Source, check, last_name, made_up, package_source

from iotprovision.boards.catalogue import kits
from iotprovision.simulator.kit.kinds import KINDS

CLOUDS = ("aws", "azure", "google", "jitr", "mar", "sandbox")
ROOMS_OF_LITERALS = ("methods/", "cloud/", "boards/", "firmware/", "simulator/")
ROOMS_OF_BRANCHES = ("methods/", "boards/")
ROOMS_OF_HTTP = ("cloud/", "simulator/")
"""Where a method may be one of HTTP."""
CHOICES = ("modem", "cloud", "cloud_provider", "method", "provision_method")
"""What is never compared with anything outside the rooms of branches."""


NO_BRANCH = {
    "clouds": {"runs/log_file.py has 'azure'"},
    "kits": {
        "command_line/firmware_command.py has 'AVR-IoT WA'",
        "command_line/options.py has 'AVR-IoT WA'",
        "command_line/options.py has 'avr-iot-wa'",
        "formats/winc_image.py has 'WINC1510'",
    },
    "branches": set[str](),
}
"""The name of a library, examples in a help, and what a message calls a flash: nothing depends on them."""


def names_of_kits() -> list[str]:
    """Those of the catalogue and of the simulator, and the first word for each modem."""
    modems = {kit.modem.split()[0] for kit in kits()}
    return sorted({*(name for kit in kits() for name in kit.names), *KINDS, *modems}, key=len, reverse=True)


def _outside(source: Source, rooms: tuple[str, ...]) -> Iterator[Module]:
    return (module for module in source if not module.path.startswith(rooms))


def literals_of_clouds(source: Source) -> Iterator[Fault]:
    for module in _outside(source, ROOMS_OF_LITERALS):
        yield from (module.fault(f"has '{text.value}'", text) for text in module.strings() if text.value in CLOUDS)


def literals_of_kits(source: Source, names: Collection[str]) -> Iterator[Fault]:
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})(?![\w-])", re.IGNORECASE)
    for module in _outside(source, ROOMS_OF_LITERALS):
        for text in module.strings():
            yield from (module.fault(f"has '{name}'", text) for name in pattern.findall(str(text.value)))


def branches(source: Source) -> Iterator[Fault]:
    for module in _outside(source, ROOMS_OF_BRANCHES):
        for node in ast.walk(module.tree):
            for what in _branch(node):
                if "comparison of method" not in what or not module.path.startswith(ROOMS_OF_HTTP):
                    yield module.fault(f"has {what}", node)


def _branch(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and node.attr == "has_wifi":
        yield ".has_wifi"
    elif isinstance(node, ast.Compare) and not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        sides = [last_name(side) for side in (node.left, *node.comparators)]
        yield from (f"a comparison of {side}" for side in sides if side in CHOICES)
    elif isinstance(node, ast.Match) and last_name(node.subject) in CHOICES:
        yield f"a comparison of {last_name(node.subject)}"
    elif isinstance(node, ast.Call) and last_name(node.func) == "isinstance" and last_name(node.args[0]) == "identity":
        yield "isinstance(identity, …)"


RULES = {
    "clouds": (literals_of_clouds, f"the name of a cloud or method is written only in {ROOMS_OF_LITERALS}"),
    "kits": (
        lambda source: literals_of_kits(source, names_of_kits()),
        f"the name of a kit or modem is written only in {ROOMS_OF_LITERALS}",
    ),
    "branches": (branches, f"nothing asks for cloud, modem or kind of identity but {ROOMS_OF_BRANCHES}"),
}


@pytest.mark.parametrize("name", RULES)
def test_literals(name: str) -> None:
    guard, rule = RULES[name]
    check(rule, guard(package_source()), NO_BRANCH[name])


MADE_UP = {
    "runs/report.py": """
def text(self, job, kit, identity):
    "aws, azure and google; an AVR-IoT WA"
    match job._cloud:
        case "jitr":
            return f"simulate avr-iot-wa@emulated, not xavr-iot-wax"
    if kit.has_wifi or kit.modem == "Sequans Monarch 2" or isinstance(identity, str):
        return "the demo for aws"
    if "mar" in (job.method, self.cloud):
        return {"sandbox": kit.modem is None}
""",
    "cloud/http.py": "if method == 'GET' and cloud != 'aws':\n    pass\n",
    "methods/aws.py": "if cloud == 'aws' and kit.has_wifi and kit == 'AVR-IoT WA':\n    pass\n",
}


@pytest.mark.parametrize(
    "name, found",
    [
        ("clouds", ["'jitr'", "'mar'", "'sandbox'"]),
        ("kits", ["'Sequans'", "'avr-iot-wa'"]),
        ("branches", [".has_wifi", "a comparison of cloud", "a comparison of modem", "isinstance(identity, …)"]),
    ],
)
def test_the_guards_see_what_they_are_for(name: str, found: list[str], tmp_path: Path) -> None:
    source = made_up(tmp_path, MADE_UP)
    texts = {fault.text for fault in RULES[name][0](source)}
    others = {"cloud/http.py has a comparison of cloud"} if name == "branches" else set()
    assert texts == {f"runs/report.py has {what}" for what in found} | others
