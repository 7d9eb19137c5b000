"""What ``--help`` shows, straight from the tables: no parser is needed for it."""

from __future__ import annotations

import os

from iotprovision.command_line.command import FOR_ACTIONS, headings_of, options_of
from iotprovision.command_line.options import ACTIONS, MORE, NEWER, options

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from iotprovision.command_line.command import Command, Commands
    from iotprovision.option import Option

HELP, VERSION = ("-h", "--help"), ("-V", "--version")
FALLBACK_WIDTH = 100
COLUMN = 24
"""Where explanations begin."""
LEAST = 20
"""Columns that an explanation has at least."""
EXAMPLES = """\
  iotprovision                             the connected kit becomes a device of the vendor's sandbox account
  iotprovision -c aws -m jitr              ... of your own account, that of your AWS profile
  iotprovision -c aws -m jitr --dry-run    say what that would do, and change nothing
  iotprovision --simulate -c aws -m jitr   a simulated kit and a local cloud: no board, no account
"""


def usage(command: str) -> str:
    """How a command is called, in a line or two."""
    if command == FOR_ACTIONS:
        return "iotprovision [OPTIONS] [ACTION ...]\n       iotprovision COMMAND [OPTIONS]"
    return f"iotprovision {command} [OPTIONS]"


def help_of_actions(commands: Commands) -> str:
    """The help of the command that does actions, with what else there is."""
    rows = [_row(name, commands.purpose(name).removesuffix("."), 15) for name in commands]
    return _page(
        FOR_ACTIONS,
        "Makes a Microchip IoT kit a trusted device of a cloud account, and proves it.",
        [
            ("actions", [_row("ACTION ...", f"{', '.join(ACTIONS)} (default: all)")]),
            *_options(options(), {option.name: option.group for option in options()}, ("", MORE, NEWER)),
            ("commands, each with options of its own (iotprovision COMMAND --help)", rows),
        ],
        EXAMPLES,
    )


def help_of(name: str, command: Command) -> str:
    """The help of any other command."""
    headings = headings_of(name, command)
    groups = ("", *dict.fromkeys(heading for heading in headings.values() if heading))
    return _page(
        name, command.__doc__.partition("\n")[0], _options(options_of(command), headings, groups), command.EXAMPLES
    )


def _page(command: str, description: str, parts: Iterable[tuple[str, Iterable[str]]], examples: str) -> str:
    paragraphs = [f"usage: {usage(command)}", description]
    paragraphs += ["\n".join([f"{heading}:", *rows]) for heading, rows in parts]
    return "\n\n".join([*paragraphs, f"examples:\n{examples}"])


def _options(
    rows: Iterable[Option], headings: Mapping[str, str], groups: Iterable[str]
) -> Iterator[tuple[str, list[str]]]:
    for group in groups:
        shown = [_row(_spelled(option), option.text) for option in rows if headings.get(option.name, "") == group]
        if not group:
            shown = [
                _row(", ".join(HELP), "show this help message and exit"),
                _row(", ".join(VERSION), "show the version of the program and exit"),
                *shown,
            ]
        yield group or "options", shown


def _spelled(option: Option) -> str:
    spellings = ", ".join(option.spellings)
    if option.is_flag:
        return spellings
    value = option.metavar or (f"{{{','.join(option.values)}}}" if option.values else option.name.upper())
    return f"{spellings} {value}" if option.bare is None else f"{spellings} [{value}]"


def _row(name: str, explanation: str, column: int = COLUMN) -> str:
    """A line or several: what is explained, and from a column on what it is."""
    lines = _wrapped(explanation, max(_width() - column, LEAST))
    first = f"  {name}".ljust(column)
    if len(first) > column or first[-1] != " ":
        lines.insert(0, "")
        first = f"  {name}"
    return "\n".join([f"{first}{lines[0]}", *(" " * column + line for line in lines[1:])])


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _width() -> int:
    try:
        columns = os.get_terminal_size(1).columns
    except OSError:
        columns = 0
    return (columns or FALLBACK_WIDTH) - 2
