"""Devices of an Azure IoT Central application (REST interface 2022-07-31).

A device is two things there: its record, and how it proves who it is. Its id is the common name of its certificate.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from iotprovision.cloud.azure.enrolment import X509, Enrolled, as_base64, kind_of, primary_certificate
from iotprovision.cloud.azure.service import Place, Service, ServiceKind, quoted

KIND = ServiceKind(
    "IoT Central application", "azureiotcentral.com", "https://apps.azureiotcentral.com/.default", "2022-07-31"
)


class CentralApplication:
    """:param given: the first part of the application's address, or its whole host name"""

    # The interface tells no other hash. It only tells two certificates apart that the service has checked.
    thumbprint_hash: hashes.HashAlgorithm = hashes.SHA1()  # noqa: S303

    def __init__(self, given: str, place: Place | None = None) -> None:
        self._service = Service(KIND, given, place)
        self.shown = self._service.shown

    @property
    def reads(self) -> int:
        return self._service.reads

    @property
    def writes(self) -> list[str]:
        return self._service.writes

    def check(self) -> None:
        self._service.check("GET", "/api/devices")

    def find(self, device_id: str) -> Enrolled | None:
        record = self._service.call("GET", _path(device_id))
        if record is None:
            return None
        attestation = self._service.call("GET", f"{_path(device_id)}/attestation") or {}
        return Enrolled(
            kind_of(attestation),
            primary_certificate(attestation, "sha1Thumbprint"),
            bool(record.get("enabled", True)),
            record,
        )

    def enrol(self, device_id: str, certificate: x509.Certificate, found: Enrolled | None) -> None:
        """The record first: there is no attestation without it."""
        attestation = {"type": X509, X509: {"clientCertificates": {"primary": {"certificate": as_base64(certificate)}}}}
        path = f"{_path(device_id)}/attestation"
        if found is None:
            self._service.call("PUT", _path(device_id), {"displayName": device_id, "enabled": True, "simulated": False})
        elif not found.enabled:
            self._service.call("PATCH", _path(device_id), {"enabled": True}, patch=True)
        if found is not None and found.attestation == X509:
            self._service.call("PATCH", path, attestation, patch=True)
            return
        if found is not None and found.attestation:
            self._service.call("DELETE", path)
        self._service.call("PUT", path, attestation)

    def remove(self, device_id: str, found: Enrolled) -> None:
        self._service.call("DELETE", _path(device_id))


def _path(device_id: str) -> str:
    return f"/api/devices/{quoted(device_id)}"
