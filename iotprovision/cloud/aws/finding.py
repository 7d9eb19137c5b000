"""What a look at the account found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Condition(Enum):
    IN_PLACE = "in place"
    MISSING = "missing"
    DIFFERENT = "different"  # applying makes it right
    BLOCKED = "blocked"  # a person must do something first


@dataclass(frozen=True)
class Finding:
    """:param found: what is there, in words, for a person"""

    condition: Condition
    found: str

    @property
    def in_place(self) -> bool:
        return self.condition is Condition.IN_PLACE
