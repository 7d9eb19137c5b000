"""A kit whose serial port is reached through a network: RFC 2217, as servers for serial ports speak it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import serial
import serial.rfc2217
from support.running import run_tool
from support.simulated import kits_on_the_bus


class Rfc2217Server:
    """Serves one serial port to one client after the other; pyserial's own implementation of the server's side."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.baud_rates: list[int] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, serial.serial_for_url(self._url, timeout=0.05) as port:
                    self._exchange(client, port)

    def _exchange(self, client: socket.socket, port: serial.SerialBase) -> None:
        class Connection:
            @staticmethod
            def write(data: bytes) -> None:
                client.sendall(data)

        manager = serial.rfc2217.PortManager(port, Connection())
        ended = threading.Event()

        def forward() -> None:
            with contextlib.suppress(OSError, serial.SerialException):
                while not ended.is_set():
                    if data := port.read(port.in_waiting or 1):
                        client.sendall(b"".join(manager.escape(data)))

        reader = threading.Thread(target=forward)
        reader.start()
        with contextlib.suppress(OSError):
            while data := client.recv(1024):
                port.write(b"".join(manager.filter(data)))
                self.baud_rates.append(port.baudrate)
        ended.set()
        reader.join()


@contextlib.contextmanager
def port_server(url: str) -> Iterator[Rfc2217Server]:
    server = Rfc2217Server(url)
    try:
        yield server
    finally:
        server.close()


def test_provisioning_through_rfc2217(tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "simulator") as kits, port_server(kits.kits[0].uart) as server:
        outcome = run_tool(
            tmp_path, "--simulate", "-m", "jitr", "certs", "provision", "--no-lock", "-P", server.url, "--json"
        )
        assert outcome.code == 0, outcome.err
        assert outcome.document["kit"]["port"] == server.url
        assert 115200 in server.baud_rates
        assert kits.meters()["winc_page_writes"] > 0
