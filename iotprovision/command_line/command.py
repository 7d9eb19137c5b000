"""What a command is to the command line: a module with certain names."""

from __future__ import annotations

from iotprovision.command_line.options import FOR_ALL, options
from iotprovision.frozen import Frozen

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from typing import Any, Protocol

    from iotprovision.errors import ExitCode
    from iotprovision.option import Option
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

    class Command(Protocol):
        """What the module of a command has."""

        PURPOSE: str
        """What it is for, in the help."""
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
