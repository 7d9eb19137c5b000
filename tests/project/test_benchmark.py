"""The limits: a benchmark ends well only when every figure is within its limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from floor import Floor, floor

from iotprovision.boards.catalogue import kit_by_name

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize("command", [["main_job.py"], ["kits.py", "avr-iot-cellular-mini"]])
def test_benchmark_is_within_its_limits(command: list[str]) -> None:
    """The other kits are held to the same limits in test_kits_page.py."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / command[0], *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EXCEEDED" not in done.stdout


def test_what_is_above_its_limit_is_told() -> None:
    least = Floor(transactions=2000, uart=8000)
    meters = {"hid_transactions": 2500, "uart_bytes_to_kit": 4000, "uart_bytes_from_kit": 6000}
    assert least.faults(meters) == []
    assert len(least.faults({**meters, "hid_transactions": 2501})) == 1
    assert len(least.faults({**meters, "uart_bytes_to_kit": 4001})) == 1


def test_the_floor_agrees_with_a_count_by_hand(tmp_path: Path) -> None:
    """The two images 1871 and 2319 transactions, all else 31; for certificates of 444 and 461 bytes.

    Counted on a virtual AVR-IoT WA with the vendor's tool.
    """
    flash = bytearray(b"\xff" * 0x100000)
    for start, size in ((0x5000, 16 + 3 * 56), (0x51D4, 444 + 461 + 96), (0x6E00, 46), (0x6F00, 41)):
        flash[start : start + size] = bytes(size)
    (tmp_path / "winc.bin").write_bytes(flash)
    least = floor(kit_by_name("AVR-IoT WA"), "jitr", tmp_path, with_application=True)
    assert abs(least.transactions - 4221) < 0.03 * 4221
    assert abs(least.uart - 7540) < 0.03 * 7540
