"""The action dbgupgrade on simulated kits: upgrades, bad archives, and what broken upgrades leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import usb.backend.libusb1
import usb.core
from support.debugger_archives import (
    FACTORY_VERSION,
    VERSION,
    archive_of_version,
    hex_text,
    image_of_version,
    manifest,
    vendor_archive,
    vendor_image,
    write_zip,
)
from support.other_runs import held_by_another, with_its_own_cache
from support.running import Outcome, run_tool
from support.simulated import eventually, kits_on_the_bus

from iotprovision.boards.finding import find_kit
from iotprovision.boards.nedbg import debugger_upgrade
from iotprovision.boards.nedbg.boot_mode import kits_in_boot_mode, prepare_usb
from iotprovision.boards.nedbg.debugger import list_debuggers
from iotprovision.boards.nedbg.debugger_upgrade import finish_upgrade, upgrade_debugger
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.errors import AccessError, ExitCode, UsageError
from iotprovision.firmware.cache import images_folder
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.simulator.usb.host import KitProcess

WA, WG = "avr-iot-wa", "avr-iot-wg"
TRANSFERS = 460
UNTOUCHED = ("flash.bin", "eeprom.bin", "fuses.bin", "user-row.bin", "board-config.bin", "winc.bin", "ecc608.yaml")


class Bench:
    """A kit that has something to lose, and the tool."""

    def __init__(self, folder: Path, kits: KitProcess) -> None:
        self.kits = kits
        self._home = folder / "store"

    def run(self, *arguments: object) -> Outcome:
        outcome = run_tool(self._home, *map(str, arguments))
        assert "Traceback" not in outcome.err
        assert outcome.code != ExitCode.BUG, outcome.err
        return outcome

    def upgrade(self, *arguments: object) -> dict[str, str]:
        """A run that must succeed; gives the record of its step."""
        outcome = self.run("dbgupgrade", "--json", *arguments)
        assert outcome.code == ExitCode.OK, outcome.err
        (step,) = outcome.document["steps"]
        return dict(step)

    @property
    def serial_number(self) -> str:
        return self.kits.kits[0].serial_number

    def version(self) -> str:
        return find_kit(self.serial_number).debugger_version

    def contents(self) -> dict[str, bytes]:
        self.kits.save(WA)
        return {name: (self.kits.kits[0].folder / name).read_bytes() for name in UNTOUCHED}


def refused(outcome: Outcome, code: ExitCode, *words: str) -> None:
    assert outcome.code == code, outcome.err
    for word in words:
        assert word in outcome.err


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_its_own_cache(tmp_path, monkeypatch)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with kits_on_the_bus(tmp_path / "bus", WA) as kits:
        yield Bench(tmp_path, kits)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Bench]:
    with kits_on_the_bus(tmp_path / "bus", WA, WG) as kits:
        yield Bench(tmp_path, kits)


def break_upgrade(bench: Bench, kit: str = WA, serial_number: str | None = None) -> None:
    """Leave a kit in boot mode, with half of its firmware."""
    bench.kits.faults(kit, power_loss_after_dfu_transfers=150)
    number = serial_number or bench.serial_number
    refused(bench.run("dbgupgrade", "-f", "-s", number), ExitCode.ACCESS, "run the command again")
    bench.kits.plug_in(kit)


# --- upgrades


def test_an_older_debugger_is_upgraded_once(bench: Bench) -> None:
    before = bench.contents()
    step = bench.upgrade()
    assert (step["action"], step["found"], step["done"]) == ("dbgupgrade", FACTORY_VERSION, f"wrote {VERSION}")
    assert bench.version() == VERSION
    assert bench.contents() == before
    counted = bench.kits.meters()
    step = bench.upgrade()
    assert (step["state"], step["found"], step["done"]) == ("in place", VERSION, "nothing")
    after = bench.kits.meters()
    assert (after["dfu_transfers"], after["debugger_reboots"]) == (counted["dfu_transfers"], 2)
    assert counted["dfu_transfers"] == TRANSFERS
    assert after["hid_transactions"] - counted["hid_transactions"] <= 13
    assert (after["target_flash_erases"], after["register_writes"]) == (0, 0)


def test_the_newer_spelling_and_the_proof(bench: Bench) -> None:
    outcome = bench.run("debuggerupgrade", "--verify", "--json")
    assert outcome.code == ExitCode.OK, outcome.err
    first, proof = outcome.document["steps"]
    assert first["done"] == f"wrote {VERSION}"
    assert (proof["title"], proof["found"]) == ("Proof: debugger firmware", VERSION)


def test_a_kit_with_something_to_lose_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "bus"
    with kits_on_the_bus(folder, WA):
        pass
    for name in ("flash.bin", "eeprom.bin", "user-row.bin", "winc.bin"):
        file = folder / WA / name
        file.write_bytes(bytes(number * 7 & 0xFF for number in range(file.stat().st_size)))
    with kits_on_the_bus(folder, WA) as kits:
        bench = Bench(tmp_path, kits)
        before = bench.contents()
        bench.upgrade()
        assert bench.contents() == before


def test_force_writes_the_same_again(bench: Bench) -> None:
    bench.upgrade()
    assert bench.upgrade("-f")["done"] == f"wrote {VERSION}"
    assert bench.kits.meters()["dfu_transfers"] == 2 * TRANSFERS
    assert bench.version() == VERSION


def test_a_dry_run_says_what_it_would_do(bench: Bench) -> None:
    counted = bench.kits.meters()
    assert bench.upgrade("--dry-run")["done"].startswith("would write")
    assert bench.kits.meters()["debugger_reboots"] == counted["debugger_reboots"]
    assert bench.version() == FACTORY_VERSION


def test_an_older_archive_is_taken_by_force_only(bench: Bench, tmp_path: Path) -> None:
    archive = archive_of_version(tmp_path / "older.zip", "1.15.479")
    step = bench.upgrade("-A", archive)
    assert (step["done"], step["found"]) == ("nothing", f"{FACTORY_VERSION}, newer than 1.15.479")
    assert bench.version() == FACTORY_VERSION
    assert bench.upgrade("-A", archive, "--force")["done"] == "wrote 1.15.479"
    assert bench.version() == "1.15.479"


@pytest.mark.parametrize("version", ["1.22.100", "1.100.1", "2.0.0"])
def test_versions_are_compared_as_numbers(version: str, bench: Bench, tmp_path: Path) -> None:
    assert bench.upgrade("-A", archive_of_version(tmp_path / "newer.zip", version))["done"] == f"wrote {version}"


def test_an_archive_that_says_another_version_than_its_image(bench: Bench, tmp_path: Path) -> None:
    archive = write_zip(
        tmp_path / "lie.zip", avrtools_fw_xml=manifest("1.40.1"), nedbg_hex=hex_text(image_of_version("1.39.9"))
    )
    refused(bench.run("dbgupgrade", "-A", archive), ExitCode.PROOF, "1.40.1", "1.39.9")
    assert bench.version() == "1.39.9"


# --- archives that are none

ArchiveMaker = Callable[[Path], Path]


def one(**files: str) -> ArchiveMaker:
    return lambda path: write_zip(path, **files)


def text_file(path: Path) -> Path:
    path.write_text("no zip at all")
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def truncated(path: Path) -> Path:
    path.write_bytes(vendor_archive().read_bytes()[:50000])
    return path


def damaged(path: Path) -> Path:
    content = bytearray(vendor_archive().read_bytes())
    content[5000] ^= 0xFF
    path.write_bytes(content)
    return path


def large(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("avrtools_fw.xml", manifest())
        archive.writestr("nedbg.hex", bytes(9 << 20))
    return path


def image(content: Callable[[], bytes] = vendor_image, address: int = 0x2000, **said: str) -> ArchiveMaker:
    return lambda path: write_zip(path, avrtools_fw_xml=manifest(**said), nedbg_hex=hex_text(content(), address))


def renamed() -> bytes:
    return vendor_image().replace(b"nEDBG", b"mEDBG").replace(b"n\0E\0D\0", b"m\0E\0D\0")


NO_HEX = {"avrtools_fw_xml": manifest()}
BAD_ARCHIVES: dict[str, tuple[ArchiveMaker, str]] = {
    "missing": (lambda path: path, "no such file"),
    "folder": (folder, "folder"),
    "text": (text_file, "not a zip"),
    "truncated": (truncated, "not a zip"),
    "damaged": (damaged, ""),
    "large": (large, "more than"),
    "no manifest": (lambda path: write_zip(path, nedbg_hex=":00000001FF\n"), "avrtools_fw.xml"),
    "no image": (one(**NO_HEX), "nedbg.hex"),
    "no xml": (one(avrtools_fw_xml="version 1", nedbg_hex=":00000001FF\n"), "not XML"),
    "other tool": (image(tool="pickit4"), "'pickit4'"),
    "other file": (image(file="pickit4.hex"), "names no nedbg.hex"),
    "other base": (image(base="0x0000"), "base address"),
    "no version": (image(version="one.30.35"), "no version"),
    "no hex": (one(**NO_HEX, nedbg_hex="firmware"), "no Intel HEX"),
    "binary": (one(**NO_HEX, nedbg_hex="\x00\xff\u20ac"), "no Intel HEX"),
    "empty": (one(**NO_HEX, nedbg_hex=":00000001FF\n"), "is empty"),
    "below": (image(address=0), "0x0"),
    "above": (image(lambda: vendor_image() + bytes(0x23000)), "0x3E"),
    "short": (image(lambda: vendor_image()[:32]), "32 bytes"),
    "no program": (image(lambda: bytes(1000)), "program"),
    "other device": (image(renamed), "another device"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_archives_that_are_none(name: str, tmp_path: Path) -> None:
    make, word = BAD_ARCHIVES[name]
    path = make(tmp_path / "archive.zip")
    with pytest.raises(UsageError) as raised:
        DebuggerArchive.load(path)
    assert word in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_bad_archive_is_refused_before_the_kit_is_looked_for(bench: Bench, tmp_path: Path) -> None:
    counted = bench.kits.meters()
    refused(bench.run("all", "-A", text_file(tmp_path / "a.zip")), ExitCode.USAGE, "not a zip", "-A")
    assert bench.kits.meters() == counted


def test_an_archive_needs_its_action(bench: Bench) -> None:
    refused(bench.run("links", "-A", vendor_archive()), ExitCode.USAGE, "dbgupgrade")


def test_the_vendors_archive() -> None:
    archive = DebuggerArchive.load(vendor_archive())
    assert (archive.version, archive.size) == (VERSION, 106148)


# --- upgrades that break


# Counted in transfers: the identity of the chip is read, then comes the erase; at the end the CRC, start, and reset.
ERASE, CRC = 15, TRANSFERS - 5


@pytest.mark.parametrize(
    "points",
    [(0, 1, 7, ERASE - 1, ERASE, ERASE + 1), range(ERASE + 10, CRC - 3, 71), range(CRC - 2, TRANSFERS)],
    ids=["before and while erasing", "writing and verifying", "finishing"],
)
def test_power_lost_at_any_transfer_and_the_next_run(
    points: Sequence[int], bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debugger_upgrade, "BACK_TIMEOUT", 5.0)  # of a kit that was unplugged when all was written
    before = bench.contents()
    for number, point in enumerate(points):
        version = f"1.31.{number}"
        command = ("dbgupgrade", "-A", archive_of_version(tmp_path / "newer.zip", version), "-s", bench.serial_number)
        bench.kits.faults(power_loss_after_dfu_transfers=point)
        first = bench.run(*command)
        assert first.code != ExitCode.OK, point
        assert "run the command again" in first.err
        bench.kits.plug_in()
        assert kits_in_boot_mode() == (ERASE <= point <= CRC), point
        second = bench.run(*command)
        assert second.code == ExitCode.OK, (point, second.err)
        assert (bench.version(), kits_in_boot_mode()) == (version, 0), point
    assert bench.contents() == before


def test_unplugged_at_any_report_and_the_next_run(bench: Bench, tmp_path: Path) -> None:
    broken = 0
    for number in range(0, 31, 2):
        version = f"1.31.{number}"
        command = ("dbgupgrade", "-A", archive_of_version(tmp_path / "newer.zip", version))
        bench.kits.faults(unplug_after_transactions=number)
        first = bench.run(*command)
        assert first.code in (ExitCode.OK, ExitCode.ACCESS, ExitCode.KIT), first.err
        broken += first.code != ExitCode.OK
        bench.kits.faults(unplug_after_transactions=None)
        bench.kits.plug_in()
        second = bench.run(*command)
        assert second.code == ExitCode.OK, (number, second.err)
        assert (bench.version(), kits_in_boot_mode()) == (version, 0), number
    assert broken >= 14


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_waits_until_the_firmware_is_whole(bench: Bench, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "iotprovision.simulator", "run", "--state", str(tmp_path / "bus"), "--"]
        + [sys.executable, "-m", "iotprovision", "dbgupgrade"],
        env={**os.environ, "IOTPROVISION_HOME": str(tmp_path / "store")},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: bench.kits.meters()["dfu_transfers"] > 30, "the upgrade", timeout=60)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (ExitCode.INTERRUPTED, ExitCode.OK)
    eventually(list_debuggers, "the start of the new firmware")
    assert (bench.version(), kits_in_boot_mode()) == (VERSION, 0)


def test_a_kit_in_boot_mode_is_named_and_left_alone_by_other_runs(bench: Bench) -> None:
    break_upgrade(bench)
    counted = bench.kits.meters()
    for arguments in (["none"], ["links"], ["dbgupgrade", "--dry-run"], ["none", "-s", bench.serial_number]):
        refused(bench.run(*arguments), ExitCode.KIT, "in boot mode", "03eb:2fc0", "iotprovision dbgupgrade")
    assert bench.kits.meters() == counted
    step = bench.upgrade()
    assert (step["found"], step["state"]) == (VERSION, "in place")
    assert bench.version() == VERSION


def test_force_does_not_write_twice_what_was_in_boot_mode(bench: Bench) -> None:
    break_upgrade(bench)
    counted = bench.kits.meters()["dfu_transfers"]
    bench.upgrade("-f")
    assert bench.kits.meters()["dfu_transfers"] - counted < 1.1 * TRANSFERS


def test_a_kit_in_boot_mode_gets_the_archive_that_was_given(bench: Bench, tmp_path: Path) -> None:
    break_upgrade(bench)
    older = archive_of_version(tmp_path / "older.zip", "1.20.7")
    refused(bench.run("dbgupgrade", "-A", text_file(tmp_path / "a.zip")), ExitCode.USAGE)
    bench.upgrade("-A", older)
    assert bench.version() == "1.20.7"


def test_a_whole_simulated_run_saves_its_kit(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with kits_on_the_bus(home / "simulator", WA) as kits:
        kits.faults(power_loss_after_dfu_transfers=200)
        refused(run_tool(home, "--simulate", "dbgupgrade"), ExitCode.ACCESS, "run the command again")
        kits.plug_in()
        outcome = run_tool(home, "--simulate", "dbgupgrade", "links", "-m", "sandbox", "--dry-run")
        refused(outcome, ExitCode.KIT, "in boot mode")
        outcome = run_tool(home, "--simulate", "debuggerupgrade")
        assert outcome.code == ExitCode.OK, outcome.err
        assert kits.kits[0].serial_number in outcome.err


def test_boot_mode_that_may_not_be_opened(bench: Bench) -> None:
    break_upgrade(bench)
    bench.kits.faults(usb_access_denied=True)
    words = ["cannot be opened"] + ["2fc0", "udevadm"] * sys.platform.startswith("linux")
    refused(bench.run("dbgupgrade"), ExitCode.ACCESS, *words)
    bench.kits.faults(usb_access_denied=False)
    bench.upgrade()


# --- several kits


def test_two_kits_need_a_choice_and_only_the_chosen_one_is_upgraded(two: Bench) -> None:
    refused(two.run("dbgupgrade"), ExitCode.KIT, "2 kits", "-s")
    two.upgrade("-s", two.serial_number[-6:])
    assert two.version() == VERSION
    assert find_kit(two.kits.kits[1].serial_number).debugger_version == FACTORY_VERSION


def test_one_of_two_kits_in_boot_mode(two: Bench) -> None:
    other = two.kits.kits[1].serial_number
    break_upgrade(two)
    refused(two.run("dbgupgrade"), ExitCode.KIT, "2 kits", "boot mode", other, "-s")
    # The other one can be used, but not upgraded: the boot loaders could not be told apart.
    assert two.run("none", "-s", other).code == ExitCode.OK
    refused(two.run("dbgupgrade", "-s", other), ExitCode.ACCESS, "Another kit", "Nothing was changed")
    assert find_kit(other).debugger_version == FACTORY_VERSION
    # A serial number that nobody shows may be mistyped, so it does not mean the one in boot mode.
    refused(two.run("dbgupgrade", "-s", two.serial_number), ExitCode.KIT, other, "in boot mode", "alone")
    assert kits_in_boot_mode() == 1
    two.kits.unplug(WG)
    two.upgrade("-s", two.serial_number)
    assert two.version() == VERSION
    two.kits.plug_in(WG)
    two.upgrade("-s", other)
    assert find_kit(other).debugger_version == VERSION


def test_a_current_kit_beside_one_in_boot_mode(two: Bench) -> None:
    other = two.kits.kits[1].serial_number
    two.upgrade("-s", other)
    break_upgrade(two)
    assert two.upgrade("-s", other)["done"] == "nothing"
    assert kits_in_boot_mode() == 1


def test_two_kits_in_boot_mode(two: Bench) -> None:
    two.kits.unplug(WG)
    break_upgrade(two)
    two.kits.unplug(WA)
    two.kits.plug_in(WG)
    break_upgrade(two, WG, two.kits.kits[1].serial_number)
    two.kits.plug_in(WA)
    assert kits_in_boot_mode() == 2
    for arguments in (["none"], ["dbgupgrade"], ["dbgupgrade", "-s", two.serial_number]):
        refused(two.run(*arguments), ExitCode.KIT, "2 kits are in boot mode", "one of them at a time")
    two.kits.unplug(WG)
    two.upgrade()
    assert two.version() == VERSION


# --- the machine below


def test_a_lock_that_cannot_be_made(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="Cannot lock"):
        upgrade_debugger(
            bench.serial_number,
            DebuggerArchive.load(vendor_archive()),
            UpgradeTurn(tmp_path / "file" / "lock"),
            lambda done, total: None,
        )
    assert bench.version() == FACTORY_VERSION


def test_progress_counts_the_bytes_of_the_image(bench: Bench, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    archive = DebuggerArchive.load(vendor_archive())
    upgrade_debugger(bench.serial_number, archive, UpgradeTurn(tmp_path / "lock"), lambda *values: seen.append(values))
    assert (seen[0], seen[-1]) == ((2048, 106148), (106148, 106148))
    assert seen == sorted(seen)
    assert bench.version() == VERSION


def test_two_kits_at_once_take_turns(two: Bench, tmp_path: Path) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "iotprovision.simulator", "run", "--state", str(tmp_path / "bus"), "--"]
            + [sys.executable, "-m", "iotprovision", "dbgupgrade", "-s", kit.serial_number],
            env={**os.environ, "IOTPROVISION_HOME": str(tmp_path / "store")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for kit in two.kits.kits
    ]
    for program in programs:
        _, said = program.communicate(timeout=120)
        assert program.returncode == ExitCode.OK, said.decode()
    assert {find_kit(kit.serial_number).debugger_version for kit in two.kits.kits} == {VERSION}


# Another run finishes the upgrade of the one kit in boot mode, and says so when it has its turn.
FINISH_BOOT_MODE = """
import pathlib, sys
from iotprovision.boards.nedbg.debugger_upgrade import finish_upgrade
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.firmware.cache import images_folder
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.simulator.usb.host import attached
said = []
def progress(done, total):
    said or print("held", flush=True)
    said.append(done)
with attached(pathlib.Path(sys.argv[1])):
    archive = DebuggerArchive.load(pathlib.Path(sys.argv[2]))
    finish_upgrade(archive, UpgradeTurn(pathlib.Path(sys.argv[3])), progress)
"""


def test_a_kit_that_another_run_has_just_finished_is_found(bench: Bench, tmp_path: Path) -> None:
    break_upgrade(bench)
    archive, lock = vendor_archive(), tmp_path / "lock"
    with held_by_another(FINISH_BOOT_MODE, tmp_path / "bus", archive, lock):
        counted = bench.kits.meters()["dfu_transfers"]
        found = finish_upgrade(DebuggerArchive.load(archive), UpgradeTurn(lock), lambda done, total: None)
    assert found == bench.serial_number
    assert bench.kits.meters()["dfu_transfers"] - counted <= TRANSFERS, "it was written once"
    assert bench.version() == VERSION


def test_a_run_that_waits_for_its_turn_says_so(two: Bench, tmp_path: Path) -> None:
    lock = images_folder(os.environ) / "debugger-upgrade.lock"
    hold = "import pathlib, sys\nfrom iotprovision.boards.upgrade_turn import UpgradeTurn\n"
    hold += "with UpgradeTurn(pathlib.Path(sys.argv[1])).taken('MCHP1'):\n    print('held', flush=True)\n"
    hold += "    import time; time.sleep(1)\n"
    with held_by_another(hold, lock):
        outcome = two.run("dbgupgrade", "-s", two.serial_number, "--json")
    assert outcome.code == ExitCode.OK, outcome.err
    assert "Waiting for another run, which upgrades the debugger of kit MCHP1" in outcome.err


def test_no_libusb(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_backend(*_: object, **__: object) -> None:
        raise usb.core.NoBackendError("No backend available")

    monkeypatch.setattr(usb.core, "find", no_backend)
    monkeypatch.setattr(usb.backend.libusb1, "get_backend", lambda **_: None)
    with pytest.raises(AccessError, match="libusb"):
        prepare_usb()


def test_no_libusb_stops_before_boot_mode_and_no_other_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_backend(*_: object, **__: object) -> None:
        raise usb.core.NoBackendError("No backend available")

    monkeypatch.setattr(usb.core, "find", no_backend)
    monkeypatch.setattr(usb.backend.libusb1, "get_backend", lambda **_: None)
    assert bench.run("none").code == ExitCode.OK
    refused(bench.run("dbgupgrade"), ExitCode.ACCESS, "libusb")
    assert bench.version() == FACTORY_VERSION


def test_pyusb_works_where_the_system_has_no_libusb() -> None:
    program = (
        "from iotprovision.boards.nedbg.boot_mode import kits_in_boot_mode\n"
        "assert kits_in_boot_mode() >= 0\n"
        "import usb.core\n"
        "usb.core.find(); usb.core.show_devices()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
