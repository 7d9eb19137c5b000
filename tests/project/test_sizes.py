"""How long a file and a function may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.source import Fault, Source, check, made_up, package_source

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60

TOO_LONG = {
    "cloud/aws/jitr_template.py _template": "one CloudFormation template, written down as a whole",
    "simulator/usb/bus.py": "programs of other environments load it as one file, without the package",
}
"""What is longer, and why. An entry that is no longer needed fails too."""


def long_files(source: Source) -> Iterator[Fault]:
    for module in source:
        lines = len(module.text.splitlines())
        if lines > LINES_OF_A_FILE:
            yield Fault(module.path, f"{lines} lines")


def long_functions(source: Source) -> Iterator[Fault]:
    for module in source:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LINES_OF_A_FUNCTION:
                    yield Fault(f"{module.path} {node.name}", f"{lines} lines")


def test_sizes() -> None:
    source = package_source()
    rule = f"at most {LINES_OF_A_FILE} lines in a file, {LINES_OF_A_FUNCTION} in a function, or a reason in TOO_LONG"
    check(rule, [*long_files(source), *long_functions(source)], TOO_LONG.keys() | set())


def test_the_guards_see_what_they_are_for(tmp_path: Path) -> None:
    function = ["def long():", *["    pass"] * LINES_OF_A_FUNCTION]
    method = ["class Step:", "    async def full(self):", *["        pass"] * (LINES_OF_A_FUNCTION - 1)]
    texts = {
        "steps/long.py": "\n" * (LINES_OF_A_FILE + 1),
        "steps/full.py": "\n" * LINES_OF_A_FILE,
        "steps/step.py": "\n".join([*function, *method]),
    }
    source = made_up(tmp_path, texts)
    assert [fault.text for fault in long_files(source)] == ["steps/long.py"]
    assert [fault.text for fault in long_functions(source)] == ["steps/step.py long"]
