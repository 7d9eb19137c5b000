"""What provisioning costs: HID transactions, UART bytes, memory and time of simulated runs, next to what is needed.

    python benchmarks/main_job.py [KIT]

What each kit and method costs next to what it needs is in kits.py.

Counts come from the meters of the simulated kit, so they are the same on any machine. Everything happens in a temporary
folder. Firmware images are fetched first, outside the measured time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Runs the tool in a process of its own and adds the peak of that process alone, without the kit's and the cloud's.
TOOL = """
import json, resource, sys
from iotprovision.cli import main
code = main(sys.argv[1:])
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit), file=sys.stderr)
sys.exit(code)
"""
MEBIBYTE = 1024 * 1024
# The demo takes commands 4 s after its start; the vendor's tool waits 40 s for answers that do not come.
WIFI_SECONDS = 5
# Commands, answers and the lines that the demo prints meanwhile, counted on a virtual board.
WIFI_UART = 548


@dataclass(frozen=True)
class Cost:
    """One run."""

    seconds: float
    peak: int
    meters: dict[str, int]
    cloud_writes: int

    @property
    def uart(self) -> int:
        return self.meters["uart_bytes_to_kit"] + self.meters["uart_bytes_from_kit"]


def run_tool(home: Path, kit: str, *options: str) -> Cost:
    """Run the tool once; the meters are what this run added."""
    before = read_meters(home)
    begin = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", TOOL, "--simulate", kit, "-c", "aws", "--json", *options],
        env={**os.environ, "IOTPROVISION_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"the run failed with exit code {done.returncode}:\n{done.stderr}")
    after = read_meters(home)
    return Cost(
        seconds=seconds,
        peak=int(done.stderr.splitlines()[-1]),
        meters={name: value - before.get(name, 0) for name, value in after.items()},
        cloud_writes=len(json.loads(done.stdout).get("account", {"writes": []})["writes"]),
    )


def read_meters(home: Path) -> dict[str, int]:
    for file in (home / "simulator").glob("*/meters.json"):
        meters: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
        return meters
    return {}


def fastest(command: list[str], runs: int = 15) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own interpreter
        times.append(time.perf_counter() - begin)
    return min(times)


def row(what: str, value: float, limit: float | None, unit: str = "") -> bool:
    """Print one figure; whether it is within its limit."""
    within = limit is None or value <= limit
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
    bound = "" if limit is None else f"{limit:,.0f}" if limit >= 100 else f"{limit:g}"
    print(f"{what:48} {shown:>10} {unit:8} {'limit ' + bound if bound else '':14} {'' if within else 'EXCEEDED'}")
    return within


def main() -> int:
    kit = sys.argv[1] if len(sys.argv) > 1 else "avr-iot-wa"
    fetch = [sys.executable, "-m", "iotprovision.command_line.firmware_command"]
    subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        first = run_tool(home, kit, "-m", "jitr")
        second = run_tool(home, kit, "-m", "jitr")
    with tempfile.TemporaryDirectory() as folder:
        run_tool(Path(folder), kit, "application")
        wifi = run_tool(Path(folder), kit, "application", "-ssid", "lab", "-psk", "correct horse")
        without = run_tool(Path(folder), kit, "application")
    nothing = fastest([sys.executable, "-c", "pass"])
    help_time = fastest([str(Path(sys.executable).with_name("iotprovision")), "--help"])
    print(f"{kit}, first run")
    fine = [
        row("HID transactions", first.meters["hid_transactions"], 4700),
        row("UART bytes, both ways", first.uart, 14000),
        row("time, everything installed and fetched", first.seconds, 30, "s"),
        row("peak memory of the tool", first.peak / MEBIBYTE, 150, "MiB"),
    ]
    for name in ("winc_sector_erases", "winc_page_writes", "secure_element_locks", "register_writes"):
        row(name.replace("_", " "), first.meters[name], None)
    row("calls that write to the account", first.cloud_writes, None)
    print(f"{kit}, second run")
    fine += [
        row("HID transactions", second.meters["hid_transactions"], None),
        row("UART bytes, both ways", second.uart, 0.6 * first.uart),
        row("WINC sectors erased", second.meters["winc_sector_erases"], 0),
        row("WINC pages written", second.meters["winc_page_writes"], 0),
        row("secure element writes", second.meters["secure_element_writes"], 0),
        row("secure element locks", second.meters["secure_element_locks"], 0),
        row("registers written", second.meters["register_writes"], 0),
        row("calls that write to the account", second.cloud_writes, 0),
        row("time", second.seconds, None, "s"),
    ]
    print(f"{kit}, Wi-Fi set-up through the console of the demo")
    fine += [
        row("more time than without", wifi.seconds - without.seconds, WIFI_SECONDS, "s"),
        row(
            "more HID transactions than without",
            wifi.meters["hid_transactions"] - without.meters["hid_transactions"],
            0,
        ),
        row("UART bytes, both ways", wifi.uart - without.uart, WIFI_UART),
    ]
    print("help")
    fine.append(row("iotprovision --help", help_time * 1000, 3 * nothing * 1000, "ms"))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
