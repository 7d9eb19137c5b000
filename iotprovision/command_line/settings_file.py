"""Values for all runs: from ``config.yaml`` in the store, and from the environment."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from iotprovision.environment import HOME_VARIABLE, PASSPHRASE_VARIABLE, SETTING_PREFIX
from iotprovision.errors import UsageError
from iotprovision.option import Option

# Read elsewhere; the last one puts a program on the simulated bus.
OTHER_VARIABLES = frozenset({HOME_VARIABLE, PASSPHRASE_VARIABLE, "IOTPROVISION_CACHE", "IOTPROVISION_SIMULATOR_BUS"})

YAML_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
FLAG_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def from_file(options: Iterable[Option], path: Path) -> dict[str, Any]:
    """The values of a settings file, by the names of the options; a file that is not there has none.

    Keys are long option names without the dashes (``aws-profile``), values what the option takes; flags take true or
    false. Values are taken as they are written: what looks like a number or a date to YAML may be a passphrase.

    :raises UsageError: the file is no YAML mapping, a key is no option, or a value is not what the option takes
    """
    known = _by_key(options)
    values = {}
    for key, value in _read(path).items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
            raise UsageError(
                f"{path}: {key!r} is no option",
                hint=f"did you mean {near[0]!r}?" if near else f"options are {', '.join(sorted(known))}",
            )
        option = known[key]
        flag = YAML_FLAGS.get(str(value).lower()) if option.is_flag else None
        values[option.name] = _value(f"{path}: {key}", option, value if flag is None else flag)
    return values


def from_environment(options: Iterable[Option], variables: Mapping[str, str]) -> dict[str, Any]:
    """The values of variables like ``IOTPROVISION_AWS_PROFILE``, by the names of the options; flags take 1 or 0.

    :raises UsageError: a variable of that prefix is no option, or its value not what the option takes
    """
    values: dict[str, Any] = {}
    known = {SETTING_PREFIX + key.upper().replace("-", "_"): option for key, option in _by_key(options).items()}
    for name, text in variables.items():
        if not name.startswith(SETTING_PREFIX) or name in OTHER_VARIABLES or not text:
            continue
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *OTHER_VARIABLES], n=1, cutoff=0.4)
            raise UsageError(f"The variable {name} is no setting", hint=f"did you mean {near[0]}?" if near else "")
        option = known[name]
        value: Any = FLAG_WORDS.get(text.lower(), text) if option.is_flag else text
        values[option.name] = _value(name, option, value)
    return values


def _by_key(options: Iterable[Option]) -> dict[str, Option]:
    return {key: option for option in options for key in option.keys}


def _read(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - makes nothing but texts
    except (FileNotFoundError, NotADirectoryError):  # the store says more about a file in its folder's place
        return {}
    except OSError as error:
        if not os.path.lexists(path):  # nor about a folder that may not be entered
            return {}
        raise UsageError(f"The settings file {path} cannot be read", str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Without the words of the cause: they quote the file, which may hold a passphrase.
        raise UsageError(
            f"The settings file {path} is not YAML", _place(error), "put a text with special characters into quotes"
        ) from None
    if content in (None, ""):
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"The settings file {path} is not a list of `option: value` lines")
    return content


def _place(error: Exception) -> str:
    mark = getattr(error, "context_mark", None) or getattr(error, "problem_mark", None)
    return f"Line {mark.line + 1} cannot be read." if mark else "It has characters that cannot stand in such a file."


def _value(name: str, option: Option, value: Any) -> Any:
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{name} takes true or false, not {value!r}")
        return value
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} takes a text, not {'nothing' if value == '' else 'a list or a mapping'}")
    if option.values and value not in option.values:
        raise UsageError(f"{name} cannot be {value!r}", hint=f"one of {', '.join(option.values)}")
    return option.convert(value)
