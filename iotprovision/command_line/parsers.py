"""Parsers, built from the tables of options. What is not typed is not among what they give."""

from __future__ import annotations

import argparse
import os

from iotprovision import __version__
from iotprovision.command_line.options import ACTIONS, FOR_ALL, NEWER_ACTIONS, options

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from iotprovision.command_line.command import Command
    from iotprovision.option import Option

    class Container(Protocol):
        """What options can be added to: a parser, or a group of one."""

        def add_argument(self, *names: str, **values: Any) -> Any: ...


FALLBACK_WIDTH = 100
HELP = ("-h", "--help")
WORDS = "words"
EXAMPLES = """\
examples:
  iotprovision                             the connected kit becomes a device of the vendor's sandbox account
  iotprovision -c aws -m jitr              ... of your own account, that of your AWS profile
  iotprovision -c aws -m jitr --dry-run    say what that would do, and change nothing
  iotprovision --simulate -c aws -m jitr   a simulated kit and a local cloud: no board, no account
"""


def action_parser(purposes: Mapping[str, str] | None) -> argparse.ArgumentParser:
    """The parser of the command that does actions.

    :param purposes: the other commands, and what each is for; None where no help will be shown
    """
    epilog = ""
    if purposes:
        commands = "\n".join(f"  {name:<12} {purpose}" for name, purpose in purposes.items())
        epilog = f"commands, each with options of its own (iotprovision COMMAND --help):\n{commands}\n\n{EXAMPLES}"
    parser = _parser(
        "iotprovision",
        "Makes a Microchip IoT kit a trusted device of a cloud account, and proves it.",
        epilog,
        "iotprovision [OPTIONS] [ACTION ...]\n       iotprovision COMMAND [OPTIONS]",
    )
    words = parser.add_argument(
        WORDS,
        nargs="*",
        metavar="ACTION",
        help=f"action(s) to perform: {', '.join(ACTIONS)} (default: all)",
    )
    # For shell completion: argparse may not check the choices itself, because of --simulate with an action behind it.
    offered = (*ACTIONS, *NEWER_ACTIONS, *(purposes or ()))
    setattr(words, "completer", lambda **_: offered)  # noqa: B010 - no attribute that argparse knows
    headings = {option.name: option.group for option in options()}
    _add(parser, options(), headings, purposes is not None)
    return parser


def command_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of any other command."""
    purpose = command.PURPOSE
    parser = _parser(
        f"iotprovision {name}", f"{purpose[0].upper()}{purpose[1:]}.", f"examples:\n{command.EXAMPLES}", None
    )
    # Words that go with no command: they are refused where more can be said than argparse can.
    parser.add_argument(WORDS, nargs="*", help=argparse.SUPPRESS)
    own = (option for option in command.OPTIONS if option.name in command.Request.names())
    _add(parser, options_of(command), {option.name: option.group or f"options of {name}" for option in own}, True)
    return parser


def options_of(command: Command) -> tuple[Option, ...]:
    """What a command takes: what it shares with the actions, and its own."""
    own = {option.name for option in command.OPTIONS}
    names = {*FOR_ALL, *command.SHARED} - own
    for_one_cloud = "cloud" in command.SHARED
    shared = (option for option in options() if option.name in names or (for_one_cloud and option.names_account))
    return (*shared, *command.OPTIONS)


def _parser(program: str, description: str, epilog: str, usage: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        usage=usage,
        description=description,
        epilog=epilog,
        formatter_class=_help_format,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"iotprovision {__version__}")
    return parser


def _help_format(prog: str) -> argparse.HelpFormatter:
    # argparse would ask shutil for the width, which loads every compression that Python knows.
    try:
        width = os.get_terminal_size(1).columns
    except OSError:
        width = 0
    return argparse.RawDescriptionHelpFormatter(prog, width=(width or FALLBACK_WIDTH) - 2)


def _add(parser: argparse.ArgumentParser, rows: Iterable[Option], headings: Mapping[str, str], with_help: bool) -> None:
    """Declare options, under their headings where they have such."""
    groups = {title: parser.add_argument_group(title) for title in dict.fromkeys(headings.values()) if title}
    alternatives: dict[str, Container] = {}
    for option in rows:
        group = groups.get(headings.get(option.name, ""), parser)
        container: Container = group
        if option.alternatives:
            if option.alternatives not in alternatives:
                alternatives[option.alternatives] = group.add_mutually_exclusive_group()
            container = alternatives[option.alternatives]
        container.add_argument(*option.spellings, dest=option.name, **_how(option, with_help))


def _how(option: Option, with_help: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"help": option.text if with_help else None}
    if option.is_flag:
        return {**values, "action": "store_true"}
    values["type"] = option.convert
    if option.metavar:
        values["metavar"] = option.metavar
    if option.choices:
        values["choices"] = option.choices
    if option.bare is not None:
        values |= {"nargs": "?", "const": option.bare}
    if option.is_repeated:
        values["action"] = "append"
    return values


def typed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What was typed: words, and values of options."""
    values = vars(parser.parse_args(arguments))
    return tuple(values.pop(WORDS, ())), values
