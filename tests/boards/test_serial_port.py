"""Opening, losing and waiting for a serial port."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import serial
from support.serial_peer import LoopbackPeer, MemoryPort

from iotprovision.boards import serial_port as port
from iotprovision.boards.serial_port import SerialLine, open_port, shown
from iotprovision.errors import AccessError, SerialLinkError, UsageError

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo terminals")


def free_address() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[:2]


def test_bytes_go_both_ways_across_the_network() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(connection.recv(100).upper())
        assert connection.recv(1) == b""

    with LoopbackPeer(serve) as peer, open_port(peer.url, 9600) as line:
        line.write(b"version")
        assert line.drain(quiet=0.2, limit=5) == b"VERSION"
        assert line.name == peer.url


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_nobody_at_that_network_address(scheme: str) -> None:
    host, number = free_address()
    with pytest.raises(SerialLinkError, match="Nothing answers at"):
        open_port(f"{scheme}://{host}:{number}", 115200)


@pytest.mark.parametrize(
    "url", ["", "  ", "socket://", "socket://127.0.0.1", "socket://127.0.0.1:port", "rfc2217://:7", "telephone://7"]
)
def test_what_is_no_port_name(url: str) -> None:
    with pytest.raises(UsageError, match="not the name of a serial port"):
        open_port(url, 115200)


def test_a_port_that_does_not_exist(tmp_path: Path) -> None:
    name = "COM254" if sys.platform == "win32" else str(tmp_path / "ttyACM7")
    with pytest.raises(SerialLinkError, match="There is no serial port"):
        open_port(name, 115200)


@posix
def test_a_file_that_is_no_port(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a port")
    with pytest.raises(SerialLinkError, match="cannot be opened"):
        open_port(str(file), 115200)
    assert file.read_text() == "not a port"


@posix
def test_a_port_held_by_another_program() -> None:
    leader, follower = os.openpty()
    try:
        name = os.ttyname(follower)
        with open_port(name, 115200), pytest.raises(SerialLinkError, match="in use by another program"):
            open_port(name, 115200)
        with open_port(name, 115200) as line:
            os.write(leader, b"READY\r\n")
            assert line.read_some(5) == b"READY\r\n"
    finally:
        os.close(leader)
        os.close(follower)


@posix
def test_a_port_that_appears_late_is_waited_for(tmp_path: Path) -> None:
    leader, follower = os.openpty()
    link = tmp_path / "ttyACM0"
    looked = threading.Event()

    def appear(seconds: float) -> None:
        if looked.is_set():
            time.sleep(0.001)
            return
        looked.set()
        link.symlink_to(os.ttyname(follower))

    try:
        with open_port(str(link), 115200, wait=30, sleep=appear) as line:
            assert line.name == str(link)
        assert looked.is_set()
    finally:
        os.close(leader)
        os.close(follower)


# A test run as root may open everything, and Windows keeps only the words: these are the errors pyserial makes there.
@pytest.mark.parametrize(
    ("platform", "error", "kind", "text"),
    [
        ("linux", serial.SerialException(errno.EACCES, "could not open port"), AccessError, "dialout"),
        ("darwin", serial.SerialException(errno.EPERM, "could not open port"), AccessError, "Not permitted"),
        ("linux", serial.SerialException(errno.EBUSY, "could not open port"), SerialLinkError, "in use"),
        (
            "win32",
            serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)"),
            SerialLinkError,
            "in use",
        ),
        (
            "win32",
            serial.SerialException("could not open port 'COM3': FileNotFoundError(2, 'The system…', None, 2)"),
            SerialLinkError,
            "There is no serial port COM3",
        ),
    ],
)
def test_errors_of_other_systems_and_users(
    platform: str, error: OSError, kind: type[Exception], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise error

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(serial.Serial, "open", refuse)
    with pytest.raises(kind, match=text):
        open_port("COM3", 115200)


def test_the_other_end_goes_away_while_reading() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"half")

    with LoopbackPeer(serve) as peer, open_port(peer.url, 9600) as line:
        line.write(b"?")
        received = b""
        with pytest.raises(SerialLinkError, match="lost while reading"):
            while True:
                received += line.read_some(5)
        assert received == b"half"


def test_the_other_end_goes_away_while_writing() -> None:
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.close()
        gone.set()

    with LoopbackPeer(serve) as peer, open_port(peer.url, 9600) as line:
        assert gone.wait(10)
        with pytest.raises(SerialLinkError, match="lost while sending"):
            for _ in range(100):
                line.write(b"x" * 1000)


@posix
def test_the_device_vanishes_while_it_is_read() -> None:
    leader, follower = os.openpty()
    with open_port(os.ttyname(follower), 115200) as line:
        os.close(follower)
        os.close(leader)
        with pytest.raises(SerialLinkError, match="lost while reading"):
            line.read_some(5)


def test_a_reader_waits_as_long_as_it_was_told_and_no_longer() -> None:
    memory = MemoryPort()
    line = memory.line()
    assert line.read_some(2.0) == b""
    assert 2.0 <= memory.now <= 2.0 + 2 * port.POLL
    memory.deliver(b"late", after=1.0)
    assert line.read_some(2.0) == b"late"
    assert line.read_pending() == b""


def test_draining_ends_when_the_line_is_quiet_and_at_its_limit() -> None:
    memory = MemoryPort()
    for number in range(40):
        memory.deliver(b"x", after=0.05 * number)
    line = memory.line()
    assert 8 <= len(line.drain(quiet=0.2, limit=0.5)) < 20
    rest = line.drain(quiet=0.2, limit=10)
    assert len(rest) > 20
    assert memory.now < 3


def test_what_was_received_is_escaped_and_short() -> None:
    assert shown(b"") == "Nothing was received."
    assert "\\x1b" in shown(b"\x1b[2J") and "\x1b" not in shown(b"\x1b[2J")
    assert len(shown(bytes(100_000))) < 1000


def test_a_line_closes_its_port() -> None:
    memory = MemoryPort()
    with SerialLine(memory, "memory"):
        pass
    assert not memory.is_open
