"""What was said, and where: typed, in the environment, in the settings file, or nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from iotprovision.command_line.command import FOR_ACTIONS
from iotprovision.command_line.options import ACTIONS, EVERYTHING, NEWER_ACTIONS
from iotprovision.option import Option


class Origin(IntEnum):
    """Where a value comes from; the higher one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    TYPED = 3


@dataclass(frozen=True)
class Given:
    """A value and where it comes from. It may be a passphrase, so it never shows in ``repr``."""

    value: Any = field(repr=False)
    origin: Origin


@dataclass(frozen=True)
class Asked:
    """All that was said to a command; rules look at it, and nothing changes it.

    :param words: that are no options, without the name of the command
    :param takes: the options that the command takes
    :param values: of the options that were said somewhere, by their names
    :param commands: names of all commands that do no actions
    """

    command: str
    words: tuple[str, ...]
    takes: Sequence[Option]
    values: Mapping[str, Given]
    commands: Collection[str] = ()

    def value(self, name: str) -> Any:
        """What was said; None where nothing was."""
        return self.values[name].value if name in self.values else None

    def origin(self, name: str) -> Origin:
        """Where it was said."""
        return self.values[name].origin if name in self.values else Origin.DEFAULT

    def is_typed(self, name: str) -> bool:
        """Whether it was said on this command line, and not for all runs."""
        return self.origin(name) is Origin.TYPED

    @property
    def does_actions(self) -> bool:
        """Whether its words are actions."""
        return self.command == FOR_ACTIONS

    @property
    def simulate_is_word(self) -> bool:
        """``--simulate certs`` reads as a kit called "certs": no parser can know better."""
        return self.value("simulate") in (*ACTIONS, *NEWER_ACTIONS)

    @property
    def all_words(self) -> tuple[str, ...]:
        """Words, with the one that was taken for a simulated kit."""
        return (self.value("simulate"), *self.words) if self.simulate_is_word else self.words

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that are meant."""
        named = tuple(NEWER_ACTIONS.get(word, word) for word in self.all_words)
        if not named or "all" in named:
            named = EVERYTHING
        if self.value("wincupgrade") or self.value("compare_wifi_module"):
            named = tuple(action for action in ACTIONS if action in {*named, "wincupgrade"} - {"none"})
        return named
