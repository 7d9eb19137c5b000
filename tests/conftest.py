"""Options and conditions of the test run."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from support import quick

# Where a run is started with Ctrl-C ignored, as a shell does for what it puts into the background, Python and every
# process that it starts would go on ignoring it, and what the tests interrupt would never end.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


WATCH = pytest.StashKey[quick.Watch]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-kits-page",
        action="store_true",
        help="write the table of docs/kits.md from what the tests of it come to, instead of comparing",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-kits-page") and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("--write-kits-page writes one page: run it without -n")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and quick.is_quick(item):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    if item.get_closest_marker("quick") is None:
        return (yield)
    with quick.Watch(Path(tempfile.gettempdir()) / f"quick-test-{os.getpid()}") as item.stash[WATCH]:
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from _watched(item))


def _watched(item: pytest.Item) -> Generator[None, Any, Any]:
    return (yield from item.stash[WATCH].phase()) if WATCH in item.stash else (yield)
