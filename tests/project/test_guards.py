"""What the guards in this folder are made of: the source as they read it, and the comparison with their lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.source import Fault, check, loops, made_up

RULE = "nothing is blue"
FAULTS = [Fault("a.py is blue", "iotprovision/a.py:3"), Fault("a.py is blue", "iotprovision/a.py:7")]


def test_what_is_known_is_let_pass() -> None:
    check(RULE, FAULTS, ["a.py is blue"])
    check(RULE, [])


@pytest.mark.parametrize(
    "known, lines",
    [
        ([], ["Against it:", '    "a.py is blue",  # iotprovision/a.py:3, iotprovision/a.py:7']),
        (
            ["a.py is blue", "b.py is blue"],
            ["No longer against it, to be taken off the list:", '    "b.py is blue",'],
        ),
    ],
)
def test_what_is_new_and_what_is_no_longer_so_is_named(known: list[str], lines: list[str]) -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        check(RULE, FAULTS, known)
    assert str(failure.value).splitlines() == [f"The rule: {RULE}", *lines]


def test_the_shortest_ways_back_are_found() -> None:
    graph = {"a": ["b", "c"], "b": ["c"], "c": ["a"], "d": ["a", "d"]}
    assert loops(graph) == [("a", "b", "c", "a"), ("a", "c", "a"), ("d", "d")]


def test_imports_of_every_kind_are_read(tmp_path: Path) -> None:
    texts = {
        "steps/__init__.py": "from . import step\n",
        "steps/step.py": "import os.path\nfrom iotprovision import errors, __version__\nfrom ..steps import ACTION\n",
        "errors.py": "class Late:\n    def load(self):\n        from .steps.step import Step\n",
        "findings.py": "if typing.TYPE_CHECKING:\n    from iotprovision.errors import Error\n",
        "__init__.py": "import importlib\nimportlib.import_module('boto3')\nimportlib.import_module(name)\n",
    }
    source = made_up(tmp_path, texts)
    found = {
        module.path: [(each.name, each.line, each.is_deferred) for each in imports]
        for module, imports in source.imports.items()
    }
    assert found == {
        "steps/__init__.py": [("iotprovision.steps.step", 1, False)],
        "steps/step.py": [
            ("os.path", 1, False),
            ("iotprovision.errors", 2, False),
            ("iotprovision", 2, False),
            ("iotprovision.steps", 3, False),
        ],
        "errors.py": [("iotprovision.steps.step", 3, True)],
        "findings.py": [("iotprovision.errors", 2, True)],
        "__init__.py": [("importlib", 1, False), ("boto3", 2, True)],
    }
