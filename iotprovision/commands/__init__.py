"""What the command line can be asked for beside actions: one module a command, with options of its own.

A module has the names of :class:`Command`. It imports nothing heavy: its options are declared for ``--help`` too.
"""

from __future__ import annotations

from importlib import import_module

from iotprovision.command_line.options import COMMANDS, parser_called

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse
    from typing import Protocol

    from iotprovision.environment import Environment
    from iotprovision.errors import ExitCode
    from iotprovision.runs.bench import Workplace
    from iotprovision.runs.report import Reporter

    class Command(Protocol):
        """What the module of a command has."""

        EXAMPLES: str
        """Lines of the help, each a command line and what it does."""
        SHARED: tuple[str, ...]
        """Options that it has in common with the actions, by the names of their values."""

        def add_options(self, parser: argparse.ArgumentParser) -> None:
            """Declare the options of its own."""

        def writes(self, options: argparse.Namespace) -> bool:
            """Whether it may change anything; without that it leaves no trace, not even in the log."""

        def perform(self, options: argparse.Namespace, place: Workplace, reporter: Reporter) -> ExitCode:
            """Do what was asked for."""


# Every command has these.
FOR_ALL = ("simulate", "json", "logging")


def _module(name: str) -> Command:
    return import_module(f"{__name__}.{name}")


def command_parser(name: str, actions: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser of a command.

    :param actions: that of the actions; options in common are taken from there, with the defaults they have there
    """
    import argparse

    command = _module(name)
    purpose = COMMANDS[name]
    examples = f"examples:\n{command.EXAMPLES}"
    parser = parser_called(f"iotprovision {name}", f"{purpose[0].upper()}{purpose[1:]}.", examples)
    # Words that go with no command: they are refused where more can be said than argparse can.
    parser.add_argument("others", nargs="*", help=argparse.SUPPRESS)
    for action in actions._actions:
        if action.dest in (*FOR_ALL, *command.SHARED, "version"):
            parser._add_action(action)
    # Options that exclude each other there do so here too.
    parser._mutually_exclusive_groups += [
        group
        for group in actions._mutually_exclusive_groups
        if all(action in parser._actions for action in group._group_actions)
    ]
    command.add_options(parser)
    return parser


def perform(options: argparse.Namespace, environment: Environment) -> ExitCode:
    """Do what a command is for; nothing raised here reaches the caller."""
    from iotprovision.commands.perform import framed
    from iotprovision.runs.bench import Workplace

    command = _module(options.command)
    return framed(
        options,
        environment,
        command.writes(options),
        lambda reporter, resources: command.perform(
            options, Workplace(options, environment, reporter, resources), reporter
        ),
    )
