"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-kits-page",
        action="store_true",
        help="write the table of docs/kits.md from what the tests of it come to, instead of comparing",
    )
