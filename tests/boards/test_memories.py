"""Every memory of a kit, and one that is made up, through the one step: written, emptied and restored."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.board_stage import BoardStage
from support.firmware_images import hex_image
from support.simulated import kits_on_the_bus

from iotprovision.boards.finding import find_kit
from iotprovision.boards.memory import Memory
from iotprovision.boards.nedbg.board import MEMORIES, NedbgBoard
from iotprovision.boards.nedbg.wifi_module import ClientArea, ModuleFlashArea, RootStore
from iotprovision.boards.program import Program
from iotprovision.formats import root_store
from iotprovision.formats.winc_flash import WEB_PAGES
from iotprovision.runs.report import Reporter
from iotprovision.steps.programs import ProvisioningFirmware
from iotprovision.steps.step import Record, Rules, Step, run
from iotprovision.steps.stored import Emptied, Keeper, Stored
from iotprovision.store import backups
from iotprovision.store.folder import Store


class WebPages(ModuleFlashArea):
    """All that it takes to have one more memory."""

    part = "web-pages"
    kind = "winc-web-pages"
    called = "web pages in the Wi-Fi module"
    area = WEB_PAGES


class Kit:
    """A simulated kit with its provisioning firmware, and a folder for backups."""

    def __init__(self, board: NedbgBoard, folder: Path) -> None:
        self.board = board
        self.keeper = Keeper(Store(folder).for_kit(board.kit.serial_number), lambda: datetime.now(UTC), "test")

    def make_true(self, *steps: Step) -> list[Record]:
        observer = Reporter(io.StringIO(), io.StringIO(), os.environ, as_json=True)
        return list(run(steps, Rules(), observer, BoardStage(self.board)))


@contextmanager
def kit(folder: Path, name: str, image: str) -> Iterator[Kit]:
    with kits_on_the_bus(folder / "bus", name), NedbgBoard(find_kit()) as board:
        found = Kit(board, folder / "store")
        found.make_true(
            ProvisioningFirmware(board.programmer, lambda: hex_image(image), "provisioning", board.check_port)
        )
        yield found


@pytest.fixture
def avr(tmp_path: Path) -> Iterator[Kit]:
    with kit(tmp_path, "avr-iot-wa", "avr-iot-provisioning") as found:
        yield found


def flash_of(folder: Path) -> bytes:
    return (folder / "bus" / "avr-iot-wa" / "winc.bin").read_bytes()


def test_a_made_up_memory_is_written_emptied_and_restored(avr: Kit, tmp_path: Path) -> None:
    memory = WebPages(avr.board._module_flash)
    wanted = bytes(range(251)) * 32
    wanted = wanted + b"\xff" * (WEB_PAGES.size - len(wanted))
    avr.make_true(Stored(memory, lambda: wanted, avr.keeper))
    assert memory.read() == wanted
    assert not avr.make_true(Stored(memory, lambda: wanted, avr.keeper))[0].changed

    avr.make_true(Emptied(memory, avr.keeper, "Web pages gone"))
    assert memory.read() == b"\xff" * WEB_PAGES.size

    (saved,) = backups.find(avr.keeper.files, "winc-web-pages")
    content = backups.read(avr.keeper.files, saved, as_it_is=False)
    avr.make_true(Stored(memory, lambda: content, avr.keeper, exact=True))
    assert memory.read() == wanted


def test_what_this_run_may_not_write_is_not_written(avr: Kit) -> None:
    memory = WebPages(avr.board._module_flash)
    avr.board.bring(Program.PROVISIONING)
    with pytest.raises(ValueError, match="no area this run may change"):
        memory.write(b"\0" * WEB_PAGES.size, lambda done, total: None)


def test_roots_that_mean_the_same_are_in_place_in_whatever_order(avr: Kit) -> None:
    memory = avr.board.root_store
    assert isinstance(memory, RootStore)
    roots = root_store.parse(memory.read())
    other_way_round = root_store.build(tuple(reversed(roots)))
    assert other_way_round != root_store.build(roots)
    assert memory.difference(other_way_round, lambda done, total: None, exact=False) is None
    assert memory.difference(other_way_round, lambda done, total: None, exact=True) is not None


def test_leftovers_beside_what_is_wanted_count_only_where_all_is_compared(avr: Kit, tmp_path: Path) -> None:
    client_area = next(memory for memory in avr.board.memories if isinstance(memory, ClientArea))
    old = bytearray(client_area.blank())
    old[0x1F00 : 0x1F00 + 41] = b"left over".ljust(41, b"\0")
    avr.make_true(Stored(client_area, lambda: bytes(old), avr.keeper, exact=True))
    blank = client_area.blank()
    assert client_area.difference(blank, lambda done, total: None, exact=True) is not None
    avr.make_true(Emptied(client_area, avr.keeper, "Credentials gone"))
    assert flash_of_is_blank(avr, client_area)


def flash_of_is_blank(kit: Kit, area: ModuleFlashArea) -> bool:
    return kit.board.link().winc_read_range(area.area.address, area.area.size) == b"\xff" * area.area.size


@pytest.mark.parametrize("kind", MEMORIES)
def test_each_memory_has_a_name_of_its_own(kind: type[Memory]) -> None:
    others = [other for other in MEMORIES if other is not kind]
    for attribute in ("part", "kind", "called"):
        of_others: list[Callable[[], object]] = [getattr(other, attribute) for other in others]
        assert getattr(kind, attribute) not in of_others
