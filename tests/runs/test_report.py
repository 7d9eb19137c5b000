"""What a person sees and what is logged."""

from __future__ import annotations

import io
import logging
import os
import stat
from pathlib import Path

import pytest

from iotprovision.findings import State
from iotprovision.runs.report import LOG_FILE, LOG_SIZE, Reporter, set_up_log
from iotprovision.steps.step import Record


@pytest.mark.parametrize("text", ["C:\\", "[x]", "[/]", "[bold]a[/bold]", r"\[x]", "list [1, 2]"])
def test_the_table_shows_texts_as_they_are(text: str) -> None:
    out = io.StringIO()
    reporter = Reporter(out, io.StringIO(), {}, as_json=False)
    reporter.table([Record("Title", "test", State.MISSING, text, text, text)], dry_run=False)
    last = out.getvalue().splitlines()[-1]
    assert [cell.strip() for cell in last.split("│")] == ["Title", text, text, text]


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_the_table_fits_a_stream_that_takes_less_than_unicode(encoding: str) -> None:
    content = io.BytesIO()
    out = io.TextIOWrapper(content, encoding)
    text = "registered 0123…, ‖ and 字"
    Reporter(out, io.StringIO(), {}, as_json=False).table(
        [Record("Title", "test", State.MISSING, text, text, text)], dry_run=False
    )
    shown = content.getvalue().decode(encoding)
    assert "Title" in shown
    assert text.encode(encoding, "replace").decode(encoding) in shown


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_words_fit_a_stream_that_takes_less_than_unicode(encoding: str) -> None:
    content = io.BytesIO()
    out = io.TextIOWrapper(content, encoding, newline="")
    Reporter(out, io.StringIO(), {}, as_json=False).text("/home/字/\udcff can be written")
    shown = content.getvalue().decode(encoding)
    assert shown == f"/home/{'字' if encoding == 'utf-8' else '?'}/? can be written\n"


def test_what_a_stream_can_show_in_its_own_way_is_left_to_it() -> None:
    content = io.BytesIO()
    out = io.TextIOWrapper(content, "utf-8", "surrogateescape", newline="")
    Reporter(out, io.StringIO(), {}, as_json=False).text("f \udcff")
    assert content.getvalue() == b"f \xff\n"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_every_log_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        set_up_log(tmp_path, "fatal", io.StringIO())
        for _ in range(3):
            logging.getLogger("iotprovision").info("x" * (LOG_SIZE // 2))
    finally:
        os.umask(before)
        set_up_log(None, "fatal", io.StringIO())
    files = list(tmp_path.glob(LOG_FILE + "*"))
    assert len(files) > 1, "the log was never rotated"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
