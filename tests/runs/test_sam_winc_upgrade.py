"""The Wi-Fi module of simulated SAM-IoT kits upgraded: the action is that of the other kits, the bridge is another."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from intelhex import IntelHex
from support.firmware_images import image_path
from support.running import Outcome, kit_folder, meters, run_tool
from support.simulated import kits_on_the_bus, simulator

from iotprovision.errors import ExitCode

KITS = ("sam-iot-wg", "sam-iot-wx")
STEP = "Firmware of the Wi-Fi module"
SECTOR, SIZE = 0x1000, 0x100000
# Calibration, client certificates, saved connection, host files.
KEPT = ((0x3000, 0x4000), (0x5000, 0x7000), (0x9000, 0xA000), (0x80000, SIZE))
OWN_PROGRAM = bytes.fromhex("00800020 01010000") + b"a program of the user's own"
FLASH_SIZE = 0x40000


def image(version: str) -> bytes:
    return image_path(f"winc1500-{version}").read_bytes()


def upgrade(home: Path, kit: str, *more: str) -> Outcome:
    return run_tool(home, "--simulate", kit, "wincupgrade", "--json", *more)


def step(outcome: Outcome) -> dict[str, str]:
    return next(step for step in outcome.document["steps"] if step["title"] == STEP)


def content(home: Path, kit: str, name: str = "winc.bin") -> bytes:
    return (kit_folder(home, kit) / name).read_bytes()


def in_use(home: Path, kit: str) -> Path:
    """A kit with firmware 19.7.6 in a module that is in use, and a program of the user's own on its MCU."""
    assert simulator("reset", kit, "--state", home / "simulator", "--wifi-module", "19.7.6").returncode == 0
    flash = bytearray(image("19.7.6"))
    for start, end in KEPT:
        flash[start:end] = Random(start).randbytes(end - start)
    (kit_folder(home, kit) / "winc.bin").write_bytes(flash)
    (kit_folder(home, kit) / "flash.bin").write_bytes(OWN_PROGRAM.ljust(FLASH_SIZE, b"\xff"))
    return home


def expected_after(before: bytes) -> bytes:
    """The image, with what the module had of its own."""
    wanted = bytearray(image("19.7.7"))
    for start, end in KEPT:
        wanted[start:end] = before[start:end]
    return bytes(wanted)


@pytest.fixture(scope="module", params=KITS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, bytes, Outcome]:
    """A kit, the home of its run, what the module held before, and the run."""
    kit: str = request.param
    home = in_use(tmp_path_factory.mktemp(kit), kit)
    before = content(home, kit)
    outcome = upgrade(home, kit)
    assert outcome.code == 0, outcome.err
    return kit, home, before, outcome


def test_the_firmware_is_written_and_the_rest_is_kept(done: tuple[str, Path, bytes, Outcome]) -> None:
    kit, home, before, outcome = done
    wanted = expected_after(before)
    assert content(home, kit) == wanted
    assert (step(outcome)["found"], step(outcome)["state"]) == ("19.7.6", "different")
    differ = [place for place in range(0, SIZE, SECTOR) if before[place:][:SECTOR] != wanted[place:][:SECTOR]]
    assert meters(home, kit)["winc_sector_erases"] == len(differ)


def test_the_users_program_is_put_back(done: tuple[str, Path, bytes, Outcome]) -> None:
    kit, home, _, outcome = done
    assert content(home, kit, "flash.bin") == OWN_PROGRAM.ljust(FLASH_SIZE, b"\xff")
    assert outcome.document["steps"][-1]["title"] == "Application put back"


def test_a_second_run_does_nothing(done: tuple[str, Path, bytes, Outcome], tmp_path: Path) -> None:
    kit, first, before, _ = done
    home = shutil.copytree(first, tmp_path / "home")
    cost = meters(home, kit)
    outcome = upgrade(home, kit)
    assert (step(outcome)["found"], step(outcome)["done"]) == ("19.7.7", "nothing")
    assert content(home, kit) == expected_after(before)
    for name in ("winc_sector_erases", "winc_page_writes"):
        assert meters(home, kit)[name] == cost[name]


def test_a_damaged_firmware_that_says_it_is_current(done: tuple[str, Path, bytes, Outcome], tmp_path: Path) -> None:
    """The bridge answers, but with zeros for the version: it is not asked anew, and nothing waits for a time-out."""
    kit, first, before, _ = done
    home = shutil.copytree(first, tmp_path / "home")
    damaged = bytearray(content(home, kit))
    damaged[0x20000] ^= 0x01
    (kit_folder(home, kit) / "winc.bin").write_bytes(damaged)
    outcome = upgrade(home, kit)
    assert outcome.code == 0, outcome.err
    assert step(outcome)["found"] == "firmware that does not start"
    assert content(home, kit) == expected_after(before)


@pytest.mark.parametrize(("fault", "after"), [("power_loss_after_uart_bytes", 120_000), ("uart_drop_after_bytes", 900)])
def test_an_upgrade_that_was_broken_off_is_finished_by_the_next_run(fault: str, after: int, tmp_path: Path) -> None:
    kit = "sam-iot-wx"
    home = in_use(tmp_path, kit)
    before = content(home, kit)
    with kits_on_the_bus(home / "simulator", kit) as kits:
        kits.faults(**{fault: after})
        outcome = upgrade(home, kit)
        assert outcome.code in (ExitCode.KIT, ExitCode.ACCESS, ExitCode.SERIAL_LINK), outcome.err
        kits.faults(**{fault: None})
        kits.plug_in()
        kits.save()
        broken_off = content(home, kit)
        assert all(broken_off[start:end] == before[start:end] for start, end in KEPT)
        assert broken_off != expected_after(before)
        outcome = upgrade(home, kit)
        assert outcome.code == 0, outcome.err
        kits.save()
        assert content(home, kit) == expected_after(before)
    # A kit without power could not be given it back: then it is in the store.
    (saved,) = home.rglob("application-*.hex")
    kept = IntelHex(str(saved)).tobinstr(end=FLASH_SIZE - 1) if "power" in fault else content(home, kit, "flash.bin")
    assert kept.rstrip(b"\xff") == OWN_PROGRAM


def test_a_module_that_answers_nothing(tmp_path: Path) -> None:
    """The bridge of a SAM does not say that it cannot reach the module; what is read back does."""
    kit = "sam-iot-wg"
    home = in_use(tmp_path, kit)
    before = content(home, kit)
    with kits_on_the_bus(home / "simulator", kit) as kits:
        kits.faults(winc_silent=True)
        outcome = upgrade(home, kit)
        assert outcome.code == ExitCode.PROOF, outcome.err
        kits.faults(winc_silent=False)
        kits.save()
        assert content(home, kit) == before
        assert content(home, kit, "flash.bin") == OWN_PROGRAM.ljust(FLASH_SIZE, b"\xff")
