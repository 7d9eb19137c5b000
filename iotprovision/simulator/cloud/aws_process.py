"""The process of the local cloud: ministack, bound to loopback, until its standard input ends.

Started by :class:`iotprovision.simulator.cloud.aws.LocalCloud`; never imported by the tool, because ministack reads
its settings from the environment when it is imported. Standard input is the life line: it ends when the owner closes
it and also when the owner dies, on every operating system; then ministack saves its state and the process ends.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import functools
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOOPBACK = "127.0.0.1"
# Tools keep their HTTP connections open; there is no request worth waiting for when the owner is done.
GRACEFUL_TIMEOUT = 0.1
READY_POLL = 0.02
# Saving takes well under a second; what needs longer hangs, and nothing may stay behind.
EXIT_TIMEOUT = 10.0
EXIT_LOCKED = 11


def main() -> int:
    """Serve a folder; prints one JSON line when everything answers.

    Arguments: the folder, and how many seconds to wait for another process to leave it.
    """
    folder, patience = Path(sys.argv[1]), float(sys.argv[2])
    os.umask(0o077)  # the saved state holds keys
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what ministack prints belongs to the log
    # The terminal sends Ctrl-C to the whole group; the owner decides when the cloud stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock = FileLock(folder / "cloud.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        return EXIT_LOCKED
    with lock:
        with suppress(OSError):
            os.ftruncate(2, 0)  # the log is ours now
        http, mqtt = _loopback_socket(), _loopback_socket()
        os.environ["GATEWAY_PORT"] = str(http.getsockname()[1])
        os.environ["IOT_MTLS_PORT"] = str(mqtt.getsockname()[1])
        _listen_on_loopback_only(mqtt)
        _authorize_on_named_resources()
        _show_a_chain_that_the_kits_can_check()
        _send_shadows_without_blanks()
        _say_why_a_handshake_is_refused()
        asyncio.run(_serve(http, mqtt.getsockname()[1], answer))
    return 0


def _loopback_socket() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.bind((LOOPBACK, 0))
    return bound


def _listen_on_loopback_only(mqtt: socket.socket) -> None:
    """ministack binds its MQTT listener to every interface and has no setting for it."""
    original = asyncio.BaseEventLoop.create_server
    mqtt_port = mqtt.getsockname()[1]

    async def create_server(
        loop: asyncio.BaseEventLoop, protocol: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if port == mqtt_port:
            # A copy, so that the port stays ours when ministack binds again.
            return await original(loop, protocol, sock=mqtt.dup(), **options)
        if options.get("sock") is None:
            host = LOOPBACK
        return await original(loop, protocol, host, port, **options)

    asyncio.BaseEventLoop.create_server = create_server  # type: ignore[method-assign,assignment]


def _authorize_on_named_resources() -> None:
    """AWS checks iot:AttachPolicy on the certificate that the policy goes to, and calls on a CA certificate on that.

    ministack 1.5.33 checks both on ``*``, so that a role which names its resources would be refused.
    """
    actions: Any = importlib.import_module("ministack.core.iam_actions")
    original = actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        _, _, name = path.partition("/cacertificate/")
        if service == "iot" and name:
            return f"arn:aws:iot:{region}:{account}:cacert/{name}"
        if service == "iot" and method == "PUT" and path.startswith("/target-policies/"):
            with suppress(ValueError, KeyError, TypeError):
                return json.loads(body)["target"]
        return original(service, method, path, headers, body, query, region, account)

    actions.extract_resource_arn = extract_resource_arn


def _show_a_chain_that_the_kits_can_check() -> None:
    """AWS IoT shows a device that offers ECDSA only, as the kits' Wi-Fi modules do, a chain of P-256 keys.

    ministack 1.5.33 has RSA keys only, and keeps them: an authority from a former run is replaced.
    """
    helpers: Any = importlib.import_module("ministack.core.x509_utils")
    iot: Any = importlib.import_module("ministack.services.iot")
    original = iot._ensure_ca  # noqa: SLF001 - there is no setting for it

    def ensure_authority() -> tuple[str, str]:
        if iot._ca_key_pem and "EC PRIVATE KEY" not in iot._ca_key_pem:  # noqa: SLF001
            iot._ca_cert_pem = iot._ca_key_pem = None  # noqa: SLF001
        pair: tuple[str, str] = original()
        return pair

    iot._ensure_ca = ensure_authority  # noqa: SLF001
    iot.generate_ca = _new_authority
    helpers.sign_leaf_certificate = functools.partial(helpers.sign_leaf_certificate, key_type="ec256")


def _send_shadows_without_blanks() -> None:
    """The documents that AWS sends to devices have no blanks, and the demo applications cannot read over one."""
    iot: Any = importlib.import_module("ministack.services.iot")
    original = iot.broker_publish

    async def publish(account: str, region: str, topic: str, payload: bytes, *arguments: Any, **options: Any) -> Any:
        if topic.startswith("$aws/things/") and "/shadow/" in topic:
            with suppress(ValueError):
                payload = json.dumps(json.loads(payload), separators=(",", ":")).encode("utf-8")
        return await original(account, region, topic, payload, *arguments, **options)

    iot.broker_publish = publish


def _say_why_a_handshake_is_refused() -> None:
    """AWS answers with an alert; asyncio drops the one that OpenSSL wrote (its class is another before Python 3.11)."""
    protocol: Any = asyncio.sslproto.SSLProtocol
    if not hasattr(protocol, "_process_outgoing"):
        return
    original = protocol._on_handshake_complete  # noqa: SLF001 - there is no public way

    def on_handshake_complete(connection: Any, error: BaseException | None) -> Any:
        if error is not None:
            connection._process_outgoing()  # noqa: SLF001
        return original(connection, error)

    protocol._on_handshake_complete = on_handshake_complete  # noqa: SLF001


def _new_authority() -> tuple[str, str]:
    """Certificate and key of a root for the server's certificate, PEM."""

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from iotprovision.pki.certificates import root_certificate
    from iotprovision.pki.names import Names
    from iotprovision.pki.signers.key_files import KeyInMemory

    key = ec.generate_private_key(ec.SECP256R1())
    names = Names(organization="Local cloud", root_common_name="Local cloud Root CA")
    certificate = root_certificate(KeyInMemory(key), names, datetime.now(UTC))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode("ascii"), private.decode("ascii")


async def _serve(http: socket.socket, mqtt_port: int, answer: Any) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    app = importlib.import_module("ministack.app").app

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_wait_for_the_owner, args=(loop, stop), daemon=True).start()
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    config = Config()
    http_port = http.getsockname()[1]
    config.bind = [f"fd://{http.detach()}"]
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.accesslog = None
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    announcement = asyncio.create_task(_announce(http_port, mqtt_port, answer))
    await asyncio.wait({server, announcement}, return_when=asyncio.FIRST_COMPLETED)
    if announcement.done() and announcement.exception():
        stop.set()
    await server
    announcement.cancel()


def _wait_for_the_owner(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 1):
        pass
    loop.call_soon_threadsafe(stop.set)
    time.sleep(EXIT_TIMEOUT)
    os._exit(1)


async def _announce(http_port: int, mqtt_port: int, answer: Any) -> None:
    """Wait until HTTP and MQTT answer, then tell the owner the ports and the authority of the server certificate."""
    while True:
        try:
            status, _ = await _get(http_port, "/_ministack/ready")
            if status == 200:
                break
        except OSError:
            pass
        await asyncio.sleep(READY_POLL)
    status, authority = await _get(http_port, "/_ministack/iot/ca.pem")
    answer.write(
        json.dumps(
            {
                "process": os.getpid(),
                "http_port": http_port,
                "mqtt_port": mqtt_port,
                "certificate_authority": authority.decode("ascii") if status == 200 else "",
            }
        )
        + "\n"
    )
    answer.close()


async def _get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode("ascii"))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body
    finally:
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
