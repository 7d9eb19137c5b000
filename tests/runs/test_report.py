"""What a person sees."""

from __future__ import annotations

import io

import pytest

from iotprovision.findings import State
from iotprovision.runs.report import Reporter
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
