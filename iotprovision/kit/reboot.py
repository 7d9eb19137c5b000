"""Restarting the debugger of a kit, which it needs to take over changed registers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol

from iotprovision.errors import AccessError
from iotprovision.kit.debugger import connection, list_debuggers, vendor_errors
from iotprovision.kit.detection import serial_port

# The debugger leaves USB some milliseconds after it has answered; one that stays this long has not taken the command.
GONE_TIMEOUT = 3.0
# Enumeration takes one or two seconds; a hub or a driver that is installed for the first time takes longer.
BACK_TIMEOUT = 30.0
# Asking USB costs milliseconds and disturbs nobody.
POLL_INTERVAL = 0.02


def reboot_debugger(serial_number: str, gone_timeout: float = GONE_TIMEOUT, back_timeout: float = BACK_TIMEOUT) -> None:
    """Restart the debugger and wait until it, and its serial port where it had one, are back. The MCU restarts too.

    :param gone_timeout: seconds it may stay after the command
    :param back_timeout: seconds it may be away
    :raises AccessError: it cannot be reached, does not go, or does not come back
    """
    before = _place(serial_number)
    had_port = serial_port(serial_number) is not None
    # It may be gone before its answer was read; whether it restarted is seen on USB.
    with connection(serial_number) as transport, contextlib.suppress(AccessError), vendor_errors(serial_number):
        Jtagice3HousekeepingProtocol(transport).end_session(reset_tool=True)
    _wait(
        lambda: _place(serial_number) != before,
        gone_timeout,
        AccessError(f"The debugger of kit {serial_number} did not restart", hint="plug the kit in again."),
    )
    _wait(
        lambda: _place(serial_number) is not None and (not had_port or serial_port(serial_number) is not None),
        back_timeout,
        AccessError(
            f"The debugger of kit {serial_number} restarted and did not come back within {back_timeout:.0f} s",
            hint="plug the kit in again and run the command again.",
        ),
    )


def _place(serial_number: str) -> bytes | str | None:
    """Where on USB the debugger is; it changes when it comes back. None while it is away."""
    for entry in list_debuggers():
        if entry["serial_number"].lower() == serial_number.lower():
            place: bytes | str = entry.get("path", b"")
            return place
    return None


def _wait(condition: Callable[[], bool], timeout: float, failure: AccessError) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise failure
        time.sleep(POLL_INTERVAL)
