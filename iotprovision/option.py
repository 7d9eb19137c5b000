"""One option: how it is spelled, what it takes, and what it is for. Rows of tables; no parser is needed for them."""

from __future__ import annotations

from iotprovision.frozen import Frozen

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def path(text: str) -> Path:
    """What an option that names a file or a folder makes of its text."""
    from pathlib import Path

    return Path(text)


class Need(Frozen):
    """The action without which an option is of no use, and what is said to who typed it all the same.

    :param hint: what to do; ``{value}`` is what was typed
    """

    action: str
    what: str
    hint: str
    why: str = ""


class Option(Frozen):
    """One option.

    :param name: of its value, in :class:`iotprovision.runs.job.Job` or in the request of a command
    :param spellings: as they are typed; the long ones are keys of the settings file too
    :param help: for a person; a function where it takes time to know
    :param metavar: what stands for its value in the help
    :param convert: makes its value of a text
    :param is_flag: it takes no value
    :param bare: its value where none is typed behind it; None for an option that needs one
    :param is_repeated: it may be given several times, and its value is all of them
    :param choices: all values that it may have, empty for any; a function where it takes time to know
    :param group: heading of the help that it stands under; empty for the first
    :param alternatives: only one goes of all options that have the same word here
    :param names_account: every command takes it that works with one cloud
    :param stands_for: what it names (``a profile of AWS``), for an option of one cloud
    :param default: value of an option that a cloud has for itself; all others have theirs where the value is kept
    :param need: the action that it is for; None where it goes with any
    """

    name: str
    spellings: tuple[str, ...]
    help: str | Callable[[], str]
    metavar: str = ""
    convert: Callable[[str], Any] = str
    is_flag: bool = False
    bare: str | None = None
    is_repeated: bool = False
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    group: str = ""
    alternatives: str = ""
    names_account: bool = False
    stands_for: str = ""
    default: str | None = None
    need: Need | None = None

    @property
    def text(self) -> str:
        """Its help."""
        return self.help if isinstance(self.help, str) else self.help()

    @property
    def values(self) -> tuple[str, ...]:
        """All values that it may have; empty for any."""
        return self.choices if isinstance(self.choices, tuple) else self.choices()

    @property
    def keys(self) -> tuple[str, ...]:
        """What it is called in the settings file."""
        return tuple(spelling[2:] for spelling in self.spellings if spelling.startswith("--"))

    @property
    def long(self) -> str:
        """The spelling that messages use."""
        return next((spelling for spelling in self.spellings if spelling.startswith("--")), self.spellings[0])
