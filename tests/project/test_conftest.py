"""What tests/conftest.py adds to a test run: which tests are quick, and Ctrl-C where it was ignored."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

HELPERS = """
from functools import cached_property
import pytest
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.usb import host

class Bench:
    @cached_property
    def cloud(self):
        return LocalCloud("folder")

@pytest.fixture(scope="module")
def bench():
    return Bench()

@pytest.fixture
def kit():
    yield host.start_kits([], "folder")
"""

CHOICE = """
import subprocess
import pytest
from helpers import bench, kit

JOB = {"words": ["iotprovision", "--simulate"]}

def run(*words):
    return subprocess.run(words)

def test_by_a_fixture_and_a_class(bench): ...
def test_by_a_fixture_and_a_module(kit): ...
def test_by_a_constant():
    run(*JOB["words"])
def test_by_a_word():
    [run("python", "-m", "iotprovision.simulator", word) for word in ("serve",)]
@pytest.mark.parametrize("words", [["--help"], pytest.param(["--simulate"], id="board")])
def test_by_a_parameter(words):
    run(*words)
@pytest.mark.slow
def test_by_a_mark(): ...
def test_that_is_quick(tmp_path):
    assert run("true").returncode == 0
"""

STARTS = """
import os, subprocess, sys
import pytest
from support import quick

def simulator():
    return ".".join(["iotprovision", "simulator"])

def start(*words):
    subprocess.run([sys.executable, *words], check=False)

@pytest.fixture
def kit():
    start("-m", simulator(), "--help")

def test_in_a_fixture(kit): ...
def test_itself():
    start("-m", simulator(), "--help")
def test_swallowed():
    try:
        start("-m", simulator(), "--help")
    except BaseException:
        pass
def test_by_a_program_that_is_started():
    start("-c", f"import subprocess; subprocess.run(['{sys.executable}', '-m', '{simulator()}', '--help'])")
def test_by_a_setting(monkeypatch):
    monkeypatch.setenv("_".join(["IOTPROVISION", "SIMULATE"]), "avr-iot-wa")
    start("-c", "")
def test_that_computes_for_long(monkeypatch):
    monkeypatch.setattr(quick, "PROCESSOR_TIME", 0.0)
    sum(range(1000000))
def test_that_is_quick():
    start("-c", "")
    assert quick.REPORT in os.environ
"""

SIGINT_IGNORED = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(subprocess.call(sys.argv[1:], restore_signals=False))
"""

INTERRUPTS = """
import signal, subprocess, sys
import pytest

SLEEPER = "import time; print('there', flush=True); time.sleep(20)"

def test_here():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)

def test_in_a_program():
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sleeper:
        sleeper.stdout.readline()
        sleeper.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in sleeper.communicate(timeout=20)[1]
"""


def run_pytest(folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """What pytest says of a folder of made-up tests, under the conftest.py of these."""
    (folder / "made_up.py").write_text(f"from support import quick\nquick.FOLDERS.append({str(folder)!r})\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "conftest",
        "-p",
        "made_up",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        folder,
    ]
    path = [str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*before, *command, "-o", "addopts=", *arguments, folder],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.stdout + done.stderr


def test_what_reaches_no_process_of_the_simulator_is_quick(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(HELPERS)
    (tmp_path / "test_choice.py").write_text(CHOICE)
    said = run_pytest(tmp_path, "--collect-only", "-q", "-m", "quick")
    assert re.findall(r"test_choice.py::(\S+)", said) == ["test_by_a_parameter[words0]", "test_that_is_quick"], said


def test_a_quick_test_that_starts_such_a_process_or_computes_for_long_fails(tmp_path: Path) -> None:
    (tmp_path / "test_starts.py").write_text(STARTS)
    said = run_pytest(tmp_path, "-v", "-m", "quick")
    bad = re.findall(r"test_starts.py::(\S+) (?:FAILED|ERROR)", said)
    good = re.findall(r"test_starts.py::(\S+) PASSED", said)
    assert good == ["test_that_is_quick"], said
    assert bad == re.findall(r"def (test_\w+)", STARTS)[:-1], said
    assert said.count("A quick test started a simulated kit, a local cloud or an emulator") >= len(bad) - 1
    assert "Give it the mark slow" in said


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_works_where_a_run_is_started_with_it_ignored(tmp_path: Path) -> None:
    (tmp_path / "test_interrupts.py").write_text(INTERRUPTS)
    said = run_pytest(tmp_path, "-q", before=(sys.executable, "-c", SIGINT_IGNORED))
    assert "2 passed" in said, said
