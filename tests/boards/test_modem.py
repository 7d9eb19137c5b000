"""The driver of the modem: against the modelled firmware and modem, and against peers that behave badly."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support.cellular_board import CELLULAR, MINI, CellularBoard
from support.serial_peer import MemoryPort

from iotprovision.boards.nedbg.wire.modem_link import Modem, advice, modem
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import ChipRefusedError, ProofError, SerialLinkError
from iotprovision.formats.modem_memory import (
    CERTIFICATE_LIMIT,
    PROFILE,
    certificate_data,
    certificates_in,
    profile_fields,
)

PEM = b"-----BEGIN CERTIFICATE-----\n" + b"QUJD" * 16 + b"\nREVG\n-----END CERTIFICATE-----\n"


class Bench:
    """The link to a modelled board, and what the host sent."""

    def __init__(self, shape: Callable[[bytes], bytes] = lambda answer: answer, kind: str = MINI) -> None:
        self.board = CellularBoard(kind)
        self.board.start()
        self.port = MemoryPort(lambda sent: shape(self.board.ask(sent)))
        self.link = ProvisioningLink(self.port.line(), owned_slots=(8,))
        self.faults = self.board.board.faults

    def is_closed(self) -> bool:
        return b"PONG=1" in self.board.ask(b"MC+PING=1\r\n")


def test_version_slots_and_profile() -> None:
    bench = Bench()
    with modem(bench.link) as opened:
        assert opened.version() == (8, 0, 5, 13)
        assert opened.read_certificates(18) == b""
        opened.write_certificates(18, PEM)
        opened.write_certificates(19, PEM + PEM)
        assert opened.read_certificates(18) == PEM
        assert opened.read_certificates(19) == PEM + PEM
        assert opened.read_profile() == []
        opened.write_profile()
        assert opened.read_profile() == ["1", "2", "0xc02b", "1", "19", "18", "0", "", "", "1"]
    assert bench.is_closed()
    assert bench.board.modem.memory["certificate"] == {18: PEM, 19: PEM + PEM}
    assert len(bench.link.secure_element_serial()) == 9, "the link goes on"


def test_twice() -> None:
    """The second time the modem says nothing of a start."""
    bench = Bench()
    for _ in range(2):
        with modem(bench.link) as opened:
            assert opened.version()


def test_a_firmware_that_answers_no_ping_as_it_should() -> None:
    """That of the AVR-IoT Cellular answers each with the same bytes of its program; it echoes what it is sent."""
    bench = Bench(kind=CELLULAR)
    answers = {bench.board.ask(b"MC+PING=%s\r\n" % token) for token in (b"1", b"ABCDEF", b"0" * 100)}
    assert len(answers) == 1 and answers.pop().startswith(b"\r\nMC+PONG=")
    for _ in range(2):
        with modem(bench.link) as opened:
            opened.write_certificates(18, PEM)
        assert len(bench.link.secure_element_serial()) == 9
    assert b"".join(bench.port.sent).count(b"MC+PING=") == 1, "once is enough to know"
    assert not bench.link.needs_target_reset


def test_an_echo_that_is_broken_off() -> None:
    """The firmware then waits for the rest of a blob: only a reset of the target helps."""
    bench = Bench(kind=CELLULAR)
    bench.port.answer = lambda sent: bench.board.ask(sent[:4] if re.fullmatch(rb"[0-9A-F]{8}\r\n", sent) else sent)
    with pytest.raises(SerialLinkError, match="test the link"):
        bench.link.synchronise()
    assert bench.link.needs_target_reset


def test_an_echo_of_something_else() -> None:
    bench = Bench(lambda answer: re.sub(rb"^\r\n[0-9A-F]{8}\r\n", b"\r\n00000000\r\n", answer), kind=CELLULAR)
    with pytest.raises(SerialLinkError, match="does not answer"):
        bench.link.synchronise()
    assert not bench.link.needs_target_reset


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, SerialLinkError])
def test_the_bridge_is_closed_whatever_happens(problem: type[BaseException]) -> None:
    bench = Bench()
    with pytest.raises(problem), modem(bench.link):
        raise problem("inside the block")
    assert not bench.link.needs_target_reset
    assert bench.is_closed()


def test_lines_that_nobody_asked_for() -> None:
    bench = Bench()
    bench.faults.modem_chatter = True
    with modem(bench.link) as opened:
        opened.write_certificates(18, PEM)
        assert opened.read_certificates(18) == PEM
        opened.write_profile()
        assert opened.read_profile() == profile_fields(PROFILE)
    assert bench.is_closed()


def test_a_line_right_behind_the_prompt() -> None:
    bench = Bench(lambda answer: answer.replace(b"> ", b"> \r\n+CEREG: 2\r\n"))
    with modem(bench.link) as opened:
        opened.write_certificates(18, PEM)
        assert opened.read_certificates(18) == PEM


def test_a_profile_with_fields_that_newer_firmware_adds() -> None:
    port = MemoryPort(
        lambda sent: b'\r\n+SQNSPCFG: 2,3,"",0\r\n+SQNSPCFG: 1, 2,"0xC02B",1,19,18,0,"","",1,0\r\n\r\nOK\r\n'
    )
    fields = Modem(port.line()).read_profile()
    assert fields[:10] == profile_fields(PROFILE)


def test_an_error_for_an_empty_slot() -> None:
    port = MemoryPort(lambda sent: b"\r\n+CME ERROR: not found\r\n")
    assert Modem(port.line()).read_certificates(18) == b""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Modem.write_profile, "set the security profile"),
        (Modem.read_profile, "read the security profiles"),
        (lambda opened: opened.write_certificates(18, PEM), "write slot 18"),
        (Modem.version, "ask for the modem's version"),
    ],
)
def test_a_firmware_of_the_modem_that_does_not_know_a_command(command: Callable[[Modem], object], words: str) -> None:
    port = MemoryPort(lambda sent: b"\r\nERROR\r\n")
    with pytest.raises(ChipRefusedError, match=words) as caught:
        command(Modem(port.line()))
    assert "older firmware" in caught.value.hint


def test_an_answer_that_comes_too_late_is_not_that_of_the_next_command() -> None:
    bench = Bench()
    with pytest.raises(SerialLinkError, match="no complete answer"), modem(bench.link) as opened:
        bench.port.answer = lambda sent: b"" if sent == b"ATI\r" else bench.board.ask(sent)
        opened.version()
    late = [b"\r\nGM02S\r\nUE5.0.0.0\r\nLR5.0.0.0\r\n\r\nOK\r\n"]

    def answer(sent: bytes) -> bytes:
        # What the modem says while the bridge is closed, the firmware keeps until it is open again.
        said = bench.board.ask(sent)
        return said + late.pop() if sent == b"MC+BRIDGEMODE\r" and late else said

    bench.port.answer = answer
    with modem(bench.link) as opened:
        assert opened.version() == (8, 0, 5, 13)
    assert not late and bench.is_closed()


def test_an_unsolicited_line_inside_a_certificate() -> None:
    lines = PEM.splitlines()
    for place in range(len(lines) + 1):
        mixed = [*lines[:place], b"", b"+CEREG: 2", *lines[place:]]
        assert certificates_in(mixed) == PEM


def test_an_answer_in_pieces_and_late() -> None:
    bench = Bench()
    pieces: list[bytes] = []

    def deliver_slowly(sent: bytes) -> bytes:
        answer = bench.board.ask(sent)
        for number, byte in enumerate(answer):
            bench.port.deliver(bytes([byte]), after=0.002 * number)
        pieces.append(answer)
        return b""

    bench.port.answer = deliver_slowly
    with modem(bench.link) as opened:
        opened.write_certificates(18, PEM)
        assert opened.read_certificates(18) == PEM
    assert bench.is_closed()


def test_a_modem_that_starts_slowly() -> None:
    bench = Bench()
    answers = 0

    def late(sent: bytes) -> bytes:
        nonlocal answers
        answer = bench.board.ask(sent)
        if sent == b"AT\r":
            answers += 1
            return answer if answers > 2 else b""
        return answer

    bench.port.answer = late
    with modem(bench.link) as opened:
        assert opened.version() == (8, 0, 5, 13)
    assert answers == 3


def test_an_echo_is_passed_over() -> None:
    port = MemoryPort(lambda sent: sent + b"\r\nLR8.0.5.13\r\n\r\nOK\r\n")
    assert Modem(port.line()).version() == (8, 0, 5, 13)


def test_a_silent_modem_is_said_and_the_bridge_closed() -> None:
    bench = Bench()
    bench.faults.modem_silent = True
    with pytest.raises(SerialLinkError, match="modem of the kit does not answer"), modem(bench.link):
        pass
    assert not bench.link.needs_target_reset
    assert bench.is_closed()


def test_a_modem_that_falls_silent_during_a_write() -> None:
    bench = Bench()
    with pytest.raises(SerialLinkError, match="write slot 18"), modem(bench.link) as opened:
        opened.version()
        bench.port.answer = lambda sent: b"" if sent == PEM else bench.board.ask(sent)
        opened.write_certificates(18, PEM)
    assert bench.is_closed()


def test_a_firmware_that_does_not_come_back() -> None:
    bench = Bench()
    bench.port.answer = lambda sent: b"" if sent == b"\x04" else bench.board.ask(sent)
    with pytest.raises(SerialLinkError, match="did not come back"), modem(bench.link):
        pass
    assert bench.link.needs_target_reset
    with pytest.raises(SerialLinkError):
        bench.link.secure_element_serial()


def test_full_memory() -> None:
    bench = Bench()
    bench.faults.modem_full = True
    with pytest.raises(ChipRefusedError) as caught, modem(bench.link) as opened:
        opened.write_certificates(18, PEM)
    assert "memory full" in caught.value.why and "erase" in caught.value.hint
    assert bench.is_closed()


def test_what_is_never_sent() -> None:
    bench = Bench()
    with modem(bench.link) as opened:
        sent = len(bench.port.sent)
        for slot, data in ((18, b""), (18, b"x" * 8193), (18, b"a\r\n"), (18, b"a\x04"), (7, PEM), (20, PEM)):
            with pytest.raises(ValueError):
                opened.write_certificates(slot, data)
        assert len(bench.port.sent) == sent


def test_a_firmware_without_a_bridge() -> None:
    port = MemoryPort(lambda sent: b"\r\nERROR: 0x1\r\n" if b"BRIDGE" in sent else b"")
    link = ProvisioningLink(port.line())
    link._in_step = True
    with pytest.raises(ChipRefusedError, match="open the bridge"), modem(link):
        pass
    assert not link.needs_target_reset


def test_certificates_as_the_modem_wants_them() -> None:
    assert certificate_data(PEM.replace(b"\n", b"\r\n") + b"\r\n", "of a test") == PEM
    assert certificate_data(PEM.rstrip(), "of a test") == PEM
    with pytest.raises(ProofError, match="too large"):
        certificate_data(PEM * (CERTIFICATE_LIMIT // len(PEM) + 1), "of a test")


@pytest.mark.parametrize(
    ("version", "words"),
    [(None, "does not tell"), ((8, 0, 5, 12), "8.0.5.13 or newer"), ((8, 0, 5, 13), ""), ((8, 1, 1, 0), "")],
)
def test_version_advice(version: tuple[int, ...] | None, words: str) -> None:
    assert words in advice(version) and bool(words) == bool(advice(version))
