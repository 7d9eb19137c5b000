"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-kits-page",
        action="store_true",
        help="write the table of docs/kits.md from what the tests of it come to, instead of comparing",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-kits-page") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--write-kits-page writes one page: run it without -n")
