"""The link to the provisioning firmware: against what the vendor's firmware answered, and against bad links."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from support.serial_peer import Lines, LoopbackPeer, MemoryPort

from iotprovision.boards.nedbg.wire import provisioning_link as provisioning
from iotprovision.boards.nedbg.wire import status_codes as status
from iotprovision.boards.nedbg.wire.banner import About
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.boards.nedbg.wire.response import ResponseReader
from iotprovision.boards.serial_port import open_port
from iotprovision.errors import ChipRefusedError, SerialLinkError
from iotprovision.formats.winc_flash import FlashArea
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.modelled_uart import ModelledUart
from iotprovision.simulator.models.provisioning_firmware import ProvisioningFirmware

ABOUT = (
    b"AVR-IoT provisioning FW\r\nFW 0.4.9\r\nWINC firmware 19.7.7\r\nWINC driver 19.3.0\r\n"
    b"Command handler 1.3.0\r\nfor the AVR-IoT WG\r\n"
)
WELCOME = b"Welcome to the avr-iot command handler!\r\n"
BANNER = WELCOME + ABOUT + b"READY\r\n"
PUBLIC_KEY = (
    b"28BDF6A74A0A6DB26F7A82899FEC1711A0BD2DE995B9E39B76E8AE373BE6BDA7"
    b"3583EEDB0DB81820FBA69F1D5C0B8969EF76AE2AE5614AFB3FA8882F2055FD9C"
)
SIGNATURE = (
    b"DF385A57E5BBD2A9D0C2BF04D6251CE6DD9B6FC9EE51D849B3CC99B2BD63BC80"
    b"DAE01ADD8A48A9FCA2A47D63E2422481959F9F7037D1294B811DC568D4E342C5"
)
PAGE = bytes(range(256))

# What the vendor's provisioning firmware 0.4.9 answered, byte for byte, in this order.
VENDOR_CONVERSATION = [
    (b",X\r\n", b"\r\nERROR: 0x1\r\n"),
    (b"MC+PING=000001\r\n", b"\r\nMC+PONG=000001\r\nOK\r\n"),
    (b"MC+ABOUT\r\n", b"\r\n" + ABOUT + b"\r\nOK\r\n"),
    (b"MC+ECC+SERIAL\r\n", b"\r\n0123A1B2C3D4E5F6EE\r\nOK\r\n"),
    (b"MC+ECC+GENPUBKEY=0\r\n", b"\r\n" + PUBLIC_KEY + b"\r\nOK\r\n"),
    (b"MC+ECC+SIGNDIGEST=32,64\r\n", b"\r\n>"),
    (b"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n", b"\r\n" + SIGNATURE + b"\r\nOK\r\n"),
    (b"MC+ECC+READ=8\r\n", b"\r\n" + b"00" * 416 + b"\r\nOK\r\n"),
    (b"MC+ECC+READ=8,10\r\n", b"\r\n00000000000000000000\r\nOK\r\n"),
    (b"MC+ECC+READ=0\r\n", b"\r\nERROR: 0x1F4\r\n"),
    (b"MC+ECC+LOCK=10\r\n", b"\r\nOK\r\n"),
    (b"MC+WINC+READ=0,16\r\n", b"\r\nFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\r\nOK\r\n"),
    (b"MC+WINC+ERASE=16384\r\n", b"\r\nOK\r\n"),
    (b"MC+WINC+WRITEBLOB=16384,256,512\r\n", b"\r\n>"),
    (PAGE.hex().encode() + b"\r\n", b"\r\n\r\nOK\r\n"),
    (b"MC+WINC+READ=16384,256\r\n", b"\r\n" + PAGE.hex().upper().encode() + b"\r\nOK\r\n"),
    (b"MC+RESET\r\n", b"\r\n" + BANNER),
]


ROOT_SECTOR = FlashArea(0x4000, 0x1000)


def fixed_token(size: int) -> bytes:
    return b"\x00\x00\x01"


def replay(connection: socket.socket, send: Callable[[bytes], None]) -> None:
    lines = Lines(connection)
    for expected, answer in VENDOR_CONVERSATION:
        assert lines.next().upper() == expected.upper()
        send(answer)
    assert lines.next() == b""


def in_one_piece(connection: socket.socket) -> None:
    replay(connection, connection.sendall)


def byte_by_byte(connection: socket.socket) -> None:
    def send(data: bytes) -> None:
        for value in data:
            connection.sendall(bytes([value]))

    replay(connection, send)


@pytest.mark.parametrize("serve", [in_one_piece, byte_by_byte])
def test_the_conversation_with_the_vendor_firmware(serve: Callable[[socket.socket], None]) -> None:
    digest = hashlib.sha256(b"hello").digest()
    with LoopbackPeer(serve) as peer, open_port(peer.url, provisioning.BAUD_RATE) as line:
        link = ProvisioningLink(line, [ROOT_SECTOR], fixed_token)
        link.synchronise()
        assert link.about() == About("AVR-IoT WG", "0.4.9", "1.3.0", "19.7.7", "19.3.0")
        assert link.secure_element_serial() == bytes.fromhex("0123A1B2C3D4E5F6EE")
        public_key = link.public_key()
        signature = link.sign_digest(digest)
        assert link.read_slot(8) == bytes(416)
        assert link.read_slot(8, 10) == bytes(10)
        with pytest.raises(ChipRefusedError) as refused:
            link.read_slot(0)
        link.lock_slot(10)
        assert link.winc_read(0, 16) == b"\xff" * 16
        link.winc_erase_sector(0x4000)
        link.winc_write(0x4000, PAGE)
        assert link.winc_read(0x4000, 256) == PAGE
        banner = link.reset()
    assert refused.value.status == 0x1F4
    assert banner.welcome == "Welcome to the avr-iot command handler!"
    assert banner.about == About("AVR-IoT WG", "0.4.9", "1.3.0", "19.7.7", "19.3.0")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_a_connection_lost_inside_a_blob() -> None:
    def serve(connection: socket.socket) -> None:
        lines = Lines(connection)
        lines.next()
        connection.sendall(re.sub(rb"MC\+PING=(\w+)\r\n", rb"\r\nMC+PONG=\1\r\nOK\r\n", lines.next()))
        assert lines.next() == b"MC+WINC+WRITEBLOB=16384,256,512\r\n"
        connection.sendall(b"\r\n>")
        connection.recv(10)

    with LoopbackPeer(serve) as peer, open_port(peer.url, provisioning.BAUD_RATE) as line:
        link = ProvisioningLink(line, [ROOT_SECTOR])
        with pytest.raises(SerialLinkError, match="lost while"):
            link.winc_write(0x4000, PAGE)
        assert link.needs_target_reset


# --- a firmware in memory that keeps the rules of the protocol, and links that do not


def pong(sent: bytes) -> bytes | None:
    ping = re.fullmatch(rb"MC\+PING=(\w+)\r\n", sent)
    if ping:
        return b"\r\nMC+PONG=" + ping[1] + b"\r\nOK\r\n"
    return b"\r\nERROR: 0x1\r\n" if sent == b",X\r\n" else None


def answering(*answers: bytes) -> MemoryPort:
    """A port that answers pings, and everything else with the next of ``answers``."""
    queue = iter(answers)

    def answer(sent: bytes) -> bytes:
        reply = pong(sent)
        return next(queue) if reply is None else reply

    return MemoryPort(answer)


def commands(port: MemoryPort) -> list[bytes]:
    return [sent for sent in port.sent if pong(sent) is None]


@pytest.fixture
def silent() -> Iterator[MemoryPort]:
    port = MemoryPort()
    yield port
    assert port.sent == []


@pytest.mark.parametrize(
    "call",
    [
        lambda link: link.winc_erase_sector(0x0000),
        lambda link: link.winc_erase_sector(0x5000),
        lambda link: link.winc_erase_sector(0x4001),
        lambda link: link.winc_erase_sector(-4096),
        lambda link: link.winc_erase_sector(0x100000),
        lambda link: link.winc_write(0x3F00, PAGE),
        lambda link: link.winc_write(0x4080, b"x"),
        lambda link: link.winc_write(0x4000, b""),
        lambda link: link.winc_write(0x4000, bytes(257)),
        lambda link: link.winc_write(0x5000, b"x"),
        lambda link: link.winc_read(0, 0),
        lambda link: link.winc_read(0, 257),
        lambda link: link.winc_read(-1, 4),
        lambda link: link.winc_read(0xFFFFF, 2),
        lambda link: link.read_slot(16),
        lambda link: link.read_slot(8, 417),
        lambda link: link.read_slot(8, 0),
        lambda link: link.read_otp(0),
        lambda link: link.read_otp(65),
        lambda link: link.lock_slot(-1),
        lambda link: link.public_key(16),
        lambda link: link.sign_digest(bytes(31)),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_sent(
    call: Callable[[ProvisioningLink], object], silent: MemoryPort
) -> None:
    with pytest.raises(ValueError):
        call(ProvisioningLink(silent.line(), [ROOT_SECTOR]))


def test_without_an_area_nothing_can_be_written(silent: MemoryPort) -> None:
    with pytest.raises(ValueError, match="no area"):
        ProvisioningLink(silent.line()).winc_erase_sector(0x4000)


def test_a_refusal_before_the_blob_keeps_the_blob_back() -> None:
    port = answering(b"\r\nERROR: 0x4\r\n", b"\r\n0123A1B2C3D4E5F6EE\r\nOK\r\n")
    link = ProvisioningLink(port.line(), [ROOT_SECTOR])
    with pytest.raises(ChipRefusedError) as refused:
        link.winc_write(0x4000, PAGE)
    assert refused.value.status == status.BAD_BLOB
    assert not link.needs_target_reset
    assert link.secure_element_serial().hex() == "0123a1b2c3d4e5f6ee"
    assert commands(port) == [b"MC+WINC+WRITEBLOB=16384,256,512\r\n", b"MC+ECC+SERIAL\r\n"]


def test_a_refusal_after_the_blob() -> None:
    port = answering(b"\r\n>", b"\r\n\r\nERROR: 0x2FA\r\n")
    link = ProvisioningLink(port.line(), [ROOT_SECTOR])
    with pytest.raises(ChipRefusedError, match="0x04000") as refused:
        link.winc_write(0x4000, PAGE)
    assert refused.value.status == 0x2FA
    assert "bus failure" in str(refused.value)
    assert "00010203" not in str(refused.value)
    assert not link.needs_target_reset


def test_the_binary_echo_of_a_refused_digest_does_not_confuse() -> None:
    echo = (
        b"\r\n,\xf2M\xba_\xb0\xa3\x0e&\xe8;*\xc5\xb9\xe2\x9e\x1b\x16\x1e\\\x1f\xa7B^s\x043b\x93\x8b\x98e1b161e5c1f\r\n"
    )
    port = answering(b"\r\n>", echo + b"ERROR: 0x5\r\n")
    with pytest.raises(ChipRefusedError) as refused:
        ProvisioningLink(port.line()).sign_digest(bytes(32))
    assert refused.value.status == 0x005


def test_silence_inside_a_blob_blocks_the_link_until_the_target_was_reset() -> None:
    port = answering(b"\r\n>", b"", b"\r\n0123A1B2C3D4E5F6EE\r\nOK\r\n")
    link = ProvisioningLink(port.line(), [ROOT_SECTOR])
    with pytest.raises(SerialLinkError, match="no complete answer"):
        link.winc_write(0x4000, PAGE)
    sent = len(port.sent)
    for call in (link.synchronise, link.about, link.reset, lambda: link.winc_erase_sector(0x4000)):
        with pytest.raises(SerialLinkError, match="broken off"):
            call()
    assert len(port.sent) == sent
    port.deliver(BANNER, after=0.4)
    link.wait_ready()
    assert link.secure_element_serial()[0] == 0x01


def test_ctrl_c_inside_a_blob_blocks_the_link_until_the_target_was_reset() -> None:
    def interrupted(sent: bytes) -> bytes:
        if sent.startswith(b"MC+WINC+WRITEBLOB"):
            return b"\r\n>"
        reply = pong(sent)
        if reply is None:
            raise KeyboardInterrupt
        return reply

    port = MemoryPort(interrupted)
    link = ProvisioningLink(port.line(), [ROOT_SECTOR])
    with pytest.raises(KeyboardInterrupt):
        link.winc_write(0x4000, PAGE)
    assert link.needs_target_reset
    with pytest.raises(SerialLinkError, match="broken off"):
        link.synchronise()
    port.deliver(BANNER, after=0.4)
    link.wait_ready()
    link.synchronise()


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    # A busy firmware keeps 7 characters of what it is sent and answers them when it is done.
    busy_until = provisioning.COMMAND_TIMEOUT + 1.5

    def answer(sent: bytes) -> bytes:
        if port.now < busy_until:
            return b""
        reply = pong(sent)
        return b"\r\n" + PUBLIC_KEY + b"\r\nOK\r\n" if reply is None else reply

    port = MemoryPort(answer)
    port.deliver(BANNER)
    port.deliver(b"\r\n" + b"11" * 64 + b"\r\nOK\r\n\r\nERROR: 0x1\r\n", after=busy_until)
    link = ProvisioningLink(port.line())
    link.wait_ready()
    with pytest.raises(SerialLinkError, match="public key of slot 1"):
        link.public_key(1)
    assert link.public_key(0).hex().upper().encode() == PUBLIC_KEY
    assert commands(port) == [b"MC+ECC+GENPUBKEY=1\r\n", b"MC+ECC+GENPUBKEY=0\r\n"]


def test_only_the_pong_with_the_own_token_counts() -> None:
    answers = iter([b"\r\nMC+PONG=00000002\r\nOK\r\n", b"\x00\xff garbage\r\nMC+PONG=00000001\r\nOK\r\n"])
    port = MemoryPort(lambda sent: next(answers) if b"PING" in sent else b"\r\nERROR: 0x1\r\n")
    link = ProvisioningLink(port.line(), random=lambda size: b"\x00\x00\x00\x01")
    link.synchronise()
    assert [sent for sent in port.sent if b"PING" in sent] == [b"MC+PING=00000001\r\n"] * 2


@pytest.mark.parametrize("late", [b"OK\r\n", b""])
def test_a_blob_that_may_be_awaited_is_not_fed_with_commands(late: bytes) -> None:
    """A firmware that answers pings wrongly is tested with a blob; whether it waits for that is not known then."""
    port = MemoryPort(lambda sent: b"\r\nMC+PONG=\x91\x10\r\nOK\r\n" if b"PING" in sent else late * (b"BLOB" in sent))
    link = ProvisioningLink(port.line())
    with pytest.raises(SerialLinkError):
        link.synchronise()
    assert link.needs_target_reset
    assert b"BLOBTEST" in port.sent[-1]


def test_every_ping_has_a_token_of_its_own() -> None:
    port = MemoryPort()
    with pytest.raises(SerialLinkError):
        ProvisioningLink(port.line()).synchronise()
    pings = {sent for sent in port.sent if b"PING" in sent}
    assert len(pings) == provisioning.SYNCHRONISE_ATTEMPTS


def test_the_port_of_a_dead_kit() -> None:
    port = MemoryPort()
    with pytest.raises(SerialLinkError, match="does not answer") as dead:
        ProvisioningLink(port.line()).about()
    assert "Nothing was received" in dead.value.why
    assert port.now < 20


def test_babble_without_end_is_not_listened_to_for_ever() -> None:
    port = MemoryPort()
    for number in range(10_000):
        port.deliver(b"\x55\xaa", after=number * 0.05)
    with pytest.raises(SerialLinkError) as babble:
        ProvisioningLink(port.line()).synchronise()
    assert len(str(babble.value)) < 1000
    assert port.now < 30


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n0123A1B2C3D4E5F6\r\nOK\r\n",
        b"\r\n0123A1B2C3D4E5F6EE00\r\nOK\r\n",
        b"\r\n0123A1B2C3D4E5F6EG\r\nOK\r\n",
        b"\r\n0123 A1B2C3D4E5F6E\r\nOK\r\n",
        b"\r\n0123A1B2C3\r\nD4E5F6EE\r\nOK\r\n",
        b"\r\n\xff123A1B2C3D4E5F6EE\r\nOK\r\n",
        b"\r\nOK\r\n",
    ],
)
def test_data_of_another_shape(answer: bytes) -> None:
    with pytest.raises(SerialLinkError, match="9 bytes of hex"):
        ProvisioningLink(answering(answer).line()).secure_element_serial()


@pytest.mark.parametrize(
    "answer", [b"\r\n0123A1B2C3D4E5F6EE\r\nO", b"\r\n0123A1", b"\r\nERROR: 0xZ\r\n", b"\xfe\xff\r"]
)
def test_an_answer_that_is_cut_off_shows_what_came(answer: bytes) -> None:
    with pytest.raises(SerialLinkError, match="no complete answer") as cut:
        ProvisioningLink(answering(answer).line()).secure_element_serial()
    assert repr(answer) in cut.value.why


def test_what_came_unasked_is_no_answer() -> None:
    port = answering(b"\r\nOK\r\n", b"\r\nOK\r\n")
    link = ProvisioningLink(port.line())
    link.lock_slot(10)
    port.deliver(BANNER)
    with pytest.raises(SerialLinkError, match="unasked") as stray:
        link.lock_slot(11)
    assert "to the avr-iot command handler" in stray.value.why
    assert commands(port) == [b"MC+ECC+LOCK=10\r\n"]
    link.lock_slot(11)


def test_ready_after_a_start_needs_no_ping() -> None:
    port = answering(b"\r\n" + ABOUT + b"\r\nOK\r\n")
    port.deliver(b"\x00" + BANNER[10:], after=0.5)
    link = ProvisioningLink(port.line())
    banner = link.wait_ready()
    assert banner.welcome == ""
    assert banner.about == link.about()
    assert port.sent == [b"MC+ABOUT\r\n"]


def test_the_banner_of_a_firmware_that_did_not_reach_its_wifi_module() -> None:
    port = answering(b"\r\nERROR: 0x2F4\r\n")
    port.deliver(BANNER[:100])
    port.deliver(WELCOME + b"READY\r\n")
    link = ProvisioningLink(port.line())
    banner = link.wait_ready()
    assert banner.welcome == "Welcome to the avr-iot command handler!"
    assert banner.about is None
    with pytest.raises(ChipRefusedError, match="versions") as refused:
        link.about()
    assert refused.value.status == 0x2F4


def test_a_firmware_that_never_gets_ready() -> None:
    port = MemoryPort()
    port.deliver(WELCOME)
    with pytest.raises(SerialLinkError, match="did not start within 3 s"):
        ProvisioningLink(port.line()).wait_ready(3)
    assert 3 <= port.now < 3.2


def test_lines_that_only_look_like_a_status() -> None:
    port = MemoryPort()
    port.deliver(b"\r\nLED:ERROR is ON\n\r\r\nOK then\r\nERROR: 0x5 \r\n ERROR: 0x5\r\nERROR: 0x5\r\nOK\r\n")
    answer = ResponseReader(port.line()).read_answer("ask", deadline=1)
    assert answer.lines == [b"LED:ERROR is ON", b"OK then", b"ERROR: 0x5 ", b" ERROR: 0x5"]
    assert answer.status == 0x5


def test_a_range_is_read_in_pages_with_progress() -> None:
    flash = bytes(value % 251 for value in range(600))

    def answer(sent: bytes) -> bytes:
        read = re.fullmatch(rb"MC\+WINC\+READ=(\d+),(\d+)\r\n", sent)
        if not read:
            return pong(sent) or b""
        start = int(read[1]) - 0x5000
        return b"\r\n" + flash[start : start + int(read[2])].hex().upper().encode() + b"\r\nOK\r\n"

    port = MemoryPort(answer)
    seen: list[tuple[int, int]] = []
    data = ProvisioningLink(port.line()).winc_read_range(0x5000, 600, lambda done, total: seen.append((done, total)))
    assert data == flash
    assert seen == [(256, 600), (512, 600), (600, 600)]


# --- the simulated board


class SimulatedBoard:
    """The modelled provisioning firmware with its two chips behind a port."""

    def __init__(self) -> None:
        self.secure_element = Ecc608()
        self.wifi_module = Winc1510()
        firmware = ProvisioningFirmware(self.secure_element, self.wifi_module)
        self.port = MemoryPort(ModelledUart(firmware).receive)
        self.start = firmware.start

    def link(self, *owned: FlashArea, slots: Sequence[int] = ()) -> ProvisioningLink:
        return ProvisioningLink(self.port.line(), owned, owned_slots=slots)


def test_what_the_chips_of_a_simulated_board_hold_is_what_the_link_reads() -> None:
    board = SimulatedBoard()
    board.secure_element.slots[8][:] = bytes(range(208)) * 2
    board.port.deliver(board.start(), after=0.4)
    link = board.link()
    banner = link.wait_ready()
    assert banner.about == link.about()
    assert link.secure_element_serial() == board.secure_element.serial_number
    assert link.public_key() == board.secure_element.public_key()
    assert link.read_slot(8) == bytes(range(208)) * 2
    assert link.read_slot(8, 10) == bytes(range(10))
    board.secure_element.otp[:] = bytes(range(64, 128))
    assert link.read_otp() == bytes(range(64, 128))
    assert link.read_otp(8) == bytes(range(64, 72))
    digest = hashlib.sha256(b"challenge").digest()
    signature = link.sign_digest(digest)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key = board.secure_element.private_keys[0].public_key()
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_what_the_link_writes_is_in_the_simulated_wifi_module_and_nowhere_else() -> None:
    board = SimulatedBoard()
    board.wifi_module.flash[:] = bytes(len(board.wifi_module.flash))
    link = board.link(FlashArea(0x5000, 0x2000))
    link.winc_erase_sector(0x6000)
    link.winc_write(0x6000, PAGE)
    link.winc_write(0x6F00, b"name")
    expected = bytearray(len(board.wifi_module.flash))
    expected[0x6000:0x7000] = PAGE + b"\xff" * 0xE00 + b"name" + b"\xff" * 0xFC
    assert board.wifi_module.flash == expected
    assert link.winc_read_range(0x6000, 0x1000) == expected[0x6000:0x7000]


@pytest.mark.parametrize("size", [4, 12, 32, 36, 416])
def test_what_the_link_writes_is_at_the_beginning_of_the_slot_and_nowhere_else(size: int) -> None:
    board = SimulatedBoard()
    board.secure_element.slots[8][:] = b"\xee" * 416
    before = [bytes(slot) for slot in board.secure_element.slots]
    data = bytes(range(256))[:size].ljust(size, b"x")
    link = board.link(slots=(8,))
    link.write_slot(8, data)
    assert link.read_slot(8) == data + b"\xee" * (416 - size)
    after = [bytes(slot) for slot in board.secure_element.slots]
    assert after[8] == link.read_slot(8)
    assert after[:8] + after[9:] == before[:8] + before[9:]


def test_a_locked_slot_is_not_written() -> None:
    board = SimulatedBoard()
    link = board.link(slots=(8,))
    link.lock_slot(8)
    with pytest.raises(ChipRefusedError, match="write slot 8") as refused:
        link.write_slot(8, b"late")
    assert refused.value.status == 0x1F4
    assert link.read_slot(8, 4) == bytes(4)


@pytest.mark.parametrize(
    ("slot", "size"), [(8, 0), (8, 3), (8, 13), (8, 420), (10, 76), (9, 4), (0, 4), (16, 4), (-1, 4)]
)
def test_slots_and_sizes_that_are_never_sent(slot: int, size: int, silent: MemoryPort) -> None:
    link = ProvisioningLink(silent.line(), owned_slots=(8, 10))
    with pytest.raises(ValueError, match="slot"):
        link.write_slot(slot, bytes(size))


def test_locking_twice_is_no_error_and_what_is_locked_stays_readable() -> None:
    board = SimulatedBoard()
    link = board.link()
    link.lock_slot(10)
    link.lock_slot(10)
    assert board.secure_element.is_locked(10)
    assert not board.secure_element.is_locked(11)
    assert link.read_slot(10) == bytes(72)
    with pytest.raises(ChipRefusedError) as refused:
        link.read_slot(0)
    assert "may not be read" in refused.value.why


def test_a_simulated_board_is_reset_by_its_firmware() -> None:
    board = SimulatedBoard()
    banner = board.link().reset()
    assert banner.about is not None
    assert banner.about.firmware == "0.4.9"


@pytest.mark.parametrize(
    "half",
    [
        b"MC+ECC+LOCK",
        b"MC+ECC+LOCK=1",
        b"MC+WINC+ERASE",
        b"MC+WINC+ERASE=",
        b"MC+WINC+ERASE=2048",
        b"MC+WINC+WRITEBLOB=16384,256,51",
        b"MC+RESET",
        b"A" * 126,
        b"A" * 140,
    ],
)
def test_a_line_half_typed_by_another_program_is_not_executed(half: bytes) -> None:
    board = SimulatedBoard()
    board.wifi_module.flash[:] = bytes(len(board.wifi_module.flash))
    board.port.write(half)
    link = board.link()
    assert link.secure_element_serial() == board.secure_element.serial_number
    assert link.winc_read(0, 256) == bytes(256)
    assert not any(board.secure_element.is_locked(slot) for slot in range(1, 16))
    assert len([sent for sent in board.port.sent if b"PING" in sent]) == 1


def test_a_blob_that_was_broken_off_is_forgotten_by_a_reset() -> None:
    board = SimulatedBoard()
    link = board.link(FlashArea(0x4000, 0x1000))
    link.synchronise()
    firmware = board.port.answer

    def broken_off(sent: bytes) -> bytes:
        if len(sent) > 512:
            firmware(sent[:200])
            raise KeyboardInterrupt
        return firmware(sent)

    board.port.answer = broken_off
    with pytest.raises(KeyboardInterrupt):
        link.winc_write(0x4000, PAGE)
    with pytest.raises(SerialLinkError, match="broken off"):
        link.winc_read(0x4000, 16)
    board.port.deliver(board.start())
    link.wait_ready()
    assert link.winc_read(0x4000, 256) == b"\xff" * 256
