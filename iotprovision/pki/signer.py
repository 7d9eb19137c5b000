"""What issues certificates: a public key and a signature, wherever the private key lies."""

from __future__ import annotations

from typing import NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


class Signer(Protocol):
    """A P-256 key that signs. Nobody who uses it sees the private key, or knows where it lies."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """:raises ProvisioningError: it cannot be had"""

    def sign(self, digest: bytes) -> bytes:
        """
        :param digest: SHA-256 of what is to be signed, 32 bytes
        :returns: the ECDSA signature, DER
        :raises ProvisioningError: the key cannot be used
        """


def signing_key(signer: Signer) -> ec.EllipticCurvePrivateKey:
    """What the builders of certificates and requests take for a private key."""
    return _SigningKey(signer)


class _SigningKey(ec.EllipticCurvePrivateKey):
    """A key that signs and does nothing else: the builders take any object that is a private key in name."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._signer.public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._signer.public_key.curve

    @property
    def key_size(self) -> int:
        return self._signer.public_key.key_size

    def sign(self, data: object, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if not isinstance(signature_algorithm.algorithm, hashes.SHA256):
            raise NotImplementedError("the key signs SHA-256 alone")
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)  # type: ignore[arg-type]
        return self._signer.sign(digest.finalize())

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise NotImplementedError("the key only signs")

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError("the key stays where it lies")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:
        raise NotImplementedError("the key stays where it lies")

    def __copy__(self) -> _SigningKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _SigningKey:
        return self
