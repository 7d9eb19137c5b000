"""Root certificates for tests: Amazon's, as far as the Wi-Fi module takes them, and any that a test makes up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iotprovision.cloud.aws.server_authorities import server_authorities


def is_p384(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1"


BEGIN, END = (
    datetime(2020, 2, 29, 1, 2, 3, tzinfo=UTC),
    datetime(2051, 12, 31, 23, 59, 58, tzinfo=UTC),
)
# Root CA 4 has a key on P-384, which the module does not know.
AMAZON = [root for root in x509.load_pem_x509_certificates(server_authorities()) if not is_p384(root)]
AMAZON_PEM = b"".join(root.public_bytes(Encoding.PEM) for root in AMAZON)


def root(
    name: str, key: Any = None, authority: bool | None = True, organization: str = "Prüfstelle"
) -> x509.Certificate:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), BEGIN, END)
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
