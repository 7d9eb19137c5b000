"""The process of simulated kits: serves their USB side on 127.0.0.1 to whoever knows the token.

Frames are those of ``usb_bus``. The first frame of a connection is the token, which only the owner of the kit's folder
can read; then every request gets one answer. Control requests are JSON: see :data:`ACTIONS`.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import signal
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from iotprovision.errors import ProvisioningError
from iotprovision.simulator.debugger.boot_loader import Stalled
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.simulated_kit import NotOnBus, OpenFailed, SimulatedKit, microcontroller_factory
from iotprovision.simulator.kit.state import CONNECTION_FILE, KitState, exclusive, write_private
from iotprovision.simulator.usb import bus as usb_bus
from iotprovision.simulator.usb.bus import ACCEPTED, REFUSED, receive_frame, send_frame

SWITCH_INTERVAL = 0.0005  # seconds; the default of 5 ms would be added to HID answers while an emulated MCU computes
SIGNAL_CHECK = 0.5  # seconds between looks for a signal on Windows, where waiting for an event cannot be interrupted


def _power_up(kit: SimulatedKit, request: dict[str, Any]) -> Any:
    from iotprovision.simulator.board.surroundings import CloudAddress
    from iotprovision.simulator.first_connection.power_up import first_power_up

    return first_power_up(kit.board, CloudAddress(**request["cloud"]))


def _surround(kit: SimulatedKit, request: dict[str, Any]) -> None:
    from iotprovision.simulator.board.surroundings import AccessPoint, CloudAddress, Surroundings

    kit.board.surroundings = Surroundings(AccessPoint(**request["access_point"]), CloudAddress(**request["cloud"]))


def _demo_joins(kit: SimulatedKit, _request: dict[str, Any]) -> str | None:
    from iotprovision.simulator.first_connection.demo_connection import demo_joins

    return demo_joins(kit.board, kit.microcontroller)


def _demo_connects(kit: SimulatedKit, request: dict[str, Any]) -> Any:
    from iotprovision.simulator.first_connection.demo_connection import demo_connects

    return demo_connects(kit.board, kit.microcontroller, request["told"])


def _demo_reports(kit: SimulatedKit, request: dict[str, Any]) -> bool:
    from iotprovision.simulator.first_connection.demo_connection import demo_reports

    return demo_reports(kit.board, kit.microcontroller, request["state"])


ACTIONS: dict[str, Callable[[SimulatedKit, dict[str, Any]], Any]] = {
    "meters": lambda kit, _: kit.board.meters.as_dict(),
    "faults": lambda kit, request: kit.set_faults(request.get("values", {})),
    "save": lambda kit, _: kit.save(),
    "unplug": lambda kit, _: kit.unplug(),
    "plug in": lambda kit, _: kit.plug_in(),
    "power up": _power_up,
    "surroundings": _surround,
    "demo joins": _demo_joins,
    "demo connects": _demo_connects,
    "demo reports": _demo_reports,
}


class _Connection(socketserver.BaseRequestHandler):
    """One host program, or one open HID."""

    server: KitServer

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if not hmac.compare_digest(receive_frame(connection), self.server.token.encode("ascii")):
                send_frame(connection, REFUSED + b"wrong token")
                return
            send_frame(connection, ACCEPTED)
            while True:
                send_frame(connection, self._answer(receive_frame(connection)))
        except (EOFError, OSError, ValueError):
            pass
        finally:
            self.server.kit.close_usb(self)

    def _answer(self, request: bytes) -> bytes:
        try:
            return ACCEPTED + self._perform(request[:1], request[1:])
        except NotOnBus:
            return REFUSED + b"the kit is not on the bus"
        except OpenFailed:
            return REFUSED + b"open failed"
        except Stalled:
            return REFUSED + usb_bus.STALLED
        except (ProvisioningError, KeyError, TypeError, ValueError, OSError, struct.error) as error:
            return REFUSED + f"{type(error).__name__}: {error}".encode()

    def _perform(self, operation: bytes, argument: bytes) -> bytes:
        kit = self.server.kit
        if operation == usb_bus.EXCHANGE and len(argument) == usb_bus.REPORT_SIZE:
            return kit.exchange(self, argument)
        if operation == usb_bus.TRANSFER:
            head = usb_bus.TRANSFER_HEAD.size
            request_type, request, length = usb_bus.TRANSFER_HEAD.unpack(argument[:head])
            return kit.transfer(self, request_type, request, argument[head:], length)
        if operation == usb_bus.DESCRIBE:
            return json.dumps(kit.describe()).encode("utf-8")
        if operation == usb_bus.CONTROL:
            values = json.loads(argument)
            return json.dumps(ACTIONS[values["do"]](kit, values)).encode("utf-8")
        if operation == usb_bus.OPEN:
            kit.open_usb(self)
        elif operation == usb_bus.CLOSE:
            kit.close_usb(self)
        else:
            raise ValueError("unknown request")
        return b""


class KitServer(socketserver.ThreadingTCPServer):
    """The loopback port of one kit."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, kit: SimulatedKit) -> None:
        self.kit = kit
        self.token = secrets.token_hex(16)
        super().__init__(("127.0.0.1", 0), _Connection)


@contextmanager
def served(state_folder: Path, name: SimulatedKitName, debugger_version: str | None) -> Iterator[SimulatedKit]:
    """Serve one kit as long as the context lasts.

    :raises LockedError: another process serves it
    :raises StoreError: its state is damaged
    :raises UsageError: it is to be emulated, and the emulator is not installed
    """
    with exclusive(state_folder, name):
        make_microcontroller = microcontroller_factory(name)
        kit = SimulatedKit(KitState.load_or_create(state_folder, name, debugger_version), make_microcontroller)
        connection_file = kit.state.folder / CONNECTION_FILE
        try:
            with KitServer(kit) as server:
                threading.Thread(target=server.serve_forever, args=(0.05,), name="usb", daemon=True).start()
                address = {"kit": name.text, "process": os.getpid(), "port": server.server_address[1]}
                write_private(connection_file, json.dumps({**address, "token": server.token}).encode("utf-8"))
                try:
                    yield kit
                finally:
                    connection_file.unlink(missing_ok=True)
                    server.shutdown()
        finally:
            kit.close()


def announcement(kit: SimulatedKit) -> dict[str, Any]:
    """What ``serve`` prints of a kit, one JSON line."""
    description = kit.describe()
    names = ("kit", "serial_number", "usb_address", "uart", "pty", "folder")
    return {"kit": description.pop("kit"), **{name: description[name] for name in names if name != "kit"}}


def serve(
    names: Iterable[SimulatedKitName],
    state_folder: Path,
    output: TextIO,
    debugger_version: str | None = None,
    while_input_is_open: bool = False,
) -> None:
    """Serve kits until SIGINT or SIGTERM.

    :param output: gets one JSON line a kit when it is on the bus
    :param while_input_is_open: end also when standard input does, that is, when the process that started this one
        closes its end or dies in whatever way
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if while_input_is_open:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    with ExitStack() as stack:
        for name in names:
            kit = stack.enter_context(served(state_folder, name, debugger_version))
            output.write(json.dumps(announcement(kit)) + "\n")
        output.flush()
        while not stop.wait(SIGNAL_CHECK if sys.platform == "win32" else None):
            pass


def _wait_for_end_of_input(stop: threading.Event) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    stop.set()
