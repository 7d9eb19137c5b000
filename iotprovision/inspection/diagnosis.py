"""What the doctor finds, each finding with an id that stays the same and a section of docs/troubleshooting.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from iotprovision.errors import ExitCode, ProvisioningError, UsageError

# What is looked at, in this order, and the exit code of a problem there.
CHECKS: dict[str, ExitCode] = {
    "usb-library": ExitCode.ACCESS,
    "udev-rule": ExitCode.ACCESS,
    "no-kit": ExitCode.KIT,
    "kit-access": ExitCode.ACCESS,
    "kit-unknown": ExitCode.KIT,
    "boot-mode": ExitCode.KIT,
    "kit-power": ExitCode.ACCESS,
    "debugger-firmware": ExitCode.KIT,
    "serial-port": ExitCode.SERIAL_LINK,
    "store-access": ExitCode.STORE,
    "store-shared": ExitCode.STORE,
    "authority": ExitCode.STORE,
    "history": ExitCode.STORE,
    "firmware-cache": ExitCode.ACCESS,
    "firmware-content": ExitCode.PROOF,
    "clock": ExitCode.PROOF,
    "aws-profile": ExitCode.USAGE,
    "aws-credentials": ExitCode.CLOUD_DENIED,
    "aws-connection": ExitCode.CLOUD,
    "aws-endpoint": ExitCode.CLOUD,
    "aws-rights": ExitCode.CLOUD_DENIED,
    "aws-rights-unknown": ExitCode.CLOUD_DENIED,
}

_FAILED_CURE = "iotprovision doctor -l debug shows where it failed; the other findings stand"

log = logging.getLogger(__name__)


class Verdict(Enum):
    """How grave a finding is."""

    FINE = "fine"
    NOTE = "note"
    """Worth knowing, and no obstacle."""
    PROBLEM = "problem"


@dataclass(frozen=True)
class Diagnosis:
    """One finding.

    :param check: one of :data:`CHECKS`
    :param cure: what to do, one line each; empty where there is nothing to be done
    """

    check: str
    verdict: Verdict
    found: str
    cure: str = ""

    def __post_init__(self) -> None:
        assert self.check in CHECKS, self.check
        assert self.verdict is Verdict.FINE or self.cure, f"{self.check} has no cure"

    def as_data(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "id": self.check,
            "verdict": self.verdict.value,
            "found": self.found,
            "cure": self.cure.splitlines(),
            "exit_code": int(CHECKS[self.check]) if self.verdict is Verdict.PROBLEM else 0,
        }


def fine(check: str, found: str) -> Diagnosis:
    """All is well."""
    return Diagnosis(check, Verdict.FINE, found)


def note(check: str, found: str, cure: str) -> Diagnosis:
    """No obstacle, but worth knowing."""
    return Diagnosis(check, Verdict.NOTE, found, cure)


def problem(check: str, found: str, cure: str) -> Diagnosis:
    """Something that stands in the way."""
    return Diagnosis(check, Verdict.PROBLEM, found, cure)


def from_error(check: str, error: ProvisioningError, cure: str = "") -> Diagnosis:
    """A problem that an error describes."""
    why = f". {' '.join(error.why.splitlines())}" if error.why else ""
    return problem(check, f"{error.what}{why}", error.hint or cure)


def guarded(check: str, look: Callable[[], Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """What a look finds; where it fails, that is a finding too, so that it does not hide the others.

    :param check: that the failure is put down to
    :raises UsageError: the command line is what is wrong
    """
    try:
        yield from look()
    except UsageError:
        raise
    except ProvisioningError as error:
        yield from_error(check, error, _FAILED_CURE)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other findings are wanted
        log.debug("a check failed", exc_info=error)
        yield problem(check, f"it could not be looked at: {type(error).__name__}: {error}", _FAILED_CURE)


def exit_code(diagnoses: Iterable[Diagnosis]) -> ExitCode:
    """That of the first problem, in the order of the checks; OK where there is none."""
    problems = {diagnosis.check for diagnosis in diagnoses if diagnosis.verdict is Verdict.PROBLEM}
    return next((code for check, code in CHECKS.items() if check in problems), ExitCode.OK)
