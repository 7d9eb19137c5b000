"""Upgrades of debuggers on one machine, one after the other: two in boot mode could not be told apart.

Beside the lock file, whoever holds it keeps a note of whose debugger is upgraded and how far that has come. A run that
waits looks at the note: as long as it changes, there is progress, however many upgrades come first.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from iotprovision.errors import AccessError, LockedError
from iotprovision.lock_files import is_held

if TYPE_CHECKING:
    import filelock

# The longest that an upgrade takes without any progress is the wait for the kit to come back, 30 s.
TURN_TIMEOUT = 120.0
LOOK_INTERVAL = 0.1


class UpgradeTurn:
    """The turn of this run.

    :param lock_file: held during an upgrade
    :param announce: told, for a person, that and for whom this run waits
    """

    def __init__(self, lock_file: Path, announce: Callable[[str], None] = lambda text: None) -> None:
        self._lock_file = lock_file
        self._announce = announce

    @contextlib.contextmanager
    def taken(self, serial_number: str) -> Iterator[Callable[[], None]]:
        """Wait for the turn and hold it. What is given is to be called whenever the upgrade has come further.

        :param serial_number: of the kit; empty where it is not known
        :raises LockedError: the run that holds it makes no progress
        :raises AccessError: the lock cannot be had
        """
        import filelock  # slow to load, and who only looks needs it not

        lock = filelock.FileLock(self._lock_file)
        try:
            self._lock_file.parent.mkdir(parents=True, exist_ok=True)
            self._acquire(lock)
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            raise AccessError(
                f"Cannot lock {self._lock_file}",
                f"{error}\nIt is locked while a debugger is upgraded: two in boot mode could not be told apart.",
                "make its folder writable, on a file system with locks; IOTPROVISION_CACHE names another",
            ) from error
        note = _note_of(self._lock_file)
        steps_taken = 0

        def come_further() -> None:
            nonlocal steps_taken
            steps_taken += 1
            content = {"serial_number": serial_number, "process": os.getpid(), "steps_taken": steps_taken}
            with contextlib.suppress(OSError):  # it is for others only; the upgrade does not need it
                note.write_text(json.dumps(content), encoding="utf-8")

        try:
            come_further()
            yield come_further
        finally:
            with contextlib.suppress(OSError):
                note.unlink(missing_ok=True)
            lock.release()

    def _acquire(self, lock: filelock.BaseFileLock) -> None:
        from filelock import Timeout

        seen: bytes | None = None
        announced: str | None = None
        deadline = time.monotonic() + TURN_TIMEOUT
        while True:
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                return
            time.sleep(LOOK_INTERVAL)
            now_there = _content(_note_of(self._lock_file))
            if now_there != seen:
                seen, deadline = now_there, time.monotonic() + TURN_TIMEOUT
            whose = _kit_in(seen)
            if announced is None or (whose and whose != announced):
                announced = whose
                self._announce(f"Waiting for another run, which upgrades the debugger of {_called(whose)}")
            if time.monotonic() > deadline:
                raise LockedError(
                    f"Another run upgrades the debugger of {_called(whose)}, and does not come to an end",
                    f"It holds {self._lock_file}, and has made no progress for {TURN_TIMEOUT:.0f} s.",
                    "end the other run, then run the command again",
                )


def upgraded_kit(lock_file: Path) -> str | None:
    """The serial number of the kit whose debugger is upgraded now; nothing is made or written to look.

    :returns: empty where it is not known; None where no run holds the lock
    """
    return _kit_in(_content(_note_of(lock_file))) if is_held(lock_file) else None


def _note_of(lock_file: Path) -> Path:
    return lock_file.with_suffix(".json")


def _content(note: Path) -> bytes:
    """Empty where there is none, or it is just being written."""
    with contextlib.suppress(OSError):
        return note.read_bytes()
    return b""


def _kit_in(content: bytes) -> str:
    try:
        said = json.loads(content)["serial_number"]
    except (ValueError, KeyError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def _called(serial_number: str) -> str:
    return f"kit {serial_number}" if serial_number else "a kit"
