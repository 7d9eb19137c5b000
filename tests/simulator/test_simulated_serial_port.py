"""The serial port of a simulated kit, with a microcontroller that answers in capitals."""

import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import serial
from support.simulated import eventually

from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.conditions.meters import Meters
from iotprovision.simulator.debugger.serial_bridge import SerialBridge

TERMINAL = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")


@dataclass
class Loud:
    """A kit that says in capitals what it hears."""

    meters: Meters = field(default_factory=Meters)
    faults: Faults = field(default_factory=Faults)
    has_serial_port: bool = True
    baud_rate: int | None = 115200
    heard: bytes = b""

    def __post_init__(self):
        self.board = self
        self.bridge = SerialBridge(self)

    def receive(self, data):
        self.heard += data
        self.bridge.transmit(data.upper())


@pytest.fixture
def kit():
    loud = Loud()
    yield loud
    loud.bridge.close()


@pytest.fixture(params=["socket", pytest.param("terminal", marks=TERMINAL)])
def url(request, kit):
    return kit.bridge.url if request.param == "socket" else kit.bridge.terminal_path


def opened(url, baud_rate=115200):
    return serial.serial_for_url(url, baud_rate, timeout=5, write_timeout=5)


def test_bytes_go_both_ways_and_are_counted(kit, url):
    with opened(url) as port:
        port.write(b"hello")
        assert port.read(5) == b"HELLO"
    assert kit.meters.uart_bytes_to_kit == kit.meters.uart_bytes_from_kit == 5


def test_what_is_said_to_nobody_is_lost_and_counted(kit, url):
    kit.bridge.transmit(b"lost")
    eventually(lambda: kit.meters.uart_bytes_discarded == 4, "discarding")
    with opened(url) as port:
        port.write(b"x")
        assert port.read(1) == b"X"


def test_what_one_opener_left_unread_never_reaches_the_next(kit, url):
    for number in range(3):
        with opened(url) as port:
            port.write(b"%d" % number)
            assert port.read(1) == b"%d" % number
            kit.bridge.transmit(b"stale")
            eventually(lambda: kit.meters.uart_bytes_from_kit % 6 == 0, "delivery")


@TERMINAL
def test_unread_bytes_are_gone_for_an_opener_that_does_not_flush(kit):
    path = kit.bridge.terminal_path
    with opened(path) as port:
        kit.bridge.transmit(b"stale")
        eventually(lambda: port.in_waiting, "delivery")
    kit.bridge.transmit(b"to nobody")
    eventually(lambda: kit.meters.uart_bytes_discarded == 9, "noticing that the port was closed")
    with Path(path).open("r+b", buffering=0) as plain:
        plain.write(b"x")
        assert eventually(lambda: plain.read(5), "an answer") == b"X"


def test_much_and_fast(kit, url):
    content = bytes(range(ord("A"), ord("A") + 26)) * 4000
    with opened(url) as port:
        read = b""
        for start in range(0, len(content), 1000):
            port.write(content[start : start + 1000])
            read += port.read(1000)
    assert read == content


def test_a_host_that_does_not_read_holds_up_nobody(kit, url):
    with opened(url) as port:
        for _ in range(40):
            port.write(b"x" * 1000)
        kit.bridge.transmit(b"y" * (2 << 20))
        eventually(lambda: len(kit.heard) == 40_000, "hearing all of it")


def test_second_socket_is_turned_away(kit):
    address = ("127.0.0.1", int(kit.bridge.url.rsplit(":", 1)[1]))
    with opened(kit.bridge.url) as port, socket.create_connection(address, timeout=5) as second:
        assert second.recv(1) == b""
        port.write(b"a")
        assert port.read(1) == b"A"
    with opened(kit.bridge.url) as port:
        port.write(b"b")
        assert port.read(1) == b"B"


@TERMINAL
def test_wrong_baud_rate_gives_garbage_both_ways(kit):
    with opened(kit.bridge.terminal_path, 9600) as port:
        port.write(b"hello")
        assert len(said := port.read(5)) == 5
        assert kit.heard != b"hello"
        assert said != kit.heard.upper()
        port.baudrate = 115200
        port.write(b"hello")
        assert port.read(5) == b"HELLO"


def test_port_is_lost_when_the_kit_leaves_the_bus(kit, url):
    with opened(url) as port:
        kit.has_serial_port = False
        kit.bridge.hang_up()
        with pytest.raises(serial.SerialException):
            port.read(1)
    kit.has_serial_port = True
    again = kit.bridge.url if url.startswith("socket") else kit.bridge.terminal_path
    with opened(again) as port:
        port.write(b"back")
        assert port.read(4) == b"BACK"


def test_faults_of_the_line(kit, url):
    with opened(url) as port:
        kit.faults.uart_garbage_after_bytes = 2
        port.write(b"abcd")
        assert port.read(4) == b"AB\xbcD"
        kit.faults.uart_drop_after_bytes = 3
        port.write(b"abcd")
        assert port.read(3) == b"ABC"
        with pytest.raises(serial.SerialException):
            port.read(1)


def test_late_answer(kit, url):
    with opened(url) as port:
        kit.faults.uart_answer_delay = 0.3
        port.write(b"late")
        port.timeout = 0.05
        assert port.read(4) == b""
        port.timeout = 5
        assert port.read(4) == b"LATE"
