"""Every kit of the catalogue with every method, from the factory to its first connection: the table of docs/kits.md.

A kit gets its row by being in kits.yaml. Where a run is refused, the reason goes into the table, and nothing may have
been written; then what the tool itself suggests is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from floor import floor
from support.firmware_images import hex_image, image_path
from support.kit_contents import slot_locked
from support.kits_table import Cell, KitsTable
from support.running import Outcome, kit_folder, meters, run_tool, snapshot

from iotprovision.boards.catalogue import KitDescription, kits
from iotprovision.errors import ExitCode
from iotprovision.firmware.index import load_index
from iotprovision.simulator.bench import Simulation
from iotprovision.simulator.kit.kinds import KINDS, SimulatedKitName
from iotprovision.simulator.kit.state import reset

pytestmark = pytest.mark.every_kit

AWS = {method: ("-c", "aws", "-m", method) for method in ("sandbox", "jitr", "mar")}
COLUMNS = {**AWS, "azure": ("-c", "azure"), "google": ("-c", "google"), "wincupgrade": ("wincupgrade",)}
SIMULATED = {kind.register_name: name for name, kind in KINDS.items()}
CHIP_WRITES = ("winc_sector_erases", "winc_page_writes", "modem_writes", "secure_element_locks")
WRITES = (*CHIP_WRITES, "register_writes", "debugger_reboots")
NO_WRITES = dict.fromkeys((*WRITES, "target_flash_erases", "target_flash_page_writes", "dfu_transfers"), 0)
FIRMWARE_OF_MODULE = slice(0xA000, 0x45000)


INDEX = load_index()
CATALOGUE = {kit.name: kit for kit in kits()}


@dataclass
class Board:
    """A simulated kit in a store of its own."""

    kit: KitDescription
    home: Path

    @property
    def simulated(self) -> str:
        assert self.kit.name in SIMULATED, f"{self.kit.name} is in kits.yaml and cannot be simulated"
        return SIMULATED[self.kit.name]

    @property
    def folder(self) -> Path:
        return kit_folder(self.home, self.simulated)

    def content(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @property
    def meters(self) -> dict[str, int]:
        return meters(self.home, self.simulated)

    @property
    def element(self) -> Any:
        return yaml.safe_load(self.content("ecc608.yaml"))

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        return ec.derive_private_key(int(self.element["private_keys"][0], 16), ec.SECP256R1()).public_key()

    def run(self, *arguments: str) -> Outcome:
        outcome = run_tool(self.home, "--simulate", self.simulated, *arguments, "--json")
        found = outcome.document["kit"]
        assert (found["name"], found["mcu"].lower()) == (self.kit.name, self.kit.mcu)
        return outcome

    def connect(self, sandbox: bool) -> Any:
        """The first power-up, where the run itself ended before it."""
        with Simulation(self.home / "simulator", self.simulated, "default", sandbox) as bench:
            return json.loads(json.dumps(bench.power_up()))


@dataclass(frozen=True)
class Result:
    """What came of a column.

    :param outcome: the run that ended well, with its arguments; None where every run was refused
    :param reason: of the last refusal, if there was one
    """

    outcome: Outcome | None
    arguments: Sequence[str]
    reason: str


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[tuple[KitsTable, bool]]:
    """The table of the page, and whether it is to be written."""
    writes: bool = request.config.getoption("--write-kits-page")
    page = KitsTable.of_page()
    yield page, writes
    if writes:
        page.write({name: SIMULATED[kit.name] for name, kit in CATALOGUE.items()}, list(COLUMNS))


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_kit_with_a_method(name: str, column: str, table: tuple[KitsTable, bool], tmp_path: Path) -> None:
    board = Board(CATALOGUE[name], tmp_path)
    fresh_from_the_factory(board, column)
    result = run_as_suggested(board, COLUMNS[column])
    words = "no" if result.outcome is None else done(board, column, result)
    found = Cell(words, result.reason)
    page, writes = table
    if writes:
        page.cells[name, column] = found
    else:
        assert found == page.cells.get((name, column)), "docs/kits.md differs; CONTRIBUTING.md says how it is written"


def test_the_page_has_every_kit_and_no_other(table: tuple[KitsTable, bool]) -> None:
    page, writes = table
    if not writes:
        assert page.names == {name: SIMULATED[kit.name] for name, kit in CATALOGUE.items()}
        assert set(page.cells) == {(name, column) for name in CATALOGUE for column in COLUMNS}


def fresh_from_the_factory(board: Board, column: str) -> None:
    """An upgrade of the Wi-Fi module finds the firmware before the newest."""
    older = column == "wincupgrade" and board.kit.has_wifi
    flash = image_path("winc1500-19.7.6").read_bytes() if older else None
    reset(board.home / "simulator", SimulatedKitName.parse(board.simulated), wifi_module_flash=flash)


def run_as_suggested(board: Board, arguments: Sequence[str]) -> Result:
    """Run it; where it is refused, run what the refusal suggests. Nothing may be written before a refusal."""
    before, reason = chips(board), ""
    for _ in range(2):
        outcome = board.run(*arguments)
        if outcome.code == 0:
            return Result(outcome, arguments, reason)
        assert outcome.code == ExitCode.USAGE, outcome.err
        assert chips(board) == before
        assert {name: board.meters[name] for name in NO_WRITES} == NO_WRITES
        assert not list(board.home.rglob("*.crt")), "no authority was made"
        assert outcome.document.get("account", {"writes": []})["writes"] == []
        error = outcome.document["error"]
        reason = reason_for_the_table(board, error["what"], error["why"])
        suggested = [line.split()[1:] for line in error["try"] if line.startswith("iotprovision ")]
        if not suggested:
            break
        arguments = suggested[0]
    return Result(None, arguments, reason)


def chips(board: Board) -> dict[str, str]:
    """All files of the kit but its drive, which the debugger shows from its first start on."""
    return {name: digest for name, digest in snapshot(board.folder).items() if not name.startswith("drive")}


def reason_for_the_table(board: Board, what: str, why: str) -> str:
    """The same words for every kit that they hold for."""
    assert board.kit.name in what
    why = " ".join(why.partition("Nothing was changed.")[0].split())
    text = f"{what.replace(board.kit.name, 'this kit')}. {why}".strip()
    return text[0].upper() + text[1:]


def done(board: Board, column: str, result: Result) -> str:
    """Look at what a run that ended well left behind.

    :returns: the words for the table
    """
    assert result.outcome is not None
    if column == "wincupgrade":
        newest = image_path("winc1500-19.7.7").read_bytes()
        assert board.content("winc.bin")[FIRMWARE_OF_MODULE] == newest[FIRMWARE_OF_MODULE]
        return "upgraded"
    cloud = COLUMNS[column][1]
    if not result.reason:
        application = hex_image(INDEX.find(board.kit.name, f"demo-{cloud}").name).flash
        assert board.content("flash.bin")[: len(application)] == application
    locked = [slot for slot in range(9, 16) if slot_locked(board.element, slot)]
    assert locked == ([10, 11, 12] if cloud == "aws" and board.kit.has_wifi else [])
    words = connected(board, column, result) if cloud == "aws" else identified(board, cloud)
    return f"{words}, without a demo" if result.reason else words


def connected(board: Board, method: str, result: Result) -> str:
    """The board connects with what its chips hold; the same command then writes nothing."""
    assert result.outcome is not None
    least = floor(board.kit, method, board.folder, with_application=not result.reason)
    assert least.faults(board.meters) == []
    connection = result.outcome.document.get("first_connection") or board.connect(method == "sandbox")
    assert connection["failure"] == ""
    point = board.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert connection["client_id"] == hashlib.sha1(point).hexdigest()
    *refused, last = [attempt["accepted"] for attempt in connection["attempts"]]
    assert last
    before, files = board.meters, snapshot(board.folder)
    second = board.run(*result.arguments)
    assert second.code == 0, second.err
    assert {name: board.meters[name] for name in WRITES} == {name: before[name] for name in WRITES}
    assert snapshot(board.folder) == files
    assert second.document.get("account", {"writes": []})["writes"] == []
    assert not list(board.home.rglob("application-*.hex")), "a demo can be had again"
    return "refused, then connected" if refused else "connected"


def identified(board: Board, cloud: str) -> str:
    """No local cloud plays this one: what the kit shall be known by is in the store."""
    (files,) = [folder for folder in (board.home / "simulator" / "certificates").iterdir() if folder.is_dir()]
    if cloud == "google":
        assert (files / "ecc_serial_number.txt").read_text().lower() == str(board.element["serial_number"]).lower()
    else:
        certificate = x509.load_pem_x509_certificate((files / "device.crt").read_bytes())
        assert certificate.public_key() == board.key
    return "done"
