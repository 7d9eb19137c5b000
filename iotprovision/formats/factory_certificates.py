"""The factory certificates of the ATECC608, rebuilt from what its slots hold.

A slot has what differs from chip to chip (signature, dates, the signer's number); names and extensions come from a
template, the keys from the chip. The templates are those of the certificates that the vendor's tools show for chips of
the two kinds.

What is rebuilt is proved: the device's signature with the signer's key, the signer's with the root's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from iotprovision.errors import ProofError
from iotprovision.formats.compressed_certificate import CompressedCertificate, corrupt
from iotprovision.formats.ecc608_zones import Kind, coordinates, public_key_from_coordinates, unpadded_public_key

ORGANIZATION = "Microchip Technology Inc"
DEVICE_NAME_MAH1H = "ATECC608A-MAH1H"
SIGNER_NAME = {Kind.MAH1H: "ATECC 1H Signer {:04X}", Kind.MAH4I: "Crypto Authentication Signer {:04X}"}
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


@dataclass(frozen=True)
class FactoryRoot:
    """The root CA that a factory's signers are under.

    :param key_identifier: what the signers call the root's key, 20 bytes
    :param public_key: X ‖ Y, 64 bytes
    """

    common_name: str
    key_identifier: bytes
    public_key: bytes


VENDOR_ROOTS = {
    Kind.MAH1H: FactoryRoot(
        "ATECC Root CA 001",
        bytes.fromhex("EA4B7A61743CEF661190E3F0B688EC902575B77D"),
        bytes.fromhex(
            "e45fbf8edf9e9220e3c3f81de6e03a8f4e5dd95d8aa24d8d535bf3705ed9c7d9"
            "04bd1b68f9b7c0d547e6b377742134eaea8ccd067894d58c16e9eae6489c05bd"
        ),
    ),
    Kind.MAH4I: FactoryRoot(
        "Crypto Authentication Root CA 002",
        bytes.fromhex("7AED7D6DC6B7789DB23801A5E84A8CB0A40E2A8C"),
        bytes.fromhex(
            "bd54e66de3875484006b53ae1580d50aa069e78adf5578d85ce2d54dd5b83029"
            "6bffdd6e6f7256fbd99ef1a116b11d33ad49103aa1858739dcfae437e19d634e"
        ),
    ),
}


@dataclass(frozen=True)
class FactoryCertificates:
    """What the factory gave a chip."""

    device: x509.Certificate
    signer: x509.Certificate


def rebuild(  # noqa: PLR0917 -- each is one thing read from the chip
    chip_serial_number: bytes,
    public_key: bytes,
    device_slot: bytes,
    signer_key_slot: bytes,
    signer_slot: bytes,
    root: FactoryRoot | None = None,
) -> FactoryCertificates:
    """The full certificates of a chip, proved up to the root.

    :param chip_serial_number: 9 bytes; the last one tells the kind
    :param public_key: of the device, X ‖ Y, 64 bytes
    :param device_slot: slot 10, 72 bytes
    :param signer_key_slot: slot 11, 72 bytes
    :param signer_slot: slot 12, 72 bytes
    :param root: another root than the vendor's, for chips that the vendor did not make
    :raises ProofError: a slot is corrupt, or a signature does not verify: other contents, or a chip of another kind
    """
    kind = Kind.of(chip_serial_number)
    root = root or VENDOR_ROOTS[kind]
    signer_public_key = unpadded_public_key(signer_key_slot)
    compressed_signer = CompressedCertificate.from_bytes(signer_slot)
    compressed_device = CompressedCertificate.from_bytes(device_slot)
    signer_der = _signed(signer_body(kind, compressed_signer, signer_public_key, root), compressed_signer)
    device_der = _signed(
        device_body(kind, chip_serial_number, compressed_device, public_key, signer_public_key), compressed_device
    )
    certificates = FactoryCertificates(
        x509.load_der_x509_certificate(device_der), x509.load_der_x509_certificate(signer_der)
    )
    prove_chain(certificates, root)
    return certificates


def prove_chain(certificates: FactoryCertificates, root: FactoryRoot) -> None:
    """Names and signatures, from the device up to the root.

    :raises ProofError: a name or a signature is not what it has to be
    """
    if certificates.device.issuer != certificates.signer.subject:
        raise corrupt("device and signer name different signers")
    if certificates.signer.issuer != x509.Name(_attributes(root.common_name)):
        raise corrupt(f"the signer is not one of {root.common_name}")
    signer_key = certificates.signer.public_key()
    assert isinstance(signer_key, ec.EllipticCurvePublicKey)
    _prove("signer", certificates.signer, root.public_key)
    _prove("device", certificates.device, coordinates(signer_key))


def compress(unsigned: CompressedCertificate, body: bytes, key: ec.EllipticCurvePrivateKey) -> CompressedCertificate:
    """The compressed certificate with the issuer's signature over the body of the certificate."""
    r, s = decode_dss_signature(key.sign(body, ec.ECDSA(hashes.SHA256())))
    return replace(unsigned, signature=r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def signer_body(kind: Kind, compressed: CompressedCertificate, public_key: bytes, root: FactoryRoot) -> bytes:
    """The part of the signer's certificate that the root signs, DER.

    :param public_key: of the signer, X ‖ Y
    """
    key = public_key_from_coordinates(public_key)
    extensions = [
        _extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
        _extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True),
        _extension(x509.SubjectKeyIdentifier.from_public_key(key)),
        _extension(x509.AuthorityKeyIdentifier(root.key_identifier, None, None)),
    ]
    if kind is Kind.MAH4I:
        extensions[0], extensions[1] = extensions[1], extensions[0]
    begin, end = compressed.validity()
    # A UTCTime ends with 2049.
    end_time = _utc_time(end) if kind is Kind.MAH1H and end.year < 2050 else _generalized_time(end)
    return _body(
        serial_number=compressed.serial_number(public_key, None),
        issuer=_name(root.common_name),
        validity=_utc_time(begin) + end_time,
        subject=_name(SIGNER_NAME[kind].format(compressed.signer_id)),
        key=key,
        extensions=extensions,
    )


def device_body(
    kind: Kind,
    chip_serial_number: bytes,
    compressed: CompressedCertificate,
    public_key: bytes,
    signer_public_key: bytes,
) -> bytes:
    """The part of the device's certificate that the signer signs, DER.

    :param public_key: of the device, X ‖ Y
    :param signer_public_key: X ‖ Y
    """
    key = public_key_from_coordinates(public_key)
    signer_key = public_key_from_coordinates(signer_public_key)
    extensions = [_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key))]
    common_name = DEVICE_NAME_MAH1H
    if kind is Kind.MAH4I:
        common_name = f"sn{chip_serial_number.hex().upper()}"
        extensions = [
            _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            _extension(_key_usage(key_agreement=True), critical=True),
            _extension(x509.SubjectKeyIdentifier.from_public_key(key)),
            *extensions,
        ]
    begin, end = compressed.validity()
    return _body(
        serial_number=compressed.serial_number(public_key, chip_serial_number),
        issuer=_name(SIGNER_NAME[kind].format(compressed.signer_id)),
        validity=_utc_time(begin) + _generalized_time(end),
        subject=_name(common_name),
        key=key,
        extensions=extensions,
    )


def _body(
    *,
    serial_number: int,
    issuer: bytes,
    validity: bytes,
    subject: bytes,
    key: ec.EllipticCurvePublicKey,
    extensions: list[bytes],
) -> bytes:
    # The certificate builder of the cryptography library decides the types of dates itself, and these need other ones.
    version = _der(0xA0, _der(0x02, b"\x02"))
    serial = _der(0x02, serial_number.to_bytes(16, "big"))
    public_key = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    wrapped = _der(0xA3, _der(0x30, b"".join(extensions)))
    return _der(0x30, version + serial + ECDSA_SHA256 + issuer + _der(0x30, validity) + subject + public_key + wrapped)


def _signed(body: bytes, compressed: CompressedCertificate) -> bytes:
    r, s = int.from_bytes(compressed.signature[:32], "big"), int.from_bytes(compressed.signature[32:], "big")
    return _der(0x30, body + ECDSA_SHA256 + _der(0x03, b"\0" + encode_dss_signature(r, s)))


def _prove(title: str, certificate: x509.Certificate, issuer_public_key: bytes) -> None:
    issuer = public_key_from_coordinates(issuer_public_key)
    try:
        issuer.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise ProofError(
            f"The factory certificate of the {title} cannot be rebuilt from the secure element",
            "Its signature does not verify: a slot was overwritten or read with errors,\n"
            "or the chip is of another kind (a Trust&Go or TrustFLEX part, for example).",
            "use a method that makes its own device certificate, such as -m jitr",
        ) from error


def _attributes(common_name: str) -> list[x509.NameAttribute[str]]:
    return [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]


def _name(common_name: str) -> bytes:
    return x509.Name(_attributes(common_name)).public_bytes()


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    oid = _der(0x06, _OID_BYTES[value.oid])
    return _der(0x30, oid + (b"\x01\x01\xff" if critical else b"") + _der(0x04, value.public_bytes()))


_OID_BYTES = {
    x509.SubjectKeyIdentifier.oid: bytes.fromhex("551d0e"),
    x509.KeyUsage.oid: bytes.fromhex("551d0f"),
    x509.BasicConstraints.oid: bytes.fromhex("551d13"),
    x509.AuthorityKeyIdentifier.oid: bytes.fromhex("551d23"),
}


def _key_usage(*, key_agreement: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        encipher_only=False,
        decipher_only=False,
    )


def _utc_time(moment: datetime) -> bytes:
    return _der(0x17, f"{moment:%y%m%d%H%M%SZ}".encode("ascii"))


def _generalized_time(moment: datetime) -> bytes:
    return _der(0x18, f"{moment:%Y%m%d%H%M%SZ}".encode("ascii"))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
