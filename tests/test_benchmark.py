"""The limits of the main job: the benchmark ends well only when every figure is within its limit."""

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "main_job.py"


def test_main_job_is_within_its_limits() -> None:
    done = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EXCEEDED" not in done.stdout
