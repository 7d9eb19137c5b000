"""The first power-up of a simulated board: it connects to its cloud with what its chips hold, and nothing else.

This is what the demo does on a board: certificates, thing name and endpoint from the flash of the Wi-Fi module (or
certificates from the modem, thing name and endpoint from slot 8 of the secure element), the key from the secure
element, MQTT 3.1.1 over mutual TLS 1.2. Whatever is wrong in the chips shows here as a refusal.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from iotprovision.errors import ProofError
from iotprovision.formats import client_store, item_list, modem_memory
from iotprovision.formats.device_credentials import ENDPOINT_SIZE, THING_NAME_SIZE, text_at
from iotprovision.formats.ecc608_zones import DEVICE_KEY_SLOT, PROVISIONING_DATA_SLOT
from iotprovision.formats.item_list import Item
from iotprovision.formats.winc_flash import CLIENT_STORE, ENDPOINT, ERASED, THING_NAME
from iotprovision.simulator.board.surroundings import Attempt, CloudAddress

if TYPE_CHECKING:
    from paho.mqtt.client import Client

    from iotprovision.simulator.board.board import Board
    from iotprovision.simulator.chips.sequans import Sequans

logger = logging.getLogger(__name__)

# Rule and Lambda need about a second, and several on a busy machine where the Lambda's interpreter starts cold.
ACCEPTANCE_TIMEOUT = 30.0
# A device is not told when its registration is through, so it asks again; each time costs a run of the Lambda.
FIRST_PAUSE = 1.5
LONGEST_PAUSE = 4.0
# For each exchange with the cloud once the connection stands; it is on this machine.
ANSWER_TIMEOUT = 5.0
KEEP_ALIVE = 60


class PowerUpReport(TypedDict):
    """What the board did. Plain data, for the way between two processes.

    ``failure`` is empty when the board connected and its shadow was written and read back. Fields are empty where the
    chips do not hold them. ``certificate_id`` and ``signer_id`` are SHA-256 of the DER. ``network`` and
    ``first_topic``, the Wi-Fi network that was joined and the topic of the first message, are empty where the simulator
    connected in the place of the program on the MCU. ``hint`` is what to try after a failure, empty where that is to
    provision again.
    """

    endpoint: str
    client_id: str
    certificate_id: str
    signer_id: str
    attempts: list[Attempt]
    network: str
    first_topic: str
    shadow: dict[str, Any]
    failure: str
    hint: str


@dataclass(frozen=True)
class _Credentials:
    endpoint: str
    thing_name: str
    device: x509.Certificate
    signer: x509.Certificate | None


class _RefusedError(Exception):
    """The connection was not accepted.

    :param final: trying again changes nothing
    """

    def __init__(self, reason: str, final: bool) -> None:
        super().__init__(reason)
        self.final = final


def first_power_up(
    board: Board,
    cloud: CloudAddress,
    sleep: Callable[[float], None] = time.sleep,
) -> PowerUpReport:
    """Connect until accepted (a device that registers itself is refused at first), then write and read the shadow.

    Never raises for what the chips hold or the cloud answers: that is in the report.
    """
    report = PowerUpReport(
        endpoint="",
        client_id="",
        certificate_id="",
        signer_id="",
        attempts=[],
        network="",
        first_topic="",
        shadow={},
        failure="",
        hint="",
    )
    try:
        credentials = _read_chips(board)
        report["endpoint"], report["client_id"] = credentials.endpoint, credentials.thing_name
        report["certificate_id"] = credentials.device.fingerprint(SHA256()).hex()
        if credentials.signer:
            report["signer_id"] = credentials.signer.fingerprint(SHA256()).hex()
        port = cloud.port(credentials.endpoint)
        if port is None:
            raise ProofError(f"the stored endpoint {credentials.endpoint} is not the local cloud's")
        context = _tls_context(credentials, board.secure_element.private_keys[DEVICE_KEY_SLOT], cloud)
        client = _connect_until_accepted(credentials.thing_name, context, port, report["attempts"], sleep)
        report["shadow"] = _write_and_read_shadow(client, credentials.thing_name)
    except ProofError as error:
        report["failure"] = error.what
    except _RefusedError as error:
        report["failure"] = str(error)
    return report


def _read_chips(board: Board) -> _Credentials:
    """:raises ProofError: what the board would need to connect is not there, or does not belong together"""
    credentials = _of_modem(board, board.modem) if board.modem else _of_wifi_module(board)
    key = board.secure_element.private_keys.get(DEVICE_KEY_SLOT)
    if key is None or key.public_key() != credentials.device.public_key():
        raise ProofError("the secure element does not hold the key of the device certificate")
    return credentials


def _of_modem(board: Board, modem: Sequans) -> _Credentials:
    """Names from slot 8, the certificate from the slot of the modem that its security profile names."""
    items = item_list.parse(bytes(board.secure_element.slots[PROVISIONING_DATA_SLOT]))
    thing_name, endpoint = (items.get(item) for item in (Item.AWS_THING_NAME, Item.AWS_ENDPOINT))
    if not thing_name:
        raise ProofError("the secure element holds no thing name")
    if not endpoint:
        raise ProofError("the secure element holds no endpoint")
    profile = modem.profiles.get(modem_memory.PROFILE_NUMBER)
    number = f"{modem_memory.PROFILE_NUMBER},{profile}"
    if modem_memory.profile_fields(number) != modem_memory.profile_fields(modem_memory.PROFILE):
        raise ProofError("the modem has no security profile, or one that does not name its certificates")
    memory = modem.memory[modem_memory.CERTIFICATE]
    authorities = memory.get(modem_memory.SERVER_AUTHORITIES_SLOT, b"")
    if not authorities or modem_memory.certificates_in(authorities.splitlines()) != authorities:
        raise ProofError("the modem holds no authorities for the server's certificate")
    try:
        device = x509.load_pem_x509_certificate(memory.get(modem_memory.DEVICE_CERTIFICATE_SLOT, b""))
    except ValueError as error:
        raise ProofError("the modem holds no device certificate") from error
    return _Credentials(endpoint, thing_name, device, None)


def _of_wifi_module(board: Board) -> _Credentials:
    flash = bytes(board.wifi_module.flash)
    name = flash[THING_NAME.address : THING_NAME.address + THING_NAME_SIZE]
    # The demo takes a name for absent when the byte after its 40 characters is erased.
    thing_name = None if name[THING_NAME_SIZE - 1] == ERASED else text_at(name)
    endpoint = text_at(flash[ENDPOINT.address : ENDPOINT.address + ENDPOINT_SIZE])
    certificates = client_store.parse(flash[CLIENT_STORE.address : CLIENT_STORE.end]).certificates
    if not thing_name:
        raise ProofError("the Wi-Fi module holds no thing name")
    if not endpoint:
        raise ProofError("the Wi-Fi module holds no endpoint")
    if len(certificates) < 2:
        # AWS IoT registers a device at its first connection only when it shows its signer too.
        raise ProofError("the Wi-Fi module does not hold a device certificate and its signer")
    try:
        device, signer = (x509.load_der_x509_certificate(certificate) for certificate in certificates[:2])
        device.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ProofError(
            f"the certificates in the Wi-Fi module are not a device's and its signer's: {error}"
        ) from error
    return _Credentials(endpoint, thing_name, device, signer)


class _NamedContext(ssl.SSLContext):
    """A TLS context that knows the server's name, which is not the address that the socket connects to."""

    server_name = ""

    def wrap_socket(self, sock: Any, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, *arguments, **{**options, "server_hostname": self.server_name})


def _tls_context(credentials: _Credentials, key: ec.EllipticCurvePrivateKey, cloud: CloudAddress) -> _NamedContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = credentials.endpoint
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2  # the module speaks no other
    context.load_verify_locations(cloud.certificate_authority_file)
    chain = (
        credentials.device.public_bytes(Encoding.PEM)
        + (credentials.signer.public_bytes(Encoding.PEM) if credentials.signer else b"")
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    # Python's ssl takes keys from files only. mkstemp makes it for this user alone, and it is gone before connecting.
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(chain)
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()
    return context


def _connect_until_accepted(
    client_id: str, context: _NamedContext, port: int, attempts: list[Attempt], sleep: Callable[[float], None]
) -> Client:
    pause, deadline = FIRST_PAUSE, time.monotonic() + ACCEPTANCE_TIMEOUT
    while True:
        try:
            client = _connect(client_id, context, port)
        except _RefusedError as refusal:
            attempts.append({"accepted": False, "reason": str(refusal)})
            logger.debug("connection refused: %s", refusal)
            if refusal.final or time.monotonic() > deadline:
                raise
            sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        else:
            attempts.append({"accepted": True, "reason": ""})
            return client


def _connect(client_id: str, context: _NamedContext, port: int) -> Client:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
    client.tls_set_context(context)
    answers: list[str] = []
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(
        "" if not reason.is_failure else str(reason)
    )
    try:
        client.connect("127.0.0.1", port, KEEP_ALIVE)
    except ssl.SSLCertVerificationError as error:
        raise _RefusedError(f"the server's certificate is not trusted: {error.verify_message}", final=True) from error
    except ssl.SSLError as error:
        raise _RefusedError(f"the TLS handshake was refused: {error.reason or error}", final=True) from error
    except OSError as error:
        raise _RefusedError(f"no connection: {error}", final=True) from error
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while not answers and time.monotonic() < deadline:
        if client.loop(timeout=0.5) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            break
    if not answers:
        raise _RefusedError("the server closed the connection without an answer", final=False)
    if answers[0]:
        raise _RefusedError(f"the server answered: {answers[0]}", final=True)
    return client


def _write_and_read_shadow(client: Client, thing_name: str) -> dict[str, Any]:
    """Report a state, then ask for the shadow.

    :returns: the reported state that the cloud holds
    :raises _RefusedError: it does not, or not this one
    """
    from paho.mqtt.enums import MQTTErrorCode

    shadow = f"$aws/things/{thing_name}/shadow"
    subscribed: list[int] = []
    messages: dict[str, bytes] = {}
    client.on_subscribe = lambda _client, _data, _number, reasons, _properties: subscribed.extend(
        reason.value for reason in reasons
    )
    client.on_message = lambda _client, _data, message: messages.__setitem__(message.topic, bytes(message.payload))

    def wait(arrived: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while not arrived():
            if client.loop(timeout=0.5) != MQTTErrorCode.MQTT_ERR_SUCCESS or time.monotonic() > deadline:
                raise _RefusedError(f"connected, but {what}", final=True)

    topics = [
        f"{shadow}/{operation}/{answer}" for operation in ("update", "get") for answer in ("accepted", "rejected")
    ]
    client.subscribe([(topic, 0) for topic in topics])
    wait(lambda: bool(subscribed), "subscribing to the shadow was not answered")
    if any(code >= 0x80 for code in subscribed):
        raise _RefusedError("connected, but subscribing to the shadow was refused", final=True)
    reported = {"toggle": int(time.time())}
    client.publish(f"{shadow}/update", json.dumps({"state": {"reported": reported}}))
    wait(lambda: any(topic in messages for topic in topics[:2]), "the update of the shadow was not answered")
    client.publish(f"{shadow}/get", b"")
    wait(lambda: any(topic in messages for topic in topics[2:]), "the shadow could not be read")
    client.disconnect()
    if topics[0] not in messages or topics[2] not in messages:
        raise _RefusedError("connected, but the shadow refused to be written or read", final=True)
    held: dict[str, Any] = json.loads(messages[topics[2]])["state"]["reported"]
    if held.get("toggle") != reported["toggle"]:
        raise _RefusedError(f"connected, but the shadow holds {held} instead of {reported}", final=True)
    return held
