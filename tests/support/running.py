"""Runs the tool as a user does, in this process or in one of its own, and looks at what it left behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iotprovision.cli import main
from iotprovision.environment import Environment

# What a run may always change: its log and history, the counters of the simulator, and the running cloud's own notes.
IGNORED = ("iotprovision.log", "history.jsonl", "meters.json", "cloud/", ".lock", "kit.yaml", "connection.json")


@dataclass(frozen=True)
class Outcome:
    """What a run said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def run_tool(home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Outcome:
    """Run in this process, with a store of its own."""
    out, err = io.StringIO(), io.StringIO()
    given = {name: os.environ[name] for name in ("IOTPROVISION_CACHE", "XDG_CACHE_HOME") if name in os.environ}
    environment = Environment(out, err, {**os.environ, **given, "IOTPROVISION_HOME": str(home), **(variables or {})})
    return Outcome(main(arguments, environment), out.getvalue(), err.getvalue())


def run_command(home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Outcome:
    """Run in a process of its own, as from a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "iotprovision", *arguments],
        env={**os.environ, "IOTPROVISION_HOME": str(home), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def snapshot(folder: Path) -> dict[str, str]:
    """Each file below a folder with a digest of its content, without what a run may always change."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(part in file.as_posix() for part in IGNORED)
    }


def kit_folder(home: Path, kit: str = "avr-iot-wa") -> Path:
    return home / "simulator" / kit


def meters(home: Path, kit: str = "avr-iot-wa") -> dict[str, int]:
    values: dict[str, int] = json.loads((kit_folder(home, kit) / "meters.json").read_text(encoding="utf-8"))
    return values
