"""Simulated kits for tests: real processes, on the bus of the test's own process or of programs that it starts.

with kits_on_the_bus(tmp_path, "avr-iot-wa") as kits:
    serial_number = kits.kits[0].serial_number
    ...  # pymcuprog, pydebuggerconfig and pyserial of this process see the kit and no other
    kits.faults(target_locked=True)
    kits.meters()["hid_transactions"]
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import KitProcess, attached, start_kits

PROGRAM_TIMEOUT = 60.0
EVENT_TIMEOUT = 10.0


@contextmanager
def kits_on_the_bus(state_folder: Path, *names: str, debugger_version: str | None = None) -> Iterator[KitProcess]:
    """Kits in a process of their own, which the libraries of this process see; stopped at the end."""
    wanted = [SimulatedKitName.parse(name) for name in names or ("avr-iot-wa",)]
    with start_kits(wanted, state_folder, debugger_version) as kits, attached(state_folder):
        yield kits


def simulator(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """``python -m iotprovision.simulator`` with some arguments, run to its end."""
    command = [sys.executable, "-m", "iotprovision.simulator", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT, check=False, **options)


def on_the_bus(state_folder: Path, *command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """A program on the bus of the kits that are served from a folder, run to its end."""
    return simulator("run", "--state", state_folder, "--", *command, **options)


def eventually(condition, what: str, timeout: float = EVENT_TIMEOUT):
    """Wait until a condition is true and give its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.01)
    return value
