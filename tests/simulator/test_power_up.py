"""The first power-up of a simulated board against a real broker: only what is right in the chips gets in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from support.certificate_chain import Signer, id_of, thing_of

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_registration import DeviceRegistration
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.findings import State
from iotprovision.formats.device_credentials import DeviceCredentials
from iotprovision.formats.winc_flash import pages
from iotprovision.simulator.board.surroundings import CloudAddress
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.first_connection import power_up
from iotprovision.simulator.first_connection.power_up import first_power_up

ENDPOINT_PAGE, THING_NAME_PAGE, STORE = 0x6E00, 0x6F00, 0x5000


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Started under an environment that would lead the Lambda to another place, if it got there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        patch.setenv("AWS_ENDPOINT_URL_IOT", "http://127.0.0.1:1")
        patch.setenv("AWS_PROFILE", "evil")
        patch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
            yield cloud


@pytest.fixture(scope="module")
def account(cloud: LocalCloud) -> Account:
    account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    JitrStack(account).apply()
    return account


@pytest.fixture(scope="module")
def signer(account: Account) -> Signer:
    signer = Signer()
    SignerRegistration(account, signer.certificate, signer.verification).apply()
    return signer


class Bench:
    """A board whose chips can be filled."""

    def __init__(self) -> None:
        self.secure_element = Ecc608()
        self.wifi_module = Winc1510()
        self.key = self.secure_element.private_keys[0].public_key()

    @property
    def board(self) -> Any:
        return SimpleNamespace(secure_element=self.secure_element, wifi_module=self.wifi_module, modem=None)

    def fill(self, device: x509.Certificate, signer: x509.Certificate, endpoint: str) -> None:
        chain = [certificate.public_bytes(Encoding.DER) for certificate in (device, signer)]
        for address, page in pages(0x5000, DeviceCredentials(*chain, thing_of(self.key), endpoint).image()).items():
            self.wifi_module.flash[address : address + len(page)] = page

    def provision(self, signer: Signer, account: Account) -> x509.Certificate:
        device = signer.issue(self.key)
        self.fill(device, signer.certificate, account.iot_endpoint())
        return device


def refused(bench: Bench, address: CloudAddress) -> str:
    report = first_power_up(bench.board, address)
    assert not any(attempt["accepted"] for attempt in report["attempts"])
    assert report["shadow"] == {}
    return report["failure"]


def test_refused_once_then_accepted_and_its_shadow_written(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    bench = Bench()
    device = bench.provision(signer, account)
    registration = DeviceRegistration(account, device, thing_of(bench.key))
    assert registration.state().state is State.MISSING
    report = json.loads(json.dumps(first_power_up(bench.board, cloud.address)))
    assert report["failure"] == ""
    assert [attempt["accepted"] for attempt in report["attempts"]] == [False] * (len(report["attempts"]) - 1) + [True]
    assert len(report["attempts"]) >= 2
    assert report["endpoint"] == account.iot_endpoint()
    assert report["client_id"] == thing_of(bench.key)
    assert report["certificate_id"] == id_of(device)
    assert report["signer_id"] == id_of(signer.certificate)
    answer = account.client("iot-data").get_thing_shadow(thingName=thing_of(bench.key))
    assert json.loads(answer["payload"].read())["state"]["reported"] == report["shadow"]
    assert registration.state().in_place
    assert registration.status().signer_id == id_of(signer.certificate)
    again = first_power_up(bench.board, cloud.address)
    assert [attempt["accepted"] for attempt in again["attempts"]] == [True]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs the process list of Linux")
def test_nothing_is_left_running_not_even_the_lambda(tmp_path: Path) -> None:
    def processes() -> list[str]:
        """Processes of this cloud: all of them inherit the setting that names its folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"STATE_DIR={tmp_path}/".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().decode())
        return found

    with LocalCloud(tmp_path) as cloud:
        account, signer, bench = (
            Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file),
            Signer(),
            Bench(),
        )
        JitrStack(account).apply()
        SignerRegistration(account, signer.certificate, signer.verification).apply()
        bench.provision(signer, account)
        assert first_power_up(bench.board, cloud.address)["failure"] == ""
        assert len(processes()) == 2
    deadline = time.monotonic() + 5
    while processes():
        assert time.monotonic() < deadline, processes()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda flash: None, "no thing name"),
        (lambda flash: flash.__setitem__(slice(THING_NAME_PAGE, THING_NAME_PAGE + 40), b"f" * 40), "no thing name"),
    ],
)
def test_an_empty_board(cloud: LocalCloud, damage: Any, words: str) -> None:
    bench = Bench()
    damage(bench.wifi_module.flash)
    assert words in refused(bench, cloud.address)


@pytest.mark.parametrize(
    "start, content",
    [
        (ENDPOINT_PAGE, b"\xff" * 64),
        (ENDPOINT_PAGE, b"\x80\x81\x00"),
        (THING_NAME_PAGE, b"\xff" * 64),
        (THING_NAME_PAGE + 40, b"\xff"),
        (STORE, b"\xff" * 0x1E00),
        (STORE, b"\x00" * 8),
        (STORE + 16 + 48, b"\xff\xff\xff\x7f"),
        (STORE + 468, b"\x00" * 40),
    ],
)
def test_chips_with_garbage(cloud: LocalCloud, account: Account, signer: Signer, start: int, content: bytes) -> None:
    bench = Bench()
    bench.provision(signer, account)
    bench.wifi_module.flash[start : start + len(content)] = content
    assert refused(bench, cloud.address)


def test_a_certificate_for_another_chip(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    bench = Bench()
    bench.provision(signer, account)
    bench.secure_element = Ecc608()
    assert "does not hold the key" in refused(bench, cloud.address)


def test_a_chip_without_a_key(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    bench = Bench()
    bench.provision(signer, account)
    bench.secure_element.private_keys.clear()
    assert "does not hold the key" in refused(bench, cloud.address)


def test_a_signer_that_did_not_sign(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    bench = Bench()
    bench.fill(signer.issue(bench.key), Signer().certificate, account.iot_endpoint())
    assert "not a device's and its signer's" in refused(bench, cloud.address)


def test_an_endpoint_that_is_not_the_local_clouds(cloud: LocalCloud, signer: Signer) -> None:
    bench = Bench()
    bench.fill(signer.issue(bench.key), signer.certificate, "a1b2-ats.iot.us-east-1.amazonaws.com")
    assert "not the local cloud's" in refused(bench, cloud.address)


def test_a_server_that_is_not_the_one(cloud: LocalCloud, account: Account, signer: Signer, tmp_path: Path) -> None:
    bench = Bench()
    bench.provision(signer, account)
    other = tmp_path / "ca.pem"
    other.write_bytes(Signer().certificate.public_bytes(Encoding.PEM))
    assert "not trusted" in refused(bench, replace(cloud.address, certificate_authority_file=str(other)))


def test_nobody_listens(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    bench = Bench()
    bench.provision(signer, account)
    assert "no connection" in refused(bench, replace(cloud.address, ports={"*.localhost": 1}))


def test_a_signer_that_the_account_does_not_know(cloud: LocalCloud, account: Account) -> None:
    bench = Bench()
    bench.provision(Signer(), account)
    assert "TLS handshake was refused" in refused(bench, cloud.address)


def test_a_revoked_device_stays_outside(
    cloud: LocalCloud, account: Account, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power_up, "ACCEPTANCE_TIMEOUT", 0.0)
    bench = Bench()
    device = bench.provision(signer, account)
    account.call(
        "iot",
        "RegisterCertificate",
        certificatePem=device.public_bytes(Encoding.PEM).decode(),
        caCertificatePem=signer.certificate.public_bytes(Encoding.PEM).decode(),
        status="ACTIVE",
    )
    account.call("iot", "UpdateCertificate", certificateId=id_of(device), newStatus="REVOKED")
    assert "closed the connection" in refused(bench, cloud.address)
    assert "REVOKED" in DeviceRegistration(account, device, thing_of(bench.key)).state().found


def test_a_device_is_its_own_thing_and_nothing_else(cloud: LocalCloud, account: Account, signer: Signer) -> None:
    """The policy, as the broker enforces it: another client id, another's topics, another's shadow."""
    bench = Bench()
    bench.provision(signer, account)
    assert first_power_up(bench.board, cloud.address)["failure"] == ""
    own = thing_of(bench.key)
    assert talk(bench, cloud, own, f"{own}/sensors", f"{own}/#") == "delivered"
    assert talk(bench, cloud, "another", f"{own}/sensors", f"{own}/#") == "closed"
    assert talk(bench, cloud, own, "another/sensors", f"{own}/#") == "closed"
    assert talk(bench, cloud, own, f"{own}/sensors", "#") == "closed"
    assert talk(bench, cloud, own, "$aws/things/another/shadow/update", f"{own}/#") == "closed"


def talk(bench: Bench, cloud: LocalCloud, client_id: str, publish: str, subscribe: str) -> str:
    """Connect as someone, subscribe, publish: whether the broker delivers, only acknowledges, or hangs up."""
    credentials = power_up._read_chips(bench.board)
    context = power_up._tls_context(credentials, bench.secure_element.private_keys[0], cloud.address)
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
    client.tls_set_context(context)
    outcomes: list[str] = []
    client.on_message = lambda *_: outcomes.append("delivered")
    client.on_connect = lambda *_: client.subscribe(subscribe, 0)
    client.on_subscribe = lambda *_: client.publish(publish, b"{}", 1)
    client.on_publish = lambda *_: outcomes.append("acknowledged")
    client.connect("127.0.0.1", cloud.mqtt_port)
    deadline = time.monotonic() + 10
    while len(outcomes) < 2 and time.monotonic() < deadline:
        if client.loop(timeout=0.5) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return "closed"
    client.disconnect()
    return "delivered" if "delivered" in outcomes else outcomes[0]
