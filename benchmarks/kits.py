"""What the first run of each kit and method costs, next to what it needs at least.

    python benchmarks/kits.py [KIT ...]

Counts come from the meters of the simulated kits and are the same on any machine. It ends with 1 where a figure is
above its limit, 1.25 times what is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from floor import LIMIT, Floor, floor, table

from iotprovision.boards.catalogue import kit_by_name
from iotprovision.firmware.index import load_index
from iotprovision.simulator.kit.kinds import KINDS

METHODS = ("sandbox", "jitr", "mar")
WITHOUT_APPLICATION = ("dbgupgrade", "certs", "provision", "links")


def first_run(name: str, method: str) -> tuple[dict[str, int], Floor]:
    """Meters and floor of a kit that comes from the factory."""
    kit = kit_by_name(KINDS[name].register_name)
    has_demo = "demo-aws" in load_index().jobs_of(kit.name)
    actions = () if has_demo else WITHOUT_APPLICATION
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "iotprovision", "--simulate", name, "-c", "aws", "-m", method, *actions],
            env={**os.environ, "IOTPROVISION_HOME": home},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"the run failed with exit code {done.returncode}:\n{done.stderr}")
        folder = Path(home) / "simulator" / name
        meters: dict[str, int] = json.loads((folder / "meters.json").read_text(encoding="utf-8"))
        return meters, floor(kit, method, folder, has_demo)


def main() -> int:
    rows: list[tuple[str, str, Mapping[str, int], Floor]] = []
    for name in sys.argv[1:] or KINDS:
        rows += [(name, method, *first_run(name, method)) for method in METHODS]
    print(table(rows))
    faults = [f"{kit} {method}: {fault}" for kit, method, meters, least in rows for fault in least.faults(meters)]
    print("\n".join(["", *faults]))
    print(f"Limit {LIMIT}: " + ("EXCEEDED" if faults else "kept"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
