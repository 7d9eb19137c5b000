"""The log: what is shown of it, and the file that all runs with one store write to, several at once."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from iotprovision.errors import StoreError
from iotprovision.interrupts import held
from iotprovision.runs.report import log as log_of_the_reporter
from iotprovision.store.folder import FILE_MODE

LOG_FILE = "iotprovision.log"
LOG_SIZE = 2_000_000
KEPT = 3
"""How many full files are kept beside the one that is written."""
LOCK_FILE = ".log.lock"
LOCK_WAIT = 2.0
"""Seconds; to write a line takes less than a millisecond, so whoever holds the lock for longer is stuck."""
LOCK_INTERVAL = 0.001


def set_up_log(folder: Path | None, shown_level: str, err: TextIO) -> Path | None:
    """Write everything but secrets to the log file of the store; show what is at least ``shown_level`` on ``err``.

    :param folder: where the log file is; None for a run that writes nothing
    :returns: the log file
    :raises StoreError: the log file cannot be written
    """
    to_screen = logging.StreamHandler(err)
    to_screen.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    to_screen.setLevel(
        {"fatal": logging.CRITICAL}.get(shown_level, getattr(logging, shown_level.upper(), logging.WARNING))
    )
    to_screen.addFilter(lambda record: record.name != log_of_the_reporter.name)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.addHandler(to_screen)
    root.setLevel(logging.INFO)
    logging.raiseExceptions = False  # a disk that is full must not print a traceback for each line of the log
    logging.getLogger("iotprovision").setLevel(logging.DEBUG)
    # The vendor's libraries report as errors what this tool treats as answers; botocore's debug lines hold credentials.
    for name in ("pymcuprog", "pyedbglib", "pydebuggerconfig", "pydebuggerupgrade"):
        logging.getLogger(name).setLevel(logging.ERROR if shown_level != "debug" else logging.DEBUG)
        logging.getLogger(name).propagate = shown_level == "debug"
    for name in ("botocore", "boto3", "urllib3", "asyncio", "paho"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # They warn of each kind of credentials that is not there, and their errors are shown anyway.
    for name in ("azure", "msal"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return None if folder is None else _open_log_file(folder / LOG_FILE)


class SharedLog(logging.Handler):
    """A file of limited size for several processes: each line is written whole, and who fills the file rotates it.

    The file is opened for each line. One that stays open would go on under another name when another process rotates,
    and Windows would not let it be renamed. All files are their owner's alone from the first byte: the log names
    accounts, kits and folders.

    :raises OSError: the file cannot be written
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._lock_path = path.with_name(LOCK_FILE)
        self._patience = LOCK_WAIT
        os.close(_open(path))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
            with self._alone() as is_alone:
                self._append(line, may_rotate=is_alone)
        except Exception:  # noqa: BLE001 - logging says what becomes of it
            self.handleError(record)

    def _append(self, line: bytes, may_rotate: bool) -> None:
        handle = _open(self._path)
        try:
            size = os.fstat(handle).st_size
            if may_rotate and size and size + len(line) > LOG_SIZE:
                os.close(handle)
                handle = -1
                self._rotate()
                handle = _open(self._path)
            while line:  # a disk that is nearly full takes a part of it
                line = line[os.write(handle, line) :]
        finally:
            if handle >= 0:
                os.close(handle)

    def _rotate(self) -> None:
        aside = self._numbered(0)
        with held(), contextlib.suppress(OSError):  # Windows renames no file that a viewer has open: then next time
            self._path.replace(aside)
            for number in range(KEPT, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number - 1).replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep other processes out for a moment; False where that cannot be had, and a line is better than none."""
        handle, is_alone = -1, False
        with contextlib.suppress(OSError):  # a file system without locks
            handle = _open(self._lock_path)
            is_alone = self._locked(handle)
        try:
            yield is_alone
        finally:
            if is_alone:
                from filelock import unlock_descriptor

                unlock_descriptor(handle)
            if handle >= 0:
                os.close(handle)

    def _locked(self, handle: int) -> bool:
        from filelock import lock_descriptor  # slow to load, and a command that writes nothing needs it not

        deadline = time.monotonic() + self._patience
        while not lock_descriptor(handle, blocking=False):
            if time.monotonic() > deadline:
                self._patience = 0.0  # one that is stuck shall not hold up every line
                return False
            time.sleep(LOCK_INTERVAL)
        self._patience = LOCK_WAIT
        return True


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), FILE_MODE)


def _open_log_file(path: Path) -> Path:
    try:
        to_file = SharedLog(path)
    except OSError as error:
        raise StoreError(
            f"The log file {path} cannot be written",
            str(error.strerror),
            "make the folder writable, or name another one with IOTPROVISION_HOME",
        ) from error
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_file.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(to_file)
    return path
