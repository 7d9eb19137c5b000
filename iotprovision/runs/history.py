"""What each run did: one JSON line a run, in a file beside the store.

Lines are only ever added. A line that cannot be read (a disk that was full, a machine that lost its power) costs that
line alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from iotprovision import __version__
from iotprovision.errors import ExitCode, StoreError
from iotprovision.runs.job import Job
from iotprovision.steps.step import Record
from iotprovision.store.folder import FILE_MODE

HISTORY_FILE = "history.jsonl"
LOCK_FILE = ".history.lock"
LOCK_WAIT = 10.0
"""Seconds; to add a line takes milliseconds, so whoever holds the lock for longer is stuck."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no record.

    :param number: from 1
    """

    number: int
    why: str


class History:
    """The records of runs in one folder; making the object touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY_FILE
        self._lock_path = folder / LOCK_FILE

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record behind all others; those of two runs never mix.

        :raises StoreError: the file cannot be written
        """
        import filelock  # not needed to read, and slow to load

        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        # What is no Unicode, as in the name of a file that is not UTF-8, becomes an escape that JSON has too.
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            with filelock.FileLock(self._lock_path, timeout=LOCK_WAIT, mode=FILE_MODE):
                handle = os.open(
                    self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), FILE_MODE
                )
                with os.fdopen(handle, "r+b") as file:
                    if os.name == "posix":
                        os.fchmod(file.fileno(), FILE_MODE)
                    file.write(_end_of_last_line(file.fileno()) + line)
                    file.flush()
                    os.fsync(file.fileno())
        except filelock.Timeout as error:
            raise StoreError(f"The history {self.path} is held by another run", "It did not let go of it.") from error
        except NotImplementedError as error:
            raise StoreError(
                f"Cannot lock the history {self.path}",
                "Its file system has no locks, and two runs at once would mix their lines.",
                "name a folder on another file system with IOTPROVISION_HOME",
            ) from error
        except OSError as error:
            raise StoreError(f"The history {self.path} cannot be written", str(error.strerror or error)) from error

    def read(self) -> tuple[list[dict[str, Any]], list[BadLine]]:
        """All records, oldest first, and the lines that are none.

        :raises StoreError: the file is there and cannot be read
        """
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        except OSError as error:
            raise StoreError(f"The history {self.path} cannot be read", str(error.strerror or error)) from error
        records, bad = [], []
        for number, line in enumerate(content.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                records.append(_record(line))
            except ValueError as error:
                bad.append(BadLine(number, str(error)))
        return records, bad


def part_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of a record that should be a mapping; an empty one where another version wrote something else."""
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def kits_of(record: Mapping[str, Any]) -> list[str]:
    """The serial numbers of the kits that a run was about."""
    numbers = [part_of(record, "kit").get("serial_number"), *(entry.get("kit") for entry in changes_of(record))]
    return list(dict.fromkeys(number for number in numbers if number and isinstance(number, str)))


def changes_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a run changed, as far as the record says it."""
    changed = record.get("changed")
    return [entry for entry in changed if isinstance(entry, dict)] if isinstance(changed, list) else []


def record_of(
    job: Job,
    steps: Sequence[tuple[str, Record]],
    document: Mapping[str, Any],
    exit_code: ExitCode,
    began: datetime,
    ended: datetime,
) -> dict[str, Any]:
    """What is recorded of a run. Only what is named here gets into it, so no secret does.

    :param steps: that ended well, each with the serial number of its kit
    :param document: the JSON document of the run
    """
    record: dict[str, Any] = {
        "time": began.isoformat(timespec="milliseconds"),
        "seconds": round((ended - began).total_seconds(), 3),
        "run": " ".join(job.actions) or job.command,
        "command": "actions" if job.actions else job.command,
        "actions": list(job.actions),
        "cloud": job.cloud,
        "method": job.method,
        "exit_code": int(exit_code),
        "result": exit_code.name.lower(),
        "versions": {
            "iotprovision": __version__,
            "python": platform.python_version(),
            **document.get("firmware", {}),
        },
        "changed": [
            {"step": step.title, "kit": kit, "done": step.done, "irreversible": step.irreversible}
            for kit, step in steps
            if step.changed
        ],
        "proofs": [{"step": step.title, "kit": kit, "proof": step.proof} for kit, step in steps if step.proof],
    }
    for part in ("kit", "chip", "account", "error"):
        if part in document:
            record[part] = document[part]
    return record


def _record(line: bytes) -> dict[str, Any]:
    """:raises ValueError: the line is no record, in words"""
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("it is not JSON: cut off, or written over") from None
    if not isinstance(record, dict) or not isinstance(record.get("time"), str):
        raise ValueError("it is no record of a run: it has no time")
    return record


def _end_of_last_line(handle: int) -> bytes:
    """What must come before another line: nothing, or the line end that a cut-off line lacks."""
    size = os.fstat(handle).st_size
    if not size:
        return b""
    with contextlib.suppress(OSError):
        os.lseek(handle, -1, os.SEEK_END)
        return b"" if os.read(handle, 1) == b"\n" else b"\n"
    return b"\n"
