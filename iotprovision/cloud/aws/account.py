"""One AWS account, reached with one named profile: every call of a run goes through here.

Nothing but the named profile decides who calls: not the credentials of the environment, not another profile, not the
identity of the machine the tool runs on.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import exceptions, xform_name
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from iotprovision.cloud.aws import sandbox
from iotprovision.cloud.aws.call_errors import ABSENT, code, explain
from iotprovision.errors import CloudDeniedError, CloudError, UsageError
from iotprovision.formats.device_credentials import ENDPOINT_SIZE

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10  # seconds; a working network connects to AWS in well under one
READ_TIMEOUT = 30  # seconds; the slowest call used here (CreateStack) answers in about two
ATTEMPTS = 4  # botocore's mode "standard" waits between them, up to 20 s, and only repeats what may be repeated

LONGEST_ENDPOINT = ENDPOINT_SIZE - 1  # a NUL ends it
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})+")

_LOOPBACK = ("127.0.0.1", "localhost")
_READING = ("Assume", "Describe", "Get", "List", "Validate")
_OTHER_CREDENTIALS = ("env", "boto-config", "ec2-credentials-file", "container-role", "iam-role")


@dataclass(frozen=True)
class Call:
    """One call that was sent, named as IAM names it."""

    service: str
    operation: str

    @property
    def action(self) -> str:
        """``iot:RegisterCACertificate``"""
        return f"{self.service}:{self.operation}"

    @property
    def writes(self) -> bool:
        return not self.operation.startswith(_READING)


class Account:
    """The account behind a profile.

    :param profile: name in the AWS configuration
    :param region: overrides the region of the profile
    :param endpoint_url: where every service answers, instead of AWS; then no request can go anywhere else
    :param config_file: read instead of ``~/.aws/config`` and ``~/.aws/credentials``
    :raises UsageError: the profile is unknown, or has no credentials or region
    :raises CloudDeniedError: what should give the credentials does not
    """

    def __init__(
        self,
        profile: str = "default",
        region: str | None = None,
        endpoint_url: str | None = None,
        config_file: Path | None = None,
    ) -> None:
        self.profile = profile
        self.endpoint_url = endpoint_url
        self.calls: list[Call] = []
        self._clients: dict[str, Any] = {}
        self._identity: Mapping[str, str] | None = None
        self._core = self._open(config_file)
        self.region = region or self._region_of_profile()
        self._session = boto3.Session(botocore_session=self._core, region_name=self.region)

    @property
    def writes(self) -> list[Call]:
        """The calls so far that change something in the account."""
        return [call for call in self.calls if call.writes]

    def identity(self) -> Mapping[str, str]:
        """``Account`` (12 digits), ``Arn`` and ``UserId`` of the caller."""
        if self._identity is None:
            self._identity = self.call("sts", "GetCallerIdentity")
        return self._identity

    def iot_endpoint(self) -> str:
        """The host name that devices connect to (the ATS endpoint), without a port.

        :raises CloudError: the account has no usable endpoint, or its name does not fit in the Wi-Fi module, or it is
            the account of the kits' vendor
        """
        address = str(self.call("iot", "DescribeEndpoint", endpointType="iot:Data-ATS")["endpointAddress"])
        # AWS answers a host alone; a local cloud adds the port of its HTTP interface, which is not for devices.
        host = address.partition(":")[0].lower()
        if not _HOST.fullmatch(host):
            raise CloudError("The account's device endpoint is no host name", f"It is {address!r}.")
        if len(host) > LONGEST_ENDPOINT:
            raise CloudError(
                "The account's device endpoint does not fit in the Wi-Fi module",
                f"{host} has {len(host)} characters, the board reads at most {LONGEST_ENDPOINT}.",
                "a region with a shorter name",
            )
        # The first label is the account's own, with -ats behind it in the name that is asked for.
        if host.split(".")[0].removesuffix("-ats") == sandbox.ENDPOINT.split(".", maxsplit=1)[0]:
            raise CloudError(
                f"The profile {self.profile!r} leads to the sandbox account of the kits' vendor",
                "Devices of your own belong in an account of your own.",
                "name the profile of your account with -a, or use the sandbox with -m sandbox",
            )
        return host

    def client(self, service: str) -> Any:
        """The boto3 client of a service; its errors are botocore's unless :meth:`explained` is around."""
        if service not in self._clients:
            with self.explained(service):
                try:
                    self._clients[service] = self._session.client(
                        service,  # type: ignore[call-overload]
                        endpoint_url=self.endpoint_url,
                        config=self._config(),
                    )
                except exceptions.BotoCoreError:
                    raise
                except ValueError as error:  # an endpoint_url in the profile that is no address
                    raise UsageError(
                        f"The AWS profile {self.profile!r} cannot be used",
                        f"{error}.",
                        "correct the profile in the AWS configuration",
                    ) from error
        return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation by its name in the API, ``call("iot", "DescribeEndpoint", endpointType=...)``.

        :raises CloudDeniedError: the credentials are not valid or lack the right
        :raises CloudError: anything else
        """
        client = self.client(service)
        with self.explained(service, operation, parameters):
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
        return answer

    def find(
        self,
        service: str,
        operation: str,
        absent: Callable[[exceptions.ClientError], bool] = lambda error: code(error) in ABSENT,
        **parameters: Any,
    ) -> dict[str, Any] | None:
        """As :meth:`call`, but None when what is asked for is not there."""
        client = self.client(service)
        with self.explained(service, operation, parameters):
            try:
                answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
            except exceptions.ClientError as error:
                if absent(error):
                    return None
                raise
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """All entries under ``key``, over all pages of a list operation."""
        client = self.client(service)
        with self.explained(service, operation, parameters):
            for page in client.get_paginator(xform_name(operation)).paginate(**parameters):
                yield from page[key]

    def fetch(self, url: str) -> bytes:
        """What a link in an answer leads to; AWS signs such links, so that they need no credentials.

        :raises CloudError: it cannot be fetched
        """
        here = urlsplit(self.endpoint_url or "")
        if self.endpoint_url and (urlsplit(url).hostname not in _LOOPBACK or urlsplit(url).port != here.port):
            raise CloudError("A request was about to leave for another place", f"{url} is not at {self.endpoint_url}.")
        session = URLLib3Session(timeout=READ_TIMEOUT, proxies={} if self.endpoint_url else get_environ_proxies(url))
        place = urlsplit(url).hostname
        try:
            response = session.send(AWSRequest("GET", url).prepare())
        except exceptions.BotoCoreError as error:
            # Without the words of the cause: they name the whole link, and whoever has that can use it.
            raise CloudError(
                f"The download from {place} failed",
                f"{type(error).__name__}.",
                "look at the network and the proxy settings",
            ) from None
        if response.status_code != HTTPStatus.OK:
            raise CloudError(f"The download from {place} failed", f"HTTP status {response.status_code}.", "try again")
        return bytes(response.content)

    @contextmanager
    def explained(
        self, service: str, operation: str = "", parameters: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Turn the errors of botocore into :class:`CloudDeniedError` and :class:`CloudError`."""
        try:
            yield
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            action = f"{service}:{operation}" if operation else service
            raise explain(error, action, _resource(parameters or {}), self.profile) from error

    def _config(self) -> Config:
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
            "defaults_mode": "legacy",  # "auto" would ask the machine it runs on
        }
        if self.endpoint_url:
            options.update(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)
        return Config(**options)

    def _open(self, config_file: Path | None) -> botocore.session.Session:
        core = botocore.session.Session(profile=self.profile)
        if config_file is not None:
            core.set_config_variable("config_file", str(config_file))
            core.set_config_variable("credentials_file", os.devnull)
        try:
            core.get_scoped_config()
            provider = core.get_component("credential_provider")
            for other in _OTHER_CREDENTIALS:
                provider.remove(other)
            credentials = core.get_credentials()
        except exceptions.ProfileNotFound as error:
            raise UsageError(
                f"There is no AWS profile {self.profile!r}", _known(core), f"aws configure --profile {self.profile}"
            ) from error
        except (exceptions.ConfigNotFound, exceptions.ConfigParseError) as error:
            raise UsageError("The AWS configuration cannot be read", str(error)) from error
        except exceptions.PartialCredentialsError as error:
            raise self._incomplete("credentials", str(error)) from error
        except OSError as error:  # the program that credential_process names cannot be run
            raise CloudDeniedError(
                f"The credentials of the AWS profile {self.profile!r} cannot be had",
                str(error),
                "correct credential_process in the profile",
            ) from error
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            raise explain(error, "credentials", "", self.profile) from error
        if credentials is None:
            raise self._incomplete("credentials", "Only the profile is asked, neither the environment nor the machine.")
        core.register("before-call", self._count)
        if self.endpoint_url:
            core.register("before-send", self._refuse_elsewhere)
        return core

    def _region_of_profile(self) -> str:
        region = self._core.get_scoped_config().get("region")
        if not isinstance(region, str) or not region:
            raise self._incomplete("region", "A device is registered in one region of an account.")
        return region

    def _incomplete(self, missing: str, why: str) -> UsageError:
        return UsageError(
            f"The AWS profile {self.profile!r} has no {missing}", why, f"aws configure --profile {self.profile}"
        )

    def _count(self, **event: Any) -> None:
        model = event["model"]
        call = Call(model.service_model.signing_name, model.name)
        logger.debug("AWS call %s", call.action)
        self.calls.append(call)

    def _refuse_elsewhere(self, **event: Any) -> None:
        """The last lock on the door: a simulated run sends nothing to the real AWS, whatever the environment says."""
        url = event["request"].url
        if not url.startswith(f"{str(self.endpoint_url).rstrip('/')}/"):
            raise CloudError("A request was about to leave for another place", f"{url} is not at {self.endpoint_url}.")


def _resource(parameters: Mapping[str, Any]) -> str:
    """The value among a call's parameters that names what it is about; all of them are names or identifiers."""
    for name, value in parameters.items():
        if isinstance(value, str) and name.lower().endswith(("name", "id", "arn", "target")):
            return value
    return ""


def _known(core: botocore.session.Session) -> str:
    known = sorted(core.full_config.get("profiles", {}))
    return f"Known profiles: {', '.join(known)}" if known else "There are no profiles at all."
