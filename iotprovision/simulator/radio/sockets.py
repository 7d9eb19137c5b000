"""TLS sockets of the simulated WINC1510's firmware, and its questions to the secure element of the host.

Messages and their layouts are those of the WINC driver 19.3.0, as the demo applications use them: they open TLS sockets
only. How much of the handshake one question to the host covers is the choice of this model.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from iotprovision.errors import ProofError
from iotprovision.formats import client_store, root_store
from iotprovision.formats.root_store import Root, root_of
from iotprovision.formats.winc_flash import CLIENT_STORE, ROOT_STORE, FlashArea
from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.board.mqtt_traffic import MqttTraffic
from iotprovision.simulator.board.surroundings import Surroundings
from iotprovision.simulator.radio.host_interface import HEADER_SIZE, HostInterface
from iotprovision.simulator.radio.station import NETWORK, WifiStation
from iotprovision.simulator.radio.tls import EccAnswer, EccRequest, Established, Failed, TlsClient

_SSL = 5  # group
_CONNECT, _SEND, _RECEIVE, _CLOSE, _SET_OPTION = 0x4B, 0x4C, 0x4D, 0x4E, 0x51
_ECC_REQUEST, _ECC_ANSWER, _SET_CIPHERS, _CIPHERS = 1, 2, 5, 6
_SERVER_NAME = 2  # option
_ABORTED = -12
_INTERNET = 2

# Where the host puts data to be sent: behind the header, room for Ethernet, IP, TCP and the head of a TLS record.
_DATA_OFFSET = HEADER_SIZE + 85 + 8
_RECEIVED = struct.Struct("<H2s4shHBBH")
_ECC = struct.Struct("<HHII100s")
_USER_DATA = 0x20001234  # the host gives it back as it is

# Amazon Root CA 1 to 4, as the module looks names up: country, organisation, common name.
_AMAZON_ROOTS = frozenset(hashlib.sha1(b"USAmazonAmazon Root CA %d" % number).digest() for number in range(1, 5))

# Wall seconds that simulated time stands still for the handshake before it goes on for one slice, so that a server that
# does not answer runs into the time-outs of the firmware.
_STANDSTILL = 0.2


@dataclass
class _Socket:
    number: int
    session: int
    tls: TlsClient
    traffic: MqttTraffic
    established: bool = False
    wanted: bool = False
    ended: bool = False
    judged: bool = False
    waiting: bytes = b""


@dataclass
class _Question:
    """One that the host has not answered yet."""

    number: int
    socket: _Socket
    request: EccRequest


@dataclass
class TlsSockets:
    """The sockets.

    :param flash: of the module; root store and client certificates are in it
    """

    host: HostInterface
    flash: bytearray
    surroundings: Callable[[], Surroundings | None]
    station: WifiStation
    record: ConnectionRecord
    _sockets: dict[int, _Socket] = field(default_factory=dict)
    _server_names: dict[int, str] = field(default_factory=dict)
    _question: _Question | None = None
    _questions: int = 0

    def __post_init__(self) -> None:
        self.host.handlers.update(
            {
                (NETWORK, _SET_OPTION): self._set_option,
                (NETWORK, _CONNECT): self._connect,
                (NETWORK, _SEND): self._send,
                (NETWORK, _RECEIVE): self._receive,
                (NETWORK, _CLOSE): self._close,
                (_SSL, _SET_CIPHERS): lambda payload: self.host.send(_SSL, _CIPHERS, payload[:4]),
                (_SSL, _ECC_ANSWER): self._take_ecc_answer,
            }
        )

    def drop(self) -> None:
        """Close all: the network is gone, or the module was reset."""
        for socket in self._sockets.values():
            socket.tls.close()
        self._sockets.clear()
        self._server_names.clear()
        self._question = None

    def tick(self) -> None:
        """See what has happened on the connections."""
        for socket in list(self._sockets.values()):
            if socket.established:
                self._look_for_data(socket)
            elif self._question is None:
                self._go_on_with_handshake(socket)

    # --- messages from the host ----------------------------------------------------------------------------------

    def _set_option(self, payload: bytes) -> None:
        number, option, _session, length = struct.unpack_from("<BBHI", payload)
        if option == _SERVER_NAME:
            self._server_names[number] = payload[8 : 8 + length].split(b"\0")[0].decode("ascii", "replace")

    def _connect(self, payload: bytes) -> None:
        _family, _port, address, number, _flags, session = struct.unpack_from("<H2s4sBBH", payload)
        name, surroundings = self.station.name_of(address), self.surroundings()
        port = surroundings.cloud.port(name) if surroundings and name is not None else None
        if port is None:
            self._answer_connect(number, _ABORTED, "no server is at the address")
            return
        try:
            chain = client_store.parse(self._area(CLIENT_STORE)).certificates
            roots = self._roots(surroundings.cloud.certificate_authority_file if surroundings else "")
        except ProofError as error:
            self._answer_connect(number, _ABORTED, error.what)
            return
        self.record.certificate, self.record.signer = (*chain, b"", b"")[:2]
        tls = TlsClient(port, self._server_names.get(number, ""), chain, roots, self.station.time)
        self._sockets[number] = _Socket(number, session, tls, MqttTraffic())

    def _roots(self, local_authority: str) -> tuple[Root, ...]:
        """Who may have issued a server.

        The local cloud stands for AWS: its root is trusted by a module whose store has one of Amazon's, and by one
        with the erased store that a simulated module has in the beginning.
        """
        roots = root_store.parse(self._area(ROOT_STORE))
        if local_authority and (not roots or {root.name_digest for root in roots} & _AMAZON_ROOTS):
            roots += (root_of(x509.load_pem_x509_certificate(Path(local_authority).read_bytes())),)
        return roots

    def _area(self, area: FlashArea) -> bytes:
        return bytes(self.flash[area.address : area.end])

    def _answer_connect(self, number: int, error: int, reason: str = "") -> None:
        if reason:
            self.record.refused(reason)
        self.host.send(NETWORK, _CONNECT, struct.pack("<BbH", number, error, _DATA_OFFSET))

    def _send(self, payload: bytes) -> None:
        number, size, session = struct.unpack_from("<BxH8xH", payload)
        socket = self._sockets.get(number)
        if socket is None or not socket.established:
            return
        data = payload[_DATA_OFFSET - HEADER_SIZE :][:size]
        socket.traffic.sent(data)
        if not socket.tls.send(data):
            socket.ended = True
        self.host.send(NETWORK, _SEND, struct.pack("<BxhHxx", number, size, session))

    def _receive(self, payload: bytes) -> None:
        _timeout, number, _session = struct.unpack_from("<IBxH", payload)
        if socket := self._sockets.get(number):
            socket.wanted = True

    def _close(self, payload: bytes) -> None:
        if socket := self._sockets.pop(payload[0], None):
            self._judge(socket)
            socket.tls.close()
            if self._question and self._question.socket is socket:
                self._question = None

    # --- the handshake -------------------------------------------------------------------------------------------

    def _go_on_with_handshake(self, socket: _Socket) -> None:
        event = socket.tls.next_event(_STANDSTILL)
        if isinstance(event, EccRequest):
            self._questions += 1
            self._question = _Question(self._questions, socket, event)
            body = _ECC.pack(event.operation, 0, _USER_DATA, self._questions, event.arguments)
            self.host.send(_SSL, _ECC_REQUEST, body + event.tail)
        elif isinstance(event, Established):
            socket.established = True
            self.record.traffic = socket.traffic
            self._answer_connect(socket.number, 0)
        elif isinstance(event, Failed):
            del self._sockets[socket.number]
            socket.tls.close()
            self._answer_connect(socket.number, _ABORTED, event.reason)

    def _take_ecc_answer(self, payload: bytes) -> None:
        operation, status, user_data, number, arguments = _ECC.unpack_from(payload)
        question, self._question = self._question, None
        if question is None:
            return
        if (operation, user_data, number) != (question.request.operation, _USER_DATA, question.number):
            status = 0xFFFF
        question.socket.tls.answer(EccAnswer(status, arguments, payload[_ECC.size :]))

    # --- data ----------------------------------------------------------------------------------------------------

    def _look_for_data(self, socket: _Socket) -> None:
        if not socket.waiting and not socket.ended:
            data = socket.tls.receive()
            socket.ended = data is None
            socket.waiting = data or b""
            socket.traffic.came(socket.waiting)
            if socket.traffic.answer is not None or socket.ended:
                self._judge(socket)
        if socket.wanted and (socket.waiting or socket.ended):
            socket.wanted = False
            data, socket.waiting = socket.waiting, b""
            head = _RECEIVED.pack(
                _INTERNET, bytes(2), bytes(4), len(data) or _ABORTED, _RECEIVED.size, socket.number, 0, socket.session
            )
            self.host.send(NETWORK, _RECEIVE, head + data)

    def _judge(self, socket: _Socket) -> None:
        """The server answered, or the connection ends: note once whether it was accepted."""
        if socket.judged or not socket.established:
            return
        socket.judged = True
        traffic = socket.traffic
        if traffic.answer == 0:
            self.record.accepted()
        elif traffic.client_id == "":
            self.record.refused("the demo connected with an empty client id, which the server did not accept")
        elif traffic.answer is None:
            self.record.refused(self.record.CLOSED)
        else:
            self.record.refused(f"the server refused the MQTT connection with code {traffic.answer}")
