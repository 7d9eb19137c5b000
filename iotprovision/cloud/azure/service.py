"""One Azure service, reached through its REST interface with the user's own credentials.

Who calls is decided by azure-identity: the variables of the environment, then who is logged in with Azure's tools
(``az login``, Visual Studio Code, PowerShell). The identity of the machine is never used. Tokens are kept nowhere.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from iotprovision.errors import CloudDeniedError, CloudError, UsageError

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10  # seconds; a working network connects in well under one
READ_TIMEOUT = 30  # seconds; these calls read or write one record
RETRIES = 3  # azure-core waits between them, and heeds what the service asks for
LONGEST_SHOWN = 100  # characters; host names of services have 94 at most
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Place:
    """Where calls go instead of to Azure: a double on this machine.

    :param url: on loopback
    """

    url: str
    credential: TokenCredential


@dataclass(frozen=True)
class ServiceKind:
    """What is so for all services of a kind.

    :param name: what a person calls it
    :param domain: behind the name of each service
    :param scope: what a token is asked for
    :param api_version: of the REST interface
    """

    name: str
    domain: str
    scope: str
    api_version: str


class Service:
    """A service of a kind. Nothing is sent before it is asked for something.

    :param given: its name, or its whole host name
    :param place: where it is, if not at Azure
    :raises UsageError: that is no such name, or azure-identity is not installed
    """

    def __init__(self, kind: ServiceKind, given: str, place: Place | None = None) -> None:
        name = given.removeprefix("https://").rstrip("/").removesuffix(f".{kind.domain}")
        if not LABEL.fullmatch(name):
            raise UsageError(
                f"{shown_name(given)} does not name an Azure {kind.name}",
                f"It is called by the first part of its address, NAME.{kind.domain}. The name alone is needed, no key.",
            )
        self.shown = f"{kind.name} {name}"
        self.writes: list[str] = []
        self.reads = 0
        self._kind = kind
        self._place = place
        self.url = place.url if place else f"https://{name}.{kind.domain}"
        self._client: PipelineClient[Any, Any] = self._open()

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, etag: str = "", patch: bool = False
    ) -> dict[str, Any] | None:
        """Send a request about one record.

        :param path: with a leading slash, its parts quoted
        :param etag: of the record that the request is about to change: it fails if somebody was faster
        :param patch: that the body is a JSON merge patch
        :returns: the answer; None when what is to be read or deleted is not there
        :raises CloudDeniedError: nobody is logged in, or who is lacks a right
        :raises CloudError: anything else
        """
        headers = {}
        if etag:
            headers["If-Match"] = etag
        if patch:
            headers["Content-Type"] = "application/merge-patch+json"
        status, content, refusal = self._send(method, path, body, headers, writes=method != "GET")
        if status == HTTPStatus.NOT_FOUND and method in ("GET", "DELETE"):
            return None
        if refusal:
            raise refusal
        if not isinstance(content, dict):
            raise CloudError(
                f"The {self.shown} answered with something else than a record", f"{method} {path}: {str(content)[:100]}"
            )
        return content

    def check(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Ask for what every service of the kind has: an answer proves that there is one of this name.

        :raises CloudDeniedError: nobody is logged in, or who is lacks a right
        :raises CloudError: there is no such service, or anything else
        """
        status, _, refusal = self._send(method, path, body, headers or {}, writes=False)
        if status == HTTPStatus.NOT_FOUND:
            raise CloudError(f"There is no {self.shown}", str(refusal.why) if refusal else "", "look at its name")
        if refusal:
            raise refusal

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], writes: bool
    ) -> tuple[int, Any, CloudError | CloudDeniedError | None]:
        """Status, content (an empty record for none), and what is wrong where the service refused."""
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
            ServiceRequestError,
            ServiceResponseError,
        )
        from azure.core.rest import HttpRequest

        request = HttpRequest(
            method,
            self.url + path,
            params={"api-version": self._kind.api_version},
            json=body,
            headers={"Accept": "application/json", **headers},
        )
        log.debug("Azure call %s %s", method, path)
        if writes:
            self.writes.append(f"{method} {path}")
        else:
            self.reads += 1
        try:
            response = self._client.send_request(request, enforce_https=self._place is None)
            status = response.status_code
            if status >= HTTPStatus.MULTIPLE_CHOICES:
                return status, None, self._refused(f"{method} {path}", status, response)
            return status, response.json() if response.content else {}, None
        except ClientAuthenticationError as error:
            raise CloudDeniedError("There are no credentials for Azure", _tried(error.message), "az login") from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise CloudError(
                f"The {self.shown} cannot be reached",
                _first_lines(error.message),
                "look at its name and at the network",
            ) from error
        except (AzureError, ValueError) as error:
            raise CloudError(f"The {self.shown} answered with something else than JSON", str(error)) from error

    def _open(self) -> PipelineClient[Any, Any]:
        try:
            from azure.core import PipelineClient
            from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy
            from azure.core.pipeline.transport import RequestsTransport
            from azure.identity import DefaultAzureCredential
        except ModuleNotFoundError as error:
            raise UsageError(
                "Devices are enrolled in Azure with the package azure-identity, which is not installed",
                hint="pip install 'iotprovision[azure]'",
            ) from error
        credential: TokenCredential = (
            self._place.credential if self._place else DefaultAzureCredential(exclude_managed_identity_credential=True)
        )
        transport = RequestsTransport(
            connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, use_env_settings=self._place is None
        )
        policies = [
            UserAgentPolicy("iotprovision"),
            RetryPolicy(retry_total=RETRIES),
            BearerTokenCredentialPolicy(credential, self._kind.scope),
        ]
        return PipelineClient(self.url, policies=policies, transport=transport)

    def _refused(self, what: str, status: int, response: Any) -> CloudError | CloudDeniedError:
        said = _said(response)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return CloudDeniedError(
                f"The {self.shown} does not let you do that",
                f"{what}: {said}",
                "az login as somebody else, or have a role given to you; docs/azure.md names it",
            )
        if status in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED):
            return CloudError(
                f"Somebody else changed the record in the {self.shown} at the same time", said, "run the command again"
            )
        return CloudError(f"The {self.shown} refused: {what}", f"HTTP status {int(status)}: {said}")


def shown_name(given: str) -> str:
    """What was given as a name, for a message; a connection string has a key in it that nobody shall read there."""
    if "=" in given or ";" in given or len(given) > LONGEST_SHOWN:
        return "What was given, which looks like a connection string,"
    return repr(given)


def quoted(text: str) -> str:
    """A part of a path."""
    return quote(text, safe="")


def _said(response: Any) -> str:
    """The message in an error: IoT Central has it one level deeper than the Device Provisioning Service."""
    try:
        content = response.json()
    except ValueError:
        content = None
    if isinstance(content, dict):
        inner = content.get("error")
        content = inner if isinstance(inner, dict) else content
        return str(content.get("message") or content.get("Message") or content)
    return str(response.reason)


def _tried(text: str) -> str:
    """Which credentials azure-identity looked for, a line each, and what it found instead."""
    lines = [line.strip().split(". ")[0] for line in str(text).splitlines() if line.startswith("\t")]
    return "\n".join(lines) or _first_lines(text)


def _first_lines(text: str) -> str:
    return "\n".join(str(text).splitlines()[:2])
