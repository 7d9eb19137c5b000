"""The Wi-Fi side of the simulated WINC1510's firmware: joining, address, time, names, saved connection.

Messages and their layouts are those of the WINC driver 19.3.0, as the demo applications use them. How long things
take, and what is written into the flash for the next power-up, is the choice of this model: the module's firmware is
not published, and the real connection is kept there encrypted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from iotprovision.formats.winc_flash import ERASED, WIFI_CONNECTION
from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.board.surroundings import Surroundings
from iotprovision.simulator.radio.host_interface import HostInterface

WIFI, NETWORK = 1, 2  # groups
_GET_TIME, _TIME, _DEFAULT_CONNECT, _DEFAULT_CONNECT_ANSWER = 26, 27, 41, 42
_DISCONNECT, _STATE_CHANGED, _ADDRESS, _CONNECT = 43, 44, 50, 59
_RESOLVE = 0x4A
_CONNECTED, _DISCONNECTED = 1, 0
_SCAN_FAILED, _AUTHENTICATION_FAILED, _LOST = 1, 3, 0
_EMPTY_LIST = -20

OPEN, WPA_PSK = 1, 2
_SAVE = 1 << 0
_SAVED_MAGIC = b"simulated connection\0"
_SAVED = struct.Struct("<B33p65p")

# Simulated seconds.
_JOIN_TIME, _REFUSAL_TIME, _ADDRESS_TIME, _CLOCK_TIME, _LOOKUP_TIME = 0.2, 0.5, 0.15, 0.4, 0.02
# RFC 5737 keeps these addresses for examples: nothing real is ever behind them.
_OWN_ADDRESS, _GATEWAY, _CLOUD = (bytes([192, 0, 2, last]) for last in (10, 1, 80))
_NETMASK, _LEASE = bytes([255, 255, 255, 0]), 86400
_NAME_SIZE = 64


@dataclass(frozen=True)
class Connection:
    """What the host asked for."""

    ssid: bytes
    security: int
    passphrase: bytes = field(repr=False)


class WifiStation:
    """The station.

    :param flash: of the module; the connection is saved in it
    :param surroundings: what the radio reaches now

    ``left`` is called when the network is left.
    """

    def __init__(
        self,
        host: HostInterface,
        flash: bytearray,
        surroundings: Callable[[], Surroundings | None],
        record: ConnectionRecord,
    ) -> None:
        self._host = host
        self._flash = flash
        self._surroundings = surroundings
        self._record = record
        self.left: Callable[[], None] | None = None
        self._started = datetime.now(UTC)
        host.handlers.update(
            {
                (WIFI, _GET_TIME): self._tell_time,
                (WIFI, _DEFAULT_CONNECT): self._connect_again,
                (WIFI, _CONNECT): self._connect,
                (WIFI, _DISCONNECT): self._disconnect,
                (NETWORK, _RESOLVE): self._resolve,
            }
        )
        self.reset()

    def reset(self) -> None:
        """The module was reset: not joined, and without a clock."""
        self._joined = False
        self._clock_is_set = False
        self._names: dict[bytes, str] = {}

    @property
    def time(self) -> datetime:
        """What a clock on the wall shows in simulated time."""
        return self._started + timedelta(seconds=self._host.now)

    def name_of(self, address: bytes) -> str | None:
        """The host name that was resolved to an address, 4 bytes."""
        return self._names.get(address)

    def _tell_time(self, _payload: bytes) -> None:
        now = self.time.timetuple()[:6] if self._clock_is_set else (0,) * 6
        self._host.send(WIFI, _TIME, struct.pack("<H5Bx", *now))

    # --- joining -------------------------------------------------------------------------------------------------

    def _connect(self, payload: bytes) -> None:
        """u16 length, flags, channel, SSID (1 + 32), options (1 + 6), security at 44, passphrase (1 + 64) at 48."""
        flags, length, security = payload[2], payload[4], payload[44]
        passphrase = payload[49 : 49 + payload[48]] if security == WPA_PSK else b""
        connection = Connection(payload[5 : 5 + length], security, passphrase)
        self._record.asked(connection.ssid.decode("utf-8", "replace"))
        self._join(connection, bool(flags & _SAVE))

    def _connect_again(self, _payload: bytes) -> None:
        connection = saved_connection(self._flash)
        if connection is None:
            self._host.send(WIFI, _DEFAULT_CONNECT_ANSWER, struct.pack("<b3x", _EMPTY_LIST))
        else:
            self._join(connection, save=False)

    def _join(self, connection: Connection, save: bool) -> None:
        problem = self._problem(connection)
        if problem is None:
            self._host.after(_JOIN_TIME, lambda: self._enter(connection, save))
        else:
            error, reason = problem
            self._record.refused_joins.append(reason)
            self._host.after(_REFUSAL_TIME, lambda: self._say_state(_DISCONNECTED, error))

    def _problem(self, connection: Connection) -> tuple[int, str] | None:
        """The driver's error code and the reason why this network cannot be joined."""
        surroundings, ssid = self._surroundings(), connection.ssid.decode("utf-8", "replace")
        access_point = surroundings.access_point if surroundings else None
        if access_point is None or access_point.ssid.encode() != connection.ssid:
            return _SCAN_FAILED, f"no access point {ssid!r} is within reach"
        if (connection.security == WPA_PSK) != bool(access_point.passphrase):
            return _AUTHENTICATION_FAILED, f"the access point {ssid!r} has another kind of security"
        if access_point.passphrase.encode() != connection.passphrase:
            return _AUTHENTICATION_FAILED, f"the access point {ssid!r} has another passphrase"
        return None

    def _enter(self, connection: Connection, save: bool) -> None:
        self._joined = True
        self._record.ssid = connection.ssid.decode("utf-8", "replace")
        if save:
            save_connection(self._flash, connection)
        self._say_state(_CONNECTED)
        address = _OWN_ADDRESS + _GATEWAY + _GATEWAY + bytes(4) + _NETMASK + struct.pack("<I", _LEASE)
        self._host.after(_ADDRESS_TIME, lambda: self._host.send(WIFI, _ADDRESS, address))
        self._host.after(_CLOCK_TIME, self._set_clock)

    def _set_clock(self) -> None:
        self._clock_is_set = True

    def _disconnect(self, _payload: bytes) -> None:
        self._joined = False
        if self.left:
            self.left()
        self._say_state(_DISCONNECTED, _LOST)

    def _say_state(self, state: int, error: int = 0) -> None:
        self._host.send(WIFI, _STATE_CHANGED, struct.pack("<BB2x", state, error))

    # --- names ---------------------------------------------------------------------------------------------------

    def _resolve(self, payload: bytes) -> None:
        raw = payload.split(b"\0")[0][: _NAME_SIZE - 1]
        name = raw.decode("ascii", "replace")
        self._record.endpoint = name
        surroundings = self._surroundings()
        address = bytes(4)
        if self._joined and surroundings and surroundings.cloud.port(name) is not None:
            address = _CLOUD
            self._names[address] = name
        else:
            self._record.refused(f"no server is called {name!r}")
        answer = raw.ljust(_NAME_SIZE, b"\0") + address
        self._host.after(_LOOKUP_TIME, lambda: self._host.send(NETWORK, _RESOLVE, answer))


def saved_connection(flash: bytes | bytearray) -> Connection | None:
    """What a module joins by itself; None where it has never joined a network with a simulated radio."""
    start = WIFI_CONNECTION.address + len(_SAVED_MAGIC)
    if flash[WIFI_CONNECTION.address : start] != _SAVED_MAGIC:
        return None
    security, ssid, passphrase = _SAVED.unpack_from(flash, start)
    return Connection(ssid, security, passphrase)


def save_connection(flash: bytearray, connection: Connection) -> None:
    """Keep a connection for the next power-up. The sector is the module's own: the rest of it is erased."""
    content = _SAVED_MAGIC + _SAVED.pack(connection.security, connection.ssid, connection.passphrase)
    flash[WIFI_CONNECTION.address : WIFI_CONNECTION.end] = content.ljust(WIFI_CONNECTION.size, bytes([ERASED]))
