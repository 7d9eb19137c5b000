"""``python -m iotprovision.boards.nedbg.script_worker``: a programming session with scripts, for ``script_session.py``.

Standard input: one JSON object a line, ``do`` and its arguments. Standard output: one a line, ``value`` or ``error``.
It ends with ``end``, after an error in ``start``, and with the end of its input: then the MCU runs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from iotprovision.boards.nedbg.target_session import DirectSession, error_as_values
from iotprovision.errors import ProvisioningError


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    session: DirectSession | None = None

    def answer(request: dict[str, Any]) -> Any:
        nonlocal session
        action = request["do"]
        if action == "start":
            session = DirectSession(request["serial_number"], request["mcu"], Path(request["pack"]))
        assert session is not None, "the first request is 'start'"
        if action == "erase":
            session.erase(request["area"])
        elif action == "read":
            return session.read(request["area"], request["offset"], request["size"]).hex()
        elif action == "write":
            session.write(request["area"], request["offset"], bytes.fromhex(request["data"]))
        elif action == "end":
            session.end()
        return None

    try:
        for line in requests:
            try:
                said = {"value": answer(json.loads(line))}
            except ProvisioningError as error:
                said = {"error": error_as_values(error)}
            answers.write(json.dumps(said).encode("ascii") + b"\n")
            answers.flush()
    finally:
        if session is not None:
            session.abandon()


def main() -> None:
    """Run on the pipes of the process; what the vendor's code prints or logs does not get among the answers."""
    logging.getLogger().addHandler(logging.NullHandler())
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
