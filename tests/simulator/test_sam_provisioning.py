"""The modelled MCU with the provisioning firmware of the SAM-IoT kits: it answers as the real one was recorded to."""

from __future__ import annotations

import pytest
from support.firmware_images import hex_image
from support.provisioning_transcript import SAM_IOT_WG, SAM_IOT_WX, check_answer, exchanges
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.models.modelled_mcu import FINGERPRINTS, ModelledMcu, fingerprint, recognize

WG, WX = "sam-iot-wg-provisioning", "sam-iot-wx-provisioning"


class Conversation:
    """A modelled MCU and what it sent."""

    def __init__(self, image: str) -> None:
        self.board: Board = board_with(flash_of(image))
        self._sent = bytearray()
        self.mcu = ModelledMcu(self.board, self._sent.extend)

    def start(self) -> bytes:
        self.mcu.start()
        return self._take()

    def ask(self, data: bytes) -> bytes:
        self.mcu.receive(data)
        return self._take()

    def _take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent


@pytest.mark.parametrize(("image", "transcript"), [(WG, SAM_IOT_WG), (WX, SAM_IOT_WX)])
def test_every_line_of_the_transcript_is_answered_byte_for_byte(image: str, transcript: str) -> None:
    conversation = Conversation(image)
    public_key = conversation.board.secure_element.private_keys[0].public_key()
    start, *lines = exchanges(transcript)
    assert conversation.start() == start.answer
    assert len(lines) == 178
    for exchange in lines:
        check_answer(exchange, conversation.ask(exchange.sent), public_key)


@pytest.mark.parametrize("image", [WG, WX])
def test_fingerprints_are_those_of_the_images(image: str) -> None:
    assert hex_image(image).flash_sha256 == FINGERPRINTS[image] == fingerprint(flash_of(image))
    assert recognize(flash_of(image)) == image


def test_twenty_commands_in_one_burst_are_all_answered() -> None:
    conversation = Conversation(WG)
    conversation.start()
    answer = conversation.ask(b"".join(b"MC+PING=%d\r\n" % number for number in range(20)))
    assert answer == b"".join(b"\r\nMC+PONG=%d\r\nOK\r\n" % number for number in range(20))


def test_a_blob_may_follow_its_command_at_once() -> None:
    conversation = Conversation(WG)
    conversation.start()
    blob = bytes(range(256)).hex().encode()
    assert conversation.ask(b"MC+WINC+WRITEBLOB=16384,256,512\r\n" + blob + b"\r\n") == b"\r\n>\r\n\r\nOK\r\n"
    assert bytes(conversation.board.wifi_module.flash[16384:16640]) == bytes(range(256))


def test_what_does_not_fit_the_receive_ring_is_lost() -> None:
    """While the secure element works 126 bytes wait: nine lines of fourteen characters."""
    conversation = Conversation(WG)
    conversation.start()
    pings = b"".join(b"MC+PING=%04d\r\n" % number for number in range(40))
    answer = conversation.ask(b"MC+ECC+SERIAL\r\n" + pings)
    assert b"PONG=0008" in answer
    assert answer.count(b"PONG") < 40


def test_without_the_secure_element_it_starts_and_says_so_in_its_answers() -> None:
    conversation = Conversation(WX)
    conversation.board.faults.secure_element_silent = True
    assert conversation.start() == exchanges(SAM_IOT_WX)[0].answer
    for command in (
        b"MC+ECC+SERIAL",
        b"MC+ECC+GENPUBKEY",
        b"MC+ECC+READ=8",
        b"MC+ECC+LOCK=10",
        b"MC+ECC+ADDR+WRITE=0x36",
    ):
        assert conversation.ask(command + b"\r\n") == b"\r\nERROR: 0x1F0\r\n"


def test_a_reset_brings_the_address_of_the_secure_element_back() -> None:
    conversation = Conversation(WG)
    conversation.start()
    assert conversation.ask(b"MC+ECC+ADDR+WRITE=106\r\n") == b"\r\nERROR: 0x1F0\r\n"
    assert conversation.ask(b"MC+ECC+ADDR+READ\r\n") == b"\r\n0x6A\r\n\r\nOK\r\n"
    conversation.ask(b"MC+RESET\r\n")
    assert conversation.ask(b"MC+ECC+ADDR+READ\r\n") == b"\r\n0x58\r\n\r\nOK\r\n"


def test_without_the_wifi_module_the_banner_is_short() -> None:
    conversation = Conversation(WG)
    conversation.board.faults.winc_silent = True
    assert conversation.start() == b"Welcome to the SAM-IoT provisioning command handler!\r\nREADY\r\n"
    assert conversation.ask(b"MC+ABOUT\r\n") == b"\r\nERROR: 0x2F4\r\n"
