"""The modelled MCU of the PIC-IoT kits: in what its firmware differs from that of the AVR-IoT kits."""

from __future__ import annotations

import pytest
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.models.modelled_mcu import ModelledMcu

COMMANDS = [
    *("ABOUT", "BLOBTEST", "PING", "ECC+GENPUBKEY", "ECC+LOCK", "ECC+OTP+READ", "ECC+PUBKEY+READ"),
    *("ECC+PUBKEY+WRITE", "ECC+READ", "ECC+SERIAL", "ECC+SIGNDIGEST", "ECC+WRITEBLOB", "GETLED", "LISTCOMMANDS"),
    *("RESET", "SETLED", "VERSION", "WINC+ERASE", "WINC+READ", "WINC+WRITEBLOB"),
]
ABOUT = (
    b"PIC-IoT provisioning FW\r\nFW 0.4.7\r\nWINC firmware 19.7.7\r\nWINC driver 19.3.0\r\n"
    b"Command handler 1.3.0\r\nfor the PIC-IoT WG\r\n"
)


class Conversation:
    """A PIC with an image, and what it sent."""

    def __init__(self, image: str) -> None:
        self.board = board_with(flash_of(image))
        self._sent = bytearray()
        self.mcu = ModelledMcu(self.board, self._sent.extend)
        self.mcu.start()
        self.banner = self._take()

    def _take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def ask(self, data: bytes) -> bytes:
        self.mcu.receive(data)
        return self._take()


@pytest.fixture
def provisioning() -> Conversation:
    return Conversation("pic-iot-provisioning")


def test_banner(provisioning: Conversation) -> None:
    assert provisioning.mcu.baud_rate == 115200
    assert provisioning.banner == b"Welcome to the PIC-IoT command handler!\r\n" + ABOUT + b"READY\r\n"
    assert provisioning.ask(b"MC+RESET\r\n") == b"\r\n" + provisioning.banner


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"MC+ABOUT", b"\r\n" + ABOUT + b"\r\nOK\r\n"),
        (b"MC+VERSION=FIRMWARE", b"\r\n0.4.7\r\n\r\nOK\r\n"),
        (b"MC+VERSION", b"\r\n1.3.0\r\n\r\nOK\r\n"),
        (b"MC+SETLED=CONN,ON", b"\r\nOK\r\n"),
        (b"MC+GETLED=ALL", b"\r\nERROR: 0x5\r\n"),
        (b"MC+ECC+SERIAL", b"\r\n0123A1B2C3D4E5F6EE\r\nOK\r\n"),
        (b"mc+ping=abc", b"\r\nMC+PONG=ABC\r\nOK\r\n"),
    ],
)
def test_answers(provisioning: Conversation, command: bytes, answer: bytes) -> None:
    assert provisioning.ask(command + b"\r\n") == answer


def test_commands_in_the_order_of_the_image(provisioning: Conversation) -> None:
    listed = "".join(f"MC+{name}\r\n" for name in COMMANDS)
    assert provisioning.ask(b"MC+LISTCOMMANDS\r\n") == f"\r\n{listed}\r\nOK\r\n".encode()


def test_slot_0_is_not_locked_at_the_start(provisioning: Conversation) -> None:
    avr = Conversation("avr-iot-provisioning")
    assert provisioning.board.meters.as_dict()["secure_element_locks"] == 0
    assert avr.board.meters.as_dict()["secure_element_locks"] == 1


def test_a_second_command_waits_in_the_larger_ring() -> None:
    two = b"MC+ECC+GENPUBKEY=0\r\nMC+PING=SECOND\r\n"
    assert Conversation("pic-iot-provisioning").ask(two).endswith(b"\r\nMC+PONG=SECOND\r\nOK\r\n")
    assert b"SECOND" not in Conversation("avr-iot-provisioning").ask(two)


@pytest.mark.parametrize(
    ("image", "version", "command_line", "own"),
    [("pic-iot-aws-demo", b"4.1.3", b"1.0.1", b"thing"), ("pic-iot-google-demo", b"1.1.1", b"1.1.1", b"key")],
)
def test_console_of_the_demos(image: str, version: bytes, command_line: bytes, own: bytes) -> None:
    demo = Conversation(image)
    assert demo.mcu.baud_rate == 9600
    assert demo.ask(b"version\r\n") == b"v" + version + b"\r\n\x04"
    assert demo.ask(b"cli_version\r\n") == b"v" + command_line + b"\r\n\x04"
    assert demo.ask(b"device\r\n") == b"0123A1B2C3D4E5F6EE\r\n\x04"
    assert demo.ask(b"wifi home,secretsecret,2\r\n") == b"OK\r\n\x04"
    assert b"\r\ndevice\r\n" + own + b"\r\nreconnect\r\n" in demo.ask(b"\r\n")


def test_the_aws_demo_tells_its_names() -> None:
    demo = Conversation("pic-iot-aws-demo")
    assert b"AWS Endpoint is not present in WINC" in demo.banner
    flash = demo.board.wifi_module.flash
    flash[0x6E00:0x6E08] = b"example\0"
    flash[0x6F00:0x6F29] = b"kit".ljust(41, b"\0")
    demo.mcu.start()
    assert demo.ask(b"thing\r\n").endswith(b"kit\r\n\x04")


def test_the_bridge_is_not_modelled_and_silent() -> None:
    silent = Conversation("pic-iot-winc-upgrade")
    assert (silent.mcu.image, silent.mcu.baud_rate, silent.banner) == (None, None, b"")
    assert silent.ask(b"version\r\n") == b""
