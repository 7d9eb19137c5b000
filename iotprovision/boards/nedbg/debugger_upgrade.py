"""Firmware of the debugger, written by its boot loader with pydebuggerupgrade.

The boot loader stays as it is, so a broken upgrade leaves a kit in boot mode, which can be upgraded again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydebuggerupgrade.pydebuggerupgrade_errors import PydebuggerupgradeError
from pydebuggerupgrade.upgrader import Upgrader
from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol

from iotprovision.boards.nedbg.boot_mode import (
    is_openable,
    kits_in_boot_mode,
    kits_seen_in_boot_mode,
    several_in_boot_mode,
)
from iotprovision.boards.nedbg.debugger import (
    UDEV_RULES,
    UPGRADE_PRODUCT_ID,
    VENDOR_ID,
    connection,
    list_debuggers,
    serial_port,
    vendor_errors,
)
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.errors import AccessError, ProofError, ProvisioningError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.interrupts import held
from iotprovision.progress import Progress

Value = TypeVar("Value")

# As in a restart (boards/nedbg/reboot.py): enumeration takes one or two seconds, the first time on a machine longer.
BOOT_MODE_TIMEOUT = 20.0
BACK_TIMEOUT = 30.0
# udev sets the rights of a new device within a moment, or never.
ACCESS_TIMEOUT = 3.0
# The port comes with the debugger; some systems set it up a moment later, some not at all.
PORT_TIMEOUT = 5.0
POLL_INTERVAL = 0.02


def upgrade_debugger(serial_number: str, archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> None:
    """Put other firmware into the debugger of one kit and wait until it is back. The MCU restarts.

    :param turn: taken meanwhile: two debuggers in boot mode at once could not be told apart
    :raises AccessError: the kit cannot be reached, or does not come back
    :raises KitNotFoundError: it is not there, or others are in boot mode
    :raises ProofError: the boot loader refused, or what it wrote does not read back
    :raises LockedError: other runs upgrade kits and do not come to an end
    """
    with turn.taken(serial_number) as come_further:
        if others := kits_in_boot_mode():
            raise _others_in_boot_mode(serial_number, others)
        had_port = serial_port(serial_number) is not None
        with held():
            _enter_boot_mode(serial_number)
            come_further()
            _write(archive, _telling(come_further, progress))
        come_further()
        _await_back(lambda: serial_number if serial_number in _serial_numbers() else None, serial_number)
        if had_port:
            _await_port(serial_number)


def finish_upgrade(archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> str:
    """Put firmware into the one debugger that is in boot mode, and wait until it is back.

    :returns: its serial number
    :raises KitNotFoundError: there are several in boot mode
    :raises AccessError, ProofError, LockedError: as in upgrade_debugger()
    """
    others = _serial_numbers()
    with turn.taken("") as come_further:
        if (count := kits_in_boot_mode()) > 1:
            raise several_in_boot_mode(count)
        if count:  # else another run has just finished it, and the kit is back already
            others = _serial_numbers()
            with held():
                _write(archive, _telling(come_further, progress))
            come_further()
        serial_number = _await_back(lambda: next(iter(sorted(_serial_numbers() - others)), None), "")
        _await_port(serial_number)
        return serial_number


def _enter_boot_mode(serial_number: str) -> None:
    with connection(serial_number) as transport, vendor_errors(serial_number):
        housekeeping = Jtagice3HousekeepingProtocol(transport)
        housekeeping.start_session()
        try:
            with vendor_errors(serial_number):
                housekeeping.enter_upgrade_mode()
        except ProvisioningError:
            # It may be gone before its answer was read; whether it went into boot mode is seen on USB.
            if serial_number in _serial_numbers():
                raise
    if not _wait(kits_in_boot_mode, BOOT_MODE_TIMEOUT):
        raise AccessError(
            f"The debugger of kit {serial_number} did not enter boot mode",
            "Its firmware has not been changed.",
            "plug the kit in again and run the command again",
        )


def _write(archive: DebuggerArchive, progress: Progress) -> None:
    """Erase, write, verify, start: the debugger in boot mode gets the image of the archive."""
    _wait(is_openable, ACCESS_TIMEOUT)
    with (
        tempfile.TemporaryDirectory(prefix="iotprovision-") as folder,
        _boot_loader_errors(),
        _watched(archive, progress),
    ):
        hex_file = Path(folder) / "nedbg.hex"
        hex_file.write_bytes(archive.hex_text)
        Upgrader().upgrade(VENDOR_ID, UPGRADE_PRODUCT_ID, str(hex_file))


@contextlib.contextmanager
def _boot_loader_errors() -> Iterator[None]:
    """What pydebuggerupgrade raises, as our errors; one of its ways to fail is to end the process."""
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it also trips over answers that it does not expect
        cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
        if isinstance(cause, OSError) and cause.errno == errno.EACCES:
            raise _not_allowed(cause) from error
        if isinstance(cause, PydebuggerupgradeError):
            raise ProofError("The upgrade of the debugger failed", str(cause), _what_now()) from error
        why = str(cause) or type(cause).__name__
        if isinstance(cause, NotImplementedError) and sys.platform == "win32":
            why += "\nWindows needs a driver for the boot mode; the vendor's programming tools bring it."
        raise AccessError("The upgrade of the debugger broke off", why, _what_now()) from error


def _what_now() -> str:
    if kits_seen_in_boot_mode():
        return "run the command again: the kit is in boot mode now, and the upgrade goes on from there."
    return "plug the kit in again and run the command again: a kit in boot mode is recognised and finished."


def _not_allowed(error: OSError) -> AccessError:
    why = f"USB {VENDOR_ID:04x}:{UPGRADE_PRODUCT_ID:04x}: {error}"
    if not sys.platform.startswith("linux"):
        return AccessError("The kit in boot mode cannot be opened", why, "close other programs that use the kit.")
    return AccessError(
        "The kit in boot mode cannot be opened",
        f"{why}\nLinux lets only root use it until a udev rule allows it.",
        "put these lines into /etc/udev/rules.d/70-microchip-kits.rules, run 'sudo udevadm control --reload', plug the "
        f"kit in again and run the command again:\n{UDEV_RULES}",
    )


def _others_in_boot_mode(serial_number: str, count: int) -> ProvisioningError:
    return AccessError(
        f"The debugger of kit {serial_number} cannot be upgraded now",
        f"{'Another kit is' if count == 1 else f'{count} other kits are'} in boot mode, "
        "and kits in boot mode cannot be told apart. Nothing was changed.",
        "unplug what is in boot mode, or finish it first: with no other kit connected, run iotprovision dbgupgrade",
    )


def _await_back(returned: Callable[[], str | None], serial_number: str) -> str:
    found = _wait(returned, BACK_TIMEOUT)
    if found is None:
        raise AccessError(
            f"The debugger{f' of kit {serial_number}' * bool(serial_number)} did not come back after its upgrade",
            f"Its new firmware was written and read back; waited {BACK_TIMEOUT:.0f} s for it to start.",
            _what_now(),
        )
    return found


def _await_port(serial_number: str) -> None:
    _wait(lambda: serial_port(serial_number), PORT_TIMEOUT)


def _serial_numbers() -> set[str]:
    return {entry["serial_number"] for entry in list_debuggers() if entry["serial_number"]}


def _wait(look: Callable[[], Value | None], timeout: float) -> Value | None:
    """What ``look`` sees once it sees something; None when it does not in time."""
    deadline = time.monotonic() + timeout
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
    return seen or None


def _telling(come_further: Callable[[], None], progress: Progress) -> Progress:
    """A progress that those who wait for their turn can see too."""

    def tell(done: int, total: int) -> None:
        come_further()
        progress(done, total)

    return tell


class _WrittenBytes(logging.Handler):
    """Progress from what pydebuggerupgrade logs of each part it writes: it has no other way to tell."""

    def __init__(self, total: int, progress: Progress) -> None:
        super().__init__()
        self._done, self._total, self._progress = 0, total, progress

    def emit(self, record: logging.LogRecord) -> None:
        if record.funcName != "program_start" or not isinstance(record.args, tuple) or len(record.args) != 2:
            return
        first, last = record.args
        if isinstance(first, int) and isinstance(last, int):
            self._done = min(self._done + last - first + 1, self._total)
            self._progress(self._done, self._total)


@contextlib.contextmanager
def _watched(archive: DebuggerArchive, progress: Progress) -> Iterator[None]:
    logger = logging.getLogger("pydebuggerupgrade.flipprotocol")
    level, propagate = logger.level, logger.propagate
    handler = _WrittenBytes(archive.size, progress)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
