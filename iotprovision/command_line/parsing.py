"""One pass over everything that was said: typed, over the environment, over the settings file."""

from __future__ import annotations

import os

from iotprovision import __version__
from iotprovision.command_line.command import FOR_ACTIONS, NoRequest, options_of
from iotprovision.command_line.help import HELP, VERSION, help_of, help_of_actions
from iotprovision.command_line.options import method_options, options
from iotprovision.environment import SETTING_PREFIX

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from iotprovision.command_line.command import Commands
    from iotprovision.command_line.given import Asked, Given
    from iotprovision.environment import Environment
    from iotprovision.frozen import Frozen
    from iotprovision.runs.job import Job


def parse(arguments: Sequence[str], environment: Environment, commands: Commands) -> tuple[Job, Frozen]:
    """What is meant: the job, and what its command alone has a word for.

    :param commands: all but the one that does actions, each with its module, which is loaded when it is asked for
    :raises UsageError: a combination that makes no sense, or a setting that is none
    :raises SystemExit: help was asked for, or something was typed that cannot be read; it was shown
    """
    asked = said(arguments, environment, commands)
    from iotprovision.command_line.rules import settled
    from iotprovision.runs.job import Job

    request = commands[asked.command].Request if asked.command in commands else NoRequest
    values = settled(asked)
    own = {name: value for name, value in values.items() if name in request.names()}
    of_methods = {
        option.name: values.get(option.name, option.default) for option in method_options() if option in asked.takes
    }
    others = {name: value for name, value in values.items() if name not in {*own, *of_methods}}
    return Job(command=asked.command, method_options=of_methods, **others), request(**own)


def said(arguments: Sequence[str], environment: Environment, commands: Commands) -> Asked:
    """All that was said, each value with its origin.

    :raises UsageError: a setting is none
    :raises SystemExit: as above
    """
    name, rest = _command_among(arguments, commands)
    # --help and mistakes come first; only then are the settings read.
    _show_about(name, rest, environment, commands)
    from iotprovision.command_line.given import Asked, Given, Origin
    from iotprovision.command_line.parsers import action_parser, command_parser, typed

    command = commands[name] if name else None
    words, values = typed(command_parser(name, command) if name and command else action_parser(), rest)
    takes = options_of(command) if command else options()
    # Of settings, a command takes over those that it shares with the actions.
    settable = {option.name for option in takes} - {option.name for option in (command.OPTIONS if command else ())}
    given = {option: value for option, value in _settings(environment).items() if option in settable}
    given |= {option: Given(value, Origin.TYPED) for option, value in values.items()}
    return Asked(name or FOR_ACTIONS, words, takes, given, tuple(commands))


def completed(line: str, commands: Commands) -> argparse.ArgumentParser:
    """The parser for a command line whose last word a shell wants completed."""
    from iotprovision.command_line.parsers import action_parser, command_parser

    name, _ = _command_among(f"{line}|".split()[1:-1], commands)
    return command_parser(name, commands[name]) if name else action_parser(commands)


def _show_about(name: str | None, arguments: Sequence[str], environment: Environment, commands: Commands) -> None:
    """Show help or version, where it is asked for; then nothing else is done."""
    if any(word in HELP for word in arguments):
        environment.out.write(help_of(name, commands[name]) if name else help_of_actions(commands))
        raise SystemExit(0)
    if any(word in VERSION for word in arguments):
        environment.out.write(f"iotprovision {__version__}\n")
        raise SystemExit(0)


def _command_among(arguments: Sequence[str], commands: Commands) -> tuple[str | None, Sequence[str]]:
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
