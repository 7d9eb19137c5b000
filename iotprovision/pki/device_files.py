"""The files of one kit: copies of what it was given. The kit is the truth; these show what was done."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.formats.factory_certificates import FactoryCertificates
from iotprovision.pki import certificates
from iotprovision.pki.reading import from_pem
from iotprovision.store.folder import Store

DEVICE_REQUEST = "device.csr"
DEVICE_CERTIFICATE = "device.crt"
THING_NAME = "aws-thing-name.txt"
FACTORY_DEVICE_CERTIFICATE = "device_sandbox.crt"
FACTORY_SIGNER_CERTIFICATE = "signer_sandbox.crt"


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
            return from_pem(data) if data else None
        except ValueError:
            return None

    def are_consistent(self) -> bool:
        """Whether the thing name is the certificate's."""
        certificate = self.certificate()
        key = None if certificate is None else certificates.p256_key(certificate)
        return key is not None and self.store.read(THING_NAME) == certificates.thing_name(key).encode("ascii")

    def save(self, request: x509.CertificateSigningRequest, certificate: x509.Certificate) -> None:
        """Keep request, thing name and certificate, the certificate last.

        :raises StoreError: the folder cannot be written
        """
        self.store.write(DEVICE_REQUEST, request.public_bytes(Encoding.PEM))
        self.keep(certificate)

    def keep(self, certificate: x509.Certificate) -> None:
        """Keep a certificate whose request is not at hand, and its thing name; the certificate last.

        :raises StoreError: the folder cannot be written
        """
        public_key = certificate.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        self.store.write(THING_NAME, certificates.thing_name(public_key).encode("ascii"))
        self.store.write(DEVICE_CERTIFICATE, certificate.public_bytes(Encoding.PEM))


class FactoryCertificateFiles:
    """The factory certificates of the kit's secure element, as they were rebuilt from it.

    :param store: the kit's own folder, ``store.for_kit(serial_number)``
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def certificates(self) -> FactoryCertificates | None:
        """The pair that was kept, None where there is none, or half of one, or a damaged one. Nothing is proved.

        :raises StoreError: a file is there and cannot be read
        """
        device, signer = self.store.read(FACTORY_DEVICE_CERTIFICATE), self.store.read(FACTORY_SIGNER_CERTIFICATE)
        if not device or not signer:
            return None
        try:
            pair = FactoryCertificates(from_pem(device), from_pem(signer))
        except ValueError:
            return None
        keys = (certificates.p256_key(certificate) for certificate in (pair.device, pair.signer))
        return pair if all(keys) else None

    def save(self, pair: FactoryCertificates) -> None:
        """Keep thing name and certificates, the device's last.

        :raises StoreError: the folder cannot be written
        """
        public_key = certificates.p256_key(pair.device)
        assert public_key is not None
        self.store.write(THING_NAME, certificates.thing_name(public_key).encode("ascii"))
        self.store.write(FACTORY_SIGNER_CERTIFICATE, pair.signer.public_bytes(Encoding.PEM))
        self.store.write(FACTORY_DEVICE_CERTIFICATE, pair.device.public_bytes(Encoding.PEM))
