"""The modelled MCU with the AWS demo: its log at the start and its command line."""

import pytest
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.models.demo_firmware import DemoFirmware, WifiCredentials
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

SERIAL_NUMBER = b"0123A1B2C3D4E5F6EE"
ENDPOINT = b"abcdefg-ats.iot.eu-west-1.amazonaws.com"
THING_NAME = b"bb53bda994549defe5c8edc1ebc7467a46577cef"
USAGE = b"Error. Wi-Fi command format is wifi <ssid>[,<pass>,[authType]]\r\n\x04"
COMMAND_LIST = (
    b"--------------------------------------------\r\nUnknown command. List of available commands:\r\nreset\r\n"
    b"device\r\nthing\r\nreconnect\r\nversion\r\ncli_version\r\nwifi <ssid>[,<pass>,[authType]]\r\ndebug\r\n"
    b"--------------------------------------------\r\n\x04"
)


def log(text: bytes) -> bytes:
    return SERIAL_NUMBER + b"\x04 \x1b[37m   NONE\x1b[37m \x1b[37mNORMAL\x1b[37m " + text + b"\x1b[0m\x1b[0m\r\n"


NO_ENDPOINT = log(
    b"AWS Endpoint is not present in WINC, either re-provision or microchip AWS sandbox endpoint will be used"
) + log(b"Using the AWS Sandbox endpoint : a1gqt8sttiign3.iot.us-east-2.amazonaws.com")
NO_THING_NAME = log(b"Thing Name is not present, error type 0, user defined thing ID is used")


class Demo:
    """A board with the demo; what it sent at its start, and its answers."""

    def __init__(self, endpoint: bytes = ENDPOINT + b"\0", thing_name: bytes = THING_NAME + b"\0\0") -> None:
        self.board = board_with(flash_of("avr-iot-aws-demo"))
        flash = self.board.wifi_module.flash
        flash[0x6E00 : 0x6E00 + len(endpoint)] = endpoint
        flash[0x6F00 : 0x6F00 + len(thing_name)] = thing_name
        self._sent = bytearray()
        self.mcu = ModelledMcu(self.board, self._sent.extend)
        self.mcu.start()
        self.start_log = self._take()

    def _take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def ask(self, data: bytes) -> bytes:
        self.mcu.receive(data)
        return self._take()

    @property
    def credentials(self) -> WifiCredentials | None:
        assert isinstance(self.mcu.firmware, DemoFirmware)
        return self.mcu.firmware.credentials


@pytest.mark.parametrize(
    ("endpoint", "thing_name", "logged", "thing"),
    [
        (
            ENDPOINT + b"\0",
            THING_NAME + b"\0\0",
            log(b"AWS Endpoint read from WINC is " + ENDPOINT)
            + log(b"Thing Name read from the device is " + THING_NAME),
            THING_NAME,
        ),
        (b"", b"", NO_ENDPOINT + NO_THING_NAME, b""),
        (b"", THING_NAME + b"\0", NO_ENDPOINT + log(b"Thing Name read from the device is " + THING_NAME), THING_NAME),
        (ENDPOINT + b"\0", b"my-thing\0", log(b"AWS Endpoint read from WINC is " + ENDPOINT) + NO_THING_NAME, b""),
        (
            ENDPOINT + b"\0",
            b"my-thing".ljust(41, b"\0"),
            log(b"AWS Endpoint read from WINC is " + ENDPOINT) + log(b"Thing Name read from the device is my-thing"),
            b"my-thing",
        ),
    ],
    ids=["both", "neither", "no endpoint", "short thing name", "padded thing name"],
)
def test_start_log_and_thing_tell_what_the_wifi_module_holds(endpoint, thing_name, logged, thing):
    demo = Demo(endpoint, thing_name)
    assert demo.start_log == logged
    assert demo.ask(b"thing\r\n") == thing + b"\r\n\x04"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"version\n", b"v4.1.2\r\n\x04"),
        (b"cli_version\n", b"v1.0.1\r\n\x04"),
        (b"device\r\n", SERIAL_NUMBER + b"\r\n\x04"),
        (b"thing x\n", THING_NAME + b"\r\n\x04"),
        (b"version\0x\n", b"v4.1.2\r\n\x04"),
        (b"reconnect\n", b"OK\r\n"),
        (b"debug 4\n", b"OK\r\n"),
        (b"debug 5\n", b"debug parameter must be between 0 (Least) and 4 (Most) \r\n"),
        (b"debug\n", b"debug parameter must be between 0 (Least) and 4 (Most) \r\n"),
        (b"THING\n", COMMAND_LIST),
        (b" thing\n", COMMAND_LIST),
        (b"\r\n", COMMAND_LIST),
        (b"\x04version\n", COMMAND_LIST),
        (b"x" * 130 + b"\n", b"\r\nCommand too long\r\n"),
        (b"ver", b""),
    ],
)
def test_commands(line, answer):
    assert Demo().ask(line) == answer


@pytest.mark.parametrize(
    ("argument", "credentials"),
    [
        (b"lab", (b"lab", b"", 1)),
        (b"two words,pass word 1,2", (b"two words", b"pass word 1", 2)),
        (b"lab,correct horse", (b"lab", b"correct horse", 2)),
        (b"lab,1", (b"lab", b"", 1)),
        (b"lab,,1", (b"lab", b"", 1)),
        (b"lab,secret,1", (b"lab", b"", 1)),
        (b"lab,0123456789,3", (b"lab", b"0123456789", 3)),
        (b"lab,b, 2", (b"lab", b"b", 2)),
        (b"lab,b,2x", (b"lab", b"b", 2)),
        (b"s" * 33 + b",1", (b"s" * 32, b"", 1)),
        (b"lab,2", None),
        (b"lab,2nd floor", None),
        (b"lab,3", None),
        (b"lab,b,4", None),
        (b"lab,b,0", None),
        (b"lab,with,comma,2", None),
        (b",,,", None),
        (b"", None),
    ],
)
def test_wifi_takes_credentials_as_the_demo_parses_them(argument, credentials):
    demo = Demo()
    before = bytes(demo.board.wifi_module.flash)
    assert demo.ask(b"wifi " + argument + b"\r\n") == (b"OK\r\n\x04" if credentials else USAGE)
    assert demo.credentials == (WifiCredentials(*credentials) if credentials else None)
    assert demo.board.wifi_module.flash == before


def test_a_reset_forgets_credentials_and_logs_again():
    demo = Demo()
    demo.ask(b"wifi lab,secret,2\n")
    assert demo.ask(b"reset\n") == demo.start_log
    assert demo.credentials is None
    assert demo.ask(b"version\n") == b"v4.1.2\r\n\x04"


def test_a_second_line_at_once_is_dropped():
    demo = Demo()
    assert demo.ask(b"device\r\nversion\r\n") == SERIAL_NUMBER + b"\r\n\x04"
    assert demo.ask(b"version\r\n") == b"v4.1.2\r\n\x04"


def test_a_line_feed_after_a_line_that_ended_with_carriage_return_is_ignored():
    demo = Demo()
    assert demo.ask(b"version\r") == b"v4.1.2\r\n\x04"
    assert demo.ask(b"thing\n") == b""
    assert demo.ask(b"thing\n") == THING_NAME + b"\r\n\x04"


def test_it_does_not_answer_without_the_secure_element():
    demo = Demo()
    demo.board.faults.secure_element_silent = True
    demo.mcu.start()
    assert demo.ask(b"version\n") == b""


def test_it_logs_nothing_without_the_wifi_module():
    demo = Demo()
    demo.board.faults.winc_silent = True
    demo.mcu.start()
    assert demo.ask(b"thing\n") == b"\r\n\x04"
    assert demo.ask(b"device\n") == SERIAL_NUMBER + b"\r\n\x04"
