"""Every way a run can end badly: what happened, why, and what to try.

One class a kind; the kind decides the exit code. Nothing else in the package knows exit codes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command, documented in ``docs/exit-codes.md``."""

    OK = 0
    BUG = 1
    USAGE = 2
    KIT = 3
    ACCESS = 4
    SERIAL_LINK = 5
    CHIP_REFUSED = 6
    PROOF = 7
    STORE = 8
    CLOUD_DENIED = 9
    CLOUD = 10
    LOCKED = 11
    INTERRUPTED = 130


class ProvisioningError(Exception):
    """Not a bug: something outside the program that a person can act on.

    :param what: what happened, one sentence without a full stop needed by the reader
    :param why: the cause, where it is known; may have several lines
    :param hint: what to try
    """

    exit_code = ExitCode.BUG

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {line}" for line in self.why.splitlines()]
        lines += [
            f"  {'Try: ' if number == 0 else '     '}{line}" for number, line in enumerate(self.hint.splitlines())
        ]
        return "\n".join(lines)


class UsageError(ProvisioningError, ValueError):
    """The command line, a settings file or a file named by them is not usable."""

    exit_code = ExitCode.USAGE


class KitNotFoundError(ProvisioningError, LookupError):
    """No kit, several kits and no choice, or a kit that is not in the catalogue."""

    exit_code = ExitCode.KIT


class AccessError(ProvisioningError):
    """The kit, its target, a port, a network or a folder may not or cannot be reached."""

    exit_code = ExitCode.ACCESS


class SerialLinkError(ProvisioningError):
    """The serial port is busy or gone, or what answers there makes no sense."""

    exit_code = ExitCode.SERIAL_LINK


class ChipRefusedError(ProvisioningError):
    """The firmware answered with an error of the secure element, the Wi-Fi module or its own.

    :param status: the status code of the firmware, source << 8 | status (see ``boards/nedbg/wire/status_codes.py``)
    """

    exit_code = ExitCode.CHIP_REFUSED

    def __init__(self, what: str, why: str = "", hint: str = "", status: int | None = None) -> None:
        super().__init__(what, why, hint)
        self.status = status


class ProofError(ProvisioningError):
    """Something was written and did not read back, or a hash, signature or chain is wrong."""

    exit_code = ExitCode.PROOF


class StoreError(ProvisioningError):
    """The certificate folder or a key in it cannot be used."""

    exit_code = ExitCode.STORE


class CloudDeniedError(ProvisioningError):
    """The account refused: credentials or permissions."""

    exit_code = ExitCode.CLOUD_DENIED


class CloudError(ProvisioningError):
    """The cloud could not be reached or answered with anything but a refusal."""

    exit_code = ExitCode.CLOUD


class LockedError(ProvisioningError):
    """Another run holds the kit or the store."""

    exit_code = ExitCode.LOCKED


class InterruptedRunError(ProvisioningError):
    """Ctrl-C: says what state the kit is left in."""

    exit_code = ExitCode.INTERRUPTED
