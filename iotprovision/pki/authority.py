"""The own authority: a root CA and a signer CA below it, and what the signer signs.

Looking at it opens no private key: certificates and request show whether they belong together, and a key is opened
when it shall sign, and is proved to be its certificate's then.

The files are written in the order of :data:`FILES`, after everything has been made and checked in memory. So a set that
was broken off has keys but lacks certificates, and it can be finished, because nothing was signed with those keys yet.
Every other incomplete set has lost something, and is left for a person to decide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iotprovision.errors import CloudError, ProofError, StoreError
from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.pki import certificates
from iotprovision.pki.authority_files import (
    FILES,
    ROOT_CERTIFICATE,
    ROOT_KEY,
    SIGNER_CERTIFICATE,
    SIGNER_KEY,
    SIGNER_REQUEST,
    START_OVER,
    VERIFICATION_CERTIFICATE,
    check_certificate,
    check_request,
    check_unused,
    lost_files,
    stored_certificate,
)
from iotprovision.pki.names import LONGEST, Names
from iotprovision.pki.signer import Signer
from iotprovision.pki.signers.key_files import KeyFile, KeyInMemory, Passphrase
from iotprovision.store.folder import Store

LOCK_WAIT = 30.0
"""Seconds to wait for another run that makes or reads the same authority."""

T = TypeVar("T")


class AuthorityState(Enum):
    """How much of the authority there is."""

    MISSING = "missing"
    UNFINISHED = "unfinished"
    COMPLETE = "complete"


class Authority:
    """Root CA and signer CA in a store.

    Making the object reads nothing. What :meth:`look` has found complete stays what the run works with until the next
    :meth:`look`, whatever other runs do. The passphrase is asked for once, and only when a key is made or an encrypted
    key is needed.

    :param names: what new certificates say; authorities that exist keep their names
    :param passphrase: gives what encrypts the keys, None for keys that are not encrypted; told whether there are
        encrypted keys already
    :param clock: the time, with its time zone
    :param passphrase_is_at_hand: whether there is one that nobody has to be asked for
    """

    def __init__(
        self,
        store: Store,
        names: Names,
        passphrase: Callable[[bool], bytes | None] = lambda exists: None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        passphrase_is_at_hand: bool = False,
    ) -> None:
        self.passphrase_is_at_hand = passphrase_is_at_hand
        self.store = store
        self.names = names
        self._clock = clock
        self._passphrase = Passphrase(passphrase, passphrase_is_at_hand)
        self._root_key = KeyFile(store, ROOT_KEY, self._passphrase)
        self._signer_key = KeyFile(store, SIGNER_KEY, self._passphrase)
        self._keys = (self._root_key, self._signer_key)
        self._root: x509.Certificate | None = None
        self._signer: x509.Certificate | None = None
        self._is_complete = False
        self._is_alone = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from changing the authority, and from looking at what is half changed.

        :raises LockedError: another run does so
        """
        with self.store.lock(LOCK_WAIT):
            self._is_alone = True
            try:
                yield
            finally:
                self._is_alone = False

    def state(self) -> AuthorityState:
        """As it was when it was found complete; else :meth:`look`.

        :raises StoreError: something is lost, damaged, expired, readable by others, or does not belong together
        """
        return AuthorityState.COMPLETE if self._is_complete else self.look()

    def look(self) -> AuthorityState:
        """Look at all files as they are now, change nothing. Keys are only looked at from outside.

        :raises StoreError: something is lost, damaged, expired, readable by others, or does not belong together
        """
        return self._together(self._look)

    def _look(self) -> AuthorityState:
        before = self._root, self._signer
        self._root = self._signer = None
        self._is_complete = False
        state = self._judged()
        if (self._root, self._signer) != before:
            self._forget_keys()
        self._is_complete = state is AuthorityState.COMPLETE
        return state

    def _judged(self) -> AuthorityState:
        there = {name for name in FILES if self.store.has(name)}
        if not there:
            return AuthorityState.MISSING
        lost = lost_files(there)
        if lost:
            raise StoreError(
                f"The set of CA files in {self.store.folder} is not complete: {', '.join(lost)} missing",
                "What was signed before cannot be continued without it.",
                f"put the file back from a backup, {START_OVER}",
            )
        if ROOT_CERTIFICATE in there:
            check_certificate(self.store, self.root, self.root, ROOT_CERTIFICATE, self._clock())
        if SIGNER_CERTIFICATE in there:
            check_certificate(self.store, self.signer, self.root, SIGNER_CERTIFICATE, self._clock())
        if SIGNER_REQUEST in there:
            check_request(self.store)
        for key in self._keys:
            if key.name in there:
                key.check()
        return AuthorityState.COMPLETE if len(there) == len(FILES) else AuthorityState.UNFINISHED

    def missing(self) -> list[str]:
        """The files that are not there."""
        return [name for name in FILES if not self.store.has(name)]

    def prove_keys(self) -> None:
        """Open the keys, as far as nobody has to be asked for a passphrase: each is that of its certificate.

        :raises StoreError: one is not, is readable by others or damaged, or the passphrase is wrong
        """
        for key in self._together(self._keys_that_open_unasked):
            self._opened(key)

    @property
    def unopened_keys(self) -> list[str]:
        """The keys that this run has not opened."""
        return [key.name for key in self._keys if not key.is_open]

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed to sign. Reads the keys.

        :raises StoreError: a key is missing, readable by others, or plainly damaged
        """
        return self._together(lambda: any(key.is_encrypted for key in self._keys))

    @property
    def would_encrypt(self) -> bool:
        """Whether keys that this run makes are encrypted, as far as a passphrase has been asked for."""
        return self._passphrase.is_known

    def settle_passphrase(self) -> None:
        """Ask for the passphrase of new keys now, where one is wanted; :meth:`create` will use it.

        Keys that are there are opened first: new ones get their passphrase, and a mistyped one does not open them.

        :raises StoreError: a key that is there cannot be used
        :raises UsageError: there is nobody to ask, or the passphrase is not fit
        """
        for key in self._keys:
            if key.exists:
                self._opened(key)
        self._passphrase.of_new_keys()

    def create(self) -> None:
        """Make the authority, or finish one that was broken off, and prove its keys. A complete one stays as it is.

        Only inside :meth:`alone`, where other runs use the same store.

        :raises StoreError: the store cannot be written, or what is there cannot be finished safely
        :raises UsageError: the passphrase is not fit
        """
        if self.look() is not AuthorityState.COMPLETE:
            self._make()
        self.prove_keys()

    def _make(self) -> None:
        now = self._clock()
        has = {name: self.store.has(name) for name in FILES}
        new = {name: KeyInMemory.new() for name in (ROOT_KEY, SIGNER_KEY) if not has[name]}
        root_key: Signer = new.get(ROOT_KEY) or self.root_key
        signer_key: Signer = new.get(SIGNER_KEY) or self.signer_key
        if has[SIGNER_KEY] and not has[SIGNER_CERTIFICATE]:
            check_unused(self.store, signer_key.public_key)
        root = self.root if has[ROOT_CERTIFICATE] else certificates.root_certificate(root_key, self.names, now)
        subject = certificates.distinguished_name(self.names.organization, self.names.signer_common_name)
        if has[SIGNER_CERTIFICATE]:
            subject = self.signer.subject
        request = certificates.signer_request(signer_key, subject)
        signer = (
            self.signer if has[SIGNER_CERTIFICATE] else certificates.signer_certificate(request, root, root_key, now)
        )
        check_certificate(self.store, root, root, ROOT_CERTIFICATE, self._clock())
        check_certificate(self.store, signer, root, SIGNER_CERTIFICATE, self._clock())
        passphrase = self._passphrase.of_new_keys() if new else None
        public = {
            SIGNER_REQUEST: request.public_bytes(Encoding.PEM),
            ROOT_CERTIFICATE: root.public_bytes(Encoding.PEM),
            SIGNER_CERTIFICATE: signer.public_bytes(Encoding.PEM),
        }
        for name, key in new.items():
            self.store.write_secret(name, key.encoded(passphrase))
        for name, data in public.items():
            if not has[name] or name == SIGNER_REQUEST:
                self.store.write(name, data)
        self._root, self._signer = root, signer
        self._is_complete = True

    def retire(self) -> str:
        """Put all files of the authority aside, for another one to be made. Nothing is deleted.

        :returns: the name of the folder they are in now
        :raises StoreError: the store cannot be written
        """
        name = f"old-ca-{self._clock():%Y%m%dT%H%M%S%f}"
        self.store.set_aside([*FILES, VERIFICATION_CERTIFICATE], name)
        self._root = self._signer = None
        self._is_complete = False
        self._forget_keys()
        return name

    @property
    def root(self) -> x509.Certificate:
        """:raises StoreError: there is none, or the file is damaged"""
        if self._root is None:
            self._root = self._certificate(ROOT_CERTIFICATE)
        return self._root

    @property
    def signer(self) -> x509.Certificate:
        """:raises StoreError: there is none, or the file is damaged"""
        if self._signer is None:
            self._signer = self._certificate(SIGNER_CERTIFICATE)
        return self._signer

    @property
    def root_key(self) -> Signer:
        """Opened, and proved to be that of the root's certificate.

        :raises StoreError: there is none, the passphrase is missing or wrong, it is not the certificate's, ...
        """
        return self._opened(self._root_key)

    @property
    def signer_key(self) -> Signer:
        """Opened, and proved to be that of the signer's certificate.

        :raises StoreError: there is none, the passphrase is missing or wrong, it is not the certificate's, ...
        """
        return self._opened(self._signer_key)

    def issue_device_certificate(self, request: x509.CertificateSigningRequest, name: str) -> x509.Certificate:
        """A new certificate for the device that signed the request, proved up to the root.

        The organisation is that of the signer: that is what :class:`Names` said when the signer was made.

        :param name: what the device is called; the request must say so too
        :raises ProofError: the request is not proper, or the chain would not hold
        :raises StoreError: the signer's key cannot be used
        """
        public_key = certificates.proved_key(request)
        common_name = _text(request.subject, NameOID.COMMON_NAME)
        if common_name != name:
            raise ProofError(
                f"The certificate request is for {common_name!r}, and the device is called {name!r}",
                "It was made by another device.",
                "reset the kit and try again",
            )
        now = self._clock()
        certificate = certificates.device_certificate(
            public_key,
            common_name=common_name,
            organization=_text(self.signer.subject, NameOID.ORGANIZATION_NAME) or self.names.organization,
            signer=self.signer,
            signer_key=self.signer_key,
            now=now,
        )
        certificates.verify_chain(certificate, self.signer, self.root, now)
        return certificate

    def device_certificate_is_current(self, certificate: x509.Certificate, public_key_xy: bytes | None) -> str | None:
        """Why a certificate that was kept cannot be used for this chip any more, None if it can.

        :param public_key_xy: of the chip, X ‖ Y, 64 bytes; None as long as it was not asked
        """
        public_key = certificates.p256_key(certificate)
        if public_key is None or public_key_xy not in (None, coordinates(public_key)):
            return "it is for another key than the one in the secure element"
        fault = certificates.issue_fault(certificate, self.signer)
        fault = fault or certificates.date_fault(certificate, self._clock())
        return f"it {fault}" if fault else None

    def verification_certificate(self, registration_code: str) -> x509.Certificate:
        """What proves to AWS IoT that the signer is ours; a copy is kept in the store.

        :param registration_code: what the account gave for this purpose
        :raises CloudError: the code cannot stand in a certificate
        :raises StoreError: the signer's key cannot be used
        """
        if not 1 <= len(registration_code) <= LONGEST or not registration_code.isalnum():
            raise CloudError(
                "The account gave a registration code that cannot stand in a certificate",
                f"It is a text of 1 to {LONGEST} letters and digits.",
                "try again",
            )
        certificate = certificates.verification_certificate(
            registration_code, self.signer, self.signer_key, self._clock()
        )
        self.store.write(VERIFICATION_CERTIFICATE, certificate.public_bytes(Encoding.PEM))
        return certificate

    def _keys_that_open_unasked(self) -> list[KeyFile]:
        return [key for key in self._keys if key.exists and key.opens_unasked]

    def _opened(self, key: KeyFile) -> KeyFile:
        if not key.is_open:
            if self._together(lambda: key.is_encrypted):
                key.settle_passphrase()  # a person may take long, and no other run shall wait for that
            self._together(lambda: self._open(key))
        return key

    def _open(self, key: KeyFile) -> None:
        """Open a key, and keep it open only if it is its certificate's, and the authority is the one looked at."""
        of_root = key is self._root_key
        name, known = (ROOT_CERTIFICATE, self._root) if of_root else (SIGNER_CERTIFICATE, self._signer)
        certificate = stored_certificate(self.store, name)
        if known is not None and certificate != known:
            raise StoreError(
                f"The authority in {self.store.folder} was replaced while this run worked with it",
                "Another run made a new one, or somebody moved its files.",
                "run again",
            )
        if certificate is not None and certificates.p256_key(certificate) != key.public_key:
            key.forget()
            raise StoreError(
                f"The key {self.store.path(key.name)} is not that of {name}",
                "The two come from different authorities.",
                f"put back the files that belong together, {START_OVER}",
            )

    def _forget_keys(self) -> None:
        for key in self._keys:
            key.forget()

    def _together(self, look: Callable[[], T]) -> T:
        """What is read of several files while no other run changes them."""
        return look() if self._is_alone else self.store.read_together(look, LOCK_WAIT)

    def _certificate(self, name: str) -> x509.Certificate:
        certificate = stored_certificate(self.store, name)
        if certificate is None:
            raise StoreError(
                f"There is no {self.store.path(name)}",
                "The authorities have not been made yet.",
                "run the action 'certs' first",
            )
        return certificate


def _text(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = [attribute.value for attribute in name.get_attributes_for_oid(oid)]
    return values[0] if values and isinstance(values[0], str) else ""
