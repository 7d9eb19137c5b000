"""A programming session in a process of its own, for MCUs that are programmed with the vendor's scripts.

To load the scripts, pymcuprog drops modules that Python has loaded and puts folders onto the path that modules with
very common names are found in. Nothing of that may happen to the process of the user.

Each request is one JSON line to the process, each answer one line from it. See ``script_worker.py``.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import iotprovision
from iotprovision.boards.nedbg.target_session import error_of_values
from iotprovision.errors import AccessError
from iotprovision.interrupts import held

# The process ends its session with the debugger and is done; longer means that USB does not come back.
END_TIMEOUT = 10.0
# No request takes more than two seconds on a board. pyedbglib asks without end for an answer that makes no sense to it.
ANSWER_TIMEOUT = 60.0


class ScriptSession:
    """A session with an MCU.

    :param pack: folder of the scripts, checked already
    :raises AccessError, KitNotFoundError: as in a session in this process
    """

    def __init__(self, serial_number: str, mcu: str, pack: Path) -> None:
        self._serial_number = serial_number
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        try:
            self._process = self._start()
        except OSError as error:
            self._messages.close()
            raise AccessError("The process that programs the MCU cannot be started", str(error)) from error
        try:
            self._ask("start", serial_number=serial_number, mcu=mcu, pack=str(pack.absolute()))
        except BaseException:
            self.abandon()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        # -B: whatever lies in the folder of the scripts was checked; no compiled file may come to lie there.
        command = [sys.executable, "-B", "-m", "iotprovision.boards.nedbg.script_worker"]
        return subprocess.Popen(  # noqa: S603 - the interpreter that runs, with a module of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            # "python -m" takes modules from the current folder first: these are ours.
            cwd=Path(iotprovision.__file__).parents[1],
            # A Ctrl-C at the terminal is for this process, which ends the other one when it has cleaned up.
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            start_new_session=sys.platform != "win32",
        )

    def erase(self, area: str | None = None) -> None:
        """Erase the chip, or one memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        self._ask("erase", area=area)

    def read(self, area: str, offset: int, size: int) -> bytes:
        """Read a memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        return bytes.fromhex(self._ask("read", area=area, offset=offset, size=size))

    def write(self, area: str, offset: int, data: bytes) -> None:
        """Write to a memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        self._ask("write", area=area, offset=offset, data=data.hex())

    def end(self) -> None:
        """Let the MCU run. Nothing happens when the session was ended before.

        :raises AccessError: the debugger did not take part in ending it
        """
        if self._messages.closed:
            return
        try:
            self._ask("end")
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the process; it ends its session first, when it can."""
        if self._messages.closed:
            return
        with held():
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            try:
                self._process.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._messages.close()

    def _ask(self, action: str, **values: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # An answer that is not fetched would be taken for that of the next request.
        watch = threading.Timer(ANSWER_TIMEOUT, self._process.kill)
        watch.daemon = True
        with held():
            watch.start()
            try:
                self._process.stdin.write(json.dumps({"do": action, **values}).encode("ascii") + b"\n")
                self._process.stdin.flush()
                answer = json.loads(self._process.stdout.readline())
            except (OSError, ValueError) as error:
                raise self._lost() from error
            finally:
                watch.cancel()
        if "error" in answer:
            raise error_of_values(answer["error"])
        return answer["value"]

    def _lost(self) -> AccessError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT)
        self._messages.seek(0)
        lines = self._messages.read().decode("utf-8", "replace").strip().splitlines()
        return AccessError(
            f"The process that programs the MCU of kit {self._serial_number} has ended",
            lines[-1] if lines else f"Its exit code is {self._process.poll()}.",
            "run the command again: it goes on where this one ended.",
        )
