"""Which tests are quick: those that start no simulated kit, no local cloud and no emulator.

Nobody lists them. A test is quick when nothing that it or its fixtures can reach leads to such a process; and while a
quick test runs, the start of one fails it, so that what is overlooked here is found there. Time that is spent otherwise
fails it too: then it gets the mark ``slow``.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from support.process_watch import sitecustomize as process_watch
from support.process_watch.sitecustomize import REPORT, WORDS

DOORS = ("start_kits", "LocalCloud", "SimulatedBench")
"""What starts such a process, by name."""
EMULATORS = "iotprovision.simulator.emulators"
OTHER_RUNS = ("emulated", "every_kit", "slow")
"""Marks of tests that are never among the quick ones."""

PROCESSOR_TIME = 5.0
"""Seconds that a quick test and what it starts may compute for; what waits for other programs is not counted."""

FOLDERS = [Path(__file__).parents[1]]
"""Whose code is looked through. What lies elsewhere is known by DOORS and WORDS alone."""

_harmless: dict[int, Any] = {}
"""By their numbers, which are theirs as long as they are kept here."""
_CONTAINERS = (str, bytes, tuple, list, set, frozenset, dict)


def is_quick(item: pytest.Function) -> bool:
    """Whether nothing that this test reaches starts a process of that kind."""
    if any(item.get_closest_marker(mark) for mark in OTHER_RUNS):
        return False
    fixtures = [fixture.func for found in item._fixtureinfo.name2fixturedefs.values() for fixture in found]
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return not any(map(_reaches_a_door, [item.function, *fixtures, *parameters.values()]))


def _reaches_a_door(start: Any) -> bool:
    pending, seen = [start], dict[int, Any]()
    while pending:
        thing = pending.pop()
        if id(thing) in seen or id(thing) in _harmless:
            continue
        seen[id(thing)] = thing
        if _is_door(thing):
            return True
        pending += _leads_to(thing)
    _harmless.update(seen)
    return False


def _is_door(thing: Any) -> bool:
    if isinstance(thing, _CONTAINERS):
        text = repr(thing)
        return any(word in text for word in WORDS)
    module = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None) or ""
    return getattr(thing, "__qualname__", "") in DOORS or str(module).startswith(EMULATORS)


def _leads_to(thing: Any) -> Iterable[Any]:
    """What the code of a function or class of the tests names; nothing for what is not theirs."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (tuple, list, set, frozenset)):
        return list(thing)
    if isinstance(thing, (staticmethod, classmethod)):
        return [thing.__func__]
    if isinstance(thing, (property, functools.cached_property)):
        return [thing.fget if isinstance(thing, property) else thing.func]
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, type):
        return [*vars(thing).values(), *thing.__bases__] if _is_of_tests(thing.__module__) else []
    if isinstance(thing, FunctionType):
        return _named_by(thing) if _is_ours(thing.__code__.co_filename) else []
    if inspect.ismethod(thing):
        return [thing.__func__]
    return [type(thing)] if _is_of_tests(type(thing).__module__) else []


def _is_of_tests(module: str) -> bool:
    return _is_ours(getattr(sys.modules.get(module), "__file__", None) or "")


def _is_ours(file: str) -> bool:
    return file.startswith(tuple(f"{folder}{os.sep}" for folder in FOLDERS))


def _named_by(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        if cell.cell_contents is not function:
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for code in _codes(function.__code__):
        yield from (constant for constant in code.co_consts if isinstance(constant, (str, tuple)))
        for name in code.co_names:
            found = function.__globals__.get(name)
            yield found
            # A module is not walked through, only what is taken out of it.
            if isinstance(found, ModuleType):
                yield from (getattr(found, attribute, None) for attribute in code.co_names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


# --- while one runs


class Watch:
    """Around one quick test: what it starts and how long it computes.

    :param report: a file that is not there yet
    """

    def __init__(self, report: Path) -> None:
        self._report = report
        self._before: dict[str, str | None] = {}
        self._started_at = 0.0

    def __enter__(self) -> Watch:
        # The programs that it runs load the watch too.
        folders = [str(Path(process_watch.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        values = {REPORT: str(self._report), "PYTHONPATH": os.pathsep.join(folders)}
        self._before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        self._started_at = _processor_time()
        return self

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._report.unlink(missing_ok=True)

    def phase(self) -> Generator[None, Any, Any]:
        """Around a phase of the test, which fails at its end even where it has swallowed the refusal itself."""
        try:
            return (yield)
        finally:
            if self._report.exists():
                pytest.fail(_started(self._report.read_text(encoding="utf-8")), pytrace=False)
            spent = _processor_time() - self._started_at
            if spent > PROCESSOR_TIME:
                pytest.fail(
                    f"A quick test computed for {spent:.1f} s, more than {PROCESSOR_TIME} s. Give it the mark slow.",
                    pytrace=False,
                )


def _processor_time() -> float:
    return sum(os.times()[:4])


def _started(commands: str) -> str:
    return (
        f"A quick test started a simulated kit, a local cloud or an emulator:\n{commands}"
        "tests/support/quick.py did not see that it would: name what it calls in DOORS, or what it says in WORDS, or "
        "give the test the mark slow."
    )
