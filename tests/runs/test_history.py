"""The record of every run: what is in it, what never is, and what a broken file costs."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.running import run_tool

from iotprovision.command_line.parsing import parse
from iotprovision.commands import COMMANDS
from iotprovision.environment import Environment
from iotprovision.errors import ExitCode, StoreError
from iotprovision.runs.history import History
from iotprovision.runs.recorded_run import recorded
from iotprovision.runs.report import Reporter

CERTS = ("--simulate", "-c", "aws", "-m", "mar", "certs")
PASSPHRASE = "correct horse battery"
WIFI = "staple of the neighbours"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after a run that changed something, one that changed nothing, a dry run, and one that failed."""
    home = tmp_path_factory.mktemp("home")
    secret = {"IOTPROVISION_CA_PASSPHRASE": PASSPHRASE}
    job = ("--simulate", "-c", "aws", "-m", "mar", "certs", "provision", "links")
    assert run_tool(home, *job, "--encrypt-keys", variables=secret).code == 0
    assert run_tool(home, *job, variables=secret).code == 0
    assert run_tool(home, *job, "--dry-run", variables=secret).code == 0
    wifi = ("application", "-ssid", "home", "-psk", WIFI, "-app", str(home / "none.hex"))
    assert run_tool(home, "--simulate", *wifi).code == ExitCode.USAGE
    return home


def records(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "simulator" / "history.jsonl").read_text().splitlines()]


def test_every_run_that_may_write_has_its_line(home: Path) -> None:
    first, second, failed = records(home)
    assert (first["exit_code"], second["exit_code"], failed["exit_code"]) == (0, 0, int(ExitCode.USAGE))
    assert first["actions"] == ["certs", "provision", "links"]
    assert (first["cloud"], first["method"]) == ("aws", "mar")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert re.fullmatch(r"MCHP\d{16}", first["kit"]["serial_number"])
    assert re.fullmatch(r"[0-9A-F]{18}", first["chip"]["serial_number"])
    assert first["versions"]["debugger"] == first["kit"]["debugger_version"] == "1.22.73"
    assert first["versions"]["provisioning_firmware"].startswith("avr-iot-provisioning ")
    assert first["account"]["writes"]
    assert failed["error"]["kind"] == "UsageError"


def test_what_changed_and_how_it_was_proved(home: Path) -> None:
    first, second, failed = records(home)
    changed = {entry["step"]: entry for entry in first["changed"]}
    assert "Links on the kit's drive" in changed
    assert changed["Slots 10 to 12 of the secure element locked"]["irreversible"] is True
    assert {entry["step"] for entry in first["proofs"]} >= set(changed)
    again = {entry["step"] for entry in second["changed"]}
    assert again <= {"Provisioning firmware", "Slots 10 to 12 of the secure element locked", "Application put back"}
    assert failed["changed"] == []


def test_no_secret_is_in_it_and_nobody_else_can_read_it(home: Path) -> None:
    file = home / "simulator" / "history.jsonl"
    text = file.read_text()
    key = (home / "simulator" / "certificates" / "signer-ca.key").read_text()
    assert not any(secret in text for secret in (PASSPHRASE, WIFI, "PRIVATE KEY", key.splitlines()[1]))
    assert "secret" not in json.dumps(list(records(home)[0]))
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_command_shows_runs_and_limits_them(home: Path) -> None:
    outcome = run_tool(home, "history", "--simulate", "--json")
    assert outcome.code == 0
    assert outcome.document["runs"] == records(home)
    assert len(run_tool(home, "history", "--simulate", "--json", "--last", "1").document["runs"]) == 1
    serial_number = records(home)[0]["kit"]["serial_number"]
    of_kit = run_tool(home, "history", "--simulate", "--json", "-s", serial_number[-4:]).document["runs"]
    assert len(of_kit) >= 2
    assert {run["kit"]["serial_number"] for run in of_kit} == {serial_number}
    assert run_tool(home, "history", "--simulate", "--json", "-s", "nobody").document["runs"] == []
    shown = run_tool(home, "history", "--simulate")
    assert serial_number in shown.out.replace("\n", "")
    assert "usage" in shown.out
    assert run_tool(home, "history", "--simulate", "--last", "-1").code == ExitCode.USAGE


def test_no_history_yet(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path / "home", "history")
    assert outcome.code == 0
    assert "No run" in outcome.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("broken", "number"),
    [
        (b'{"time": "2026-01-02T03:04:05+00:00", "result": "o', 3),
        (b"\0" * 40, 3),
        (b"\xff\xfe{}", 3),
        (b"[]", 3),
        (b'{"kit": 7}', 3),
        (b"[" * 100_000, 3),
    ],
)
def test_a_line_that_was_cut_off_costs_that_line_alone(broken: bytes, number: int, tmp_path: Path) -> None:
    history = History(tmp_path)
    for result in ("first", "second"):
        history.add({"time": "2026-01-02T03:04:05+00:00", "result": result})
    with history.path.open("ab") as file:
        file.write(broken)  # no line end: the machine lost its power here
    history.add({"time": "2026-01-03T03:04:05+00:00", "result": "last"})
    found, bad = history.read()
    assert [record["result"] for record in found] == ["first", "second", "last"]
    assert [line.number for line in bad] == [number]
    outcome = run_tool(tmp_path, "history", "--json")
    assert outcome.code == 0
    assert [line["line"] for line in outcome.document["unreadable"]] == [number]
    assert f"line {number} of" in outcome.err
    assert run_tool(tmp_path, "history").out.count("2026-01-0") == 3


@pytest.mark.parametrize("strange", [{"kit": 7}, {"changed": 3}, {"changed": ["x"]}, {"kit": {"serial_number": None}}])
def test_a_record_of_another_version_is_shown_as_far_as_it_goes(strange: dict[str, Any], tmp_path: Path) -> None:
    History(tmp_path).add({"time": "2026-01-02T03:04:05+00:00", **strange})
    assert "2026-01-02" in run_tool(tmp_path, "history").out
    assert run_tool(tmp_path, "history", "-s", "1").code == 0


def test_runs_that_end_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    script = "\n".join(
        (
            "import pathlib, sys",
            "from iotprovision.runs.history import History",
            "for number in range(40):",
            "    History(pathlib.Path(sys.argv[1])).add({'time': sys.argv[2], 'text': 'x' * 9000})",
        )
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(name)]) for name in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found, bad = History(tmp_path).read()
    assert bad == []
    assert sorted(record["time"] for record in found) == ["0"] * 40 + ["1"] * 40 + ["2"] * 40


def test_a_name_that_is_not_unicode_is_recorded_and_shown(tmp_path: Path) -> None:
    record = {"time": "2026-01-02T03:04:05+00:00", "error": {"what": "no file f \udcff and 字"}, "run": "x \udcff"}
    History(tmp_path).add(record)
    assert History(tmp_path).read() == ([record], [])
    assert "字".encode() in History(tmp_path).path.read_bytes()
    assert run_tool(tmp_path, "history").code == 0
    assert run_tool(tmp_path, "history", "--json").document["runs"] == [record]


def test_nothing_that_a_run_leaves_in_its_record_escapes(tmp_path: Path) -> None:
    err = io.StringIO()
    environment = Environment(io.StringIO(), err, {"IOTPROVISION_HOME": str(tmp_path)})

    def work(reporter: Reporter, resources: object) -> ExitCode:
        reporter.add("kit", {"serial_number": {1}})  # no JSON can hold a set
        return ExitCode.OK

    job, _ = parse(CERTS, environment, COMMANDS)
    assert recorded(job, environment, True, work) == ExitCode.OK
    assert "Warning: The run could not be added to the history: TypeError" in err.getvalue()


def test_a_history_that_cannot_be_written_undoes_no_run(tmp_path: Path) -> None:
    (tmp_path / "simulator").mkdir(mode=0o700)
    (tmp_path / "simulator" / "history.jsonl").mkdir()
    outcome = run_tool(tmp_path, *CERTS)
    assert outcome.code == 0
    assert "history" in outcome.err
    with pytest.raises(StoreError, match="cannot be read"):
        History(tmp_path / "simulator").read()
    assert run_tool(tmp_path, "history", "--simulate").code == ExitCode.STORE
