"""The certificates of an own authority: a root, a signer below it, and the devices below the signer.

All keys are P-256, all signatures ECDSA with SHA-256, all names O and CN. Extensions and their criticality follow
RFC 5280; each certificate has just what it needs, because the device's and the signer's go through a serial line
into a flash of 7680 bytes.

Dates: a certificate begins with the hour in which it is made, and never before its issuer. The root lasts 25 years
and the signer 10, or as long as the root if that ends first. A device certificate ends 9999-12-31 23:59:59, which is
how RFC 5280 (4.1.2.5) and IEEE 802.1AR write "no expiry date of its own", and how the chip's factory certificates
end. Whoever verifies the chain stops accepting it when the signer ends, with no need to say so twice. AWS IoT looks
only at the device certificate once that is registered: a nested date would cut off a working product in the field,
which cannot renew its certificate. A device is retired by revoking its certificate in the account.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from iotprovision.errors import ProofError
from iotprovision.formats.compressed_certificate import NO_EXPIRY
from iotprovision.pki.names import Names
from iotprovision.pki.reading import UNREADABLE
from iotprovision.pki.signer import Signer, signing_key

ROOT_YEARS = 25
SIGNER_YEARS = 10
VERIFICATION_LIFE = timedelta(days=1)
# Unique without a register of what was issued, and short: it is part of a file name in the Wi-Fi module.
SERIAL_NUMBER_SIZE = 16


def key_identifier(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-1 over the public key as a point, 20 bytes (RFC 5280, 4.2.1.2, method 1)."""
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest


def thing_name(public_key: ec.EllipticCurvePublicKey) -> str:
    """What a device is called at AWS: its key identifier, 40 lower-case hexadecimal digits."""
    return key_identifier(public_key).hex()


def root_certificate(key: Signer, names: Names, now: datetime) -> x509.Certificate:
    """The self-signed certificate of the root CA."""
    begin = _start_of_hour(now)
    subject = distinguished_name(names.organization, names.root_common_name)
    builder = _builder(subject, subject, key.public_key, begin, years_later(begin, ROOT_YEARS))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_authority_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key), critical=False)
    )
    return builder.sign(signing_key(key), hashes.SHA256())


def signer_request(key: Signer, subject: x509.Name) -> x509.CertificateSigningRequest:
    """What the signer CA asks of the root CA, or of another one that a company has.

    :param subject: :func:`distinguished_name` of the signer
    """
    return (
        x509.CertificateSigningRequestBuilder(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_key_usage(), critical=True)
        .sign(signing_key(key), hashes.SHA256())
    )


def signer_certificate(
    request: x509.CertificateSigningRequest,
    root: x509.Certificate,
    root_key: Signer,
    now: datetime,
) -> x509.Certificate:
    """The certificate of the signer CA, under the root.

    :raises ProofError: the request is not signed with the key that it is for
    """
    public_key = proved_key(request)
    begin = max(_start_of_hour(now), root.not_valid_before_utc)
    end = min(years_later(begin, SIGNER_YEARS), root.not_valid_after_utc)
    builder = _builder(request.subject, root.subject, public_key, begin, end)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_authority_key_identifier(root), critical=False)
    )
    return builder.sign(signing_key(root_key), hashes.SHA256())


def device_certificate(
    public_key: ec.EllipticCurvePublicKey,
    *,
    common_name: str,
    organization: str,
    signer: x509.Certificate,
    signer_key: Signer,
    now: datetime,
) -> x509.Certificate:
    """The certificate of a device. Each call gives another one, with a serial number of its own.

    :param common_name: ``sn`` and the serial number of the secure element
    """
    begin = max(_start_of_hour(now), signer.not_valid_before_utc)
    builder = _builder(distinguished_name(organization, common_name), signer.subject, public_key, begin, NO_EXPIRY)
    return _end_entity(builder, public_key, signer).sign(signing_key(signer_key), hashes.SHA256())


def verification_certificate(
    registration_code: str, signer: x509.Certificate, signer_key: Signer, now: datetime
) -> x509.Certificate:
    """What proves to AWS IoT that the signer's key is ours: the account's registration code, signed with it.

    It is for the signer's own key, so that no other key has to be made and forgotten, and lasts a day.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, registration_code)])
    public_key = signer_key.public_key
    begin = max(_start_of_hour(now), signer.not_valid_before_utc)
    end = min(now.astimezone(UTC).replace(microsecond=0) + VERIFICATION_LIFE, signer.not_valid_after_utc)
    builder = _builder(subject, signer.subject, public_key, begin, end)
    return _end_entity(builder, public_key, signer).sign(signing_key(signer_key), hashes.SHA256())


def proved_key(request: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """The public key of a request, proved to belong to who signed it.

    :raises ProofError: the signature is wrong, or the key is not a P-256 key
    """
    public_key = p256_key(request)
    if public_key is None:
        raise ProofError("The certificate request is not for a P-256 key", "The secure element has no other keys.")
    if not request.is_signature_valid:
        raise ProofError(
            "The certificate request is not signed with the key that it is for",
            "Its signature does not verify.",
            "delete the file of the request and try again",
        )
    return public_key


def p256_key(holder: x509.Certificate | x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey | None:
    """The public key, None where it is of another kind than ours."""
    try:
        key = holder.public_key()
    except UNREADABLE:  # not a point of its curve, or an algorithm that is not known
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def date_fault(certificate: x509.Certificate, now: datetime) -> str | None:
    """Why a certificate is not in date, None if it is."""
    if now < certificate.not_valid_before_utc:
        return f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; is the clock right?"
    if now > certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return None


def issue_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> str | None:
    """Why a certificate cannot come from this issuer, None if it does: name, signature and what the issuer may do."""
    if certificate.issuer != issuer.subject:
        return f"names another issuer, {certificate.issuer.rfc4514_string()}"
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, *UNREADABLE):
        return "is not signed with the issuer's key"
    try:
        authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE):
        authority = False
    return None if authority else "comes from a certificate that is not one of an authority"


def verify_chain(device: x509.Certificate, signer: x509.Certificate, root: x509.Certificate, now: datetime) -> None:
    """Prove that device, signer and root are a chain, and that all are in date.

    :raises ProofError: they are not; says which link is broken
    """
    links = (("device", device, signer), ("signer CA", signer, root), ("root CA", root, root))
    for title, certificate, issuer in links:
        fault = issue_fault(certificate, issuer) or date_fault(certificate, now)
        if fault is not None:
            raise ProofError(
                "The chain of certificates does not hold",
                f"The certificate of the {title} ({certificate.subject.rfc4514_string()}) {fault}.",
                "make a new device certificate, or new authorities",
            )


def years_later(moment: datetime, years: int) -> datetime:
    """The same day and time in another year; 28 February for a 29th that the other year does not have."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, day=28)


def distinguished_name(organization: str, common_name: str) -> x509.Name:
    """How everybody is called here: O and CN, both UTF-8."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer, subject, public_key, _new_serial_number(), not_valid_before=begin, not_valid_after=end
    )


def _end_entity(
    builder: x509.CertificateBuilder, public_key: ec.EllipticCurvePublicKey, signer: x509.Certificate
) -> x509.CertificateBuilder:
    """No extended key usage: neither the Wi-Fi module nor AWS asks for one, and it binds the key to one purpose."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_authority_key_identifier(signer), critical=False)
    )


def _authority_key_usage() -> x509.KeyUsage:
    return _key_usage(key_cert_sign=True, crl_sign=True)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _new_serial_number() -> int:
    """Random; positive and of full length in DER because the two highest bits are 01."""
    random = secrets.randbits(8 * SERIAL_NUMBER_SIZE - 2)
    return random | 1 << (8 * SERIAL_NUMBER_SIZE - 2)


def _start_of_hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
