"""What a look at a kit, a store or an account found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CannotKnowError(Exception):
    """A look cannot be taken without changing something first; the text says what. Only a dry run shows it."""


class State(Enum):
    """What a check found."""

    IN_PLACE = "in place"
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    :param found: what is there, for a person
    :param expected: what should be there, where that is worth saying
    :param proof: how it is known, where that is not how the step usually proves it
    :param foreign: somebody else made the difference, so that only ``--force`` overwrites it
    """

    state: State
    found: str
    expected: str = ""
    foreign: bool = False
    proof: str | None = None

    @property
    def in_place(self) -> bool:
        return self.state is State.IN_PLACE
