"""Restarting the debugger of a kit, which it needs to take over changed registers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol

from iotprovision.boards.nedbg.debugger import connection, list_debuggers, serial_port, vendor_errors
from iotprovision.boards.nedbg.debugger_identity import DAP_DEVICE_NAME
from iotprovision.errors import AccessError, KitNotFoundError

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
    had_port = serial_port(serial_number) is not None
    with _connection_that_breaks(serial_number) as transport:
        # It may be gone before its answer was read.
        with contextlib.suppress(AccessError), vendor_errors(serial_number):
            Jtagice3HousekeepingProtocol(transport).end_session(reset_tool=True)
        # A connection does not survive a restart. To look for a gap on USB would not do: it may be short.
        _wait(
            lambda: not _answers(transport, serial_number),
            gone_timeout,
            AccessError(f"The debugger of kit {serial_number} did not restart", hint="plug the kit in again."),
        )
    _wait(
        lambda: _is_there(serial_number) and (not had_port or serial_port(serial_number) is not None),
        back_timeout,
        AccessError(
            f"The debugger of kit {serial_number} restarted and did not come back within {back_timeout:.0f} s",
            hint="plug the kit in again and run the command again.",
        ),
    )


@contextlib.contextmanager
def _connection_that_breaks(serial_number: str) -> Iterator[Any]:
    """A connection whose end may find nobody at the other side."""
    with contextlib.ExitStack() as resources:
        transport = resources.enter_context(connection(serial_number))
        ending = resources.pop_all()
        try:
            yield transport
        finally:
            with contextlib.suppress(AccessError, KitNotFoundError):
                ending.close()


def _answers(transport: Any, serial_number: str) -> bool:
    try:
        with vendor_errors(serial_number):
            Jtagice3HousekeepingProtocol(transport).dap_command_response(bytearray([0x00, DAP_DEVICE_NAME]))
    except (AccessError, KitNotFoundError):
        return False
    return True


def _is_there(serial_number: str) -> bool:
    return any(entry["serial_number"].lower() == serial_number.lower() for entry in list_debuggers())


def _wait(condition: Callable[[], bool], timeout: float, failure: AccessError) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise failure
        time.sleep(POLL_INTERVAL)
