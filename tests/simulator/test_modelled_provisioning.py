"""The modelled MCU with the provisioning firmware: it answers as the real one was recorded to answer."""

import pytest
from support.firmware_images import hex_image
from support.provisioning_transcript import check_answer, exchanges
from support.simulated_chips import FLASH_SIZE, board_with, flash_of

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.models.c_numbers import strtol, strtoul
from iotprovision.simulator.models.modelled_mcu import FINGERPRINTS, ModelledMcu, fingerprint, recognize

WELCOME = b"Welcome to the avr-iot command handler!\r\n"


class Conversation:
    """A modelled MCU and what it sent."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._sent = bytearray()
        self.mcu = ModelledMcu(board, self._sent.extend)

    def start(self) -> bytes:
        self.mcu.start()
        return self.take()

    def take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent

    def ask(self, data: bytes) -> bytes:
        self.mcu.receive(data)
        return self.take()


@pytest.fixture
def conversation() -> Conversation:
    conversation = Conversation(board_with(flash_of("avr-iot-provisioning")))
    conversation.start()
    return conversation


def test_every_line_of_the_transcript_is_answered_byte_for_byte():
    conversation = Conversation(board_with(flash_of("avr-iot-provisioning")))
    public_key = conversation.board.secure_element.private_keys[0].public_key()
    start, *lines = exchanges()
    assert conversation.start() == start.answer
    assert len(lines) == 147
    for exchange in lines:
        check_answer(exchange, conversation.ask(exchange.sent), public_key)


@pytest.mark.parametrize("piece", [1, 2, 5, 7])
def test_lines_may_come_in_pieces(piece):
    conversation = Conversation(board_with(flash_of("avr-iot-provisioning")))
    conversation.start()
    public_key = conversation.board.secure_element.private_keys[0].public_key()
    for exchange in exchanges()[1:]:
        if exchange.sent.count(b"MC+") > 1:  # in pieces, two commands are no longer too fast for the receive buffer
            continue
        pieces = [exchange.sent[start : start + piece] for start in range(0, len(exchange.sent), piece)]
        check_answer(exchange, b"".join(map(conversation.ask, pieces)), public_key)


@pytest.mark.parametrize("name", sorted(FINGERPRINTS))
def test_fingerprints_are_those_of_the_images(name):
    assert hex_image(name).flash_sha256 == FINGERPRINTS[name] == fingerprint(flash_of(name))
    assert recognize(flash_of(name)) == name


@pytest.mark.parametrize("change", ["blank", "one byte less", "one bit", "another image"])
def test_anything_else_in_flash_stays_silent(change):
    flash = bytearray(flash_of("avr-iot-provisioning"))
    if change == "blank":
        flash = bytearray(b"\xff" * FLASH_SIZE)
    elif change == "one byte less":
        flash[len(bytes(flash).rstrip(b"\xff")) - 1] = 0xFF
    elif change == "one bit":
        flash[0x100] ^= 1
    else:
        flash = bytearray(b"a program of the user's own".ljust(FLASH_SIZE, b"\xff"))
    conversation = Conversation(board_with(bytes(flash)))
    assert conversation.start() == b""
    assert conversation.ask(b"MC+PING=1\r\n") == b""
    assert conversation.mcu.baud_rate is None


def test_it_runs_only_between_start_and_stop(conversation):
    assert conversation.mcu.baud_rate == 115200
    assert b"PONG=1" in conversation.ask(b"MC+PING=1\r\n")
    conversation.mcu.stop()
    assert conversation.mcu.baud_rate is None
    assert conversation.ask(b"MC+PING=2\r\n") == b""
    assert conversation.start().endswith(b"READY\r\n")


def test_new_flash_content_counts_from_the_next_start(conversation):
    conversation.mcu.stop()
    conversation.board.flash[:] = flash_of("avr-iot-aws-demo")
    assert b"Sandbox endpoint" in conversation.start()
    assert conversation.mcu.baud_rate == 9600


def test_a_restart_forgets_an_unfinished_blob_and_the_leds(conversation):
    conversation.ask(b"MC+SETLED=ALL,ON\r\n")
    assert conversation.ask(b"MC+WINC+WRITEBLOB=0,4,8\r\n") == b"\r\n>"
    assert conversation.start().startswith(WELCOME)
    assert conversation.ask(b"MC+GETLED=ERROR\r\n") == b"\r\nLED:ERROR is OFF\n\r\r\nOK\r\n"
    assert conversation.board.wifi_module.flash[:4] == b"\xff" * 4


def test_the_start_locks_slot_0_once(conversation):
    assert conversation.board.secure_element.is_locked(0)
    conversation.start()
    assert conversation.board.meters.secure_element_locks == 1


def test_meters_of_the_board_count_what_the_chips_do(conversation):
    conversation.ask(b"MC+WINC+ERASE=0x5000\r\n")
    conversation.ask(b"MC+WINC+WRITEBLOB=0x50fe,4,8\r\n")
    conversation.ask(b"00112233\r\n")
    meters = conversation.board.meters
    assert (meters.winc_sector_erases, meters.winc_page_writes) == (1, 2)
    assert bytes(conversation.board.wifi_module.flash[0x50FD:0x5103]) == bytes.fromhex("ff00112233ff")


def test_without_the_wifi_module_the_banner_has_no_versions_and_commands_fail(conversation):
    conversation.board.faults.winc_silent = True
    assert conversation.start() == WELCOME + b"READY\r\n"
    for command in (b"MC+ABOUT", b"MC+VERSION=WINC", b"MC+WINC+READ=0,16", b"MC+WINC+ERASE=0"):
        assert conversation.ask(command + b"\r\n") == b"\r\nERROR: 0x2F4\r\n"
    assert conversation.ask(b"MC+WINC+WRITEBLOB=0,2,4\r\n") == b"\r\n>"
    assert conversation.ask(b"ffff\r\n") == b"\r\n\r\nERROR: 0x2F4\r\n"
    assert conversation.ask(b"MC+VERSION=FIRMWARE\r\n") == b"\r\n0.4.9\r\n\r\nOK\r\n"


def test_without_the_secure_element_nothing_is_ever_said(conversation):
    conversation.board.faults.secure_element_silent = True
    assert conversation.start() == b""
    assert conversation.ask(b"MC+PING=1\r\n") == b""


def test_a_refused_slot_is_an_execution_error(conversation):
    conversation.board.faults.secure_element_refused_slots = [0, 12]
    assert conversation.ask(b"MC+ECC+GENPUBKEY=0\r\n") == b"\r\nERROR: 0x1F4\r\n"
    assert conversation.ask(b"MC+ECC+LOCK=12\r\n") == b"\r\nERROR: 0x1F4\r\n"
    assert conversation.ask(b"MC+ECC+LOCK=11\r\n") == b"\r\nOK\r\n"


@pytest.mark.parametrize(
    ("text", "signed", "unsigned", "complete"),
    [
        (b"0", 0, 0, True),
        (b"017", 15, 15, True),
        (b"08", 0, 0, False),
        (b"0X1F", 31, 31, True),
        (b"0x", 0, 0, False),
        (b"0x-1", 0, 0, False),
        (b" +12", 12, 12, True),
        (b"-1", -1, 2**32 - 1, True),
        (b"- 1", 0, 0, False),
        (b"4294967296", 2**31 - 1, 2**32 - 1, True),
        (b"-99999999999", -(2**31), 2**32 - 1, True),
        (b"12A", 12, 12, False),
        (b"", 0, 0, True),
        (b"XYZ", 0, 0, False),
    ],
)
def test_numbers_are_read_as_in_c(text, signed, unsigned, complete):
    assert (strtol(text).value, strtoul(text).value) == (signed, unsigned)
    assert strtol(text).complete == strtoul(text).complete == complete
