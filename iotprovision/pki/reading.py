"""Reading certificates that somebody else may have written: what is wrong with one is found here, and not later on.

The library reads the parts of a certificate when they are asked for, and for some faults raises errors of its own that
are no ValueErrors: a version that does not exist, an extension that is there twice, a kind of name it does not know.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate, or a request for one, that it cannot read."""


def from_pem(data: bytes) -> x509.Certificate:
    """The first certificate of a text; its key may still be of any kind.

    :raises ValueError: there is none, or one that cannot be read
    """
    try:
        return _whole(x509.load_pem_x509_certificate(data))
    except UNREADABLE as error:
        raise _fault(error) from error


def all_from_pem(data: bytes) -> list[x509.Certificate]:
    """All certificates of a text.

    :raises ValueError: there is none, or one that cannot be read
    """
    try:
        return [_whole(certificate) for certificate in x509.load_pem_x509_certificates(data)]
    except UNREADABLE as error:
        raise _fault(error) from error


def from_der(data: bytes) -> x509.Certificate:
    """One certificate; its key may still be of any kind.

    :raises ValueError: it is none, or cannot be read
    """
    try:
        return _whole(x509.load_der_x509_certificate(data))
    except UNREADABLE as error:
        raise _fault(error) from error


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    for part in ("subject", "issuer", "not_valid_before_utc", "not_valid_after_utc", "extensions"):
        getattr(certificate, part)
    return certificate


def _fault(error: Exception) -> ValueError:
    return error if isinstance(error, ValueError) else ValueError(str(error))
