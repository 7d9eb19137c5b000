"""What a command is to the command line: a module with certain names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from iotprovision.command_line.options import FOR_ALL, options
from iotprovision.frozen import Frozen

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from iotprovision.errors import ExitCode
    from iotprovision.option import Option
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

    class Command(Protocol):
        """What the module of a command has."""

        __doc__: str
        """Its first line says what the command is for, in the help."""
        EXAMPLES: str
        """Lines of the help, each a command line and what it does."""
        SHARED: tuple[str, ...]
        """Options that it has in common with the actions, by their names."""
        OPTIONS: tuple[Option, ...]
        """Options of its own. One that a job has a value for is as with the actions, but for its help."""
        Request: type[Frozen]
        """The values of the others, by their names, and the defaults of those."""

        # Of a request, each command knows its own kind.
        def writes(self, job: Job, request: Any) -> bool:
            """Whether it may change anything; without that it leaves no trace, not even in the log."""

        def perform(self, job: Job, request: Any, bench: Bench, reporter: Reporter) -> ExitCode:
            """Do what was asked for."""


FOR_ACTIONS = "provision"
"""The command whose words are actions; it needs no naming."""


class NoRequest(Frozen):
    """That of a command without options of its own."""


class Commands(Mapping[str, "Command"]):
    """All commands of a package but the one that does actions, by their names. A module is loaded when it is asked for.

    :param folder: of the package
    """

    def __init__(self, package: str, folder: str) -> None:
        self._package = package
        self._folder = folder
        files = (name.partition(".") for name in sorted(os.listdir(folder)))  # noqa: PTH208 - pathlib costs too much
        self._names = tuple(
            dict.fromkeys(
                stem for stem, _, suffix in files if suffix.startswith("py") and stem not in ("__init__", FOR_ACTIONS)
            )
        )

    def __getitem__(self, name: str) -> Command:
        if name not in self._names:
            raise KeyError(name)
        return import_module(f"{self._package}.{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def purpose(self, name: str) -> str:
        """What a command is for: the first line of its module, which is not loaded for it.

        To load all of them would cost as much again as half of what ``--help`` does.
        """
        try:
            with open(os.path.join(self._folder, f"{name}.py"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
                line = file.readline().strip()
        except FileNotFoundError:  # it is installed without its source
            return purpose_of(self[name])
        return line.strip('"')


def purpose_of(command: Command) -> str:
    """The first line of a module that is loaded."""
    return command.__doc__.partition("\n")[0]


def options_of(command: Command) -> tuple[Option, ...]:
    """What a command takes: what it shares with the actions, and its own."""
    own = {option.name for option in command.OPTIONS}
    names = {*FOR_ALL, *command.SHARED} - own
    for_one_cloud = "cloud" in command.SHARED
    shared = (option for option in options() if option.name in names or (for_one_cloud and option.names_account))
    return (*shared, *command.OPTIONS)


def headings_of(name: str, command: Command) -> dict[str, str]:
    """Headings of the help, for those of a command's options that stand under one of their own."""
    own = (option for option in command.OPTIONS if option.name in command.Request.names())
    return {option.name: option.group or f"options of {name}" for option in own}
