"""The vendor's firmware really running: it is what the models are measured by."""

import re
import threading
import time
from collections.abc import Iterator

import pytest
from support.command_streams import stream
from support.provisioning_transcript import check_answer, exchanges
from support.simulated_chips import board_with, flash_of

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.models.modelled_mcu import ModelledMcu

pytest.importorskip("yasimavr", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.emulators.avr_iot_simulation import AvrIotSimulation
from iotprovision.simulator.emulators.emulated_avr import EmulatedAvr

pytestmark = pytest.mark.emulated

# Simulated seconds. The longest silence in an answer is the Wi-Fi module's change to download mode, 0.34 s.
STEP = 0.002
ANSWER_TIME = 0.8
AFTERWARDS = 0.02
BYTE_TIME = 10 / 115200
START_TIME = 0.6
# Wall seconds, for the emulated MCU in its thread on a loaded machine.
TIMEOUT = 60.0


class RealFirmware:
    """A simulation that is asked in simulated time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.simulation = AvrIotSimulation(board)

    def run(self, seconds: float) -> bytes:
        sent = bytearray()
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            sent += self.simulation.run(STEP)
        return bytes(sent)

    def ask(self, data: bytes, expected: bytes) -> bytes:
        """What is sent in answer: as much as is expected, and what comes shortly after it."""
        self.simulation.receive(data)
        sent = bytearray(self.run(len(data) * BYTE_TIME))
        end = self.simulation.now + ANSWER_TIME
        while len(sent) < len(expected) and self.simulation.now < end:
            sent += self.simulation.run(STEP)
        return bytes(sent) + self.run(AFTERWARDS)


class Model:
    """The model of the same, asked in no time."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._sent = bytearray()
        self._mcu = ModelledMcu(board, self._sent.extend)

    def start(self) -> bytes:
        self._mcu.start()
        return self._take()

    def ask(self, data: bytes) -> bytes:
        self._mcu.receive(data)
        return self._take()

    def _take(self) -> bytes:
        sent = bytes(self._sent)
        self._sent.clear()
        return sent


def provisioning_board() -> Board:
    board = board_with(flash_of("avr-iot-provisioning"))
    board.wifi_module.flash[0x4000:0x4100] = bytes(range(256))
    return board


def test_the_transcript_is_what_the_real_firmware_answers():
    board = board_with(flash_of("avr-iot-provisioning"))
    firmware = RealFirmware(board)
    start, *lines = exchanges()
    assert firmware.run(START_TIME) == start.answer
    assert firmware.simulation.baud_rate == 115200
    public_key = board.secure_element.private_keys[0].public_key()
    for exchange in lines:
        check_answer(exchange, firmware.ask(exchange.sent, exchange.answer), public_key)


@pytest.mark.parametrize("seed", range(6))
def test_model_and_real_firmware_cannot_be_told_apart(seed):
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    assert real.run(START_TIME) == model.start()
    for place, burst in enumerate(stream(seed, commands=60)):
        expected = model.ask(burst)
        answer = real.ask(burst, expected)
        assert answer == expected, f"seed {seed}, burst {place}: {burst!r}"
    for part in ("config", "otp", "slots"):
        assert getattr(real.board.secure_element, part) == getattr(model.board.secure_element, part)
    assert real.board.wifi_module.flash == model.board.wifi_module.flash
    for meter in ("secure_element_writes", "secure_element_locks"):
        assert getattr(real.board.secure_element.meters, meter) == getattr(model.board.secure_element.meters, meter)
    for meter in ("winc_sector_erases", "winc_page_writes"):
        assert getattr(real.board.wifi_module.meters, meter) == getattr(model.board.wifi_module.meters, meter)


def characters_lost(answer: bytes) -> int:
    """How many of the 60 equal signs that were sent too early did not arrive; the answer shows the others but one."""
    found = re.search(rb"MC\+PONG=(=*)Z\r\n", answer)
    assert found, answer
    return 59 - len(found[1])


@pytest.mark.parametrize(
    "line", [b"hello", b"MC+PING", b"MC+PING=12345678", b"MC+PING=" + b"x" * 30, b"MC+VERSION", b"MC+GETLED=ALL"]
)
def test_both_lose_input_that_comes_before_the_answer(line):
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    assert real.run(START_TIME) == model.start()
    burst = line + b"\rMC+PING" + b"=" * 60 + b"Z\r"
    expected = model.ask(burst)
    lost = characters_lost(real.ask(burst, expected + b"?" * 8))
    assert lost > 0
    # The model's times are rounded; what matters is that a host that does not wait is not let off.
    assert characters_lost(expected) == pytest.approx(lost, abs=2)


def test_without_the_wifi_module_both_answer_the_same():
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    for board in (real.board, model.board):
        board.wifi_module.faults.winc_silent = board.faults.winc_silent = True
    expected = model.start()
    assert expected == b"Welcome to the avr-iot command handler!\r\nREADY\r\n"
    assert real.run(2.0) == expected
    for line in (
        b"MC+ABOUT",
        b"MC+WINC+READ=0,4",
        b"MC+WINC+ERASE=4096",
        b"MC+VERSION",
        b"MC+WINC+WRITEBLOB=0,1,2",
        b"ff",
    ):
        assert real.ask(line + b"\r\n", expected := model.ask(line + b"\r\n")) == expected


def test_refused_slots_give_the_same_errors_on_both():
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    assert real.run(START_TIME) == model.start()
    for board in (real.board, model.board):
        board.secure_element.faults.secure_element_refused_slots = [0, 12]
    for line in (
        b"MC+ECC+GENPUBKEY",
        b"MC+ECC+LOCK=12",
        b"MC+ECC+READ=12",
        b"MC+ECC+PUBKEY+READ=12",
        b"MC+ECC+WRITEBLOB=12,4,8",
        b"00112233",
        b"MC+ECC+PUBKEY+WRITE=12,128",
        b"00" * 64,
        b"MC+ECC+SIGNDIGEST=32,64",
        b"00" * 32,
        b"MC+ECC+READ=11,8",
    ):
        assert real.ask(line + b"\r\n", expected := model.ask(line + b"\r\n")) == expected


def test_a_reset_command_starts_both_again():
    real, model = RealFirmware(provisioning_board()), Model(provisioning_board())
    assert real.run(START_TIME) == model.start()
    for line in (b"MC+SETLED=WIFI,ON", b"MC+RESET=now", b"MC+GETLED=WIFI"):
        assert real.ask(line + b"\r\n", expected := model.ask(line + b"\r\n")) == expected


# --- the demo --------------------------------------------------------------------------------------------------------

ENDPOINT = b"abcdefg-ats.iot.eu-west-1.amazonaws.com\0"
THING_NAME = b"bb53bda994549defe5c8edc1ebc7467a46577cef\0\0"
# Reading the buttons and the LED test take four seconds; then the demo waits for a Wi-Fi connection that never comes,
# and looks at its command line in between.
DEMO_START_TIME = 5.0
DEMO_ANSWER_TIME = 3.0
DEMO_BYTE_TIME = 10 / 9600
DEMO_LINES = (
    b"version\r\n",
    b"cli_version\n",
    b"thing\r\n",
    b"device\r\n",
    b"debug 4\r\n",
    b"debug\r\n",
    b"reconnect\r\n",
    b"wifi lab,correct horse,2\r\n",
    b"wifi lab,2\r\n",
    b"wifi lab,1\r\n",
    b"wifi lab,a,b,2\r\n",
    b"wifi\r\n",
    b"nonsense\r\n",
    b"\r\n",
    b"version\r",
    b"thing\n",
    b"thing x\n",
)


def demo_board(endpoint: bytes, thing_name: bytes, image: str = "avr-iot-aws-demo") -> Board:
    board = board_with(flash_of(image))
    board.wifi_module.flash[0x6E00 : 0x6E00 + len(endpoint)] = endpoint
    board.wifi_module.flash[0x6F00 : 0x6F00 + len(thing_name)] = thing_name
    return board


@pytest.mark.parametrize(
    ("image", "endpoint", "thing_name", "lines"),
    [
        ("avr-iot-aws-demo", ENDPOINT, THING_NAME, DEMO_LINES),
        ("avr-iot-aws-demo", b"", b"", (b"thing\r\n",)),
        ("avr-iot-aws-demo", ENDPOINT, b"my-thing\0", (b"thing\r\n",)),
        ("avr-iot-aws-demo", b"e" * 60, b"my-thing".ljust(41, b"\0"), (b"thing\r\n",)),
        ("avr-iot-google-demo", b"", b"", (*DEMO_LINES, b"key\r\n")),
    ],
    ids=["provisioned", "blank", "short thing name", "padded thing name", "Google"],
)
def test_modelled_demo_says_what_the_real_demo_says(image, endpoint, thing_name, lines):
    real, model = (kind(demo_board(endpoint, thing_name, image)) for kind in (RealFirmware, Model))
    assert real.run(DEMO_START_TIME) == model.start()
    assert real.simulation.baud_rate == 9600
    for line in lines:
        expected = model.ask(line)
        real.simulation.receive(line)
        answer = bytearray(real.run(len(line) * DEMO_BYTE_TIME + 0.06))
        end = real.simulation.now + DEMO_ANSWER_TIME
        while len(answer) < len(expected) and real.simulation.now < end:
            answer += real.simulation.run(STEP)
        assert bytes(answer) + real.run(0.1) == expected, f"sent {line!r}"
    assert real.board.secure_element.config == model.board.secure_element.config


def test_both_demos_start_again_when_told_to():
    real, model = RealFirmware(demo_board(ENDPOINT, THING_NAME)), Model(demo_board(ENDPOINT, THING_NAME))
    assert real.run(DEMO_START_TIME) == model.start()
    real.simulation.receive(b"reset\r\n")
    assert real.run(DEMO_ANSWER_TIME + DEMO_START_TIME) == model.ask(b"reset\r\n")


# --- in its thread ---------------------------------------------------------------------------------------------------


class Listener:
    """The host at the UART of an emulated MCU."""

    def __init__(self, board: Board) -> None:
        self._received = bytearray()
        self._changed = threading.Condition()
        self.board = board
        self.mcu = EmulatedAvr(board, self._transmit)

    def _transmit(self, data: bytes) -> None:
        with self._changed:
            self._received += data
            self._changed.notify_all()

    def wait_for(self, end: bytes) -> bytes:
        """Everything up to an end."""
        with self._changed:
            assert self._changed.wait_for(lambda: end in self._received, TIMEOUT), bytes(self._received)
            place = self._received.index(end) + len(end)
            found = bytes(self._received[:place])
            del self._received[:place]
            return found

    def nothing_for(self, seconds: float) -> bool:
        with self._changed:
            return not self._changed.wait_for(lambda: bool(self._received), seconds)

    def forget(self) -> None:
        with self._changed:
            self._received.clear()


def emulation_threads() -> int:
    return sum(thread.name == "emulated-mcu" for thread in threading.enumerate())


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener(provisioning_board())
    yield listener
    listener.mcu.close()
    assert emulation_threads() == 0


def test_it_starts_answers_and_stops(listener):
    assert listener.mcu.baud_rate is None
    listener.mcu.start()
    assert b"WINC firmware 19.7.7\r\n" in listener.wait_for(b"READY\r\n")
    assert listener.mcu.baud_rate == 115200
    listener.mcu.receive(b"MC+PING=abc\r\n")
    assert listener.wait_for(b"OK\r\n") == b"\r\nMC+PONG=ABC\r\nOK\r\n"
    listener.mcu.stop()
    listener.mcu.receive(b"MC+PING=abc\r\n")
    assert listener.nothing_for(0.2)
    assert listener.mcu.baud_rate is None


def test_a_blob_at_full_speed_arrives_whole(listener):
    listener.mcu.start()
    listener.wait_for(b"READY\r\n")
    blob = bytes(0x30 + place % 64 for place in range(1024))
    listener.mcu.receive(b"MC+BLOBTEST=1024\r\n")
    listener.wait_for(b">")
    listener.mcu.receive(blob + b"\r\n")
    assert listener.wait_for(b"OK\r\n") == b"\r\n" + blob + b"\r\nOK\r\n"


def test_starting_again_is_a_reset_and_runs_one_mcu(listener):
    for _ in range(3):
        listener.mcu.start()
    listener.wait_for(b"READY\r\n")
    assert emulation_threads() == 1
    assert listener.nothing_for(0.2)


def test_it_may_be_stopped_in_the_middle_of_a_transaction_with_the_secure_element(listener):
    for bytes_of_answer in range(4):
        listener.mcu.start()
        assert b"WINC driver 19.3.0" in listener.wait_for(b"READY\r\n")
        listener.mcu.receive(b"MC+ECC+GENPUBKEY\r\n")
        listener.wait_for(b"\r\n"[: 1 + bytes_of_answer % 2])
        listener.mcu.stop()
        listener.forget()


def test_time_stands_still_while_nothing_is_asked(listener):
    listener.mcu.start()
    listener.wait_for(b"READY\r\n")
    deadline = time.monotonic() + TIMEOUT
    before = -1.0
    while (now := listener.mcu.simulated_time) != before:
        assert time.monotonic() < deadline, "the emulated MCU never comes to rest"
        before = now
        assert listener.nothing_for(0.3)
    used = time.process_time()
    assert listener.nothing_for(0.5)
    assert time.process_time() - used < 0.25
    listener.mcu.receive(b"MC+PING=1\r\n")
    assert listener.wait_for(b"OK\r\n") == b"\r\nMC+PONG=1\r\nOK\r\n"


def test_a_board_that_was_erased_or_holds_nonsense_says_nothing():
    for flash in (b"\xff" * 49152, bytes(range(1, 256)) * 100):
        listener = Listener(board_with(flash))
        listener.mcu.start()
        listener.mcu.receive(b"MC+PING=1\r\n")
        assert listener.nothing_for(0.5)
        listener.mcu.close()


def test_the_demo_runs_after_the_provisioning_firmware_on_the_same_chips(listener):
    listener.mcu.start()
    listener.wait_for(b"READY\r\n")
    name = b"thing-1".ljust(41, b"\0")
    for line, end in (
        (b"MC+WINC+ERASE=%d" % 0x6000, b"OK\r\n"),
        (b"MC+WINC+WRITEBLOB=%d,%d,%d" % (0x6F00, len(name), 2 * len(name)), b">"),
        (name.hex().encode(), b"OK\r\n"),
    ):
        listener.mcu.receive(line + b"\r\n")
        listener.wait_for(end)
    listener.mcu.stop()
    listener.board.flash[:] = flash_of("avr-iot-aws-demo")
    listener.mcu.start()
    assert b"Thing Name read from the device is thing-1\x1b" in listener.wait_for(b"thing-1\x1b[0m\x1b[0m\r\n")
    deadline = time.monotonic() + TIMEOUT
    while listener.mcu.simulated_time < DEMO_START_TIME:
        assert time.monotonic() < deadline
        listener.nothing_for(0.05)
    listener.mcu.receive(b"thing\r\n")
    assert listener.wait_for(b"\x04") == b"thing-1\r\n\x04"
