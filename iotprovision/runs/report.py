"""What a person sees (tables, progress, messages), and what a script gets (one JSON document)."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from iotprovision.errors import ExitCode, ProvisioningError
from iotprovision.findings import State
from iotprovision.steps.step import Record

WIDTH_WITHOUT_TERMINAL = 160
SHOW_PROGRESS_AFTER = 2.0
"""Seconds between two progress lines where the output is no terminal."""

_STATE_STYLE = {State.IN_PLACE: "green", State.MISSING: "yellow", State.DIFFERENT: "yellow", State.UNKNOWN: "cyan"}

log = logging.getLogger(__name__)


class Reporter:
    """Shows the events of one run.

    Messages go to ``err``; ``out`` gets the result only: the table, or with ``as_json`` one JSON document.
    """

    def __init__(self, out: TextIO, err: TextIO, variables: Mapping[str, str], as_json: bool) -> None:
        self._no_color = bool(variables.get("NO_COLOR"))
        self._out = out
        self._err = Console(file=err, no_color=self._no_color, highlight=False, soft_wrap=True)
        self._as_json = as_json
        self._document: dict[str, Any] = {}
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown_at = 0.0
        self._kit = ""
        self._written = True
        self.records: list[tuple[str, Record]] = []
        """Of the steps that ended well, in their order, each with the serial number of the kit it was about."""

    def for_kit(self, serial_number: str) -> None:
        """From here on, every event is about this kit."""
        self._kit = serial_number

    def notice(self, text: str) -> None:
        log.info("%s%s", self._prefix(), text)
        self._err.print(text, markup=False)

    def warning(self, text: str) -> None:
        log.warning("%s%s", self._prefix(), text)
        self._err.print(f"Warning: {text}", style="yellow", markup=False)

    def add(self, key: str, value: Any) -> None:
        """Put a value into the JSON document."""
        self._document[key] = value

    @property
    def document(self) -> Mapping[str, Any]:
        """What is in the JSON document so far."""
        return self._document

    def step_begins(self, title: str) -> None:
        log.info("%sstep begins: %s", self._prefix(), title)
        self._shown_at = time.monotonic()

    def progress(self, title: str, done: int, total: int) -> None:
        if self._as_json:
            return
        if self._err.is_terminal:
            self._move_bar(title, done, total)
        elif time.monotonic() - self._shown_at > SHOW_PROGRESS_AFTER:
            self._shown_at = time.monotonic()
            self._err.print(f"{title}: {done} of {total} bytes", markup=False)

    def step_ends(self, record: Record) -> None:
        self._close_bar()
        self.records.append((self._kit, record))
        log.info(
            "%sstep ends: %s; found: %s; done: %s; proof: %s",
            self._prefix(),
            record.title,
            record.found,
            record.done,
            record.proof,
        )
        if not self._as_json:
            self._err.print(f"{record.title}: {record.found}; {record.done}", markup=False)

    def table(self, records: Sequence[Record], dry_run: bool) -> None:
        """The result of the run: each step, what was found, what was done (or would be), how it was proved."""
        self.add("steps", [_as_data(record) for record in records])
        if self._as_json or not records:
            return
        table = _table("Step", "Found", "Would be done" if dry_run else "Done", "Proof")
        for record in records:
            found = Text(record.found, _STATE_STYLE[record.state])
            table.add_row(Text(record.title), found, Text(record.done), Text(record.proof))
        self._show(table)

    def text(self, text: str) -> None:
        """A part of the result in words; for a script it is in the document already."""
        if not self._as_json:
            self._write_out(f"{text}\n")

    def rows(self, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """The result of a command that lists things; for a script it is in the document already.

        :param title: a line above the table
        """
        if title:
            self.text(title)
        if self._as_json or not rows:
            return
        table = _table(*headings)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._show(table)

    def _show(self, table: Table) -> None:
        # The stream may take less than Unicode, as on Windows where it is no terminal: lines become ASCII then.
        encoding = self._out.encoding or "utf-8"
        content = io.BytesIO()
        rendered = TextIOWrapper(content, encoding, errors="replace", newline="", write_through=True)
        terminal = self._out.isatty()
        console = Console(
            file=rendered, force_terminal=terminal, no_color=self._no_color, highlight=False, width=_width(self._out)
        )
        console.print(table)
        self._write_out(content.getvalue().decode(encoding))

    def failed(self, error: ProvisioningError) -> None:
        self._close_bar()
        log.error("%s%s (exit code %d)", self._prefix(), error, error.exit_code)
        log.debug("raised at", exc_info=error)
        self.add(
            "error",
            {"kind": type(error).__name__, "what": error.what, "why": error.why, "try": error.hint.splitlines()},
        )
        self._err.print(str(error), style="red" if self._err.is_terminal else None, markup=False)

    def bug(self, error: BaseException, log_file: Path | None) -> None:
        """An error that no class of ours describes: a fault of the program."""
        self._close_bar()
        log.critical("unexpected error", exc_info=error)
        self.add("error", {"kind": type(error).__name__, "what": "unexpected error", "why": "", "try": []})
        self._err.print(f"This is a fault of the program: {type(error).__name__}: {error}", style="red", markup=False)
        if log_file is not None:
            self._err.print(f"  The log file has the details: {log_file}", markup=False)

    def end(self, exit_code: ExitCode) -> ExitCode:
        """The last word: the JSON document, where one was asked for.

        :returns: the exit code; another one when the result could not be written
        """
        self._close_bar()
        log.info("%sexit code %d", self._prefix(), exit_code)
        if self._as_json:
            document = {"exit_code": int(exit_code), "result": exit_code.name.lower(), **self._document}
            self._write_out(json.dumps(document, indent=2) + "\n")
        return exit_code if self._written or exit_code else ExitCode.ACCESS

    def _write_out(self, text: str) -> None:
        """Write the result. Who reads it may have gone (``| head``), and a disk may be full: neither undoes the run.

        What the stream cannot show (the name of a file, where it takes less than Unicode) becomes a question mark.
        """
        try:
            try:
                self._out.write(text)
            except UnicodeEncodeError as error:
                self._out.write(text.encode(error.encoding, "replace").decode(error.encoding))
            self._out.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self._written = False
                self._err.print(f"The result could not be written: {error.strerror}", markup=False)
            if self._out is sys.stdout:
                # Python flushes once more when it ends, and would complain.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _prefix(self) -> str:
        return f"[{self._kit}] " if self._kit else ""

    def _move_bar(self, title: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=self._err, transient=True
            )
            self._bar.start()
            self._task = self._bar.add_task(title, total=total)
        assert self._task is not None
        self._bar.update(self._task, description=title, completed=done, total=total)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None


def _table(*headings: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or not even a file
        return WIDTH_WITHOUT_TERMINAL


def _as_data(record: Record) -> dict[str, Any]:
    return {
        "title": record.title,
        "action": record.action,
        "state": record.state.value,
        "found": record.found,
        "done": record.done,
        "proof": record.proof,
        "irreversible": record.irreversible,
    }
