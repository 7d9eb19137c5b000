"""Several runs of the tool at once, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support.running import Outcome


def runs_at_once(count: int, home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> list[Outcome]:
    """The same command line so many times, on one store."""
    return at_once([[sys.executable, "-m", "iotprovision", *arguments]] * count, home, variables or {})


def scripts_at_once(scripts: list[str], home: Path) -> list[Outcome]:
    """Python programs that use the tool's modules; each finds the store in ``sys.argv[1]``."""
    return at_once([[sys.executable, "-c", script, str(home)] for script in scripts], home, {})


def at_once(commands: list[list[str]], home: Path, variables: Mapping[str, str]) -> list[Outcome]:
    environment = {**os.environ, "IOTPROVISION_HOME": str(home), **variables}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    outcomes = []
    for process in processes:
        out, err = process.communicate()
        outcomes.append(Outcome(process.returncode, out, err))
    return outcomes
