"""tlslite-ng with keys that are elsewhere: where it would sign, check or agree on a secret, it asks who holds them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from ecdsa import NIST256p
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.x509 import X509
from tlslite.x509certchain import X509CertChain


class KeyHolder(Protocol):
    """Who does what needs a key; P-256 only. Every method may raise to end the handshake."""

    def check_chain(self, certificates: Sequence[x509.Certificate]) -> ec.EllipticCurvePublicKey:
        """The key of a server whose chain is trusted, the server's certificate first."""

    def verify(self, key: ec.EllipticCurvePublicKey, digest: bytes, signature: bytes, what: str) -> None:
        """Check a signature (DER) of a SHA-256 digest."""

    def shared_secret(self, server_point: bytes) -> tuple[bytes, bytes]:
        """Make a key pair: its point (65 bytes), and the secret shared with the server's point (32 bytes)."""

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest as the device: DER."""


class _DeviceKey:
    """What tlslite-ng takes for the device's private key; the key stays where it is."""

    key_type = "ecdsa"
    private_key = SimpleNamespace(curve=NIST256p)

    def __init__(self, holder: KeyHolder) -> None:
        self._holder = holder

    def __len__(self) -> int:
        return 256

    def sign(self, digest: bytearray, *_rules: Any) -> bytearray:
        return bytearray(self._holder.sign(bytes(digest)))

    def verify(self, *_arguments: Any) -> bool:
        return True  # the server checks it


class _ServerKey:
    """What tlslite-ng takes for the server's public key; the holder checks with it."""

    key_type = "ecdsa"
    curve_name = "NIST256p"
    public_key = SimpleNamespace(curve=NIST256p)

    def __init__(self, holder: KeyHolder, key: ec.EllipticCurvePublicKey) -> None:
        self._holder = holder
        self._key = key

    def verify(self, signature: bytearray, digest: bytearray, **_rules: Any) -> bool:
        self._holder.verify(self._key, bytes(digest), bytes(signature), "the server's key exchange")
        return True


class _Connection(TLSConnection):  # type: ignore[misc]
    """tlslite-ng with the places where it would use keys itself led to the holder."""

    def __init__(self, sock: socket.socket, holder: KeyHolder) -> None:
        super().__init__(sock)
        self._holder = holder

    def _clientGetKeyFromChain(self, certificate: Any, settings: Any, tack_ext: Any = None) -> Iterator[Any]:  # noqa: N802
        chain = certificate.cert_chain
        certificates = [x509.load_der_x509_certificate(bytes(entry.bytes)) for entry in chain.x509List] if chain else []
        if not certificates:
            raise ValueError("the server showed no certificate")
        yield _ServerKey(self._holder, self._holder.check_chain(certificates)), chain, tack_ext

    def _clientKeyExchange(self, *arguments: Any) -> Any:  # noqa: N802
        exchange = arguments[-1]

        def process(_server_key: Any, message: Any) -> bytearray:
            point, secret = self._holder.shared_secret(bytes(message.ecdh_Ys))
            exchange.ecdhYc = bytearray(point)
            return bytearray(secret)

        exchange.processServerKeyExchange = process
        return super()._clientKeyExchange(*arguments)


def connect(sock: socket.socket, chain: Sequence[bytes], server_name: str, holder: KeyHolder) -> Any:
    """Shake hands: the open connection of tlslite-ng.

    :param chain: certificates to show, DER, the device's first
    :raises Exception: whatever the library, the socket or the holder of the keys raises
    """
    connection = _Connection(sock, holder)
    connection.handshakeClientCert(
        X509CertChain([_parsed(certificate) for certificate in chain]),
        _DeviceKey(holder),
        settings=_settings(),
        serverName=server_name,
    )
    return connection


def _settings() -> HandshakeSettings:
    """What the demo applications allow the module: ECDHE with ECDSA on P-256, AES-128-GCM."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 3)
    settings.keyExchangeNames = ["ecdhe_ecdsa"]
    settings.cipherNames = ["aes128gcm"]
    settings.eccCurves = ["secp256r1"]
    settings.keyShares = []
    settings.ecdsaSigHashes = ["sha256"]
    settings.useExtendedMasterSecret = settings.useEncryptThenMAC = False
    return settings


def _parsed(certificate: bytes) -> X509:
    parsed = X509()
    parsed.parseBinary(bytearray(certificate))
    return parsed
