"""Individual enrolments in an Azure Device Provisioning Service (REST interface 2021-10-01).

The registration id of a device with a certificate is the common name of the certificate; case makes no difference, and
the interface wants lower case. The device id is given apart, in its own case: so the device is called in the IoT hub.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from iotprovision.cloud.azure.enrolment import X509, Enrolled, as_base64, kind_of, primary_certificate
from iotprovision.cloud.azure.service import Place, Service, ServiceKind, quoted

KIND = ServiceKind(
    "Device Provisioning Service",
    "azure-devices-provisioning.net",
    "https://azure-devices-provisioning.net/.default",
    "2021-10-01",
)
_MADE_BY_THE_SERVICE = ("createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState", "etag")


class ProvisioningService:
    """:param given: the name of the service, or its whole host name"""

    thumbprint_hash: hashes.HashAlgorithm = hashes.SHA256()

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
        one = {"x-ms-max-item-count": "1"}
        self._service.check("POST", "/enrollments/query", {"query": "SELECT * FROM enrollments"}, one)

    def find(self, device_id: str) -> Enrolled | None:
        record = self._service.call("GET", _path(device_id))
        if record is None:
            return None
        attestation = record.get("attestation")
        return Enrolled(
            kind_of(attestation),
            primary_certificate(attestation, "sha256Thumbprint"),
            record.get("provisioningStatus", "enabled") == "enabled",
            record,
        )

    def enrol(self, device_id: str, certificate: x509.Certificate, found: Enrolled | None) -> None:
        kept = {key: value for key, value in found.record.items() if key not in _MADE_BY_THE_SERVICE} if found else {}
        clients = {"primary": {"certificate": as_base64(certificate)}}
        body = {
            "deviceId": device_id,
            **kept,
            "registrationId": device_id.lower(),
            "attestation": {"type": X509, X509: {"clientCertificates": clients}},
            "provisioningStatus": "enabled",
        }
        self._service.call("PUT", _path(device_id), body, etag=str(found.record.get("etag", "")) if found else "")

    def remove(self, device_id: str, found: Enrolled) -> None:
        self._service.call("DELETE", _path(device_id), etag=str(found.record.get("etag", "")))


def _path(device_id: str) -> str:
    return f"/enrollments/{quoted(device_id.lower())}"
