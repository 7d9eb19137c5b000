"""Reads along on an MQTT 3.1.1 connection (OASIS standard, chapters 2 and 3) and keeps what is worth a report."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_CONNECT, _CONNACK, _PUBLISH, _SUBSCRIBE, _SUBACK = 1, 2, 3, 8, 9
_REFUSED = 0x80


@dataclass
class MqttTraffic:
    """One connection.

    :ivar client_id: as in CONNECT; None before it
    :ivar answer: return code of CONNACK, 0 is accepted; None before it
    :ivar published: topic and payload of what the client sent, at most the first and the last hundred
    :ivar subscribed: topics that the server granted
    :ivar received: topics of what the server sent
    """

    client_id: str | None = None
    answer: int | None = None
    published: list[tuple[str, bytes]] = field(default_factory=list)
    subscribed: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    _from_client: bytearray = field(default_factory=bytearray, repr=False)
    _from_server: bytearray = field(default_factory=bytearray, repr=False)
    _asked: dict[int, str] = field(default_factory=dict, repr=False)

    def sent(self, data: bytes) -> None:
        """Bytes from the client."""
        self._from_client += data
        with suppress(struct.error, IndexError):  # not MQTT at all
            self._read_client()

    def _read_client(self) -> None:
        for kind, flags, body in _packets(self._from_client):
            if kind == _CONNECT:
                self.client_id = _text(body, 10)
            elif kind == _PUBLISH:
                del self.published[1:-100]
                self.published.append(_message(flags, body))
            elif kind == _SUBSCRIBE:
                self._asked[int.from_bytes(body[:2], "big")] = _text(body, 2)

    def came(self, data: bytes) -> None:
        """Bytes from the server."""
        self._from_server += data
        with suppress(struct.error, IndexError):
            self._read_server()

    def _read_server(self) -> None:
        for kind, flags, body in _packets(self._from_server):
            if kind == _CONNACK and len(body) == 2:
                self.answer = body[1]
            elif kind == _PUBLISH:
                self.received.append(_message(flags, body)[0])
            elif kind == _SUBACK and not body[2] & _REFUSED:
                self.subscribed.append(self._asked.get(int.from_bytes(body[:2], "big"), ""))


def _packets(stream: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Take whole packets off the front: kind, flags, and what follows the remaining length."""
    while True:
        length, place = 0, 1
        while True:
            if place >= len(stream):
                return
            length |= (stream[place] & 0x7F) << 7 * (place - 1)
            place += 1
            if not stream[place - 1] & 0x80:
                break
        if len(stream) < place + length:
            return
        first, body = stream[0], bytes(stream[place : place + length])
        del stream[: place + length]
        yield first >> 4, first & 0x0F, body


def _text(body: bytes, offset: int) -> str:
    (size,) = struct.unpack_from(">H", body, offset)
    return body[offset + 2 : offset + 2 + size].decode("utf-8", "replace")


def _message(flags: int, body: bytes) -> tuple[str, bytes]:
    (size,) = struct.unpack_from(">H", body, 0)
    number = 2 if flags & 0x06 else 0  # QoS above 0 has a packet identifier
    return _text(body, 0), body[2 + size + number :]
