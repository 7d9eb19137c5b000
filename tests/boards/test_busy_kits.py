"""A kit that another run is using is said to be busy, and is never opened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.other_runs import kit_held_by_another, with_its_own_cache
from support.running import Outcome, run_tool
from support.simulated import eventually, kits_on_the_bus

from iotprovision.boards.found import Obstacle
from iotprovision.boards.nedbg.boot_mode import kits_in_boot_mode
from iotprovision.boards.nedbg.detection import detect_kits, find_again
from iotprovision.boards.other_runs import OtherRuns
from iotprovision.errors import ExitCode
from iotprovision.lock_files import is_held
from iotprovision.simulator.usb.host import KitProcess
from iotprovision.store.folder import Store

WA, WG = "avr-iot-wa", "avr-iot-wg"


class Desk:
    """Two kits, of which another run is using the first."""

    def __init__(self, folder: Path, kits: KitProcess) -> None:
        self.bus = folder / "bus"
        self.home = folder / "home"
        self.kits = kits
        self.busy, self.free = (kit.serial_number for kit in kits.kits)
        self.store = Store(self.home)

    def run(self, *arguments: str) -> Outcome:
        """A run that must leave the busy kit in peace."""
        before = self.kits.meters(WA)["hid_transactions"]
        outcome = run_tool(self.home, *arguments)
        assert outcome.code != ExitCode.BUG, outcome.err
        assert self.kits.meters(WA)["hid_transactions"] == before, "the busy kit was opened"
        return outcome

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The busy kit, without the other."""
        self.kits.unplug(WG)
        try:
            yield
        finally:
            self.kits.plug_in(WG)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with_its_own_cache(tmp_path, monkeypatch)
    with kits_on_the_bus(tmp_path / "bus", WA, WG) as kits:
        yield Desk(tmp_path, kits)


@pytest.fixture
def busy(desk: Desk) -> Iterator[Desk]:
    with kit_held_by_another(desk.home / desk.busy):
        yield desk


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


# --- locks that are only looked at


def test_a_lock_file_says_nothing_without_its_holder(tmp_path: Path) -> None:
    folder = tmp_path / "MCHP1"
    assert not Store(folder).is_locked()
    assert not folder.exists(), "looking makes nothing"
    with kit_held_by_another(folder):
        assert Store(folder).is_locked()
    assert not Store(folder).is_locked()
    (folder / ".lock").touch()
    assert not is_held(folder / ".lock")


@pytest.mark.skipif(os.name != "posix", reason="a signal that nobody can handle")
def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    program = "import sys,pathlib,os,signal\nfrom iotprovision.store.folder import Store\n"
    program += "with Store(pathlib.Path(sys.argv[1])).lock():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "MCHP1")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "MCHP1" / ".lock").exists()
    assert not Store(tmp_path / "MCHP1").is_locked()


def test_looking_keeps_no_run_out(tmp_path: Path) -> None:
    """While others look all the time, every run gets the lock, and those who look see only it."""
    folder = tmp_path / "MCHP1"
    watcher = "import sys,pathlib\nfrom iotprovision.lock_files import is_held\n"
    watcher += "print('held', flush=True)\nlock = pathlib.Path(sys.argv[1])\nfor _ in range(200000): is_held(lock)\n"
    with ExitStack() as stack:
        with Store(folder).lock():
            pass
        watchers = []
        for _ in range(2):
            watchers.append(
                subprocess.Popen(
                    [sys.executable, "-c", watcher, str(folder / ".lock")], stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(watchers[-1].wait)
            stack.callback(watchers[-1].kill)
            stack.enter_context(watchers[-1].stdout)
            assert watchers[-1].stdout.readline().strip() == "held"
        for _ in range(50):
            with Store(folder).lock():
                assert Store(folder).is_locked()
        assert all(watcher.poll() is None for watcher in watchers), "they looked until the end"


def test_those_who_look_do_not_take_each_other_for_a_run(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.touch()
    watcher = "import sys,pathlib\nfrom iotprovision.lock_files import is_held\nlock = pathlib.Path(sys.argv[1])\n"
    watcher += "print(sum(is_held(lock) for _ in range(20000)))\n"
    watchers = [
        subprocess.Popen([sys.executable, "-c", watcher, str(lock)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [watcher.communicate()[0].strip() for watcher in watchers] == ["0"] * 3


# --- a kit that another run is using


def test_a_busy_kit_among_two(busy: Desk) -> None:
    connected = detect_kits(other_runs=OtherRuns(busy.store))
    assert [kit.serial_number for kit in connected.kits] == [busy.free]
    assert [(kit.serial_number, kit.obstacle) for kit in connected.unreachable] == [(busy.busy, Obstacle.BUSY)]
    outcome = busy.run("none")
    assert outcome.code == ExitCode.KIT
    assert "2 kits are connected" in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if busy.busy in line]
    assert "in use by another run" in line
    assert "-s" in outcome.err
    assert busy.run("none", "-s", busy.free).code == ExitCode.OK


@pytest.mark.parametrize("action", [["none"], ["links"], ["links", "--dry-run"], ["rootcerts", "--rrc", "factory"]])
@pytest.mark.parametrize("named", [True, False], ids=["named", "alone"])
def test_a_run_on_a_busy_kit(busy: Desk, action: list[str], named: bool) -> None:
    with ExitStack() as stack:
        if not named:
            stack.enter_context(busy.alone())
        outcome = busy.run(*action, *(["-s", busy.busy[-6:]] if named else []))
    assert outcome.code == ExitCode.LOCKED
    assert f"Another run is using kit {busy.busy}" in outcome.err
    assert "cannot be opened" not in outcome.err


def test_two_busy_kits(busy: Desk) -> None:
    with kit_held_by_another(busy.home / busy.free):
        before = busy.kits.meters(WG)["hid_transactions"]
        outcome = busy.run("none")
        listed = busy.run("status", "--json")
        assert busy.kits.meters(WG)["hid_transactions"] == before
    assert (outcome.code, listed.code) == (ExitCode.LOCKED, ExitCode.LOCKED)
    assert busy.busy in outcome.err
    assert busy.free in outcome.err


def test_a_busy_kit_that_is_not_on_usb_now_is_not_said_to_be_missing(busy: Desk) -> None:
    """Its debugger restarts."""
    busy.kits.unplug(WA)
    outcome = busy.run("none", "-s", busy.busy)
    assert outcome.code == ExitCode.LOCKED
    assert busy.run("none").code == ExitCode.KIT, "which one is meant is as open as a moment before"
    assert {kit["serial_number"] for kit in busy.run("status", "--json").document["kits"]} == {busy.busy, busy.free}


def test_status_lists_a_busy_kit_and_is_no_failure(busy: Desk) -> None:
    before = contents(busy.home)
    outcome = busy.run("status", "--json")
    assert contents(busy.home) == before
    assert outcome.code == ExitCode.OK
    kits = {kit["serial_number"]: kit for kit in outcome.document["kits"]}
    assert kits[busy.free]["name"] == "AVR-IoT WG"
    assert kits[busy.busy]["obstacle"] == "busy"
    assert "Another run" in kits[busy.busy]["what"]
    assert "error" not in outcome.document
    shown = busy.run("status").out
    assert f"Another run is using kit {busy.busy}" in shown
    assert "udev" not in shown


def test_status_of_the_busy_kit_alone_could_not_look(busy: Desk) -> None:
    named = busy.run("status", "--json", "-s", busy.busy)
    assert named.code == ExitCode.LOCKED
    assert named.document["error"]["kind"] == "LockedError"
    assert [kit["obstacle"] for kit in named.document["kits"]] == ["busy"]
    with busy.alone():
        assert busy.run("status", "--deep").code == ExitCode.LOCKED
    assert busy.run("status", "-s", busy.free).code == ExitCode.OK


def test_the_doctor_makes_a_note_of_a_busy_kit(busy: Desk) -> None:
    outcome = busy.run("doctor", "--json", "-m", "sandbox")
    found = [finding for finding in outcome.document["findings"] if busy.busy in finding["found"]]
    assert [(finding["id"], finding["verdict"]) for finding in found] == [("kit-access", "note")]
    assert "Another run" in found[0]["found"]
    powered = [finding["found"] for finding in outcome.document["findings"] if finding["id"] == "kit-power"]
    assert [busy.free in found for found in powered] == [True]
    assert outcome.code == ExitCode.OK, outcome.out


def test_without_a_store_nothing_is_busy(busy: Desk, tmp_path: Path) -> None:
    assert {kit.serial_number for kit in detect_kits().kits} == {busy.busy, busy.free}
    elsewhere = OtherRuns(Store(tmp_path / "elsewhere"), tmp_path / "nowhere" / "debugger-upgrade.lock")
    assert len(detect_kits(other_runs=elsewhere).kits) == 2
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "nowhere").exists()


def test_a_run_finds_the_kit_again_that_it_has_locked_itself(desk: Desk) -> None:
    (found,) = [kit for kit in detect_kits(other_runs=OtherRuns(desk.store)).kits if kit.serial_number == desk.busy]
    with desk.store.for_kit(desk.busy).lock():
        assert find_again(found) == found


def test_a_kit_that_becomes_busy_while_status_looks_at_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the chips of one kit takes seconds, in which a run on another kit may begin."""
    from iotprovision.inspection import status

    first, second = sorted((desk.busy, desk.free))
    look = status.kit_status
    with ExitStack() as stack:
        seen: list[str] = []

        def look_and_let_a_run_begin(board, *arguments):  # type: ignore[no-untyped-def]
            seen.append(board.kit.serial_number)
            found = look(board, *arguments)
            if len(seen) == 1:
                other = ({first, second} - set(seen)).pop()
                stack.enter_context(kit_held_by_another(desk.home / other))
            return found

        monkeypatch.setattr(status, "kit_status", look_and_let_a_run_begin)
        outcome = run_tool(desk.home, "status", "--json")
    assert outcome.code == ExitCode.OK
    assert len(seen) == 1
    assert [kit["serial_number"] for kit in outcome.document["kits"] if kit.get("obstacle") == "busy"] == [
        ({first, second} - set(seen)).pop()
    ]


# --- an upgrade in the middle


@pytest.fixture
def upgrading(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The busy kit is in boot mode: its run stands still in the middle of the upgrade, and ends well after the test."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("a process cannot be made to stand still")
    with subprocess.Popen(
        [sys.executable, "-m", "iotprovision.simulator", "run", "--state", str(desk.bus), "--"]
        + [sys.executable, "-m", "iotprovision", "dbgupgrade", "-s", desk.busy],
        env={**os.environ, "IOTPROVISION_HOME": str(desk.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as run:
        eventually(lambda: desk.kits.meters(WA)["dfu_transfers"] > 50, "the upgrade", timeout=60)
        os.killpg(run.pid, signal.SIGSTOP)
        try:
            assert kits_in_boot_mode() == 1
            yield desk
        finally:
            os.killpg(run.pid, signal.SIGCONT)
            said, _ = run.communicate(timeout=60)
    assert run.returncode == ExitCode.OK, said


def test_an_upgrade_by_another_run_is_no_kit_left_in_boot_mode(upgrading: Desk) -> None:
    transfers = upgrading.kits.meters(WA)["dfu_transfers"]
    outcome = upgrading.run("status", "--json")
    kits = {kit["serial_number"]: kit for kit in outcome.document["kits"]}
    assert outcome.code == ExitCode.OK
    assert set(kits) == {upgrading.busy, upgrading.free}, "one kit is listed once"
    assert kits[upgrading.busy]["obstacle"] == "in-upgrade"
    assert "dbgupgrade" not in str(kits[upgrading.busy])
    named = upgrading.run("status", "-s", upgrading.busy)
    assert named.code == ExitCode.LOCKED
    found = upgrading.run("doctor", "--json", "-m", "sandbox")
    assert found.code == ExitCode.OK, found.out
    assert [each["verdict"] for each in found.document["findings"] if each["id"] == "boot-mode"] == ["note"]
    for command in (["none"], ["dbgupgrade"]):
        outcome = upgrading.run(*command)
        assert outcome.code == ExitCode.KIT
        assert "upgrading its debugger" in outcome.err
        assert "dbgupgrade finishes" not in outcome.err
        outcome = upgrading.run(*command, "-s", upgrading.busy)
        assert outcome.code == ExitCode.LOCKED
        assert f"Another run is upgrading the debugger of kit {upgrading.busy}" in outcome.err
    assert upgrading.run("none", "-s", upgrading.free).code == ExitCode.OK
    with upgrading.alone():
        for command in (["none"], ["dbgupgrade"], ["dbgupgrade", "links"], ["status"]):
            assert upgrading.run(*command).code == ExitCode.LOCKED, command
    assert upgrading.kits.meters(WA)["dfu_transfers"] == transfers, "nobody else has written to it"


def test_a_kit_that_is_left_in_boot_mode_is_no_upgrade(desk: Desk) -> None:
    desk.kits.faults(WA, power_loss_after_dfu_transfers=150)
    assert run_tool(desk.home, "dbgupgrade", "-s", desk.busy).code == ExitCode.ACCESS
    desk.kits.plug_in(WA)
    outcome = desk.run("status", "--json")
    assert [kit["obstacle"] for kit in outcome.document["kits"] if "obstacle" in kit] == ["boot-mode"]
    assert "in boot mode" in desk.run("none").err
