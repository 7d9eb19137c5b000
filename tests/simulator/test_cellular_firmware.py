"""The modelled MCU of the AVR-IoT Cellular Mini with its provisioning firmware, and the modem behind the bridge."""

from __future__ import annotations

import pytest
from support.cellular_board import CellularBoard
from support.provisioning_transcript import CELLULAR_MINI, check_answer, exchanges

from iotprovision.simulator.chips.sequans import Sequans

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"


@pytest.fixture
def board() -> CellularBoard:
    board = CellularBoard()
    board.start()
    return board


@pytest.fixture
def modem(board: CellularBoard) -> CellularBoard:
    """The board with the bridge open, and what the modem said at its start taken."""
    assert board.ask(b"MC+BRIDGEMODE\r") == b"\r\nOK\r\n\r\n+SYSSTART\r\n"
    return board


def test_every_line_of_the_transcript_is_answered_byte_for_byte() -> None:
    board = CellularBoard()
    board.board.faults.modem_silent = True
    public_key = board.board.secure_element.private_keys[0].public_key()
    start, *lines = exchanges(CELLULAR_MINI)
    assert board.start() == start.answer
    assert len(lines) == 42
    for exchange in lines:
        check_answer(exchange, board.ask(exchange.sent), public_key)


@pytest.mark.parametrize("command", [b"MC+WINC+READ=0,16", b"MC+WINC+ERASE=0", b"MC+WINC+WRITEBLOB=0,2,4"])
def test_there_is_no_wifi_module(board: CellularBoard, command: bytes) -> None:
    assert board.ask(command + b"\r\n") == b"\r\nERROR: 0x1\r\n"
    assert board.ask(b"MC+VERSION=WINC\r\n") == b"\r\nERROR: 0x5\r\n"


def test_what_is_no_way_to_ask_for_the_bridge(board: CellularBoard) -> None:
    assert board.ask(b"MC+BRIDGEMODE=NOW\r\n") == b"\r\nERROR: 0x5\r\n"
    assert board.ask(b"MC+BRIDGEMODE=PERMANENT,1\r\n") == b"\r\nERROR: 0x3\r\n"
    assert b"PONG=1" in board.ask(b"MC+PING=1\r\n")


def test_the_bridge_carries_everything_but_its_end(modem: CellularBoard) -> None:
    assert modem.ask(b"AT\r") == b"\r\nOK\r\n"
    assert modem.ask(b"MC+PING=1\r") == b"\r\nERROR\r\n", "the modem got it"
    assert modem.ask(b"AT\r\x04MC+PING=1\r\n") == b"\r\nOK\r\nOK\r\n\r\nMC+PONG=1\r\nOK\r\n"


def test_a_permanent_bridge_ends_with_a_reset(board: CellularBoard) -> None:
    board.ask(b"MC+BRIDGEMODE=PERMANENT\r")
    assert board.ask(b"\x04\r") == b"\r\nERROR\r\n"
    assert board.start().endswith(b"READY\r\n")
    assert b"PONG=1" in board.ask(b"MC+PING=1\r\n")


def test_a_certificate_is_kept_without_power(modem: CellularBoard) -> None:
    assert modem.ask(b'AT+SQNSNVW="certificate",18,%d\r' % len(CERTIFICATE)) == b"\r\n> "
    assert modem.ask(CERTIFICATE) == b"\r\nOK\r\n"
    again = Sequans.from_state(modem.modem.state())
    header = b'\r\n+SQNSNVR: "certificate",18,%d\r\n' % len(CERTIFICATE)
    assert again.receive(b'AT+SQNSNVR="certificate",18\r') == header + CERTIFICATE + b"\r\nOK\r\n"
    assert modem.board.meters.modem_writes == 1
    assert modem.ask(b'AT+SQNSNVW="certificate",18,0\r') == b"\r\nOK\r\n"
    assert modem.ask(b'AT+SQNSNVR="certificate",18\r') == b"\r\nOK\r\n"


@pytest.mark.parametrize(
    "command",
    [b'AT+SQNSNVW="certificate",20,1', b'AT+SQNSNVW="certificate",18,8193', b'AT+SQNSNVW="privatekey",5,2049'],
)
def test_the_modem_refuses_what_does_not_fit(modem: CellularBoard, command: bytes) -> None:
    assert modem.ask(command + b"\r") == b"\r\nERROR\r\n"
    modem.ask(b"AT+CMEE=2\r")
    assert modem.ask(command + b"\r").startswith(b"\r\n+CME ERROR: ")


def test_a_restart_ends_an_unfinished_write(modem: CellularBoard) -> None:
    modem.ask(b'AT+SQNSNVW="certificate",18,100\r')
    modem.ask(b"half of it")
    modem.start()
    modem.ask(b"MC+BRIDGEMODE\r")
    assert modem.ask(b"AT\r") == b"\r\nOK\r\n"
    assert not modem.modem.memory["certificate"]
