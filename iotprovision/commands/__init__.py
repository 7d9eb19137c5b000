"""The registry of commands: this folder. A module in it is one command; ``command_line/command.py`` says what it has.

The modules import nothing heavy at their top: what they are for is said by ``--help`` too. The one that does actions is
the exception: ``--help`` knows its words without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from iotprovision.command_line.command import FOR_ACTIONS

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Iterator

    from iotprovision.command_line.command import Command
    from iotprovision.environment import Environment
    from iotprovision.errors import ExitCode
    from iotprovision.frozen import Frozen
    from iotprovision.runs.job import Job


class Commands(Mapping[str, "Command"]):
    """All commands but the one that does actions, by their names. A module is loaded when it is asked for."""

    def __init__(self) -> None:
        files = (name.partition(".") for name in sorted(os.listdir(__path__[0])))  # noqa: PTH208 - pathlib costs too much
        self._names = tuple(
            dict.fromkeys(
                stem for stem, _, suffix in files if suffix.startswith("py") and stem not in ("__init__", FOR_ACTIONS)
            )
        )

    def __getitem__(self, name: str) -> Command:
        if name not in self._names:
            raise KeyError(name)
        return _module(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _module(name: str) -> Command:
    return import_module(f"{__name__}.{name}")


def perform(job: Job, request: Frozen, environment: Environment) -> ExitCode:
    """Do what was asked for; nothing raised here reaches the caller."""
    from iotprovision.runs.bench import bench_for
    from iotprovision.runs.recorded_run import recorded

    command = _module(job.command)
    return recorded(
        job,
        environment,
        command.writes(job, request),
        lambda reporter, resources: command.perform(
            job, request, bench_for(job, environment, reporter, resources), reporter
        ),
    )
