"""Parsers, built from the tables of options. What is not typed is not among what they give."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from iotprovision.command_line.command import FOR_ACTIONS, options_of
from iotprovision.command_line.help import HELP, VERSION, usage
from iotprovision.command_line.options import ACTIONS, NEWER_ACTIONS, options
from iotprovision.option import Option

if TYPE_CHECKING:
    from iotprovision.command_line.command import Command

WORDS = "words"


class Container(Protocol):
    """What options can be added to: a parser, or a group of one."""

    def add_argument(self, *names: str, **values: Any) -> Any:
        """Declare one."""


def action_parser(commands: Iterable[str] = ()) -> argparse.ArgumentParser:
    """The parser of the command that does actions.

    :param commands: that a shell may offer beside actions
    """
    parser = _parser(FOR_ACTIONS, options())
    words = parser.add_argument(WORDS, nargs="*")
    # For shell completion: argparse may not check the choices itself, because of --simulate with an action behind it.
    offered = (*ACTIONS, *NEWER_ACTIONS, *commands)
    setattr(words, "completer", lambda **_: offered)  # noqa: B010 - no attribute that argparse knows
    return parser


def command_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of any other command."""
    parser = _parser(name, options_of(command))
    # Words that go with no command: they are refused where more can be said than argparse can.
    parser.add_argument(WORDS, nargs="*")
    return parser


def typed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What was typed: words, and values of options.

    :raises SystemExit: it cannot be read; that was shown
    """
    values = vars(parser.parse_args(arguments))
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return values.pop(WORDS, ()), values


def _parser(name: str, rows: Iterable[Option]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=usage(name).partition(" [")[0],
        usage=usage(name),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    # Seen before anything is parsed; declared for completion.
    for spellings in (HELP, VERSION):
        parser.add_argument(*spellings, action="store_true")
    alternatives: dict[str, Container] = {}
    for option in rows:
        container: Container = parser
        if option.alternatives:
            if option.alternatives not in alternatives:
                alternatives[option.alternatives] = parser.add_mutually_exclusive_group()
            container = alternatives[option.alternatives]
        container.add_argument(*option.spellings, dest=option.name, **_how(option))
    return parser


def _how(option: Option) -> Mapping[str, Any]:
    if option.is_flag:
        return {"action": "store_true"}
    values: dict[str, Any] = {"type": option.convert}
    if option.metavar:
        values["metavar"] = option.metavar
    if option.values:
        values["choices"] = option.values
    if option.bare is not None:
        values |= {"nargs": "?", "const": option.bare}
    if option.is_repeated:
        values["action"] = "append"
    return values
