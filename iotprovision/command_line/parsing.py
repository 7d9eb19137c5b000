"""One pass over everything that was said: typed, over the environment, over the settings file."""

from __future__ import annotations

import os

from iotprovision.command_line.command import FOR_ACTIONS, NoRequest
from iotprovision.command_line.options import method_options, options
from iotprovision.command_line.parsers import HELP, action_parser, command_parser, options_of, typed
from iotprovision.environment import SETTING_PREFIX

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import Any

    from iotprovision.command_line.command import Command
    from iotprovision.command_line.given import Given
    from iotprovision.environment import Environment
    from iotprovision.frozen import Frozen
    from iotprovision.option import Option
    from iotprovision.runs.job import Job


def parse(arguments: Sequence[str], environment: Environment, commands: Mapping[str, Command]) -> tuple[Job, Frozen]:
    """What was asked for: the job, and what the command alone has a word for.

    :param commands: all but the one that does actions, each with its module, which is loaded when it is asked for
    :raises UsageError: a combination that makes no sense, or a setting that is none
    :raises SystemExit: help was asked for, or something was typed that cannot be read; it was shown
    """
    name, rest = _command_among(arguments, commands)
    # --help and mistakes come first; and without the settings it shows what was typed.
    words, values = typed(_parser(name, rest, commands), rest)
    from iotprovision.command_line.given import Asked, Given, Origin
    from iotprovision.command_line.rules import settled

    command = commands[name] if name else None
    taken = options_of(command) if command else options()
    # Of settings, a command takes over those that it shares with the actions.
    settable = {option.name for option in taken} - {option.name for option in (command.OPTIONS if command else ())}
    given = {option: value for option, value in _settings(environment).items() if option in settable}
    given |= {option: Given(value, Origin.TYPED) for option, value in values.items()}
    asked = Asked(name or FOR_ACTIONS, words, taken, given, tuple(commands))
    return _made(asked.command, settled(asked), taken, command.Request if command else NoRequest)


def completed(line: str, commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser for a command line whose last word a shell wants completed."""
    name, _ = _command_among(f"{line}|".split()[1:-1], commands)
    return _parser(name, HELP, commands)


def _command_among(arguments: Sequence[str], commands: Mapping[str, Command]) -> tuple[str | None, Sequence[str]]:
    """The first word that names a command and is not the value of an option; the arguments without it."""
    take_a_value = {
        spelling for option in options() if not option.is_flag and option.bare is None for spelling in option.spellings
    }
    before = ""
    for index, word in enumerate(arguments):
        if word in commands and before not in take_a_value:
            return word, [*arguments[:index], *arguments[index + 1 :]]
        before = word
    return None, arguments


def _parser(name: str | None, arguments: Sequence[str], commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    if name:
        return command_parser(name, commands[name])
    shows_help = any(word in HELP for word in arguments)
    return action_parser({name: command.PURPOSE for name, command in commands.items()} if shows_help else None)


def _settings(environment: Environment) -> dict[str, Given]:
    """What was said for all runs."""
    from iotprovision.command_line.given import Given, Origin

    file = environment.store_folder / "config.yaml"
    variables = environment.variables
    if not os.path.lexists(file) and not any(name.startswith(SETTING_PREFIX) for name in variables):
        return {}
    from iotprovision.command_line.settings_file import from_environment, from_file

    given = {name: Given(value, Origin.FILE) for name, value in from_file(options(), file).items()}
    return given | {
        name: Given(value, Origin.ENVIRONMENT) for name, value in from_environment(options(), variables).items()
    }


def _made(
    command: str, values: Mapping[str, Any], taken: Sequence[Option], request: type[Frozen]
) -> tuple[Job, Frozen]:
    from iotprovision.runs.job import Job

    of_methods = {
        option.name: values.get(option.name, option.default) for option in method_options() if option in taken
    }
    own = {name: value for name, value in values.items() if name in request.names()}
    others = {name: value for name, value in values.items() if name not in {*own, *of_methods}}
    repeated = {name: tuple(value) for name, value in own.items() if isinstance(value, list)}
    return Job(command=command, method_options=of_methods, **others), request(**{**own, **repeated})
