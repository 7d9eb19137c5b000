"""Upgrades of the Wi-Fi module's firmware on a modelled kit: what is written, kept, saved, and resumed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from support.firmware_images import image_path
from support.running import Outcome, kit_folder, meters, run_tool
from support.simulated import eventually, kits_on_the_bus, simulator
from support.simulated_chips import board_with, flash_of

from iotprovision.errors import ExitCode, UsageError
from iotprovision.formats.winc_image import WincImage
from iotprovision.simulator.models.modelled_mcu import ModelledMcu
from iotprovision.simulator.usb.host import KitProcess

KIT = "avr-iot-wa"
UPGRADE = ("--simulate", KIT, "wincupgrade", "--json")
STEP = "Firmware of the Wi-Fi module"
SECTOR, SIZE = 0x1000, 0x100000
CALIBRATION, ROOTS, CLIENT, WEB_PAGES, CONNECTION, HOST_FILES = 0x3000, 0x4000, 0x5000, 0x7000, 0x9000, 0x80000
CONTROL = 0x1000
PROGRAM = b"the user's own program".ljust(0xC000, b"\xff")
# Bytes of a frame beside its payload.
FRAME = 8
# The vendor's 19.7.6 and 19.7.7 differ in 61 sectors; the calibration is one of them.
DIFFERENT = 60


def image(version: str) -> bytes:
    return image_path(f"winc1500-{version}").read_bytes()


def sectors_that_differ(one: bytes, other: bytes) -> list[int]:
    return [address for address in range(0, SIZE, SECTOR) if one[address:][:SECTOR] != other[address:][:SECTOR]]


def personal(flash: bytearray) -> None:
    """What a module in use has of its own: each kept area with something in it."""
    random = Random(7)
    for address, size in ((CALIBRATION, SECTOR), (CLIENT, 2 * SECTOR), (CONNECTION, 200), (HOST_FILES + 0x5100, 9000)):
        flash[address : address + size] = random.randbytes(size)


def put(home: Path, flash: bytes) -> None:
    (kit_folder(home, KIT) / "winc.bin").write_bytes(flash)


def flash(home: Path) -> bytes:
    return (kit_folder(home, KIT) / "winc.bin").read_bytes()


def step(outcome: Outcome, title: str = STEP) -> dict[str, str]:
    return next(step for step in outcome.document["steps"] if step["title"] == title)


def fresh(home: Path, version: str = "19.7.6") -> None:
    assert simulator("reset", KIT, "--state", home / "simulator", "--wifi-module", version).returncode == 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A kit with firmware 19.7.6 in a module that is in use, and a program of the user's own on its MCU."""
    return in_use(tmp_path)


def in_use(home: Path) -> Path:
    fresh(home)
    content = bytearray(flash(home))
    assert content == image("19.7.6")
    personal(content)
    put(home, content)
    (kit_folder(home, KIT) / "flash.bin").write_bytes(PROGRAM)
    return home


def expected_after(before: bytes, version: str = "19.7.7") -> bytes:
    """The image, with what the module had of its own; the factory's root certificates are renewed."""
    wanted = bytearray(image(version))
    for start, end in (
        (CALIBRATION, ROOTS),
        (CLIENT, WEB_PAGES),
        (CONNECTION, CONNECTION + SECTOR),
        (HOST_FILES, SIZE),
    ):
        wanted[start:end] = before[start:end]
    return bytes(wanted)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, Outcome]:
    """One run, with what the module held before."""
    home = in_use(tmp_path_factory.mktemp("home"))
    before = flash(home)
    outcome = run_tool(home, *UPGRADE)
    assert outcome.code == 0, outcome.err
    return home, before, outcome


@pytest.fixture
def upgraded(first_run: tuple[Path, bytes, Outcome], tmp_path: Path) -> tuple[Path, bytes, Outcome]:
    """The kit after one run, for one test alone."""
    shutil.copytree(first_run[0], tmp_path / "home")
    return tmp_path / "home", *first_run[1:]


def test_only_what_differs_is_written_and_the_rest_is_kept(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, before, outcome = upgraded
    assert flash(home) == expected_after(before)
    differ = sectors_that_differ(before, expected_after(before))
    assert len(differ) == DIFFERENT
    cost = meters(home, KIT)
    assert cost["winc_sector_erases"] == DIFFERENT
    pages = sum(
        -(-len(expected_after(before)[address : address + SECTOR].rstrip(b"\xff")) // 256) for address in differ
    )
    assert cost["winc_page_writes"] == pages
    assert (step(outcome)["found"], step(outcome)["state"]) == ("19.7.6", "different")
    assert f"wrote {DIFFERENT} sectors" in step(outcome)["done"]
    assert "every sector compared" in step(outcome)["proof"]
    for kept in ("calibration", "client certificates", "saved Wi-Fi", "host files"):
        assert kept in step(outcome)["done"]
    assert "root certificates" not in step(outcome)["done"]


def test_bytes_of_an_upgrade(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, _, _ = upgraded
    cost = meters(home, KIT)
    full_read = SIZE // SECTOR * (SECTOR + 2 * FRAME)
    differing = DIFFERENT * (SECTOR + 2 * FRAME + 2 * FRAME)
    assert cost["uart_bytes_to_kit"] + cost["uart_bytes_from_kit"] <= 1.15 * (differing + full_read)


def test_a_second_run_does_nothing(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, _, _ = upgraded
    after, cost = flash(home), meters(home, KIT)
    outcome = run_tool(home, *UPGRADE)
    assert outcome.code == 0, outcome.err
    assert (step(outcome)["found"], step(outcome)["done"]) == ("19.7.7", "nothing")
    assert "every sector" not in step(outcome)["proof"]
    assert flash(home) == after
    again = meters(home, KIT)
    for name in ("winc_sector_erases", "winc_page_writes"):
        assert again[name] == cost[name]
    assert sum(again[name] - cost[name] for name in ("uart_bytes_to_kit", "uart_bytes_from_kit")) < 3 * SECTOR


def test_the_users_program_is_put_back(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, _, outcome = upgraded
    assert (kit_folder(home, KIT) / "flash.bin").read_bytes() == PROGRAM
    assert outcome.document["steps"][-1]["title"] == "Application put back"


def test_what_was_overwritten_is_saved_as_an_image_that_can_go_back(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, before, _ = upgraded
    (saved,) = home.rglob("winc-firmware-*.bin")
    for address in sectors_that_differ(before, expected_after(before)):
        assert saved.read_bytes()[address : address + SECTOR] == before[address : address + SECTOR]
    outcome = run_tool(home, *UPGRADE, "--wifi-module-firmware", str(saved))
    assert step(outcome)["found"] == "19.7.7, newer than 19.7.6"
    assert step(outcome)["done"] == "nothing"
    outcome = run_tool(home, *UPGRADE, "--fwinc", "--wifi-module-firmware", str(saved))
    assert outcome.code == 0, outcome.err
    assert flash(home) == before


def test_force_compares_everything(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, before, _ = upgraded
    damaged = bytearray(flash(home))
    damaged[0x50000] ^= 0x01
    put(home, damaged)
    assert step(run_tool(home, *UPGRADE))["done"] == "nothing", "the firmware that runs is not what is damaged"
    outcome = run_tool(home, *UPGRADE, "--force")
    assert outcome.code == 0, outcome.err
    assert "wrote 1 sector;" in step(outcome)["done"]
    assert flash(home) == expected_after(before)
    outcome = run_tool(home, *UPGRADE, "--force")
    assert "nothing differs" in step(outcome)["done"]


def test_a_damaged_firmware_that_says_it_is_current(upgraded: tuple[Path, bytes, Outcome]) -> None:
    home, before, _ = upgraded
    damaged = bytearray(flash(home))
    damaged[0x20000] ^= 0x01
    put(home, damaged)
    outcome = run_tool(home, *UPGRADE)
    assert outcome.code == 0, outcome.err
    assert step(outcome)["found"] == "firmware that does not start"
    assert flash(home) == expected_after(before)


def test_verify_reads_everything_once_more(home: Path) -> None:
    before = flash(home)
    outcome = run_tool(home, *UPGRADE, "--verify")
    assert outcome.code == 0, outcome.err
    proof = step(outcome, "Proof: firmware of the Wi-Fi module")
    assert (proof["found"], proof["state"]) == ("19.7.7", "in place")
    assert "every sector compared" in proof["proof"]
    assert flash(home) == expected_after(before)


def test_dry_run_changes_nothing(home: Path) -> None:
    before, cost = flash(home), meters(home, KIT)
    outcome = run_tool(home, *UPGRADE, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert step(outcome)["state"] == "unknown"
    assert flash(home) == before
    assert meters(home, KIT)["target_flash_erases"] == cost["target_flash_erases"]


@pytest.mark.parametrize("store", ["the user's", "of another factory"])
def test_custom_root_certificates_are_kept(store: str, home: Path) -> None:
    changed = bytearray(flash(home))
    if store == "the user's":
        changed[ROOTS : ROOTS + SECTOR] = Random(3).randbytes(2000).ljust(SECTOR, b"\xff")
    else:
        changed[ROOTS + 0x40] ^= 0x01
    put(home, changed)
    outcome = run_tool(home, *UPGRADE)
    assert outcome.code == 0, outcome.err
    wanted = bytearray(expected_after(bytes(changed)))
    wanted[ROOTS : ROOTS + SECTOR] = changed[ROOTS : ROOTS + SECTOR]
    assert flash(home) == wanted
    assert "root certificates" in step(outcome)["done"]


def test_what_a_full_erase_destroyed_is_filled_from_the_image(tmp_path: Path) -> None:
    """As after the vendor's tool was broken off: everything erased, calibration and certificates too."""
    fresh(tmp_path)
    content = bytearray(b"\xff" * SIZE)
    content[:0x3000] = image("19.7.7")[:0x3000]
    content[0xA000:0x20000] = image("19.7.7")[0xA000:0x20000]
    put(tmp_path, content)
    outcome = run_tool(tmp_path, *UPGRADE)
    assert outcome.code == 0, outcome.err
    assert flash(tmp_path) == image("19.7.7")


def test_a_module_without_any_firmware(tmp_path: Path) -> None:
    """A factory-fresh simulated kit: it says 19.7.7, and there is no control section that says so."""
    outcome = run_tool(tmp_path, *UPGRADE)
    assert outcome.code == 0, outcome.err
    assert step(outcome)["state"] == "missing"
    assert flash(tmp_path) == image("19.7.7")
    assert not list(tmp_path.rglob("winc-firmware-*.bin")), "there was nothing to save"
    assert meters(tmp_path, KIT)["winc_sector_erases"] == 0, "what is erased is not erased again"


def all_is_well(home: Path, before: bytes, kits: KitProcess) -> None:
    outcome = run_tool(home, *UPGRADE)
    assert outcome.code == 0, outcome.err
    kits.save()
    assert flash(home) == expected_after(before)


def kept_are_untouched(now: bytes, before: bytes) -> None:
    for start, end in (
        (CALIBRATION, ROOTS),
        (CLIENT, WEB_PAGES),
        (CONNECTION, CONNECTION + SECTOR),
        (HOST_FILES, SIZE),
    ):
        assert now[start:end] == before[start:end]


# Bytes to the kit: 1 KB while differences are sought, 250 KB while they are written; from the kit three times as many.
@pytest.mark.parametrize(
    ("fault", "after"),
    [
        *(("power_loss_after_uart_bytes", Random(seed).randrange(20, 240_000)) for seed in range(2)),
        *(("uart_drop_after_bytes", Random(seed).randrange(300, 700_000)) for seed in range(2)),
        ("power_loss_after_uart_bytes", 1200),  # hardly begun
        ("power_loss_after_uart_bytes", 240_000),  # all but the last sectors
    ],
)
def test_an_upgrade_broken_off_at_any_byte_is_finished_by_the_next_run(fault: str, after: int, home: Path) -> None:
    before = flash(home)
    with kits_on_the_bus(home / "simulator", KIT) as kits:
        kits.faults(**{fault: after})
        outcome = run_tool(home, *UPGRADE)
        assert outcome.code in (ExitCode.KIT, ExitCode.ACCESS, ExitCode.SERIAL_LINK), outcome.err
        kits.faults(**{fault: None})
        kits.plug_in()
        kits.save()
        kept_are_untouched(flash(home), before)
        all_is_well(home, before, kits)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_upgrade_that_was_killed(signal_number: int, home: Path) -> None:
    before = flash(home)
    with kits_on_the_bus(home / "simulator", KIT) as kits:
        process = subprocess.Popen(
            [sys.executable, "-m", "iotprovision", *UPGRADE],
            env={**os.environ, "IOTPROVISION_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: kits.meters()["winc_sector_erases"] >= 5, "the writing", 60)
        process.send_signal(signal_number)
        code = process.wait(60)
        assert code == (ExitCode.INTERRUPTED if signal_number == signal.SIGINT else -signal.SIGKILL)
        kits.save()
        kept_are_untouched(flash(home), before)
        assert flash(home) != expected_after(before)
        if signal_number == signal.SIGINT:
            assert (kit_folder(home, KIT) / "flash.bin").read_bytes() == PROGRAM, "put back on the way out"
        all_is_well(home, before, kits)


def test_a_sector_that_went_wrong_is_written_again(home: Path) -> None:
    before = flash(home)
    with kits_on_the_bus(home / "simulator", KIT) as kits:
        kits.faults(winc_flip_after_writes=100)
        all_is_well(home, before, kits)
        assert kits.meters()["winc_sector_erases"] == DIFFERENT + 1


def test_a_disturbed_line_is_noticed(home: Path) -> None:
    before = flash(home)
    with kits_on_the_bus(home / "simulator", KIT) as kits:
        kits.faults(uart_garbage_after_bytes=600_000)
        all_is_well(home, before, kits)


def test_a_module_that_answers_nothing(home: Path) -> None:
    before = flash(home)
    with kits_on_the_bus(home / "simulator", KIT) as kits:
        kits.faults(winc_silent=True)
        outcome = run_tool(home, *UPGRADE)
        assert outcome.code == ExitCode.PROOF, outcome.err
        kits.faults(winc_silent=False)
        kits.save()
        assert flash(home) == before
        all_is_well(home, before, kits)


@pytest.mark.parametrize("size", [0, 4096, SIZE - 1, SIZE + 1])
def test_an_image_of_the_wrong_size(size: int, home: Path, tmp_path: Path) -> None:
    before = flash(home)
    file = tmp_path / "image.bin"
    file.write_bytes(image("19.7.7").ljust(SIZE + 1)[:size])
    outcome = run_tool(home, *UPGRADE, "--wifi-module-firmware", str(file))
    assert outcome.code == ExitCode.USAGE
    assert f"{size} bytes" in outcome.err
    assert flash(home) == before
    assert (kit_folder(home, KIT) / "flash.bin").read_bytes() == PROGRAM


def test_other_images_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image"):
        WincImage(bytes(SIZE), "zeros")
    with pytest.raises(UsageError, match="cannot be read"):
        WincImage.load(tmp_path / "absent.bin")
    assert run_tool(tmp_path, "--simulate", "certs", "--wifi-module-firmware", "x.bin").code == ExitCode.USAGE


def test_the_option_adds_the_action(home: Path) -> None:
    outcome = run_tool(home, "--simulate", KIT, "-w", "none", "--json")
    assert outcome.code == 0, outcome.err
    assert step(outcome)["found"] == "19.7.6"
    assert {entry["action"] for entry in outcome.document["steps"]} == {"keep", "wincupgrade"}


def provisioning_answers(wifi_module_flash: bytes, *requests: bytes) -> list[bytes]:
    """What the provisioning firmware says at its start, and to requests."""
    board = board_with(flash_of("avr-iot-provisioning"))
    board.wifi_module.flash[:] = wifi_module_flash
    sent = bytearray()
    mcu = ModelledMcu(board, sent.extend)
    mcu.start()
    answers = [bytes(sent)]
    for request in requests:
        sent.clear()
        mcu.receive(request)
        answers.append(bytes(sent))
    return answers


@pytest.mark.parametrize("version", ["19.7.6", "19.7.7"])
def test_a_simulated_module_tells_the_version_of_what_is_in_its_flash(version: str) -> None:
    (banner,) = provisioning_answers(image(version))
    assert f"WINC firmware {version}\r\nWINC driver 19.3.0\r\n".encode() in banner


@pytest.mark.parametrize("missing", [0, CONTROL, 0xA000, 0x44000])
def test_a_simulated_module_with_half_a_firmware_does_not_start(missing: int) -> None:
    content = bytearray(image("19.7.7"))
    content[missing : missing + SECTOR] = b"\xff" * SECTOR
    answers = provisioning_answers(content, b"MC+ABOUT\r\n", b"MC+WINC+READ=%d,4\r\n" % (missing + SECTOR))
    assert answers[0] == b"Welcome to the avr-iot command handler!\r\nREADY\r\n"
    assert answers[1] == b"\r\nERROR: 0x2F4\r\n"
    assert answers[2].endswith(b"OK\r\n"), "download mode needs no firmware"


def test_a_kit_with_firmware_that_does_not_exist(tmp_path: Path) -> None:
    outcome = simulator("reset", KIT, "--state", tmp_path, "--wifi-module", "19.7.5")
    assert outcome.returncode == ExitCode.USAGE
    assert "19.7.6, 19.7.7" in outcome.stderr
