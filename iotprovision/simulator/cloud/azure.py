"""Azure for simulated runs: the devices of a Device Provisioning Service and of an IoT Central application.

A small server on loopback that answers as the REST interfaces of both do, as far as enrolling a device goes, with its
state in a file. It checks what it is sent: the token, the version of the interface, the fields, that the certificate is
one and carries the name of the device.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
CENTRAL_VERSION, SERVICE_VERSION = "2022-07-31", "2021-10-01"
_DEVICE = re.compile(r"/api/devices/([^/]+)(/attestation)?")
_ENROLMENT = re.compile(r"/enrollments/([^/]+)")

Answer = tuple[int, Any]


class _RefusedError(Exception):
    """What is asked for cannot be done.

    :param status: of HTTP
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One that came, and how it was answered."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any
    status: int
    answer: Any


class LocalAzure:
    """A context manager: inside it the server runs.

    :param state_file: where the devices are kept
    """

    def __init__(self, state_file: Path) -> None:
        self._state_file = state_file
        self.token = secrets.token_urlsafe(24)
        self.requests: list[Request] = []
        self.refuses = 0
        """An HTTP status that every request is answered with, for tests; 0 for none."""
        self.missing = False
        """Whether it answers as Azure does for a service that does not exist, for tests."""
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> LocalAzure:
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, name="local Azure", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None, "it runs only inside its context"
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        """What its clients take for the user's credentials."""
        from azure.core.credentials import AccessToken

        return AccessToken(self.token, int(time.time()) + 3600)

    def devices(self) -> dict[str, dict[str, Any]]:
        """The records of both services."""
        try:
            content: dict[str, dict[str, Any]] = json.loads(self._state_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"enrollments": {}, "devices": {}, "attestations": {}}
        return content

    # --- one request

    def answer(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Status and body, None for no body."""
        parts = urlsplit(target)
        body: Any = None
        with self._lock:
            status, reply = 500, None
            try:
                body = json.loads(content) if content else None
                status, reply = self._answer(method, parts.path, parse_qs(parts.query), headers, body)
            except _RefusedError as refused:
                status, reply = refused.status, _error(parts.path, refused)
            except ValueError:
                status, reply = 400, _error(parts.path, _RefusedError(400, "The body is no JSON."))
            self.requests.append(Request(method, parts.path, parse_qs(parts.query), headers, body, status, reply))
            return status, reply

    def _answer(
        self, method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str], body: Any
    ) -> Answer:
        if self.refuses:
            raise _RefusedError(self.refuses, "Refused for a test.")
        if headers.get("authorization") != f"Bearer {self.token}":
            raise _RefusedError(401, "The token is not valid.")
        version = CENTRAL_VERSION if path.startswith("/api/") else SERVICE_VERSION
        if query.get("api-version") != [version]:
            raise _RefusedError(400, f"The api-version must be {version}.")
        if self.missing:
            raise _RefusedError(404, "The IoT Central instance or a device identity does not exist.")
        state = self.devices()
        if path == "/api/devices" and method == "GET":
            return 200, {"value": list(state["devices"].values())}
        if path == "/enrollments/query" and method == "POST":
            return 200, _queried(state["enrollments"], headers.get("x-ms-max-item-count"), body)
        if match := _ENROLMENT.fullmatch(path):
            reply = _enrolment(state["enrollments"], method, unquote(match[1]), headers.get("if-match"), body)
        elif match := _DEVICE.fullmatch(path):
            device, merges = unquote(match[1]), "merge-patch" in headers.get("content-type", "")
            if match[2]:
                reply = _attestation(state, method, device, body, merges)
            else:
                reply = _device(state, method, device, body, merges)
        else:
            raise _RefusedError(404, f"There is nothing at {path}.")
        if method != "GET":
            self._state_file.parent.mkdir(parents=True, exist_ok=True)
            self._state_file.write_text(json.dumps(state, indent=1), encoding="utf-8")
        return reply


def _handler(azure: LocalAzure) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, reply = azure.answer(self.command, self.path, headers, content)
            data = b"" if reply is None else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 - names of http.server

        def log_message(self, *_: Any) -> None:
            """Nothing: tests look at the requests."""

    return Handler


def _queried(records: dict[str, Any], most: str | None, body: Any) -> list[Any]:
    if body != {"query": "SELECT * FROM enrollments"}:
        raise _RefusedError(400, "The query is not understood.")
    return list(records.values())[: None if most is None else int(most)]


def _enrolment(records: dict[str, Any], method: str, name: str, etag: str | None, body: Any) -> Answer:
    identifier = name.lower()
    found = records.get(identifier)
    if method != "GET" and found and etag not in (None, "*", found["etag"]):
        raise _RefusedError(412, "The ETag does not match.")
    if method == "PUT":
        if not isinstance(body, dict) or str(body.get("registrationId", "")).lower() != identifier:
            raise _RefusedError(400, "The registrationId must be that of the path.")
        if found and etag is None:
            raise _RefusedError(409, "The enrollment exists already.")
        moment = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime())
        records[identifier] = {
            **body,
            "registrationId": identifier,
            "attestation": _checked(body.get("attestation"), name, "sha256Thumbprint"),
            "createdDateTimeUtc": found["createdDateTimeUtc"] if found else moment,
            "lastUpdatedDateTimeUtc": moment,
            "etag": f'"{secrets.token_hex(8)}"',
        }
        return 200, records[identifier]
    if found is None:
        raise _RefusedError(404, "Enrollment not found.")
    if method == "DELETE":
        del records[identifier]
        return 204, None
    return 200, found


def _device(state: dict[str, Any], method: str, name: str, body: Any, merges: bool) -> Answer:
    records = state["devices"]
    if method == "PUT":
        records[name] = {"etag": secrets.token_hex(8), "provisioned": False, "enabled": True, **body, "id": name}
        return 200, records[name]
    if name not in records:
        raise _RefusedError(404, "Could not find the device.")
    if method == "DELETE":
        del records[name]
        state["attestations"].pop(name, None)
        return 204, None
    if method == "PATCH":
        _check_patch(merges)
        records[name].update(body)
    return 200, records[name]


def _attestation(state: dict[str, Any], method: str, name: str, body: Any, merges: bool) -> Answer:
    records = state["attestations"]
    if name not in state["devices"]:
        raise _RefusedError(404, "Could not find the device.")
    if method == "PUT":
        if name in records:
            raise _RefusedError(409, "The device has an individual attestation already.")
        records[name] = _checked(body, name, "sha1Thumbprint")
        return 200, records[name]
    if name not in records:
        raise _RefusedError(404, "The device has no individual attestation.")
    if method == "DELETE":
        del records[name]
        return 204, None
    if method == "PATCH":
        _check_patch(merges)
        records[name] = _checked(body, name, "sha1Thumbprint")
    return 200, records[name]


def _check_patch(merges: bool) -> None:
    if not merges:
        raise _RefusedError(415, "A patch is a JSON merge patch.")


def _checked(attestation: Any, name: str, thumbprint: str) -> dict[str, Any]:
    """The attestation as it is told: with what the service knows of the certificate, and without the certificate."""
    try:
        text = attestation["x509"]["clientCertificates"]["primary"]["certificate"]
        certificate = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        (common,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (KeyError, TypeError, ValueError) as error:
        raise _RefusedError(400, "The attestation has no certificate that can be read.") from error
    if str(common.value).lower() != name.lower():
        raise _RefusedError(400, "The common name of the certificate must be the registration ID.")
    info: dict[str, Any] = {thumbprint: certificate.fingerprint(hashes.SHA1()).hex().upper()}  # noqa: S303
    if thumbprint == "sha256Thumbprint":
        info = {
            "subjectName": certificate.subject.rfc4514_string(),
            "sha1Thumbprint": info[thumbprint],
            "sha256Thumbprint": certificate.fingerprint(hashes.SHA256()).hex().upper(),
            "issuerName": certificate.issuer.rfc4514_string(),
            "notBeforeUtc": certificate.not_valid_before_utc.isoformat(),
            "notAfterUtc": certificate.not_valid_after_utc.isoformat(),
            "serialNumber": f"{certificate.serial_number:X}",
            "version": 3,
        }
    return {"type": "x509", "x509": {"clientCertificates": {"primary": {"info": info}}}}


def _error(path: str, refused: _RefusedError) -> Any:
    if path.startswith("/api/"):
        return {"error": {"code": "Refused", "message": str(refused), "requestId": secrets.token_hex(4)}}
    return {"errorCode": refused.status * 1000, "trackingId": secrets.token_hex(8), "message": str(refused)}
