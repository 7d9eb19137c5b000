"""TLS 1.2 of the simulated WINC1510's firmware: tlslite-ng, with all that needs a key left to the MCU's secure element.

The module has no key of its own. It asks the host for each operation on P-256: check a signature, make an ephemeral
key and the secret shared with the server, sign as the device. tlslite-ng runs in a thread that works only while the
simulation waits for it, so that simulated time does not pass while this machine computes.
"""

from __future__ import annotations

import hashlib
import queue
import select
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from tlslite.constants import AlertDescription
from tlslite.errors import TLSAbruptCloseError, TLSError, TLSRemoteAlert

from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.formats.root_store import COORDINATE, EC, P256, Root
from iotprovision.simulator.radio.tls_with_keys_elsewhere import connect

# The server is on this machine; what takes longer than this never comes.
CONNECT_TIMEOUT = 5.0
HANDSHAKE_TIMEOUT = 30.0
# An MCU that was stopped does not answer any more.
HOST_TIMEOUT = 120.0
LARGEST_PIECE = 1400
_DIGEST = 32

_EXPLANATIONS = {
    "decrypt_error": "the signature of the secure element does not belong to the device certificate",
    "unknown_ca": "it does not know who issued the device certificate",
    "bad_certificate": "it takes the device certificate for damaged",
    "certificate_expired": "the device certificate is not in date",
}

_CLOSED = (
    "the server closed the connection in the TLS handshake: it may not know who issued the device certificate, or the "
    "secure element holds another key"
)


class EccOperation(IntEnum):
    """What the module asks of the host (WINC driver 19.3.0)."""

    CLIENT_ECDH = 1
    SIGN = 4
    VERIFY = 5


@dataclass(frozen=True)
class EccRequest:
    """One such question: 100 bytes of arguments at most, and what follows them."""

    operation: EccOperation
    arguments: bytes
    tail: bytes = b""


@dataclass(frozen=True)
class EccAnswer:
    """What the host answered; status 0 is success."""

    status: int
    arguments: bytes = b""
    tail: bytes = b""


@dataclass(frozen=True)
class Established:
    """The handshake is through."""


@dataclass(frozen=True)
class Failed:
    """It is not, and why."""

    reason: str


Event = EccRequest | Established | Failed


class _RefusedError(Exception):
    """The module does not want this server, or cannot show itself to it."""


class TlsClient:
    """One connection.

    :param port: on 127.0.0.1
    :param server_name: what the host gave for SNI; may be empty
    :param chain: certificates to show, DER, the device's first
    :param roots: what the server's chain must come from
    :param now: for the dates of certificates
    """

    def __init__(
        self, port: int, server_name: str, chain: Sequence[bytes], roots: Sequence[Root], now: datetime
    ) -> None:
        self._port = port
        self._server_name = server_name
        self._chain = chain
        self._roots = {root.name_digest: root for root in roots}
        self._now = now
        self._events: queue.Queue[Event] = queue.Queue()
        self._answers: queue.Queue[EccAnswer | None] = queue.Queue()
        self._socket: socket.socket | None = None
        self._connection: Any = None
        threading.Thread(target=self._shake_hands, name="winc-tls", daemon=True).start()

    # --- for the simulation --------------------------------------------------------------------------------------

    def next_event(self, timeout: float) -> Event | None:
        """What the handshake needs or has come to; None when it still computes after ``timeout`` wall seconds."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def answer(self, answer: EccAnswer) -> None:
        """The host's answer to the last request."""
        self._answers.put(answer)

    def send(self, data: bytes) -> bool:
        """Plain data to the server; False when the connection is gone."""
        try:
            self._connection.write(data)
        except (OSError, TLSError, ValueError):
            return False
        return True

    def receive(self) -> bytes | None:
        """What has come from the server, at most 1400 bytes, empty when nothing has; None when the connection ended."""
        assert self._socket is not None
        # tlslite-ng reads ahead: what it has already does not show at the socket
        if not self._connection._recordLayer.sock._read_buffer and not self._connection._readBuffer:  # noqa: SLF001
            try:
                if not select.select([self._socket], [], [], 0)[0]:
                    return b""
            except (OSError, ValueError):
                return None
        try:
            return bytes(self._connection.read(max=LARGEST_PIECE, min=1)) or None
        except (OSError, TLSError, ValueError):
            return None

    def close(self) -> None:
        """Drop the connection without a word, as the module does."""
        self._answers.put(None)
        if self._socket:
            self._socket.close()

    # --- in the thread of the handshake --------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        try:
            if not self._chain:
                raise _RefusedError("the Wi-Fi module holds no client certificates")
            self._socket = socket.create_connection(("127.0.0.1", self._port), CONNECT_TIMEOUT)
            self._socket.settimeout(HANDSHAKE_TIMEOUT)
            self._connection = connect(self._socket, self._chain, self._server_name, self)
            self._events.put(Established())
        except TLSRemoteAlert as alert:
            name = AlertDescription.toStr(alert.description)
            explanation = f": {_EXPLANATIONS[name]}" if name in _EXPLANATIONS else ""
            self._events.put(Failed(f"the server refused the TLS handshake with {name}{explanation}"))
        except TLSAbruptCloseError:
            self._events.put(Failed(_CLOSED))
        except Exception as error:  # noqa: BLE001 - whatever a server sends must end here, not the thread
            self._events.put(Failed(str(error) or type(error).__name__))

    def _ask_host(self, operation: EccOperation, arguments: bytes, tail: bytes = b"") -> EccAnswer:
        self._events.put(EccRequest(operation, arguments, tail))
        answer = self._answers.get(timeout=HOST_TIMEOUT)
        if answer is None:
            raise _RefusedError("the connection was closed")
        return answer

    def verify(self, key: ec.EllipticCurvePublicKey, digest: bytes, signature: bytes, what: str) -> None:
        """Have the host check a signature (DER).

        :raises _RefusedError: it is not valid
        """
        r, s = (number.to_bytes(COORDINATE, "big") for number in utils.decode_dss_signature(signature))
        lengths = struct.pack(">4H", P256, COORDINATE, len(digest), 2 * COORDINATE)
        tail = lengths + coordinates(key) + digest + r + s
        if self._ask_host(EccOperation.VERIFY, struct.pack("<I", 1), tail).status:
            raise _RefusedError(f"the secure element finds the signature of {what} wrong")

    def check_chain(self, certificates: Sequence[x509.Certificate]) -> ec.EllipticCurvePublicKey:
        """The key of a server whose chain ends at one of the roots.

        :raises _RefusedError: it does not
        """
        for number, certificate in enumerate(certificates):
            issuer = certificates[number + 1] if number + 1 < len(certificates) else None
            if not certificate.not_valid_before_utc <= self._now <= certificate.not_valid_after_utc:
                raise _RefusedError("the server's certificate is not in date")
            root = self._roots.get(_looked_up(certificate.issuer))
            if root is None and issuer is None:
                name = certificate.issuer.rfc4514_string()
                raise _RefusedError(f"the root store of the Wi-Fi module does not know who issued the server: {name}")
            if root and not root.not_before <= self._now <= root.not_after:
                raise _RefusedError("the root of the server's certificate is not in date")
            key = _key_of(root) if root else issuer.public_key() if issuer else None
            digest = Hash(SHA256())
            digest.update(certificate.tbs_certificate_bytes)
            self.verify(_p256(key), digest.finalize(), certificate.signature, "the server's certificate")
            if root:
                break
        return _p256(certificates[0].public_key())

    def shared_secret(self, server_point: bytes) -> tuple[bytes, bytes]:
        """Have the host make a key pair: its point (65 bytes), and the secret shared with the server's (32 bytes)."""
        answer = self._ask_host(EccOperation.CLIENT_ECDH, server_point[1:] + struct.pack("<HH", COORDINATE, 0))
        if answer.status:
            raise _RefusedError("the secure element made no shared secret")
        return b"\x04" + answer.arguments[:64], answer.arguments[68:100]

    def sign(self, digest: bytes) -> bytes:
        """Have the host sign as the device: DER."""
        answer = self._ask_host(EccOperation.SIGN, struct.pack("<HH", P256, _DIGEST), digest)
        if answer.status:
            raise _RefusedError("the secure element did not sign")
        r, s = (int.from_bytes(part, "big") for part in (answer.tail[:32], answer.tail[32:64]))
        return utils.encode_dss_signature(r, s)


def _looked_up(name: x509.Name) -> bytes:
    """What the entries of the root store go by."""
    values = (str(attribute.value) for attribute in name)
    return hashlib.sha1("".join(values).encode(), usedforsecurity=False).digest()


def _key_of(root: Root) -> ec.EllipticCurvePublicKey | None:
    if root.key_type != EC:
        return None
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + root.parameter + root.value)


def _p256(key: Any) -> ec.EllipticCurvePublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise _RefusedError("the server's chain has a key that is not P-256")
