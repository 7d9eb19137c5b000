"""Who a kit is: the key in its secure element, and the certificates that say so."""

from __future__ import annotations

from typing import Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.certificates import p256_key, thing_name
from iotprovision.pki.device_files import DeviceFiles


class Identity(Protocol):
    """The certificates of a kit. Each is None as long as it is not known, or has not been made."""

    @property
    def device(self) -> x509.Certificate | None: ...

    @property
    def signer(self) -> x509.Certificate | None: ...

    @property
    def thing_name(self) -> str | None: ...


class OwnIdentity:
    """A certificate that the signer in the store issued; whoever uses it checks whether it is this chip's."""

    def __init__(self, files: DeviceFiles, authority: Authority) -> None:
        self.files = files
        self._authority = authority

    @property
    def device(self) -> x509.Certificate | None:
        return self.files.certificate()

    @property
    def signer(self) -> x509.Certificate | None:
        return self._authority.signer if self._authority.state() is AuthorityState.COMPLETE else None

    @property
    def thing_name(self) -> str | None:
        certificate = self.device
        key = None if certificate is None else p256_key(certificate)
        return None if key is None else thing_name(key)

    @property
    def shown(self) -> str:
        """What a person calls the device."""
        return f"thing {self.thing_name}"


class OwnAzureIdentity(OwnIdentity):
    """The same, for Azure: the device goes by the name in its certificate."""

    @property
    def device_id(self) -> str | None:
        """The common name of the device certificate: ``sn`` and the serial number of the secure element."""
        certificate = self.device
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME) if certificate else []
        return str(names[0].value) if names else None

    @property
    def shown(self) -> str:
        return f"device {self.device_id}"


class NoCertificates:
    """A kit whose cloud wants no certificate."""

    device: x509.Certificate | None = None
    signer: x509.Certificate | None = None
    thing_name: str | None = None
