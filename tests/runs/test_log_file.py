"""The log file that all runs with one store share: in several processes at once, and private."""

from __future__ import annotations

import io
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.other_runs import held_by_another

from iotprovision.errors import StoreError
from iotprovision.runs import log_file
from iotprovision.runs.log_file import LOG_FILE, LOG_SIZE, set_up_log
from iotprovision.runs.report import Reporter

# A run that writes so many lines, each with its number and of a known size, once it is told to begin.
WRITER = """
import io, logging, pathlib, sys
from iotprovision.runs import log_file
folder, name, lines, length, log_file.LOG_SIZE = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
log_file.set_up_log(pathlib.Path(folder), "fatal", io.StringIO())
logging.getLogger().handlers[-1].setFormatter(logging.Formatter("%(message)s"))
print("held", flush=True)
sys.stdin.readline()
for number in range(lines):
    logging.getLogger("iotprovision").info(f"{name} {number:06d} ".ljust(length - 1, "x"))
"""


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    set_up_log(None, "fatal", io.StringIO())


def log_files(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(f"{LOG_FILE}*"), reverse=True)


def write(folder: Path, writers: int, lines: int, length: int, size: int) -> None:
    """Several processes write at once, each of them so many lines."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), f"w{number}", str(lines), str(length), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline().strip() == "held"
    for program in programs:
        program.communicate("go\n", timeout=100)
        assert program.returncode == 0


@pytest.mark.parametrize("writers", [1, 4])
def test_no_line_is_lost_and_no_file_rotated_early(writers: int, tmp_path: Path) -> None:
    length, size, in_all = 100, 50_000, 1_800
    before = os.umask(0)
    try:
        write(tmp_path, writers, in_all // writers, length, size)
    finally:
        os.umask(before)
    files = log_files(tmp_path)
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    # 180 000 bytes in files of 50 000: three that are full, and one with the rest.
    assert [file.stat().st_size for file in files] == [50_000, 50_000, 50_000, 30_000]
    for number in range(writers):
        own = [line for line in lines if line.startswith(f"w{number} ")]
        assert [int(line.split()[1]) for line in own] == list(range(in_all // writers)), "all of them, in their order"
    assert all(re.fullmatch(r"w\d \d{6} x+", line) and len(line) == length - 1 for line in lines), "each is whole"
    if os.name == "posix":
        everything = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        assert set(everything.values()) == {0o600}, everything


def test_of_more_than_is_kept_the_oldest_goes(tmp_path: Path) -> None:
    write(tmp_path, writers=3, lines=400, length=100, size=10_000)
    files = log_files(tmp_path)
    # 120 000 bytes make twelve files, of which four are there, and eleven rotations.
    assert [file.name for file in files] == [f"{LOG_FILE}.3", f"{LOG_FILE}.2", f"{LOG_FILE}.1", LOG_FILE]
    assert [file.stat().st_size for file in files] == [10_000] * 4
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    for number in range(3):
        own = [int(line.split()[1]) for line in lines if line.startswith(f"w{number} ")]
        assert own == list(range(400 - len(own), 400)), "the newest lines, with no gap"


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_every_log_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        set_up_log(tmp_path, "fatal", io.StringIO())
        for _ in range(3):
            logging.getLogger("iotprovision").info("x" * (LOG_SIZE // 2))
    finally:
        os.umask(before)
    files = log_files(tmp_path)
    assert len(files) > 1, "the log was never rotated"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_one_that_holds_the_log_and_is_stuck_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "LOCK_WAIT", 0.2)
    monkeypatch.setattr(log_file, "LOG_SIZE", 100)
    set_up_log(tmp_path, "fatal", io.StringIO())
    hold = (
        "import os, sys\nfrom filelock import lock_descriptor\nhandle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
    )
    hold += "lock_descriptor(handle)\nprint('held', flush=True)\nsys.stdin.read()\n"
    with held_by_another(hold, tmp_path / log_file.LOCK_FILE):
        for number in range(20):
            logging.getLogger("iotprovision").info("line %d of many", number)
    assert (tmp_path / LOG_FILE).read_text(encoding="utf-8").count("of many") == 20
    logging.getLogger("iotprovision").info("and one more")
    assert (tmp_path / f"{LOG_FILE}.1").read_text(encoding="utf-8").count("of many") == 20, "rotated when it can be"


def test_a_file_that_cannot_be_renamed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows renames no file that another program has open."""
    monkeypatch.setattr(log_file, "LOG_SIZE", 100)
    set_up_log(tmp_path, "fatal", io.StringIO())
    kept = tmp_path / f"{LOG_FILE}.1"
    kept.write_text("older\n")
    rename = Path.replace

    def in_use(self: Path, target: Path) -> Path:
        if self.name == LOG_FILE:
            raise PermissionError(13, "used by another process")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", in_use)
    for number in range(20):
        logging.getLogger("iotprovision").info("line %d of many", number)
    assert (tmp_path / LOG_FILE).read_text(encoding="utf-8").count("of many") == 20
    assert kept.read_text() == "older\n", "what is older stays where it is"


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        set_up_log(tmp_path, "fatal", io.StringIO())


def test_what_the_reporter_shows_is_not_shown_twice() -> None:
    err = io.StringIO()
    set_up_log(None, "debug", err)
    Reporter(io.StringIO(), io.StringIO(), {}, as_json=False).notice("said once")
    logging.getLogger("iotprovision.boards").info("of another module")
    assert "said once" not in err.getvalue()
    assert "of another module" in err.getvalue()
