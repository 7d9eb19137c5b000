"""The settings file: ``config.yaml`` in the store gives defaults for any option of the command line."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any

import yaml

from iotprovision.errors import UsageError

NOT_SETTABLE = frozenset({"help", "version"})


def apply_settings(parser: argparse.ArgumentParser, path: Path) -> None:
    """Make the values of a settings file the parser's defaults.

    Keys are long option names without the dashes (``aws-profile``), values what the option takes; flags take true or
    false.

    :raises UsageError: the file is no YAML mapping, a key is no option, or a value is not what the option takes
    """
    by_name = {
        option.lstrip("-"): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option.lstrip("-") not in NOT_SETTABLE
    }
    defaults = {}
    for key, value in _read(path).items():
        if key not in by_name:
            near = difflib.get_close_matches(str(key), by_name, n=1, cutoff=0.4)
            raise UsageError(
                f"{path}: {key!r} is no option.",
                hint=f"Did you mean {near[0]!r}?" if near else f"Options are: {', '.join(sorted(by_name))}.",
            )
        defaults[by_name[key].dest] = _value(path, key, by_name[key], value)
    parser.set_defaults(**defaults)


def _read(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The settings file {path} cannot be read.", str(error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings file {path} is not YAML.", str(error)) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"The settings file {path} is not a list of `option: value` lines.")
    return content


def _value(path: Path, key: str, action: argparse.Action, value: Any) -> Any:
    flag = action.nargs == 0
    if flag != isinstance(value, bool):
        raise UsageError(f"{path}: {key} takes {'true or false' if flag else 'a text'}, not {value!r}.")
    if flag:
        return value
    if not isinstance(value, (str, int)):
        raise UsageError(f"{path}: {key} takes a text, not {value!r}.")
    text = str(value)
    if action.choices is not None and text not in action.choices:
        raise UsageError(f"{path}: {key} cannot be {text!r}.", hint=f"One of: {', '.join(map(str, action.choices))}.")
    return action.type(text) if callable(action.type) else text
