"""Simulated kits from inside a program: start their process, put this program on their bus, stop them.

::

    with start_kits([SimulatedKitName.parse("avr-iot-wa")], folder) as handle, attached(folder):
        ...  # pymcuprog, pyserial and the like see the kit now
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from iotprovision.errors import AccessError, KitNotFoundError, ProvisioningError, UsageError
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.bus import Bus, KitConnection, Replacement

if TYPE_CHECKING:
    from iotprovision.simulator.board.surroundings import CloudAddress
    from iotprovision.simulator.first_connection.power_up import PowerUpReport

PYTHON_PATH = "PYTHONPATH"
BUS_FOLDER = "IOTPROVISION_SIMULATOR_BUS"  # injected/sitecustomize.py reads it
STOP_TIMEOUT = 15.0  # seconds: a kit saves 1 MiB and ends its threads


@dataclass(frozen=True)
class KitAnnouncement:
    """One kit of a started process."""

    kit: str
    serial_number: str
    usb_address: str
    uart: str
    pty: str | None
    folder: Path


class KitProcess:
    """The running process of one or more kits; a context manager that stops it.

    The process ends by itself when this one does, however that happens: it watches the pipe that is its standard input.
    """

    def __init__(self, process: subprocess.Popen[bytes], kits: Sequence[KitAnnouncement], messages: IO[bytes]) -> None:
        self._process = process
        self._messages = messages
        self.kits = tuple(kits)

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    @property
    def folder(self) -> Path:
        """The folder of the first kit."""
        return self.kits[0].folder

    def __enter__(self) -> KitProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What went wrong inside the context matters more than what goes wrong at its end
        with contextlib.suppress(*[ProvisioningError] if value else []):
            self.stop()

    def stop(self) -> None:
        """Save and stop; safe to call twice.

        :raises StoreError: what the kit has come to hold could not be saved
        """
        if self._messages.closed:
            return
        with self._messages:
            code = _stop(self._process)
            if code > 0:
                raise _error_of(self._messages, code)

    def control(self, action: str, kit: str | None = None, **values: Any) -> Any:
        """Ask a kit's process for one of ``kit_process.ACTIONS``.

        :param kit: its name; the first one when left out
        :raises AccessError: the process is gone or refuses
        """
        return control((self._announcement(kit)).folder, action, **values)

    def _announcement(self, kit: str | None) -> KitAnnouncement:
        return next(candidate for candidate in self.kits if kit in (None, candidate.kit))

    def meters(self, kit: str | None = None) -> dict[str, int]:
        """The counters of a kit (see :class:`~iotprovision.simulator.conditions.meters.Meters`)."""
        values: dict[str, int] = self.control("meters", kit)
        return values

    def faults(self, kit: str | None = None, **values: Any) -> dict[str, Any]:
        """Set faults of a kit by the names of :class:`.faults.Faults`; gives them all."""
        faults: dict[str, Any] = self.control("faults", kit, values=values)
        return faults

    def save(self, kit: str | None = None) -> None:
        """Have the kit's files brought up to date now."""
        self.control("save", kit)

    def unplug(self, kit: str | None = None) -> None:
        """Pull the kit's cable."""
        self.control("unplug", kit)

    def plug_in(self, kit: str | None = None) -> None:
        """Put the kit's cable back."""
        self.control("plug in", kit)

    def power_up(self, cloud: CloudAddress, kit: str | None = None) -> PowerUpReport:
        """The first power-up of the board: see :func:`.power_up.first_power_up`."""
        values = {"ports": dict(cloud.ports), "certificate_authority_file": cloud.certificate_authority_file}
        report: PowerUpReport = self.control("power up", kit, cloud=values)
        return report


def control(kit_folder: Path, action: str, **values: Any) -> Any:
    """Ask the process that serves a kit for one of ``kit_process.ACTIONS``.

    :raises AccessError: nobody serves it, or it refuses
    """
    try:
        address = json.loads((kit_folder / "connection.json").read_text(encoding="utf-8"))
        with KitConnection(address) as connection:
            return connection.control({"do": action, **values})
    except (OSError, ValueError, KeyError) as error:
        raise AccessError(f"The simulated kit in {kit_folder} did not do {action!r}", str(error)) from error


def start_kits(
    names: Sequence[SimulatedKitName], state_folder: Path, debugger_version: str | None = None
) -> KitProcess:
    """Start a process that serves these kits.

    :raises ProvisioningError: it did not start; text and kind of the error are those of the process
    """
    command = [sys.executable, "-m", "iotprovision.simulator", "serve", *(name.text for name in names)]
    command += ["--state", str(state_folder), "--while-input-is-open"]
    command += ["--debugger", debugger_version] if debugger_version else []
    # A Ctrl-C at the terminal is for the program that started the kit: it stops the kit when it has cleaned up
    windows_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    messages = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
    process = subprocess.Popen(  # noqa: S603 - the interpreter that runs, with names from our own table
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=messages,
        creationflags=windows_group,
        start_new_session=sys.platform != "win32",
    )
    try:
        assert process.stdout is not None
        kits = []
        for _ in names:
            line = process.stdout.readline()
            if not line:
                raise _error_of(messages, process.wait(STOP_TIMEOUT))
            values = json.loads(line)
            kits.append(KitAnnouncement(**{**values, "folder": Path(values["folder"])}))
    except BaseException:
        with messages:
            _stop(process)
        raise
    return KitProcess(process, kits, messages)


def _error_of(messages: IO[bytes], code: int) -> ProvisioningError:
    """What the process said on its standard error, as the error that its exit code stands for."""
    messages.seek(0)
    text = messages.read().decode("utf-8", "replace")
    for kind in ProvisioningError.__subclasses__():
        if kind.exit_code == code:
            lines = text.strip().splitlines() or ["The process of the simulated kit failed"]
            return kind(lines[0], "\n".join(line.strip() for line in lines[1:]))
    return AccessError("The process of the simulated kit failed", text.strip())


def _stop(process: subprocess.Popen[bytes]) -> int:
    """:returns: exit code; negative when the process had to be, or was, killed"""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        return process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return -1


@contextmanager
def attached(state_folder: Path) -> Iterator[None]:
    """This program sees the simulated kits of the folder, and no real ones, as long as the context lasts."""
    replacement = Replacement(Bus(state_folder))
    before = {name: os.environ.get(name) for name in (PYTHON_PATH, BUS_FOLDER)}
    replacement.install()
    # Python programs that this one starts are on the bus too.
    os.environ.update(bus_environment(state_folder))
    try:
        yield
    finally:
        replacement.remove()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def bus_environment(state_folder: Path) -> dict[str, str]:
    """The variables that put a Python program on the bus of a folder's kits; others stay as they are."""
    injected = str(Path(__file__).parent / "injected")
    path = os.environ.get(PYTHON_PATH)
    return {
        PYTHON_PATH: os.pathsep.join([injected, path] if path else [injected]),
        BUS_FOLDER: str(state_folder.absolute()),
    }


def served_kits(state_folder: Path) -> list[dict[str, Any]]:
    """Descriptions of the kits that are on the bus of the folder.

    :raises KitNotFoundError: there is none
    """
    kits = [description for _, description in Bus(state_folder).kits()]
    if not kits:
        raise KitNotFoundError(
            "No simulated kit is on the bus",
            f"nothing is served from {state_folder}",
            f"python -m iotprovision.simulator serve avr-iot-wa --state {state_folder}",
        )
    return kits


def check_version(version: str) -> str:
    """:raises UsageError: the version of a debugger's firmware is not like 1.22.73"""
    parts = version.split(".")
    limits = (0xFF, 0xFF, 0xFFFF)
    if len(parts) != 3 or not all(
        part.isdecimal() and int(part) <= limit for part, limit in zip(parts, limits, strict=True)
    ):
        raise UsageError(
            f"{version!r} is no version of debugger firmware",
            "The first two numbers go up to 255, the third to 65535.",
            "three numbers like 1.22.73",
        )
    return version
