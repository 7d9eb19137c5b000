"""The host's side of the bridge to the Wi-Fi module: against a bridge in memory, a modelled one, and broken ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from support.bridge_frames import frame
from support.serial_peer import MemoryPort
from support.simulated_chips import board_with, flash_of

from iotprovision.boards.nedbg.wire.winc_bridge import RESPONSE_TIMEOUT, WincBridge
from iotprovision.errors import ChipRefusedError, SerialLinkError
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

SECTOR = 4096


class BridgeOnBoard:
    """A modelled bridge behind a port in memory; ``spoil`` sees each response before the host does."""

    def __init__(
        self, spoil: Callable[[bytes], bytes] = lambda response: response, image: str = "avr-iot-winc-upgrade"
    ) -> None:
        self.board = board_with(flash_of(image))
        self.spoil = spoil
        self.port = MemoryPort(self._answer)
        self._sent = bytearray()
        self._mcu = ModelledMcu(self.board, self._sent.extend)
        self._mcu.start()
        self.link = WincBridge(self.port.line(), lambda seconds: None)

    def _answer(self, request: bytes) -> bytes:
        self._sent.clear()
        self._mcu.receive(request)
        return self.spoil(bytes(self._sent))

    @property
    def flash(self) -> bytearray:
        return self.board.wifi_module.flash


def test_frames_are_those_of_the_protocol() -> None:
    bridge = BridgeOnBoard()
    data = Random(1).randbytes(SECTOR)
    bridge.link.read_sector(0x4000)
    bridge.link.erase_sector(0x5000)
    bridge.link.write_sector(0x5000, data)
    bridge.link.write_sector(0x6000, data[:512])
    bridge.link.version()
    assert bridge.port.sent == [
        bytes.fromhex("aa 02 00 00400000 bb"),
        bytes.fromhex("aa 05 00 00500000 bb"),
        bytes.fromhex("aa 04 10 00500000") + data + b"\xbb",
        bytes.fromhex("aa 04 02 00600000") + data[:512] + b"\xbb",
        bytes.fromhex("aa 00 00 00000000 bb"),
    ]


def test_what_is_written_is_what_is_read() -> None:
    bridge = BridgeOnBoard()
    data = Random(2).randbytes(SECTOR)
    bridge.link.wait_ready()
    bridge.link.write_sector(0xA000, data)
    assert bridge.flash[0xA000:0xB000] == data
    assert bridge.link.read_sector(0xA000) == data
    bridge.link.write_sector(0xA000, bytes(256))
    assert bridge.link.read_sector(0xA000) == bytes(256) + data[256:], "programming clears bits and no more"
    bridge.link.erase_sector(0xA000)
    assert bridge.link.read_sector(0xA000) == b"\xff" * SECTOR


@pytest.mark.parametrize("image", ["avr-iot-winc-upgrade", "sam-iot-wg-winc-upgrade"])
def test_what_was_sent_is_not_taken_for_what_the_module_holds(image: str) -> None:
    """A module that does not answer leaves the sector in the buffer of the bridge that was sent to be written."""
    bridge = BridgeOnBoard(image=image)
    data = Random(3).randbytes(SECTOR)
    bridge.link.wait_ready()
    bridge.board.wifi_module.faults.winc_silent = True
    bridge.link.write_sector(0xA000, data)
    assert bridge.link.read_sector(0xA000)[256:] == data[256:], "the trap"
    bridge.link.write_sector(0xA000, data)
    assert bridge.link.read_back_sector(0xA000) != data


BRIDGES = ("avr-iot-winc-upgrade", "sam-iot-wg-winc-upgrade", "sam-iot-wx-winc-upgrade")


@pytest.mark.parametrize("image", BRIDGES)
def test_version_of_a_module(image: str) -> None:
    version = BridgeOnBoard(image=image).link.version()
    assert (version.firmware, version.driver) == ("19.7.7", "19.3.0")


def test_a_module_that_does_not_start_and_a_bridge_that_says_so() -> None:
    """That of a SAM answers with zeros, whatever its buffer held, and takes the next request."""
    bridge = BridgeOnBoard(image="sam-iot-wg-winc-upgrade")
    bridge.flash[0xA000:0xA010] = bytes(16)
    bridge.link.write_sector(0x5000, b"\x5a" * SECTOR)
    with pytest.raises(ChipRefusedError, match="does not start"):
        bridge.link.version()
    assert not bridge.link.needs_target_reset
    assert bridge.link.read_sector(0x5000) == b"\x5a" * SECTOR


def test_nothing_is_sent_that_names_no_sector() -> None:
    bridge = BridgeOnBoard()
    for address in (-4096, 1, 0x5010, 0x100000):
        for ask in (bridge.link.read_sector, bridge.link.erase_sector):
            with pytest.raises(ValueError, match="sector"):
                ask(address)
    for size in (0, 255, 4097, 4352):
        with pytest.raises(ValueError, match="pages"):
            bridge.link.write_sector(0, bytes(size))
    assert not bridge.port.sent
    assert not bridge.link.needs_target_reset


SPOILT = {
    "nothing": lambda response: b"",
    "a byte short": lambda response: response[:-1],
    "first byte lost": lambda response: response[1:],
    "a byte too many": lambda response: response + b"\xbb",
    "wrong begin": lambda response: b"\xab" + response[1:],
    "wrong end": lambda response: response[:-1] + b"\x0d",
    "marker error": lambda response: response[:1] + b"\x01" + response[2:],
    "another length": lambda response: response[:2] + bytes([response[2] ^ 0x11]) + response[3:],
    "another address": lambda response: response[:4] + b"\x51" + response[5:],
    "text": lambda response: b"Welcome to the avr-iot command handler!\r\nREADY\r\n",
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("request_name", ["read", "erase", "write", "version"])
def test_a_response_that_makes_no_sense(spoil: Callable[[bytes], bytes], request_name: str) -> None:
    bridge = BridgeOnBoard(spoil)
    requests: dict[str, Callable[[], object]] = {
        "read": lambda: bridge.link.read_sector(0x5000),
        "erase": lambda: bridge.link.erase_sector(0x5000),
        "write": lambda: bridge.link.write_sector(0x5000, bytes(256)),
        "version": bridge.link.version,
    }
    with pytest.raises(SerialLinkError, match="bridge"):
        requests[request_name]()
    assert bridge.port.now <= 2 * RESPONSE_TIMEOUT
    assert bridge.link.needs_target_reset
    sent = list(bridge.port.sent)
    with pytest.raises(SerialLinkError, match="middle of a frame"):
        bridge.link.read_sector(0)
    assert bridge.port.sent == sent, "what is sent now could become part of a frame that writes"


def test_bytes_that_nobody_asked_for() -> None:
    bridge = BridgeOnBoard()
    bridge.port.deliver(b"\xaa\x00")
    with pytest.raises(SerialLinkError, match="not asked for"):
        bridge.link.erase_sector(0x5000)
    assert not bridge.port.sent


def test_a_lost_byte_wedges_the_bridge_until_it_is_reset() -> None:
    bridge = BridgeOnBoard()
    whole = bridge.port.answer
    bridge.port.answer = lambda request: whole(request[:-1])
    with pytest.raises(SerialLinkError, match="0 of 8 bytes"):
        bridge.link.write_sector(0x5000, bytes(SECTOR))
    bridge.port.answer = whole
    assert whole(frame(6)) != frame(6), "its first byte was the end of the unfinished frame"
    bridge._mcu.start()
    bridge.link.wait_ready()
    assert bridge.link.read_sector(0) == b"\xff" * SECTOR


def test_an_interrupted_request_needs_a_reset() -> None:
    bridge = BridgeOnBoard()

    def interrupt(request: bytes) -> bytes:
        raise KeyboardInterrupt

    bridge.port.answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        bridge.link.write_sector(0x5000, bytes(256))
    assert bridge.link.needs_target_reset


def test_the_next_request_waits_for_the_whole_response() -> None:
    bridge = BridgeOnBoard()
    response = b"\xaa\x00\x10\x00\x50\x00\x00" + bytes(SECTOR) + b"\xbb"

    def answer_slowly(request: bytes) -> bytes:
        for number in range(0, len(response), 64):
            bridge.port.deliver(response[number : number + 64], after=number / 1000)
        return b""

    bridge.port.answer = answer_slowly
    assert bridge.link.read_sector(0x5000) == bytes(SECTOR)
    assert bridge.port.now >= 4.0


def test_it_is_ready_when_it_answers() -> None:
    port = MemoryPort(lambda request: b"")
    port.answer = lambda request: port.deliver(request[:1] + b"\0" + request[2:], after=1.5) or b""
    WincBridge(port.line(), lambda seconds: None).wait_ready()
    assert port.now == pytest.approx(1.5, abs=0.2)


def test_a_bridge_that_cannot_reach_the_module() -> None:
    port = MemoryPort(lambda request: b"Unable to enter download mode\r")
    with pytest.raises(ChipRefusedError, match="cannot reach the Wi-Fi module"):
        WincBridge(port.line(), lambda seconds: None).wait_ready()


def test_another_firmware_than_the_bridge() -> None:
    port = MemoryPort(lambda request: b"\r\nERROR: 0x1\r\n")
    with pytest.raises(SerialLinkError, match="does not answer"):
        WincBridge(port.line(), lambda seconds: None).wait_ready()
