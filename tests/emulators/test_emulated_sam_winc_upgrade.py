"""The bridges of SAM-IoT kits really running: the model is measured by them, a module upgraded through them."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from support.board_stage import BoardStage
from support.bridge_frames import frame, random_frame
from support.bridges import ModelledBridge, RealBridge
from support.firmware_images import hex_image, image_path
from support.simulated import kits_on_the_bus, simulator
from support.simulated_chips import board_with, flash_of

from iotprovision.boards.finding import find_kit
from iotprovision.boards.nedbg.board import NedbgBoard
from iotprovision.formats.winc_image import WincImage
from iotprovision.runs.report import Reporter
from iotprovision.simulator.board.board import Board
from iotprovision.steps.programs import BridgeFirmware
from iotprovision.steps.step import Rules, run
from iotprovision.steps.wifi_module_firmware import WifiModuleFirmware
from iotprovision.store.folder import Store

pytest.importorskip("unicorn", reason="the emulator extra is not installed: pip install '.[emulator]'")
from iotprovision.simulator.emulators.sam_simulation import SamSimulation

pytestmark = pytest.mark.emulated

BRIDGES = ("sam-iot-wg-winc-upgrade", "sam-iot-wx-winc-upgrade")


def bridge_board(image: str) -> Board:
    board = board_with(flash_of(image))
    board.wifi_module.flash[0x5000:0x5400] = Random(1).randbytes(0x400)
    return board


def pair(image: str) -> tuple[RealBridge, ModelledBridge]:
    board = bridge_board(image)
    return RealBridge(board, SamSimulation(board)), ModelledBridge(bridge_board(image))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("image", "seed"), [(BRIDGES[0], 2), (BRIDGES[0], 4), (BRIDGES[1], 7)])
def test_model_and_real_bridge_cannot_be_told_apart(image: str, seed: int) -> None:
    random = Random(seed)
    real, model = pair(image)
    assert real.first == model.first == b""
    for number in range(40):
        request = random_frame(random)
        expected = model.ask(request)
        assert real.ask(request, expected) == expected, f"seed {seed}, frame {number}: {request[:12].hex()}"
    assert real.board.wifi_module.flash == model.board.wifi_module.flash
    for meter in ("winc_sector_erases", "winc_page_writes"):
        assert getattr(real.board.wifi_module.meters, meter) == getattr(model.board.wifi_module.meters, meter)


@pytest.mark.parametrize("image", BRIDGES)
def test_requests_that_do_not_wait_for_the_response(image: str) -> None:
    """The ring takes 127 bytes while the bridge is busy: the 16th request behind a read never becomes whole."""
    real, model = pair(image)
    burst = frame(1, 0x5000) + b"".join(frame(6, 0x30303030 + number) for number in range(16))
    expected = model.ask(burst)
    assert len(expected) == 264 + 15 * 8
    assert real.ask(burst, expected) == expected


@pytest.mark.parametrize("image", BRIDGES)
def test_a_module_that_does_not_answer(image: str) -> None:
    real, model = pair(image)
    for board in (real.board, model.board):
        board.wifi_module.faults.winc_silent = board.faults.winc_silent = True
    requests = (
        frame(6),
        frame(1, 0x100),
        frame(5, 0x1000),
        frame(3, 0x100, bytes(256)),
        frame(0),
        frame(0, 0, b"\x5a" * 256),
        frame(2, 0x5000),
        frame(6),
    )
    for request in requests:
        expected = model.ask(request)
        assert expected
        assert real.ask(request, expected) == expected


@pytest.mark.parametrize("image", BRIDGES)
def test_a_module_whose_firmware_does_not_start(image: str) -> None:
    """Zeros for the version, and the flash can be reached as before: nothing hangs."""
    real, model = pair(image)
    for board in (real.board, model.board):
        board.wifi_module.flash[0xA000:0xA010] = bytes(16)
    for request in (frame(0, 0x1234), frame(0, 0, b"\x5a" * 256), frame(1, 0xA000), frame(5, 0xB000), frame(6)):
        expected = model.ask(request)
        assert expected
        assert real.ask(request, expected) == expected


SECTOR = 0x1000
CONTROL, ROOTS = 0x1000, 0x4000
BROKEN_OFF = 0x20000
LOOKED_AT = [0, CONTROL, 0x3000, ROOTS, BROKEN_OFF]


class PartOfImage(WincImage):
    """The vendor's image, of which an upgrade looks at a few sectors only: the real bridge takes seconds for each."""

    def sectors(self) -> list[int]:
        return LOOKED_AT


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kit", ["sam-iot-wg", "sam-iot-wx"])
def test_the_real_bridge_finishes_an_upgrade_that_was_broken_off(kit: str, tmp_path: Path) -> None:
    bridge = f"{kit}-winc-upgrade"
    kit = f"{kit}@emulated"
    assert simulator("reset", kit, "--state", tmp_path, "--wifi-module", "19.7.7").returncode == 0
    image, older = (image_path(f"winc1500-{version}").read_bytes() for version in ("19.7.7", "19.7.6"))
    before = bytearray(image)
    before[CONTROL : CONTROL + SECTOR] = b"\xff" * SECTOR
    before[ROOTS : ROOTS + SECTOR] = older[ROOTS : ROOTS + SECTOR]
    before[BROKEN_OFF : BROKEN_OFF + SECTOR] = image[BROKEN_OFF:][:0x700].ljust(SECTOR, b"\xff")
    before[0x3000:0x3010] = bytes(16)
    (tmp_path / kit / "winc.bin").write_bytes(before)
    store = Store(tmp_path / "store")
    store.prepare()
    with kits_on_the_bus(tmp_path, kit) as kits, NedbgBoard(find_kit()) as board:
        steps = [
            BridgeFirmware(board.programmer, lambda: hex_image(bridge), "bridge", board.check_port),
            WifiModuleFirmware(
                board.wifi_module, lambda: PartOfImage(image, "image"), store, lambda: datetime.now(UTC)
            ),
        ]
        observer = Reporter(io.StringIO(), io.StringIO(), os.environ, as_json=True)
        _, record = run(steps, Rules(), observer, BoardStage(board))
        assert "wrote 3 sectors" in record.done
        assert kits.meters()["winc_sector_erases"] == 2, "the control section was erased already"
        kits.save()
        assert board.bridge().version().firmware == "19.7.7"
    wanted = bytearray(image)
    wanted[0x3000:0x4000] = before[0x3000:0x4000]
    assert (tmp_path / kit / "winc.bin").read_bytes() == wanted
