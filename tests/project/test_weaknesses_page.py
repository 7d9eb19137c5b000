"""The page of weaknesses: each is on it once, with tests that exist or with the reason why there is none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "weaknesses.md"
TEST = re.compile(r"`tests/(\w+/test_\w+\.py)::(\w+)(?:::(\w+))?`")
REASON = re.compile(r"\b(later|not applicable): \S")
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def names_of_tests(file: Path) -> set[str]:
    """Functions of a test file, and ``Class::function`` for those of classes; looked up without running it."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def test_every_weakness_is_on_the_page_once() -> None:
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, 55)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_says_what_goes_wrong_what_is_done_instead_and_what_would_catch_it(row: list[str]) -> None:
    number, wrong, instead, caught = row
    assert wrong
    assert instead
    tests = TEST.findall(caught)
    assert tests or REASON.search(caught), f"row {number} names neither a test nor a reason"
    for file, *parts in tests:
        path = ROOT / "tests" / file
        assert path.is_file(), f"row {number}: there is no tests/{file}"
        name = "::".join(part for part in parts if part)
        assert name in names_of_tests(path), f"row {number}: {file} has no {name}"
        assert name.split("::")[-1].startswith("test_")
