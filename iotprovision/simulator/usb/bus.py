"""The virtual USB bus, as a host program sees it: simulated kits instead of the real devices.

Four names are replaced and nothing else: ``hid`` in ``pyedbglib.hidtransport.cyhidapi``,
``serial.tools.list_ports.comports``, ``usb.core.find`` and ``usb.core.show_devices``, each when its module is imported.

This file is also loaded, by its path, into programs of other environments: it uses the standard library only, imports
nothing of this package, and its syntax stays within Python 3.8.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.abc
import importlib.machinery
import importlib.util
import json
import socket
import struct
import sys
from array import array
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Sequence  # noqa: UP035

CONNECTION_FILE = "connection.json"
FOREIGN_DEVICE_FILE = "usb-device.json"
REPORT_SIZE = 64
MAXIMUM_FRAME = 1 << 20
CONNECT_TIMEOUT = 5.0  # loopback: a kit that does not take the call by then hangs
ANSWER_TIMEOUT = 120.0  # longer than the slowest thing a kit is asked: to connect to a cloud until it is accepted

OPEN, EXCHANGE, CLOSE, DESCRIBE, CONTROL, TRANSFER = b"O", b"X", b"C", b"D", b"J", b"T"
ACCEPTED, REFUSED = b"+", b"-"
STALLED = b"stalled"
TRANSFER_HEAD = struct.Struct("<BBH")  # bmRequestType, bRequest, wLength; the data of a transfer to the kit follows
TO_HOST = 0x80  # bit of bmRequestType
_LENGTH = struct.Struct("<I")


def send_frame(connection: socket.socket, data: bytes) -> None:
    """Send one frame: 4 bytes of length, little endian, and the data."""
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive_frame(connection: socket.socket) -> bytes:
    """Receive one frame.

    :raises EOFError: the other end has closed
    :raises ValueError: the frame is longer than any that is sent
    """
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
    if length > MAXIMUM_FRAME:
        raise ValueError(f"a frame of {length} bytes")
    return _receive(connection, length)


def _receive(connection: socket.socket, length: int) -> bytes:
    data = connection.recv(length) if length else b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class KitConnection:
    """A connection to the process of one kit.

    :param address: content of the kit's ``connection.json``: ``port`` and ``token``
    :param answer_timeout: seconds that an answer may take
    :raises OSError: nobody serves there, or it does not accept the token
    """

    def __init__(self, address: dict[str, Any], answer_timeout: float = ANSWER_TIMEOUT) -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(address["port"])), CONNECT_TIMEOUT)
        self._socket.settimeout(answer_timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask(str(address["token"]).encode("ascii"))

    def ask(self, request: bytes) -> bytes:
        """Send a request, return the answer.

        :raises OSError: the kit refuses, or is gone
        """
        try:
            send_frame(self._socket, request)
            answer = receive_frame(self._socket)
        except (EOFError, ValueError) as error:
            raise OSError("the simulated kit has closed the connection") from error
        if answer[:1] != ACCEPTED:
            raise OSError(answer[1:].decode("utf-8", "replace"))
        return answer[1:]

    def describe(self) -> dict[str, Any]:
        """What the kit is now: ``present``, names, numbers, ports."""
        description: dict[str, Any] = json.loads(self.ask(DESCRIBE))
        return description

    def control(self, request: dict[str, Any]) -> Any:
        """Ask something of the simulation itself: ``{"do": name, ...}``."""
        return json.loads(self.ask(CONTROL + json.dumps(request).encode("utf-8")))

    def close(self) -> None:
        """Hang up; an open HID is closed by it."""
        self._socket.close()

    def __enter__(self) -> KitConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bus:
    """The kits that are served from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def addresses(self) -> list[dict[str, Any]]:
        """Where the processes of the kits can be reached, by kit folder name; some may be gone."""
        found = []
        for file in sorted(self.folder.glob("*/" + CONNECTION_FILE)):
            try:
                address = json.loads(file.read_text(encoding="utf-8"))
                int(address["port"]), str(address["token"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            found.append(address)
        return found

    def kits(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(address, description) of every kit that is on the bus now."""
        found = []
        for address in self.addresses():
            try:
                with KitConnection(address, CONNECT_TIMEOUT) as connection:
                    description = connection.describe()
            except OSError:
                continue
            if description["present"]:
                found.append((address, description))
        return found

    def devices(self) -> list[tuple[dict[str, Any] | None, dict[str, Any]]]:
        """The same, and the devices that only show themselves: those have no address."""
        found: list[tuple[dict[str, Any] | None, dict[str, Any]]] = [*self.kits()]
        for file in sorted(self.folder.glob("*/" + FOREIGN_DEVICE_FILE)):
            with contextlib.suppress(OSError, ValueError):
                found.append((None, json.loads(file.read_text(encoding="utf-8"))))
        return found


class _Device:
    """``hid.device`` of hidapi, as far as pyedbglib uses it, and a little more."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._connection: KitConnection | None = None
        self._description: dict[str, Any] = {}
        self._answers: deque[bytes] = deque()

    def open(self, vendor_id: int = 0, product_id: int = 0, serial_number: str | None = None) -> None:
        wanted = (vendor_id, product_id)
        self._open(
            lambda kit: (
                (kit["vendor_id"], kit["product_id"]) == wanted and serial_number in (None, kit["serial_number"])
            )
        )

    def open_path(self, path: bytes) -> None:
        self._open(lambda kit: kit["path"].encode("ascii") == path)

    def _open(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        for address, description in self._bus.devices():
            if description["boot_mode"] or not wanted(description):
                continue
            if address is None:
                raise OSError("open failed")
            connection = None
            try:
                connection = KitConnection(address)
                connection.ask(OPEN)
            except OSError:
                if connection is not None:
                    connection.close()
                raise OSError("open failed") from None
            self._connection, self._description = connection, description
            return
        raise OSError("open failed")

    def _opened(self) -> KitConnection:
        if self._connection is None:
            raise ValueError("not open")
        return self._connection

    def write(self, buffer: Sequence[int]) -> int:
        report = bytes(buffer)[1:].ljust(REPORT_SIZE, b"\x00")  # the first byte is the report number, always 0
        connection = self._opened()
        try:
            self._answers.append(connection.ask(EXCHANGE + report))
        except OSError:
            return -1
        return len(buffer)

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        self._opened()
        if self._answers:
            return list(self._answers.popleft()[:max_length])
        if timeout_ms or self._nonblocking:
            return []
        raise OSError("read error")  # a real one would wait for ever: every report has been answered

    _nonblocking = 0

    def set_nonblocking(self, value: int) -> int:
        self._nonblocking = value
        return 0

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.ask(CLOSE)
            self._connection.close()
        self._connection = None
        self._answers.clear()

    def get_manufacturer_string(self) -> str:
        return str(self._description["manufacturer"])

    def get_product_string(self) -> str:
        return str(self._description["product"])

    def get_serial_number_string(self) -> str:
        return str(self._description["serial_number"])

    def error(self) -> str:
        return ""


def hid_module(bus: Bus) -> ModuleType:
    """A module with the surface of ``hid`` that knows the simulated kits."""
    module = ModuleType("hid", "The simulated kits' HID")

    def enumerate_devices(vendor_id: int = 0, product_id: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "path": kit["path"].encode("ascii"),
                "vendor_id": kit["vendor_id"],
                "product_id": kit["product_id"],
                "serial_number": kit["serial_number"] if kit["readable"] else "",
                "release_number": kit["release"],
                "manufacturer_string": kit["manufacturer"] if kit["readable"] else "",
                "product_string": kit["product"] if kit["readable"] else "",
                "usage_page": 0xFF00,
                "usage": 1,
                "interface_number": 0,
                "bus_type": 1,
            }
            for _, kit in bus.devices()
            if not kit["boot_mode"] and vendor_id in (0, kit["vendor_id"]) and product_id in (0, kit["product_id"])
        ]

    module.enumerate = enumerate_devices  # type: ignore[attr-defined]
    module.device = lambda: _Device(bus)  # type: ignore[attr-defined]
    return module


def _ports(bus: Bus, list_ports: ModuleType) -> Callable[..., list[Any]]:
    def comports(include_links: bool = False) -> list[Any]:
        from serial.tools.list_ports_common import ListPortInfo

        found = []
        for _, kit in bus.devices():
            if kit["boot_mode"] or kit["port"] is None:
                continue
            port = ListPortInfo(kit["port"])
            port.vid, port.pid = kit["vendor_id"], kit["product_id"]
            port.serial_number, port.product = kit["serial_number"], kit["product"]
            port.manufacturer, port.location = kit["manufacturer"], kit["usb_address"] + ":1.1"
            port.description, port.hwid = port.usb_description(), port.usb_info()
            found.append(port)
        return found

    return comports


class _UsbDevice:
    """``usb.core.Device`` of pyusb, as far as pydebuggerupgrade uses it.

    :param errors: the module ``usb.core``
    """

    def __init__(self, address: dict[str, Any] | None, kit: dict[str, Any], errors: Any) -> None:
        self.idVendor = kit["vendor_id"]
        self.idProduct = kit["product_id"]
        self.bcdDevice = kit["release"]
        self.bus = 1
        self.address = int(kit["usb_address"].split("-")[1])
        texts = kit["readable"] and not kit["boot_mode"]
        self.manufacturer = kit["manufacturer"] if texts else None
        self.product = kit["product"] if texts else None
        self.serial_number = kit["serial_number"] if texts else None
        self._readable = kit["readable"]
        self._kit_address = address
        self._errors = errors
        self._connection: KitConnection | None = None

    def __str__(self) -> str:
        return (
            f"DEVICE ID {self.idVendor:04x}:{self.idProduct:04x} on Bus {self.bus:03d} Address {self.address:03d}"
            " =================\n"
        )

    def __del__(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.ask(CLOSE)
            self._connection.close()

    def set_configuration(self, configuration: Any = None) -> None:
        if not self._readable:
            raise self._error(errno.EACCES, "Access denied (insufficient permissions)")
        if self._connection is not None:
            return
        if self._kit_address is None:
            raise self._error(errno.EBUSY, "Resource busy")
        connection = None
        try:
            connection = KitConnection(self._kit_address)
            connection.ask(OPEN)
        except OSError as error:
            if connection is not None:
                connection.close()
            busy = "open failed" in str(error)
            raise self._error(*((errno.EBUSY, "Resource busy") if busy else _NO_DEVICE)) from error
        self._connection = connection

    def ctrl_transfer(
        self,
        request_type: int,
        request: int,
        value: int = 0,
        index: int = 0,
        data_or_length: Any = None,
        timeout: int | None = None,
    ) -> Any:
        self.set_configuration()
        assert self._connection is not None
        to_host = bool(request_type & TO_HOST)
        length = int(data_or_length or 0) if to_host else 0
        data = b"" if to_host else bytes(data_or_length or b"")
        try:
            answer = self._connection.ask(TRANSFER + TRANSFER_HEAD.pack(request_type, request, length) + data)
        except OSError as error:
            stalled = str(error) == STALLED.decode("ascii")
            raise self._error(*((errno.EPIPE, "Pipe error") if stalled else _NO_DEVICE)) from error
        return array("B", answer) if to_host else len(data)

    def _error(self, number: int, text: str) -> Exception:
        error: Exception = self._errors.USBError(text, errno=number)
        return error


_NO_DEVICE = (errno.ENODEV, "No such device (it may have been disconnected)")


def _usb_find(bus: Bus, core: Any) -> Callable[..., Any]:
    def find(find_all: bool = False, backend: Any = None, custom_match: Any = None, **wanted: Any) -> Any:
        fitting = [
            device
            for device in (_UsbDevice(address, kit, core) for address, kit in bus.devices())
            if all(getattr(device, name, None) == value for name, value in wanted.items())
            and (custom_match is None or custom_match(device))
        ]
        if find_all:
            return iter(fitting)
        return fitting[0] if fitting else None

    return find


def _usb_show(bus: Bus, core: Any) -> Callable[..., str]:
    def show_devices(verbose: bool = False, **wanted: Any) -> str:
        return "".join(str(device) for device in _usb_find(bus, core)(find_all=True, **wanted))

    return show_devices


_Makers = Sequence["tuple[str, Callable[[Bus, ModuleType], Any]]"]
REPLACED: dict[str, _Makers] = {
    "pyedbglib.hidtransport.cyhidapi": [("hid", lambda bus, _: hid_module(bus))],
    "serial.tools.list_ports": [("comports", _ports)],
    "usb.core": [("find", _usb_find), ("show_devices", _usb_show)],
}


class Replacement(importlib.abc.MetaPathFinder):
    """Replaces the four names in modules that are there already and in those that are imported later.

    :meth:`install` and :meth:`remove` undo each other.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._originals: list[tuple[ModuleType, str, Any]] = []
        self._looking: set[str] = set()

    def install(self) -> None:
        """From now on this program sees the simulated kits and no others."""
        for name in REPLACED:
            if name in sys.modules:
                self.replace(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Put back what was replaced."""
        sys.meta_path.remove(self)
        for module, name, original in reversed(self._originals):
            setattr(module, name, original)
        self._originals.clear()

    def replace(self, module: ModuleType) -> None:
        """Replace the names of one module."""
        for name, make in REPLACED[module.__name__]:
            self._originals.append((module, name, getattr(module, name)))
            setattr(module, name, make(self._bus, module))

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in REPLACED or name in self._looking:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _ReplacingLoader(spec.loader, self)
        return spec


class _ReplacingLoader(importlib.abc.Loader):
    """The loader of a module, and then the replacement of its names."""

    def __init__(self, loader: Any, replacement: Replacement) -> None:
        self._loader = loader
        self._replacement = replacement

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._replacement.replace(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # get_source, get_filename and the like: for tracebacks and runpy
