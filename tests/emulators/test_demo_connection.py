"""The vendor's demo on an emulated board connects by itself, and only where all that it needs is right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer, id_of, thing_of
from support.simulated_chips import board_with, flash_of, private_key

from iotprovision.boards.nedbg.wire.wifi_line import warnings
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration
from iotprovision.errors import ProofError, UsageError
from iotprovision.formats import root_store
from iotprovision.formats.device_credentials import DeviceCredentials
from iotprovision.formats.root_store import root_of
from iotprovision.formats.winc_flash import pages
from iotprovision.simulator.board.board import Board
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.first_connection import FirstConnection

pytest.importorskip("yasimavr", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.board.surroundings import AccessPoint, Surroundings
from iotprovision.simulator.emulators.emulated_avr import EmulatedAvr
from iotprovision.simulator.first_connection.demo_connection import demo_connects, demo_joins, demo_reports
from iotprovision.simulator.first_connection.power_up import PowerUpReport
from iotprovision.simulator.radio.station import WPA_PSK, Connection, save_connection, saved_connection

pytestmark = pytest.mark.emulated

ACCESS_POINT = AccessPoint("lab", "correct horse")
ROOT_STORE, CLIENT_STORE, ENDPOINT, THING_NAME = 0x4000, 0x5000, 0x6E00, 0x6F00
# Simulated seconds: the console answers about 4.8 s after reset, and what it was told is used 2 s later.
CONSOLE_IS_THERE, USED_AFTER = 5.0, 4.0


@dataclass
class World:
    """A cloud account that knows one device, which every board here has the key of unless it is said otherwise."""

    cloud: LocalCloud
    account: Account
    signer: Signer

    @property
    def endpoint(self) -> str:
        return self.account.iot_endpoint()

    def board(self) -> Board:
        """Provisioned, and told its Wi-Fi network at some time before."""
        board = board_with(flash_of("avr-iot-aws-demo"))
        board.secure_element.private_keys[0] = private_key(1234567)
        board.surroundings = Surroundings(ACCESS_POINT, self.cloud.address)
        save_connection(board.wifi_module.flash, Connection(b"lab", WPA_PSK, b"correct horse"))
        self.provision(board, self.signer)
        return board

    def provision(
        self,
        board: Board,
        signer: Signer,
        key_number: int = 1234567,
        thing: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        key = private_key(key_number).public_key()
        device = signer.issue(key)
        thing = thing or thing_of(key)
        if signer is self.signer:
            DeviceRegistration(self.account, device, thing).register()
        chain = [certificate.public_bytes(Encoding.DER) for certificate in (device, signer.certificate)]
        flash = board.wifi_module.flash
        flash[CLIENT_STORE:0x7000] = b"\xff" * 0x2000
        for address, page in pages(0x5000, DeviceCredentials(*chain, thing, endpoint or self.endpoint).image()).items():
            flash[address : address + len(page)] = page


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        DevicePolicy(account).apply()
        yield World(cloud, account, Signer())


@pytest.fixture
def board(world: World) -> Board:
    return world.board()


class Power:
    """A board with power, and what it says on its console."""

    def __init__(self, board: Board) -> None:
        self.said = bytearray()
        self.board = board
        self.mcu = EmulatedAvr(board, self.said.extend)

    def __enter__(self) -> Power:
        return self

    def __exit__(self, *_: object) -> None:
        self.mcu.close()

    def tell(self, line: bytes) -> bytes:
        """Type a line as soon as the console is there; the answer."""
        self.mcu.start()
        self.mcu.wait_until(lambda: self.mcu.simulated_time > CONSOLE_IS_THERE, CONSOLE_IS_THERE + 1)
        self.said.clear()
        self.mcu.receive(line)
        self.mcu.wait_until(lambda: self.board.connections.asked_for != "", USED_AFTER)
        return bytes(self.said)


def connected(board: Board) -> PowerUpReport:
    with Power(board) as power:
        report = demo_connects(board, power.mcu, told=False)
    assert report is not None
    return report


def refusal(board: Board) -> str:
    """Why the demo did not connect, as the tool says it."""
    report = connected(board)
    assert not any(attempt["accepted"] for attempt in report["attempts"])
    with pytest.raises(ProofError) as raised:
        FirstConnection(lambda: report, nullcontext).apply(lambda *_: None)
    assert raised.value.what == "The board did not connect"
    return str(raised.value.why)


def test_it_connects_with_what_the_chips_hold_and_obeys_its_shadow(world: World, board: Board) -> None:
    thing = thing_of(private_key(1234567).public_key())
    with Power(board) as power:
        started = time.monotonic()
        report = demo_connects(board, power.mcu, told=False)
        assert time.monotonic() - started < 15, "wall seconds from power-up to the first message"
        assert report is not None
        assert report["failure"] == ""
        assert [attempt["accepted"] for attempt in report["attempts"]] == [True]
        assert (report["network"], report["endpoint"], report["client_id"]) == ("lab", world.endpoint, thing)
        assert report["first_topic"] == f"{thing}/sensors"
        assert report["signer_id"] == id_of(world.signer.certificate)
        shadow = world.account.client("iot-data")
        for toggle in (1, 0):
            shadow.update_thing_shadow(thingName=thing, payload=f'{{"state":{{"desired":{{"toggle":{toggle}}}}}}}')
            assert demo_reports(board, power.mcu, {"toggle": toggle})
        assert power.mcu.simulated_time < 30
    assert b"topic: $aws/things/" + thing.encode() + b"/shadow/update/delta" in power.said
    topic, payload = board.connections.traffic.published[0]
    assert payload == b'{"Light":255,"Temp":23.50}', "the sensors of the board, as the demo writes them"


def test_a_short_thing_name_is_the_client_id(world: World, board: Board) -> None:
    world.provision(board, world.signer, thing="my-thing")
    report = connected(board)
    assert (report["client_id"], report["first_topic"], report["failure"]) == ("my-thing", "my-thing/sensors", "")


# --- what is wrong in the chips ----------------------------------------------------------------------------------


def test_a_thing_name_that_is_not_padded(board: Board) -> None:
    board.wifi_module.flash[THING_NAME : THING_NAME + 41] = b"my-thing\0".ljust(41, b"\xff")
    report = connected(board)
    assert report["client_id"] == ""
    assert "empty client id" in report["failure"]


def test_a_thing_name_of_more_than_40_characters_is_refused_by_the_tool(world: World) -> None:
    with pytest.raises(UsageError, match="40"):
        world.provision(world.board(), Signer(), thing="x" * 41)


def test_a_root_store_without_the_root_of_the_cloud(board: Board) -> None:
    store = root_store.build([root_of(Signer("Some Other Root").certificate)])
    board.wifi_module.flash[ROOT_STORE : ROOT_STORE + len(store)] = store
    reason = refusal(board)
    assert "root store" in reason
    assert "Local cloud Root CA" in reason


def test_a_root_store_with_nothing_but_the_root_of_the_cloud(world: World, board: Board) -> None:
    from cryptography import x509

    authority = x509.load_pem_x509_certificate(Path(world.cloud.certificate_authority_file).read_bytes())
    store = root_store.build([root_of(Signer("Some Other Root").certificate), root_of(authority)])
    board.wifi_module.flash[ROOT_STORE : ROOT_STORE + len(store)] = store
    assert connected(board)["failure"] == ""


def test_no_client_store(board: Board) -> None:
    board.wifi_module.flash[CLIENT_STORE : CLIENT_STORE + 0x1E00] = b"\xff" * 0x1E00
    assert "no client certificates" in refusal(board)


def test_a_certificate_of_another_key(world: World, board: Board) -> None:
    world.provision(board, world.signer, key_number=7654321)
    assert "does not belong to the device certificate" in refusal(board)


def test_a_foreign_signer(world: World, board: Board) -> None:
    world.provision(board, Signer("Somebody Else"))
    assert "does not know who issued the device certificate" in refusal(board)


def test_an_endpoint_that_is_too_long(world: World, board: Board) -> None:
    too_long = "a" * 30 + ".iot.us-east-1.example-of-a-long-name.com"
    board.wifi_module.flash[ENDPOINT : ENDPOINT + 0x100] = too_long.encode().ljust(0x100, b"\0")
    assert "more than the 51 characters" in refusal(board)
    with pytest.raises(UsageError, match="51 characters"):
        world.provision(board, Signer(), endpoint=too_long)


def test_a_secure_element_that_does_not_sign(board: Board) -> None:
    del board.secure_element.private_keys[0]
    assert "secure element did not sign" in refusal(board)


# --- Wi-Fi -------------------------------------------------------------------------------------------------------


def test_a_wrong_passphrase(board: Board) -> None:
    save_connection(board.wifi_module.flash, Connection(b"lab", WPA_PSK, b"wrong horse"))
    assert "has another passphrase" in refusal(board)


def test_an_access_point_out_of_reach(board: Board) -> None:
    save_connection(board.wifi_module.flash, Connection(b"elsewhere", WPA_PSK, b"correct horse"))
    assert "no access point 'elsewhere'" in refusal(board)


def test_what_the_console_is_told_is_saved_once_it_was_right(board: Board) -> None:
    board.wifi_module.flash[0x9000:0xA000] = b"\xff" * 0x1000
    with Power(board) as power:
        assert power.tell(b"wifi lab,correct horse,2\n").startswith(b"OK\r\n")
        assert demo_joins(board, power.mcu) == ""
        report = demo_connects(board, power.mcu, told=True)
        assert report is not None
        assert report["failure"] == ""
    assert saved_connection(board.wifi_module.flash) == Connection(b"lab", WPA_PSK, b"correct horse")
    assert connected(board)["failure"] == "", "without a console, after a power cycle"


@pytest.mark.parametrize(
    ("line", "joins", "network"),
    [
        (b"wifi " + b"x" * 33 + b",correct horse,2\n", "x" * 32, ("x" * 33, "correct horse", "wpa-psk")),
        (b"wifi lab,horse,2\n", "lab", ("lab", "horse", "wpa-psk")),
    ],
    ids=["ssid of 33 characters is cut", "passphrase of 5 characters is taken"],
)
def test_what_the_demo_takes_and_the_tool_does_not(
    board: Board, line: bytes, joins: str, network: tuple[str, str, str]
) -> None:
    with Power(board) as power:
        assert power.tell(line).startswith(b"OK\r\n")
        assert board.connections.asked_for == joins
    with pytest.raises(UsageError):
        WifiNetwork(*network)


def test_wep_is_taken_and_nothing_happens(board: Board) -> None:
    board.wifi_module.flash[0x9000:0xA000] = b"\xff" * 0x1000
    with Power(board) as power:
        assert power.tell(b"wifi lab,0123456789,3\n").startswith(b"OK\r\n")
        assert board.connections.asked_for == ""
        assert "did not ask" in (demo_joins(board, power.mcu) or "")
    assert "OK" in warnings(WifiNetwork("lab", "0123456789", "wep"))[0]
