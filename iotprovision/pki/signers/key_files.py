"""Private keys in a store: PKCS#8 PEM, readable by their owner alone, encrypted where there is a passphrase."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from iotprovision.errors import StoreError, UsageError
from iotprovision.store.folder import Store

# OpenSSL takes no longer ones.
LONGEST_PASSPHRASE = 1023


class KeyFiles:
    """Loads and encodes keys; asks for the passphrase once, when it is first needed."""

    def __init__(self, store: Store, passphrase: Callable[[], bytes | None]) -> None:
        self._store = store
        self._ask = passphrase
        self._asked = False
        self._passphrase: bytes | None = None

    def is_encrypted(self, name: str) -> bool:
        """Whether the key needs a passphrase.

        :raises StoreError: there is no such key, it is readable by others, or plainly damaged
        """
        return b"ENCRYPTED" in self._read(name)

    def load(self, name: str) -> ec.EllipticCurvePrivateKey:
        """The key in a file.

        :raises StoreError: there is none, others can read it, it is damaged or of another kind than P-256, or the
            passphrase is missing or wrong
        """
        data = self._read(name)
        path = self._store.path(name)
        passphrase = None
        if b"ENCRYPTED" in data:
            passphrase = self._given_passphrase()
            if passphrase is None:
                raise StoreError(
                    f"The key {path} is encrypted and no passphrase was given",
                    "It cannot sign without.",
                    "give the passphrase that it was made with",
                )
        try:
            key = load_pem_private_key(data, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Without the cause: an exception text must not carry anything of a key or a passphrase.
            if passphrase is not None:
                raise StoreError(
                    f"The passphrase does not open the key {path}",
                    "It is another one than the key was encrypted with, or the file is damaged.",
                    "try again with the right passphrase, or put the file back from a backup",
                ) from None
            raise self._damaged(name) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise StoreError(
                f"The key {path} is not a P-256 key",
                "The secure element and the Wi-Fi module work with no other kind.",
                "put the right file back, or move all files of the CAs away to have new ones made",
            )
        return key

    def encoded(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """What to write into a file.

        :raises UsageError: the passphrase is empty or too long
        """
        passphrase = self._given_passphrase()
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            if not 1 <= len(passphrase) <= LONGEST_PASSPHRASE:
                raise UsageError(
                    f"The passphrase for the CA keys has {len(passphrase)} bytes",
                    f"It can have 1 to {LONGEST_PASSPHRASE}.",
                    "choose another one, or none to leave the keys unencrypted",
                )
            encryption = BestAvailableEncryption(passphrase)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def settle_passphrase(self) -> None:
        """Ask for the passphrase now, if it has not been asked for."""
        self._given_passphrase()

    def _given_passphrase(self) -> bytes | None:
        if not self._asked:
            self._passphrase = self._ask()
            self._asked = True
        return self._passphrase

    def _read(self, name: str) -> bytes:
        data = self._store.read_secret(name)
        if data is None:
            raise StoreError(
                f"There is no key {self._store.path(name)}",
                "The authorities have not been made yet, or the file was moved.",
                "run the action 'certs' first, or put the file back",
            )
        if b"-----BEGIN " not in data or b"-----END " not in data:
            raise self._damaged(name)
        return data

    def _damaged(self, name: str) -> StoreError:
        return StoreError(
            f"The key {self._store.path(name)} is damaged",
            "The file is not a whole private key in PEM format.",
            "put the file back from a backup, or move all files of the CAs away to have new ones made",
        )
