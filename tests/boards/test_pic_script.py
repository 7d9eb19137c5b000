"""The script engine and the core of a simulated PIC: what they refuse, and when the firmware runs."""

from __future__ import annotations

import pytest
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.models.modelled_mcu import ModelledMcu
from iotprovision.simulator.targets.icsp_part import PIC24FJ128GA705
from iotprovision.simulator.targets.icsp_script import BadScriptError, IcspPins, run_script
from iotprovision.simulator.targets.icsp_target import IcspTarget
from iotprovision.simulator.targets.pic24_core import Pic24Core, UnknownInstructionError

COMMAND_BUFFER, DATA_BUFFER = 0x10, 0x00
KEY = bytes.fromhex("b1 b4b2c2128a b0")


def command(code: bytes, handler: int = 0x10, parameters: int = 0) -> bytes:
    script = bytes([0xFF, 1, parameters, 0xFF]) + code
    return bytes([1, 0, handler, 0, 1, 0, 1]) + len(script).to_bytes(2, "little") + script


@pytest.fixture
def sent() -> bytearray:
    return bytearray()


@pytest.fixture
def target(sent: bytearray) -> IcspTarget:
    board = board_with(flash_of("pic-iot-provisioning"))
    mcu = ModelledMcu(board, sent.extend)
    return IcspTarget(board, PIC24FJ128GA705, mcu)


def execute(target: IcspTarget, content: bytes) -> tuple[int, bytes]:
    """Send a command, and give the status of its answer and what it shifted out."""
    for start in range(0, len(content), 60):
        piece = content[start : start + 60]
        flags = COMMAND_BUFFER | (0x20 if start == 0 else 0) | (0x40 if start + 60 >= len(content) else 0)
        report = bytes([0x94, flags]) + len(piece).to_bytes(2, "big") + piece
        assert target.report(report.ljust(64, b"\0")) == b"\x00\x02"
    return read(target, COMMAND_BUFFER)[2], read(target, DATA_BUFFER | 1)


def read(target: IcspTarget, buffer: int) -> bytes:
    answer = target.report(bytes([0x94, 0xA0 | buffer, 0, 60]).ljust(64, b"\0"))
    assert answer is not None
    size = int.from_bytes(answer[2:4], "big")
    return answer[4 : 4 + size]


def test_nothing_is_read_before_the_key(target: IcspTarget) -> None:
    load = bytes.fromhex("e0 123420 e0 203c88".replace(" ", ""))
    assert execute(target, command(load + b"\xe2")) == (0, b"\0\0")
    assert execute(target, command(KEY + bytes.fromhex("e0103420 e0203c88 e2")))[0] == 0


def test_the_firmware_stands_until_the_pins_are_let_go(target: IcspTarget, sent: bytearray) -> None:
    execute(target, command(KEY))
    assert sent == b""
    execute(target, command(bytes.fromhex("b1 b0")))
    assert sent.endswith(b"READY\r\n")
    sent.clear()
    target.end_session()
    assert sent == b"", "it runs already"
    execute(target, command(KEY))
    target.end_session()
    assert sent.endswith(b"READY\r\n")


@pytest.mark.parametrize(
    "code",
    [
        b"\x01",  # no such operation
        b"\xe0\x00",  # ends in the middle
        KEY + b"\xe0\x00\x00\xfd",  # an instruction of no script
        b"\x91\x00",  # a parameter that was not given
        bytes.fromhex("a2 e2 a5 ffff0000 01000000 0200"),  # waits for what does not come
        b"\xae",  # the end of no loop
    ],
)
def test_a_bad_script_is_refused(target: IcspTarget, code: bytes) -> None:
    assert execute(target, command(code))[0] != 0


def test_other_commands_are_refused(target: IcspTarget) -> None:
    execute(target, command(b"", handler=0x30))
    assert read(target, COMMAND_BUFFER)[:5] == bytes.fromhex("3001000000")
    assert execute(target, command(b"", handler=0x77))[0] != 0
    assert target.report(bytes([0x80]).ljust(64, b"\0")) is None
    assert target.avr8(b"\x10\x00")[0] == 0xA0


def core() -> Pic24Core:
    return Pic24Core(board_with(flash_of("pic-iot-provisioning")), PIC24FJ128GA705, lambda: True)


def test_moves_and_pointers() -> None:
    pic = core()
    pic.execute(0x2ABCD3)  # MOV #0xABCD, W3
    pic.execute(0x208004)  # MOV #0x800, W4
    pic.execute(0x781A03)  # MOV W3, [W4++]
    assert (pic.working(3), pic.working(4), pic.word(0x800)) == (0xABCD, 0x802, 0xABCD)
    pic.execute(0x7802C4)  # MOV [--W4], W5
    assert (pic.working(4), pic.working(5)) == (0x800, 0xABCD)
    pic.execute(0xEB0280)  # CLR W5
    assert pic.working(5) == 0
    pic.execute(0x883C23)  # MOV W3, VISI
    assert pic.word(0x784) == 0xABCD


@pytest.mark.parametrize("instruction", [0x400000, 0xBA0060, 0xFD0000])
def test_an_unknown_instruction_is_an_error(instruction: int) -> None:
    with pytest.raises(UnknownInstructionError):
        core().execute(instruction)


def test_a_script_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iotprovision.simulator.targets.icsp_script.MOST_OPERATIONS", 1000)
    pins = IcspPins(lambda: None, lambda: None)
    with pytest.raises(BadScriptError, match="does not end"):
        run_script(bytes.fromhex("ac ffff e1 a4"), [], b"", pins, None)
