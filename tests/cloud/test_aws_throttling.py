"""A cloud that asks for a pause: the call is repeated after one, a few times, and then the run says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iotprovision.cloud.aws.account import ATTEMPTS, Account
from iotprovision.errors import CloudError

CONFIG = "[default]\nregion=us-east-1\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=secret\n"


class BusyCloud(ThreadingHTTPServer):
    """Throttles so many requests as it is told, in the words of AWS IoT."""

    refusals = 0
    requests = 0


class Answers(BaseHTTPRequestHandler):
    server: BusyCloud

    def do_GET(self) -> None:  # noqa: N802
        self.server.requests += 1
        if self.server.requests <= self.server.refusals:
            status, kind, body = 429, "ThrottlingException", b'{"message": "Rate exceeded"}'
        else:
            status, kind, body = 200, "", b'{"registrationCode": "0123"}'
        self.send_response(status)
        if kind:
            self.send_header("x-amzn-ErrorType", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def cloud() -> Iterator[BusyCloud]:
    with BusyCloud(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts; they are not waited for."""
    found: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", found.append)
    return found


def account(cloud: BusyCloud, folder: Path) -> Account:
    file = folder / "config"
    file.write_text(CONFIG)
    return Account(endpoint_url=f"http://127.0.0.1:{cloud.server_port}", config_file=file)


@pytest.mark.parametrize("refusals", [1, ATTEMPTS - 1])
def test_the_call_is_repeated_after_a_pause(
    cloud: BusyCloud, tmp_path: Path, pauses: list[float], refusals: int
) -> None:
    cloud.refusals = refusals
    answer = account(cloud, tmp_path).call("iot", "GetRegistrationCode")
    assert answer["registrationCode"] == "0123"
    assert cloud.requests == refusals + 1
    assert len(pauses) == refusals
    assert all(pause > 0 for pause in pauses)


def test_a_cloud_that_stays_busy_is_given_up(cloud: BusyCloud, tmp_path: Path, pauses: list[float]) -> None:
    cloud.refusals = 1000
    with pytest.raises(CloudError) as raised:
        account(cloud, tmp_path).call("iot", "GetRegistrationCode")
    assert cloud.requests == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1
    assert "asks for a pause (iot:GetRegistrationCode)" in str(raised.value)
    assert "Rate exceeded" in str(raised.value)
    assert "try again in a minute" in str(raised.value)
