"""Runs that upgrade debuggers wait for each other as long as there is progress, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.other_runs import held_by_another

from iotprovision.boards import upgrade_turn
from iotprovision.boards.upgrade_turn import UpgradeTurn, upgraded_kit
from iotprovision.errors import LockedError

# Takes its turn for a kit, then comes further so many times, after so many seconds each.
UPGRADE = """
import pathlib, sys, time
from iotprovision.boards import upgrade_turn
lock, kit, steps, seconds, upgrade_turn.TURN_TIMEOUT = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
with upgrade_turn.UpgradeTurn(pathlib.Path(lock)).taken(kit) as come_further:
    print("held", flush=True)
    for _ in range(int(steps)):
        time.sleep(seconds)
        come_further()
"""
STUCK = """
import pathlib, sys
from iotprovision.boards.upgrade_turn import UpgradeTurn
with UpgradeTurn(pathlib.Path(sys.argv[1])).taken(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_eight_kits_in_a_row_take_longer_than_any_of_them_waits_for_progress(tmp_path: Path) -> None:
    timeout, each = 2.0, 0.8
    began = time.monotonic()
    how = [sys.executable, "-c", UPGRADE, str(tmp_path / "lock")]
    runs = [subprocess.Popen([*how, f"MCHP{n}", "1", str(each), str(timeout)]) for n in range(8)]
    assert [run.wait(60) for run in runs] == [0] * 8
    assert time.monotonic() - began > 8 * each > 3 * timeout, "they took turns"


def test_one_that_is_slow_and_comes_further_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_turn, "TURN_TIMEOUT", 1.0)
    with held_by_another(UPGRADE, tmp_path / "lock", "MCHP1", 8, 0.4, 60):
        began = time.monotonic()
        with UpgradeTurn(tmp_path / "lock").taken("MCHP2"):
            assert time.monotonic() - began > 2.0


def test_one_that_is_stuck_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_turn, "TURN_TIMEOUT", 1.0)
    with held_by_another(STUCK, tmp_path / "lock", "MCHP1"):
        began = time.monotonic()
        with pytest.raises(LockedError, match="kit MCHP1") as raised, UpgradeTurn(tmp_path / "lock").taken("MCHP2"):
            pytest.fail("two at once")
        assert 1.0 <= time.monotonic() - began < 5.0
    assert str(tmp_path / "lock") in raised.value.why
    with UpgradeTurn(tmp_path / "lock").taken("MCHP2"):
        pass


def test_who_waits_says_for_whom(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        held_by_another(UPGRADE, tmp_path / "lock", "MCHP1", 1, 0.5, 60),
        UpgradeTurn(tmp_path / "lock", said.append).taken("MCHP2"),
    ):
        assert upgraded_kit(tmp_path / "lock") == "MCHP2"
    assert len(said) == 1
    assert "MCHP1" in said[0]
    with UpgradeTurn(tmp_path / "lock", said.append).taken("MCHP3"):
        pass
    assert len(said) == 1, "who need not wait says nothing"


def test_whose_turn_it_is_can_be_seen_without_taking_part(tmp_path: Path) -> None:
    lock = tmp_path / "cache" / "lock"
    assert upgraded_kit(lock) is None
    assert not lock.parent.exists(), "looking makes nothing"
    with held_by_another(STUCK, lock, "MCHP1") as other:
        assert upgraded_kit(lock) == "MCHP1"
        other.kill()
        other.wait()
        assert upgraded_kit(lock) is None, "what a run leaves behind that was killed says nothing"
    with held_by_another(STUCK, lock, ""):
        assert upgraded_kit(lock) == ""
