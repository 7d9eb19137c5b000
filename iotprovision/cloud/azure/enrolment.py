"""What an Azure service knows of a device, and how it is told."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

X509 = "x509"


@dataclass(frozen=True)
class Enrolled:
    """A device that the service knows.

    :param attestation: how it proves who it is: ``x509``, ``symmetricKey``, ...; empty where nobody has said
    :param thumbprint: of its primary certificate, hexadecimal; empty for other kinds of proof
    :param enabled: whether it may connect
    :param record: as the service gave it
    """

    attestation: str
    thumbprint: str
    enabled: bool
    record: Mapping[str, Any]


class Enrolments(Protocol):
    """The devices of a service."""

    @property
    def shown(self) -> str:
        """What a person calls the service."""

    @property
    def thumbprint_hash(self) -> hashes.HashAlgorithm:
        """What its thumbprints are made with."""

    @property
    def reads(self) -> int: ...

    @property
    def writes(self) -> list[str]: ...

    def check(self) -> None:
        """Make sure that the service is there and lets itself be looked into; changes nothing.

        :raises CloudDeniedError: nobody is logged in, or who is lacks a right
        :raises CloudError: there is none of this name, or it cannot be reached
        """

    def find(self, device_id: str) -> Enrolled | None:
        """What the service knows of a device; changes nothing."""

    def enrol(self, device_id: str, certificate: x509.Certificate, found: Enrolled | None) -> None:
        """Let the device in with this certificate; all else in its record stays as it is."""

    def remove(self, device_id: str, found: Enrolled) -> None:
        """Forget the device."""


def thumbprint(certificate: x509.Certificate, enrolments: Enrolments) -> str:
    """As the service would write it, in lower case."""
    return certificate.fingerprint(enrolments.thumbprint_hash).hex()


def as_base64(certificate: x509.Certificate) -> str:
    """DER in base64, in one line: what both services take."""
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")


def kind_of(attestation: Any) -> str:
    """``x509``, ``symmetricKey``, ...; empty where the service tells none."""
    return str(attestation.get("type") or "") if isinstance(attestation, Mapping) else ""


def primary_certificate(attestation: Any, which: str) -> str:
    """A thumbprint of the primary client certificate, in lower case; empty where there is none.

    :param which: ``sha1Thumbprint`` or ``sha256Thumbprint``
    """
    value: Any = attestation
    for key in (X509, "clientCertificates", "primary", "info", which):
        value = value.get(key) if isinstance(value, Mapping) else None
    return str(value or "").lower()
