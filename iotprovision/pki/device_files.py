"""The files of one kit: copies of what it was given. The kit is the truth; these show what was done."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.pki import certificates
from iotprovision.store import Store

DEVICE_REQUEST = "device.csr"
DEVICE_CERTIFICATE = "device.crt"
THING_NAME = "aws-thing-name.txt"


class DeviceFiles:
    """:param store: the kit's own folder, ``store.for_kit(serial_number)``"""

    def __init__(self, store: Store) -> None:
        self.store = store

    def certificate(self) -> x509.Certificate | None:
        """The certificate that was kept, None where there is none or the file is damaged.

        :raises StoreError: the file is there and cannot be read
        """
        data = self.store.read(DEVICE_CERTIFICATE)
        try:
            return x509.load_pem_x509_certificate(data) if data else None
        except ValueError:
            return None

    def save(self, request: x509.CertificateSigningRequest, certificate: x509.Certificate) -> None:
        """Keep request, thing name and certificate, the certificate last.

        :raises StoreError: the folder cannot be written
        """
        public_key = certificate.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        self.store.write(DEVICE_REQUEST, request.public_bytes(Encoding.PEM))
        self.store.write(THING_NAME, certificates.thing_name(public_key).encode("ascii"))
        self.store.write(DEVICE_CERTIFICATE, certificate.public_bytes(Encoding.PEM))
