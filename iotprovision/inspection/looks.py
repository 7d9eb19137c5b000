"""What a look at something found, with the name of what was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iotprovision.errors import ProvisioningError
from iotprovision.findings import Finding, State


@dataclass(frozen=True)
class Look:
    """One thing that was looked at.

    :param subject: what a person calls it
    """

    subject: str
    finding: Finding

    @property
    def shown(self) -> str:
        """What was found, and what was expected where that is worth saying."""
        expected = f" (expected: {self.finding.expected})" if self.finding.expected else ""
        return self.finding.found + expected

    def as_data(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "subject": self.subject,
            "state": self.finding.state.value,
            "found": self.finding.found,
            "expected": self.finding.expected,
            "foreign": self.finding.foreign,
        }


def seen(subject: str, found: str) -> Look:
    """Something is there, and as it should be."""
    return Look(subject, Finding(State.IN_PLACE, found))


def missing(subject: str, found: str) -> Look:
    """Something is not there."""
    return Look(subject, Finding(State.MISSING, found))


def different(subject: str, found: str, expected: str = "", foreign: bool = False) -> Look:
    """Something is there, and not as it should be."""
    return Look(subject, Finding(State.DIFFERENT, found, expected, foreign))


def unknown(subject: str, error: ProvisioningError) -> Look:
    """It could not be looked at."""
    return Look(subject, Finding(State.UNKNOWN, " ".join([error.what, *error.why.splitlines()[:1]])))
