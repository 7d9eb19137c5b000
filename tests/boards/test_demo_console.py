"""The console of the demo application, and the Wi-Fi networks it can be told."""

from __future__ import annotations

import traceback

import pytest
from support.serial_peer import MemoryPort

from iotprovision.boards.nedbg.wire import console
from iotprovision.boards.nedbg.wire.console import DemoConsole
from iotprovision.boards.nedbg.wire.wifi_line import console_line, warnings
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ChipRefusedError, SerialLinkError, UsageError
from iotprovision.formats.winc_flash import THING_NAME
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.demo_firmware import DemoFirmware, WifiCredentials

# What the vendor's AWS demo 4.1.2 sent, byte for byte.
SERIAL = b"0123A1B2C3D4E5F6EE"
BOOT_LOG = (
    SERIAL + b"\x04 \x1b[37m   NONE\x1b[37m \x1b[37mNORMAL\x1b[37m AWS Endpoint read from WINC is "
    b"abcdefg-ats.iot.eu-west-1.amazonaws.com\x1b[0m\x1b[0m\r\n"
)
SENSOR_LOG = (
    SERIAL + b'\x04 \x1b[37m   NONE\x1b[37m \x1b[37mNORMAL\x1b[37m payload: {"state":{"toggle":1}}\x1b[0m\x1b[0m\r\n'
)
COMMAND_LIST = (
    b"--------------------------------------------\r\nUnknown command. List of available commands:\r\n"
    b"reset\r\ndevice\r\nthing\r\nreconnect\r\nversion\r\ncli_version\r\nwifi <ssid>[,<pass>,[authType]]\r\ndebug\r\n"
    b"--------------------------------------------\r\n\x04"
)
THING = b"bb53bda994549defe5c8edc1ebc7467a46577cef"
WIFI_ERROR = b"Error. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04"


class Demo:
    """A demo application that answers like the vendor's, deaf until ``deaf_until`` seconds."""

    def __init__(self, deaf_until: float = 0.0) -> None:
        self.answers = {
            b"version": b"v4.1.2\r\n\x04",
            b"thing": THING + b"\r\n\x04",
            b"device": SERIAL + b"\r\n\x04",
            b"wifi": b"OK\r\n\x04",
        }
        self.deaf_until = deaf_until
        self.lose = 0
        self.port = MemoryPort(self.receive)
        self.lines: list[bytes] = []
        self._pending = b""

    def receive(self, data: bytes) -> bytes:
        if self.port.now < self.deaf_until:
            return b""
        if self.lose:
            self.lose -= 1
            data = data[1:]
        self._pending += data.replace(b"\r\n", b"\n")
        answer = b""
        while b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            self.lines.append(line)
            answer += self.answers.get(line.split(b" ")[0], COMMAND_LIST)
        return answer

    def console(self) -> DemoConsole:
        return DemoConsole(self.port.line(), self.sleep)

    def sleep(self, seconds: float) -> None:
        self.port.now += seconds


def test_a_demo_that_starts() -> None:
    demo = Demo(deaf_until=4.2)
    demo.port.deliver(BOOT_LOG, after=0.6)
    console_ = demo.console()
    console_.wait_ready()
    assert demo.port.now < 8
    assert console_.version() == "4.1.2"
    assert console_.thing() == THING.decode()
    assert console_.device() == bytes.fromhex("0123A1B2C3D4E5F6EE")
    console_.set_wifi(WifiNetwork("lab-ap", "correct horse"))
    assert demo.lines[-1] == b"wifi lab-ap,correct horse,2"


def test_the_log_between_and_before_the_answers_is_skipped() -> None:
    demo = Demo()
    for command, answer in demo.answers.items():
        demo.answers[command] = b"\x04" + SENSOR_LOG + answer[:-1] + SENSOR_LOG
    console_ = demo.console()
    for seconds in range(100):
        demo.port.deliver(SENSOR_LOG, after=float(seconds))
    console_.wait_ready()
    assert console_.version() == "4.1.2"
    assert console_.thing() == THING.decode()
    assert console_.device() == bytes.fromhex("0123A1B2C3D4E5F6EE")
    console_.set_wifi(WifiNetwork("lab-ap", security="open"))
    assert demo.lines[-1] == b"wifi lab-ap,1"


def test_answers_without_their_end_of_transmission() -> None:
    demo = Demo()
    demo.answers = {command: answer.rstrip(b"\x04") for command, answer in demo.answers.items()}
    assert demo.console().version() == "4.1.2"


def test_what_the_demo_does_not_have() -> None:
    demo = Demo()
    demo.answers |= {b"thing": b"\r\n\x04", b"device": b"Unknown.\r\n\x04"}
    assert demo.console().thing() == ""
    assert demo.console().device() is None


def test_a_demo_that_never_answers_is_given_up() -> None:
    demo = Demo(deaf_until=1000)
    with pytest.raises(SerialLinkError, match="does not answer"):
        demo.console().wait_ready()
    assert console.READY_TIMEOUT <= demo.port.now < console.READY_TIMEOUT + 2


def test_another_program_on_the_kit_is_not_taken_for_a_demo() -> None:
    port = MemoryPort(lambda sent: b"\r\nERROR: 0x1\r\n")
    with pytest.raises(SerialLinkError) as wrong:
        DemoConsole(port.line()).wait_ready()
    assert "ERROR: 0x1" in wrong.value.why


def test_a_lost_character_costs_a_second_try_and_no_more() -> None:
    demo = Demo()
    demo.lose = 1
    assert demo.console().version() == "4.1.2"
    assert demo.lines == [b"ersion", b"", b"version"]


def test_a_line_cut_short_in_the_receive_ring_is_not_mixed_with_the_next() -> None:
    demo = Demo()
    network = WifiNetwork("lab-ap", "correct horse")
    receive = demo.port.answer

    def cut_once(data: bytes) -> bytes:
        demo.port.answer = receive
        return receive(data[:12])

    demo.port.answer = cut_once
    demo.console().set_wifi(network)
    assert demo.lines[-1] == b"wifi lab-ap,correct horse,2"
    assert demo.lines[0] == b"wifi lab-ap,"
    assert demo.port.now < 10


def test_a_late_answer_is_not_taken_for_that_of_the_next_question() -> None:
    demo = Demo()
    console_ = demo.console()
    demo.deaf_until = 5.0
    demo.port.deliver(b"v4.1.2\r\n\x04", after=4.9)
    assert console_.version() == "4.1.2"
    assert console_.thing() == THING.decode()


def test_a_demo_without_the_command() -> None:
    demo = Demo()
    del demo.answers[b"thing"]
    with pytest.raises(SerialLinkError, match="does not know thing"):
        demo.console().thing()


def test_a_long_line_is_sent_in_pieces_the_board_can_take() -> None:
    demo = Demo()
    moments: list[float] = []

    def receive(data: bytes) -> bytes:
        moments.append(demo.port.now)
        return demo.receive(data)

    demo.port.answer = receive
    network = WifiNetwork("n" * 32, "p" * 59)
    demo.console().set_wifi(network)
    assert demo.lines == [b"wifi " + b"n" * 32 + b"," + b"p" * 59 + b",2"]
    assert all(len(piece) <= 48 for piece in demo.port.sent)
    assert all(later - earlier >= 0.06 for earlier, later in zip(moments, moments[1:], strict=False))


@pytest.mark.parametrize("answer", [WIFI_ERROR, COMMAND_LIST, b"", b"wifi lab-ap,correct horse,2\r\n\x04"])
def test_the_passphrase_is_in_no_error(answer: bytes) -> None:
    demo = Demo()
    demo.answers[b"wifi"] = answer
    secret = " ".join(["correct", "horse"])  # put together, so that the traceback's source lines do not hold it
    with pytest.raises((ChipRefusedError, SerialLinkError)) as failure:
        demo.console().set_wifi(WifiNetwork("lab-ap", secret))
    assert failure.type is (ChipRefusedError if answer == WIFI_ERROR else SerialLinkError)
    assert secret not in "".join(traceback.format_exception(failure.value)) + repr(failure.value)


@pytest.mark.parametrize(
    ("network", "credentials"),
    [
        (WifiNetwork("lab-ap", "correct horse"), WifiCredentials(b"lab-ap", b"correct horse", 2)),
        (WifiNetwork("lab-ap", "29 pass words"), WifiCredentials(b"lab-ap", b"29 pass words", 2)),
        (WifiNetwork("n" * 32, "p" * 59), WifiCredentials(b"n" * 32, b"p" * 59, 2)),
        (WifiNetwork("a", "ab" * 32), WifiCredentials(b"a", b"ab" * 32, 2)),
        (
            WifiNetwork("Büro", "Grüße aus Trondheim"),
            WifiCredentials("Büro".encode(), "Grüße aus Trondheim".encode(), 2),
        ),
        (WifiNetwork("two words", security="open"), WifiCredentials(b"two words", b"", 1)),
        (WifiNetwork("12345", security="open"), WifiCredentials(b"12345", b"", 1)),
    ],
)
def test_the_simulated_demo_gets_what_was_asked_for(network: WifiNetwork, credentials: WifiCredentials) -> None:
    secure_element, wifi_module = Ecc608(), Winc1510()
    wifi_module.flash[THING_NAME.address : THING_NAME.address + 41] = THING + b"\0"
    firmware = DemoFirmware(secure_element, wifi_module)
    port = MemoryPort(firmware.receive)
    port.deliver(firmware.start(), after=0.6)
    console_ = DemoConsole(port.line(), lambda seconds: None)
    console_.wait_ready()
    assert console_.version() == "4.1.2"
    assert console_.thing() == THING.decode()
    assert console_.device() == secure_element.serial_number
    console_.set_wifi(network)
    assert firmware.credentials == credentials


# --- networks


@pytest.mark.parametrize(
    ("network", "line"),
    [
        (WifiNetwork("lab-ap", "correct horse"), "wifi lab-ap,correct horse,2"),
        (WifiNetwork("two words", "29 pass words"), "wifi two words,29 pass words,2"),
        (WifiNetwork("lab-ap", None, "open"), "wifi lab-ap,1"),
        (WifiNetwork("lab-ap", "", "open"), "wifi lab-ap,1"),
        (WifiNetwork("Büro", "Grüße aus Trondheim"), "wifi Büro,Grüße aus Trondheim,2"),
        (WifiNetwork("ü" * 16, "12345678"), "wifi " + "ü" * 16 + ",12345678,2"),
        (WifiNetwork("a", "ab" * 32), "wifi a," + "ab" * 32 + ",2"),
        (WifiNetwork("a", "p" * 63), "wifi a," + "p" * 63 + ",2"),
        (WifiNetwork("a", "abcde", "wep"), "wifi a,abcde,3"),
        (WifiNetwork("a", "0123456789ABCDEF0123456789", "wep"), "wifi a,0123456789ABCDEF0123456789,3"),
    ],
)
def test_the_line_for_a_network(network: WifiNetwork, line: str) -> None:
    assert console_line(network) == line


@pytest.mark.parametrize(
    ("ssid", "passphrase", "security", "text"),
    [
        ("", "12345678", "wpa-psk", "0 bytes"),
        ("n" * 33, "12345678", "wpa-psk", "33 bytes"),
        ("ü" * 17, "12345678", "wpa-psk", "34 bytes"),
        ("a,b", "12345678", "wpa-psk", "splits its line at commas"),
        ("a\nb", "12345678", "wpa-psk", "control character"),
        ("a\x04", "12345678", "wpa-psk", "control character"),
        ("a\udcff", "12345678", "wpa-psk", "not valid UTF-8"),
        ("a", "s3cret", "wpa-psk", "6 bytes"),
        ("a", "s3cret" * 11, "wpa-psk", "66 bytes"),
        ("a", "s" + "3" * 63, "wpa-psk", "64 bytes"),
        ("a", "s3cret,s3cret", "wpa-psk", "splits its line at commas"),
        ("a", "s3cret\ts3cret", "wpa-psk", "control character"),
        ("a", None, "wpa-psk", "needs a passphrase"),
        ("a", "", "wep", "needs a passphrase"),
        ("a", "s3cret", "wep", "WEP key"),
        ("a", "s3cret7890", "wep", "WEP key"),
        ("a", "s3cret78", "open", "open Wi-Fi network"),
        ("a", "s3cret78", "ieee802.1x", "802.1X"),
        ("a", "s3cret78", "wpa3", "Unknown Wi-Fi security"),
        ("n" * 32, "s" * 60, "wpa-psk", "too long together"),
    ],
)
def test_networks_the_board_cannot_take(ssid: str, passphrase: str | None, security: str, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        console_line(WifiNetwork(ssid, passphrase, security))
    assert text in str(refused.value)
    if passphrase:
        assert passphrase not in str(refused.value)


def test_the_passphrase_is_not_in_what_a_network_prints() -> None:
    network = WifiNetwork("lab-ap", "correct horse")
    assert "correct" not in repr(network) + str(network) + f"{network}"
    assert "lab-ap" in repr(network)


def test_what_may_not_work_is_said() -> None:
    assert warnings(WifiNetwork("lab-ap", "12345678")) == ()
    assert "sends nothing" in warnings(WifiNetwork("lab-ap", "abcde", "wep"))[0]
    assert "space" in warnings(WifiNetwork("lab-ap ", None, "open"))[0]


@pytest.mark.parametrize("ssid", ["a,b", "a\x04"])
def test_what_the_console_cannot_take_is_a_network_all_the_same(ssid: str) -> None:
    assert WifiNetwork(ssid, "n,b" * 4).ssid == ssid
