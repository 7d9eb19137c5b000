"""A certificate request signed inside the secure element, whose private key nobody can read."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from iotprovision.errors import ProofError
from iotprovision.formats.ecc608_zones import SERIAL_NUMBER_SIZE, SIGNATURE_SIZE, public_key_from_coordinates
from iotprovision.pki.signer import signing_key

COMMON_NAME_START = "sn"


def device_common_name(serial_number: bytes) -> str:
    """What a device is called in its certificate: ``sn`` and the 9 bytes of the chip's serial number, upper case."""
    if len(serial_number) != SERIAL_NUMBER_SIZE:
        raise ProofError(
            f"The secure element gave a serial number of {len(serial_number)} bytes",
            f"It has {SERIAL_NUMBER_SIZE}.",
            "reset the kit and try again",
        )
    return COMMON_NAME_START + serial_number.hex().upper()


def device_request(
    public_key_xy: bytes, serial_number: bytes, organization: str, sign: Callable[[bytes], bytes]
) -> x509.CertificateSigningRequest:
    """The request for a device certificate.

    :param public_key_xy: X ‖ Y, 64 bytes, as the chip gives it
    :param serial_number: of the chip, 9 bytes
    :param sign: has the chip sign a SHA-256 digest of 32 bytes, gives R ‖ S, 64 bytes
    :raises ProofError: the signature does not verify under the public key, or one of the values is malformed
    """
    public_key = public_key_from_coordinates(public_key_xy)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, device_common_name(serial_number)),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder(subject)
    request = builder.sign(signing_key(_Chip(public_key, sign)), hashes.SHA256())
    if not request.is_signature_valid:
        raise ProofError(
            "The secure element's signature does not verify",
            "It was made with another key than the one whose public half the chip gave, or read with errors.",
            "reset the kit and try again",
        )
    return request


class _Chip:
    """The secure element as a signer."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, sign: Callable[[bytes], bytes]) -> None:
        self.public_key = public_key
        self._sign = sign

    def sign(self, digest: bytes) -> bytes:
        signature = self._sign(digest)
        if len(signature) != SIGNATURE_SIZE:
            raise ProofError(
                f"The secure element gave a signature of {len(signature)} bytes",
                f"R and S have {SIGNATURE_SIZE} bytes.",
                "reset the kit and try again",
            )
        half = SIGNATURE_SIZE // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
