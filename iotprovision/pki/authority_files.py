"""The files of the own authority, and whether each is whole and belongs to the others."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from iotprovision.errors import ProofError, StoreError
from iotprovision.pki import certificates
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.pki.reading import UNREADABLE, from_pem
from iotprovision.store.folder import Store

ROOT_KEY = "root-ca.key"
SIGNER_KEY = "signer-ca.key"
SIGNER_REQUEST = "signer-ca.csr"
ROOT_CERTIFICATE = "root-ca.crt"
SIGNER_CERTIFICATE = "signer-ca.crt"
FILES = (ROOT_KEY, SIGNER_KEY, SIGNER_REQUEST, ROOT_CERTIFICATE, SIGNER_CERTIFICATE)
VERIFICATION_CERTIFICATE = "signer-ca-verification.crt"

START_OVER = "or move all files of the CAs away (and keep them) to have new ones made"
NEW_SIGNER = (
    f"move {SIGNER_KEY}, {SIGNER_REQUEST} and {SIGNER_CERTIFICATE} away to have a new signer made under the same root"
)


def lost_files(there: set[str]) -> list[str]:
    """What is missing and cannot be made again: nothing, if writing was just broken off."""
    if SIGNER_CERTIFICATE in there:
        needed = {ROOT_KEY, SIGNER_KEY, ROOT_CERTIFICATE}
    elif SIGNER_REQUEST in there:
        needed = {ROOT_KEY, SIGNER_KEY}
    else:
        needed = {ROOT_KEY}
    return [name for name in FILES if name in needed - there]


def check_unused(store: Store, public_key: ec.EllipticCurvePublicKey) -> None:
    """A signer's key without its certificate is safe to go on with only when nothing was signed with it."""
    signed = [kit.folder.name for kit in store.kits() if _is_signed(DeviceFiles(kit).certificate(), public_key)]
    if _is_signed(stored_certificate(store, VERIFICATION_CERTIFICATE), public_key):
        signed.insert(0, VERIFICATION_CERTIFICATE)
    if signed:
        raise StoreError(
            f"{store.path(SIGNER_CERTIFICATE)} is missing, though the signer has signed already",
            f"With its key were signed: {', '.join(signed)}. Devices carry a copy of the lost certificate.",
            f"put the file back from a backup (each kit and the account have a copy), {START_OVER}",
        )


def check_certificate(
    store: Store, certificate: x509.Certificate, issuer: x509.Certificate, name: str, now: datetime
) -> None:
    path = store.path(name)
    fault = "is not for a P-256 key" if certificates.p256_key(certificate) is None else None
    fault = fault or certificates.issue_fault(certificate, issuer)
    if fault:
        raise StoreError(
            f"The certificate {path} does not fit",
            f"It {fault}.",
            f"put back the files that belong together, {START_OVER}",
        )
    fault = certificates.date_fault(certificate, now)
    if fault:
        hint = START_OVER.removeprefix("or ") if name == ROOT_CERTIFICATE else NEW_SIGNER
        raise StoreError(f"The certificate {path} is not in date", f"It {fault}.", hint)


def check_request(store: Store) -> None:
    """The request of the signer CA is proper, and for the signer's key.

    :raises StoreError: it is not
    """
    path = store.path(SIGNER_REQUEST)
    try:
        request = x509.load_pem_x509_csr(store.read(SIGNER_REQUEST) or b"")
        public_key = certificates.proved_key(request)
    except (*UNREADABLE, ProofError) as error:
        raise StoreError(
            f"{path} is not a proper certificate request", str(error), f"delete {path}; it is made again"
        ) from error
    signer = stored_certificate(store, SIGNER_CERTIFICATE)
    if signer is not None and public_key != signer.public_key():
        raise StoreError(
            f"{path} is for another key than {SIGNER_CERTIFICATE}",
            "The two come from different authorities.",
            f"delete {path} if the certificate is the right one; it is made again",
        )


def stored_certificate(store: Store, name: str) -> x509.Certificate | None:
    data = store.read(name)
    if data is None:
        return None
    try:
        return from_pem(data)
    except ValueError as error:
        raise StoreError(
            f"{store.path(name)} is not a certificate",
            "The file is damaged or of another format than PEM.",
            f"put the file back from a backup, {START_OVER}",
        ) from error


def _is_signed(certificate: x509.Certificate | None, public_key: ec.EllipticCurvePublicKey) -> bool:
    if certificate is None:
        return False
    try:
        public_key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
