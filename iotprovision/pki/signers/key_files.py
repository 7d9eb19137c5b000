"""Private keys in a store: PKCS#8 PEM, readable by their owner alone, encrypted where there is a passphrase."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
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


class Passphrase:
    """What the key files of one authority are encrypted with, asked for when it is first needed.

    :param ask: gives it, None for keys that are not encrypted; told whether there are keys already that need it
    :param is_at_hand: whether nobody has to be asked for it
    """

    def __init__(self, ask: Callable[[bool], bytes | None] = lambda exists: None, is_at_hand: bool = False) -> None:
        self._ask = ask
        self._is_at_hand = is_at_hand
        self._given: bytes | None = None

    @property
    def is_known(self) -> bool:
        """Whether nobody has to be asked for it any more."""
        return self._is_at_hand or self._given is not None

    def of_keys_that_exist(self) -> bytes | None:
        """:raises UsageError: there is nobody to ask"""
        return self._settled(True)

    def of_new_keys(self) -> bytes | None:
        """That of the keys that exist, where it was needed before.

        :raises UsageError: there is nobody to ask, or it is empty or too long
        """
        passphrase = self._settled(False)
        if passphrase is not None and not 1 <= len(passphrase) <= LONGEST_PASSPHRASE:
            raise UsageError(
                f"The passphrase for the CA keys has {len(passphrase)} bytes",
                f"It can have 1 to {LONGEST_PASSPHRASE}.",
                "choose another one, or none to leave the keys unencrypted",
            )
        return passphrase

    def _settled(self, exists: bool) -> bytes | None:
        if self._given is None:
            self._given = self._ask(exists)
        return self._given


class KeyInMemory:
    """A key that was made in this run, as a signer: it lies in no file yet, or never will."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> KeyInMemory:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, digest: bytes) -> bytes:
        return _signature(self._key, digest)

    def encoded(self, passphrase: bytes | None) -> bytes:
        """What to write into a file; a secret where there is no passphrase."""
        encryption: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            encryption = BestAvailableEncryption(passphrase)
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class KeyFile:
    """The key in a file of a store, as a signer. The file is read once, when the key is first needed, and kept open.

    Reading, opening and signing raise :class:`StoreError`: there is no such file, others can read it, it is damaged or
    of another kind than P-256, or the passphrase is missing or wrong.
    """

    def __init__(self, store: Store, name: str, passphrase: Passphrase) -> None:
        self.name = name
        self._store = store
        self._passphrase = passphrase
        self._content: bytes | None = None
        self._key: ec.EllipticCurvePrivateKey | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a file; it is not opened."""
        return self._store.has(self.name)

    def check(self) -> None:
        """Look at the file from outside.

        :raises StoreError: there is none, others can read it, or it is empty
        """
        size = self._store.secret_size(self.name)
        if size is None:
            raise self._missing()
        if size == 0:
            raise self._damaged()

    @property
    def is_open(self) -> bool:
        """Whether the key has been opened in this run."""
        return self._key is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether the key needs a passphrase. Reads the file."""
        return b"ENCRYPTED" in self._read()

    @property
    def opens_unasked(self) -> bool:
        """Whether nobody has to be asked for a passphrase. Reads the file."""
        return self.is_open or not self.is_encrypted or self._passphrase.is_known

    def settle_passphrase(self) -> None:
        """Ask for the passphrase now, where the key needs one; nothing is opened yet. Reads the file."""
        if self.is_encrypted:
            self._passphrase.of_keys_that_exist()

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._opened().public_key()

    def sign(self, digest: bytes) -> bytes:
        return _signature(self._opened(), digest)

    def forget(self) -> None:
        """Another file may be there from now on."""
        self._content = self._key = None

    def _opened(self) -> ec.EllipticCurvePrivateKey:
        if self._key is None:
            self._key = self._parsed()
        return self._key

    def _parsed(self) -> ec.EllipticCurvePrivateKey:
        data = self._read()
        path = self._store.path(self.name)
        passphrase = None
        if self.is_encrypted:
            passphrase = self._passphrase.of_keys_that_exist()
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
            raise self._damaged() from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise StoreError(
                f"The key {path} is not a P-256 key",
                "The secure element and the Wi-Fi module work with no other kind.",
                "put the right file back, or move all files of the CAs away to have new ones made",
            )
        return key

    def _read(self) -> bytes:
        if self._content is None:
            data = self._store.read_secret(self.name)
            if data is None:
                raise self._missing()
            if b"-----BEGIN " not in data or b"-----END " not in data:
                raise self._damaged()
            self._content = data
        return self._content

    def _missing(self) -> StoreError:
        return StoreError(
            f"There is no key {self._store.path(self.name)}",
            "The authorities have not been made yet, or the file was moved.",
            "run the action 'certs' first, or put the file back",
        )

    def _damaged(self) -> StoreError:
        return StoreError(
            f"The key {self._store.path(self.name)} is damaged",
            "The file is not a whole private key in PEM format.",
            "put the file back from a backup, or move all files of the CAs away to have new ones made",
        )


def _signature(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    return key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
