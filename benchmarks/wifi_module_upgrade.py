"""What an upgrade of the Wi-Fi module from firmware 19.7.6 costs, with the vendor's demo put back: two runs.

    python benchmarks/wifi_module_upgrade.py [KIT]

Counts come from the meters of the simulated kit, so they are the same on any machine. The floor of the wire is one read
of the whole flash, and each sector that differs erased and written once. The debugger's transactions are those of the
demo recognised, and bridge and demo programmed and verified.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from main_job import read_meters, row

SECTORS, SECTOR = 256, 4096
DIFFERENT = 60
REQUEST_OR_ACKNOWLEDGEMENT = 8
UART_FLOOR = SECTORS * (2 * REQUEST_OR_ACKNOWLEDGEMENT + SECTOR) + DIFFERENT * (4 * REQUEST_OR_ACKNOWLEDGEMENT + SECTOR)
SLACK = 1.15


def run(home: Path, kit: str, *words: str) -> tuple[dict[str, int], float]:
    """One run of the tool: what it added to the meters, and its seconds."""
    before, begin = read_meters(home), time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "iotprovision", "--simulate", kit, *words, "--json"],
        env={**os.environ, "IOTPROVISION_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"the run failed with exit code {done.returncode}:\n{done.stderr}")
    return {name: value - before.get(name, 0) for name, value in read_meters(home).items()}, seconds


def main() -> int:
    kit = sys.argv[1] if len(sys.argv) > 1 else "avr-iot-wa"
    fetch = [sys.executable, "-m", "iotprovision.command_line.firmware_command"]
    subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        reset = [sys.executable, "-m", "iotprovision.simulator", "reset", kit, "--wifi-module", "19.7.6"]
        subprocess.run([*reset, "--state", str(home / "simulator")], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        run(home, kit, "application")
        first, seconds = run(home, kit, "wincupgrade")
        second, again = run(home, kit, "wincupgrade")
    print(f"{kit}, first run")
    fine = [
        row("WINC sectors erased", first["winc_sector_erases"], DIFFERENT),
        row("UART bytes, both ways", first["uart_bytes_to_kit"] + first["uart_bytes_from_kit"], SLACK * UART_FLOOR),
        row("HID transactions", first["hid_transactions"], None),
        row("time", seconds, None, "s"),
    ]
    print(f"{kit}, second run")
    fine += [
        row("WINC sectors erased", second["winc_sector_erases"], 0),
        row("WINC pages written", second["winc_page_writes"], 0),
        row("UART bytes, both ways", second["uart_bytes_to_kit"] + second["uart_bytes_from_kit"], 3 * SECTOR),
        row("HID transactions", second["hid_transactions"], None),
        row("time", again, None, "s"),
    ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
