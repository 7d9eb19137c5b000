"""The radio of the simulated Wi-Fi module, asked as the WINC driver asks, and what reads along."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest

from iotprovision.errors import UsageError
from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.board.mqtt_traffic import MqttTraffic
from iotprovision.simulator.board.surroundings import DEFAULT_ACCESS_POINT, AccessPoint, CloudAddress, Surroundings
from iotprovision.simulator.chips.mcp9808 import Mcp9808
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.radio.host_interface import HostInterface
from iotprovision.simulator.radio.station import WifiStation

# Registers of the driver's host interface.
REQUEST, ROOM_WANTED, ROOM, SENT = 0x108C, 0x1078, 0x150400, 0x106C
COMES, COMES_FROM = 0x1070, 0x1084
WIFI, NETWORK = 1, 2
CONNECT, DEFAULT_CONNECT, DISCONNECT, GET_TIME, RESOLVE = 59, 41, 43, 26, 0x4A
STATE, DEFAULT_ANSWER, ADDRESS, TIME = 44, 42, 50, 27
HOST = "a1b2-ats.iot.us-east-1.localhost"


@dataclass
class Driver:
    """The module's other side, as the driver on the MCU plays it."""

    module: Winc1510 = field(default_factory=Winc1510)
    record: ConnectionRecord = field(default_factory=ConnectionRecord)
    surroundings: Surroundings | None = None
    interrupts: list[bool] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.host = HostInterface(self.module, self.interrupts.append)
        self.station = WifiStation(self.host, self.module.flash, lambda: self.surroundings, self.record)

    def reset(self) -> None:
        self.module.reset()
        self.host.reset()
        self.station.reset()

    def ask(self, group: int, operation: int, payload: bytes = b"") -> None:
        length = 8 + len(payload)
        self.module.write_register(REQUEST, group | operation << 8 | length << 16)
        self.module.write_register(ROOM_WANTED, 2)
        assert not self.module.read_register(ROOM_WANTED) & 2
        address = self.module.read_register(ROOM)
        assert address
        self.module.write_memory(address, struct.pack("<BBH", group, operation, length) + b"\xaa" * 4 + payload)
        self.module.write_register(SENT, address << 2 | 2)

    def messages(self, seconds: float) -> list[tuple[int, int, bytes]]:
        """All that comes in simulated seconds, each taken when the interrupt says so."""
        found = []
        end = self.now + seconds
        while self.now < end:
            self.now += 0.01
            self.host.tick(self.now)
            value = self.module.read_register(COMES)
            if not value & 1:
                continue
            assert self.interrupts[-1] is False
            self.module.write_register(COMES, value & ~1)
            address, size = self.module.read_register(COMES_FROM), value >> 2 & 0xFFF
            group, operation, length = struct.unpack("<BBH", self.module.read_memory(address, 4))
            assert size % 4 == 0
            assert 0 <= size - length <= 4
            found.append((group, operation, self.module.read_memory(address + 8, length - 8)))
            self.module.write_register(COMES, self.module.read_register(COMES) | 2)
            assert self.interrupts[-1] is True
        return found

    def join(self, ssid: bytes, passphrase: bytes = b"", store: int = 3) -> list[tuple[int, int, bytes]]:
        security = 2 if passphrase else 1
        head = struct.pack("<HBBB32sB6s", 152 if passphrase else 44, store, 255, len(ssid), ssid, 0, b"")
        credentials = struct.pack("<B64s", len(passphrase), passphrase) + bytes(43) if passphrase else b""
        self.ask(WIFI, CONNECT, head + bytes([security, 0, 0, 0]) + credentials)
        return self.messages(1)


@pytest.fixture
def driver() -> Driver:
    return Driver(surroundings=Surroundings(AccessPoint("lab", "correct horse"), CloudAddress({HOST: 1}, "")))


def test_joining_gives_an_address_and_the_time(driver: Driver) -> None:
    driver.ask(WIFI, GET_TIME)
    assert driver.messages(0.1) == [(WIFI, TIME, bytes(8))]
    state, address = driver.join(b"lab", b"correct horse")
    assert state == (WIFI, STATE, bytes([1, 0, 0, 0]))
    assert address[:2] == (WIFI, ADDRESS)
    assert address[2][:4] == bytes([192, 0, 2, 10])
    assert len(address[2]) == 24
    driver.ask(WIFI, GET_TIME)
    ((_, _, time),) = driver.messages(0.1)
    year, month = struct.unpack("<HB", time[:3])
    assert (year >= 2025, 1 <= month <= 12) == (True, True)


@pytest.mark.parametrize(
    ("ssid", "passphrase", "error", "word"),
    [
        (b"elsewhere", b"correct horse", 1, "elsewhere"),
        (b"lab", b"wrong horse", 3, "passphrase"),
        (b"lab", b"", 3, "security"),
    ],
)
def test_a_network_that_cannot_be_joined(driver: Driver, ssid: bytes, passphrase: bytes, error: int, word: str) -> None:
    assert driver.join(ssid, passphrase) == [(WIFI, STATE, bytes([0, error, 0, 0]))]
    assert word in driver.record.refused_joins[0]
    driver.reset()
    driver.ask(WIFI, DEFAULT_CONNECT)
    assert driver.messages(1) == [(WIFI, DEFAULT_ANSWER, struct.pack("<b3x", -20))], "only what was right is saved"


def test_what_was_joined_is_joined_again_after_a_reset(driver: Driver) -> None:
    driver.join(b"lab", b"correct horse")
    driver.reset()
    driver.ask(WIFI, DEFAULT_CONNECT)
    assert [message[:2] for message in driver.messages(1)] == [(WIFI, STATE), (WIFI, ADDRESS)]
    assert set(driver.module.flash[0xA000:0xA100]) == {0xFF}, "only its own sector"
    assert not any(driver.module.meters.as_dict().values()), "no write of the host's"


def test_it_is_not_saved_where_the_host_does_not_want_that(driver: Driver) -> None:
    driver.join(b"lab", b"correct horse", store=0)
    assert set(driver.module.flash[0x9000:0xA000]) == {0xFF}


def test_an_open_network() -> None:
    driver = Driver(surroundings=Surroundings(AccessPoint("cafe", ""), CloudAddress({}, "")))
    assert driver.join(b"cafe")[0] == (WIFI, STATE, bytes([1, 0, 0, 0]))


def test_names_of_the_cloud_and_no_others(driver: Driver) -> None:
    driver.join(b"lab", b"correct horse")
    answers = []
    for name in (HOST, "www.example.com"):
        driver.ask(NETWORK, RESOLVE, name.encode() + b"\0")
        answers += driver.messages(0.1)
    (_, _, known), (_, _, unknown) = answers
    assert (known[:64].rstrip(b"\0").decode(), known[64:] != bytes(4)) == (HOST, True)
    assert unknown[64:] == bytes(4)
    assert driver.station.name_of(known[64:]) == HOST
    assert "www.example.com" in driver.record.attempts[-1]["reason"]


def test_leaving_the_network(driver: Driver) -> None:
    driver.join(b"lab", b"correct horse")
    driver.ask(WIFI, DISCONNECT)
    assert driver.messages(0.1) == [(WIFI, STATE, bytes(4))]
    driver.ask(NETWORK, RESOLVE, HOST.encode() + b"\0")
    assert driver.messages(0.1)[0][2][64:] == bytes(4)


def test_messages_wait_for_each_other_and_a_reset_forgets_them(driver: Driver) -> None:
    for _ in range(2):
        driver.ask(WIFI, GET_TIME)
    driver.host.tick(1)
    assert driver.module.read_register(COMES) & 1
    driver.module.write_register(COMES, driver.module.read_register(COMES) & ~1)
    driver.host.tick(2)
    assert not driver.module.read_register(COMES) & 1, "the host has not said that it is done"
    driver.reset()
    driver.now = 2
    assert driver.messages(1) == []


def test_a_request_that_nobody_knows_or_that_is_cut_off_is_taken(driver: Driver) -> None:
    driver.ask(4, 99, b"abc")
    driver.ask(WIFI, CONNECT, b"abc")
    assert driver.messages(0.5) == []


# --- parts around it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["lab", ":correct horse", "lab:short", "x" * 33 + ":correct horse", "lab:" + "x" * 64])
def test_access_points_that_there_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="SSID:PASSPHRASE"):
        AccessPoint.parse(text)


def test_access_points() -> None:
    assert AccessPoint.parse("lab:a:b and c!") == AccessPoint("lab", "a:b and c!")
    assert AccessPoint.parse("open:") == AccessPoint("open", "")
    assert AccessPoint.parse(DEFAULT_ACCESS_POINT).ssid == "lab"
    assert "horse" not in repr(AccessPoint.parse("lab:correct horse"))


@pytest.mark.parametrize(("celsius", "register"), [(25.25, 0x0194), (-0.0625, 0x1FFF), (23.5, 0x0178)])
def test_the_temperature_as_the_datasheet_codes_it(celsius: float, register: int) -> None:
    sensor = Mcp9808(celsius)
    sensor.start()
    sensor.write(0x05)
    sensor.start()
    assert int.from_bytes(bytes([sensor.read(), sensor.read()]), "big") == register
    sensor.start()
    for byte in (0x06, 0, 0):
        sensor.write(byte)
    sensor.start()
    assert bytes([sensor.read(), sensor.read()]) == bytes.fromhex("0054"), "the manufacturer's number"


def test_mqtt_is_read_along_wherever_it_is_cut() -> None:
    """Packets as in the OASIS standard; a topic of 200 bytes needs two bytes of remaining length."""
    topic = "t" * 200
    connect = bytes.fromhex("1010 0004 4d515454 04 02 000a 0004") + b"abcd"
    publish = bytes([0x32, 0xCE, 0x01]) + b"\x00\xc8" + topic.encode() + b"\x00\x07" + b"ab"
    subscribe = bytes.fromhex("8208 0001 0003") + b"a/b" + b"\x00"
    sent, came = connect + publish + subscribe, bytes.fromhex("20020000 9003000100 3005 0003") + b"a/b"
    for cut in (1, 3, 1000):
        traffic = MqttTraffic()
        for start in range(0, len(sent), cut):
            traffic.sent(sent[start : start + cut])
        for start in range(0, len(came), cut):
            traffic.came(came[start : start + cut])
        assert (traffic.client_id, traffic.answer) == ("abcd", 0)
        assert traffic.published == [(topic, b"ab")]
        assert (traffic.subscribed, traffic.received) == (["a/b"], ["a/b"])


def test_what_is_no_mqtt_is_no_trouble() -> None:
    traffic = MqttTraffic()
    for data in (b"GET / HTTP/1.1\r\n\r\n", bytes.fromhex("1000 3000 8200"), bytes(range(256))):
        traffic.sent(data)
        traffic.came(data)
    assert traffic.published == []
