"""What runs overwrote on a simulated AVR-IoT WA comes back, byte for byte; what is not this kit's is refused."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.firmware_images import image_path
from support.roots import AMAZON_PEM
from support.running import Outcome, kit_folder, meters, run_tool, snapshot

from iotprovision.errors import ExitCode
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import start_kits
from iotprovision.store.backups import file_name, save
from iotprovision.store.folder import Store

JOB = ("--simulate", "-c", "aws", "-m", "jitr", "--no-lock")
VENDORS = image_path("winc1500-19.7.7").read_bytes()[0x4000:0x5000]
CHIPS = ("flash.bin", "eeprom.bin", "winc.bin", "board-config.bin", "fuses.bin")


def restore(home: Path, *arguments: str) -> Outcome:
    return run_tool(home, "restore", "--simulate", "--json", *arguments)


def chips(home: Path) -> dict[str, bytes]:
    """What the kit keeps without power. The registers' own block only: the rest is the debugger's."""
    return {name: (kit_folder(home) / name).read_bytes() for name in CHIPS if (kit_folder(home) / name).exists()}


def files(home: Path, pattern: str) -> list[Path]:
    return sorted((home / "simulator" / "certificates").glob(f"*/{pattern}"))


def step(outcome: Outcome, title: str) -> Any:
    (found,) = [each for each in outcome.document["steps"] if title in each["title"]]
    return found


def change(path: Path, address: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[address : address + len(data)] = data
    path.write_bytes(content)


@pytest.fixture(scope="module")
def overwritten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A provisioned kit with the user's own program, roots and settings; then all of that was overwritten."""
    home = tmp_path_factory.mktemp("overwritten")
    assert run_tool(home, *JOB).code == 0
    change(kit_folder(home) / "flash.bin", 0xBF00, b"my own program")
    change(kit_folder(home) / "winc.bin", 0x4000, VENDORS)
    (kit_folder(home) / "eeprom.bin").write_bytes(b"settings".ljust(256, b"\xff"))
    before = chips(home)
    roots = tmp_path_factory.mktemp("roots")
    (roots / "amazon.pem").write_bytes(AMAZON_PEM)
    assert run_tool(home, "rootcerts", "--simulate", "--irc", str(roots)).code == 0
    assert chips(home)["flash.bin"] == before["flash.bin"]
    # Another certificate and other links, and the vendor's demo instead of the user's program.
    outcome = run_tool(home, *JOB, "certs", "provision", "application", "--fdev")
    assert outcome.code == 0, outcome.err
    assert run_tool(home, "--simulate", "-c", "google", "provision", "links").code == 0
    after = chips(home)
    assert all(after[name] != before[name] for name in CHIPS if name != "fuses.bin")
    return home, before


@pytest.fixture
def home(overwritten: tuple[Path, dict[str, bytes]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(overwritten[0], tmp_path / "home"))


def test_all_comes_back_and_what_was_there_is_kept(home: Path, overwritten: tuple[Path, dict[str, bytes]]) -> None:
    before, present = overwritten[1], chips(home)
    outcome = restore(home)
    assert outcome.code == 0, outcome.err
    assert chips(home) == before
    assert set(outcome.document["restored_from"]) == {"application", "credentials", "root-certificates", "registers"}
    assert any("locked" in text for text in outcome.document["never_comes_back"])
    assert "Cannot come back: locked slots of the secure element" in outcome.err
    kept = [file.read_bytes() for file in files(home, "winc-*.bin")]
    assert present["winc.bin"][0x5000:0x7000] in kept
    assert present["winc.bin"][0x4000:0x5000] in kept
    blocks = [file.read_bytes() for file in files(home, "board-config-*.bin")]
    assert present["board-config.bin"][0xC00:0xE00] in blocks

    counted = meters(home)
    again = restore(home)
    assert again.code == 0, again.err
    assert chips(home) == before, "a second restore does not undo the first"
    for counter in ("winc_sector_erases", "winc_page_writes", "register_writes"):
        assert meters(home)[counter] == counted[counter]


def test_a_part_by_its_date(home: Path, overwritten: tuple[Path, dict[str, bytes]]) -> None:
    """The first links were saved before the kit was provisioned at all."""
    listed = restore(home, "--list").document["backups"]
    times = sorted(each["time"] for each in listed if each["part"] == "registers")
    assert len(times) >= 2
    (oldest,) = [Path(each["file"]) for each in listed if each["part"] == "registers" and each["time"] == times[0]]
    winc = chips(home)["winc.bin"]
    outcome = restore(home, "--only", "registers", "--date", times[0])
    assert outcome.code == 0, outcome.err
    assert chips(home)["board-config.bin"][0xC00:0xE00] == oldest.read_bytes()
    assert chips(home)["winc.bin"] == winc
    titles = [each["title"] for each in outcome.document["steps"]]
    assert titles == ["Board registers from the backup", "Debugger restarted"], "the MCU is not touched"


def test_application_and_registers_without_the_chips(home: Path) -> None:
    """The MCU is compared first, and the registers are asked for behind it: one after the other has the debugger."""
    outcome = restore(home, "--only", "application", "--only", "registers")
    assert outcome.code == 0, outcome.err
    assert step(outcome, "Board registers from the backup")["proof"]


def test_the_list_by_part_and_date(home: Path) -> None:
    every = restore(home, "--list").document["backups"]
    registers = [each for each in every if each["part"] == "registers"]
    assert 0 < len(registers) < len(every)
    assert restore(home, "--list", "--only", "registers").document["backups"] == registers
    time = registers[0]["time"]
    stamp = Path(registers[0]["file"]).stem.removeprefix("board-config-")
    for written in (time, stamp, time[:-1].replace("T", " ") + " UTC"):
        listed = restore(home, "--list", "--date", written).document["backups"]
        assert registers[0] in listed
        assert {each["time"] for each in listed} == {time}
    assert restore(home, "--list", "--date", time[:10]).document["backups"] == [
        each for each in every if each["time"][:10] == time[:10]
    ]
    assert restore(home, "--list", "--date", "2001-01-01").document["backups"] == []


def test_force_writes_what_is_there_already(home: Path) -> None:
    assert restore(home, "--only", "registers").code == 0
    before, counted = chips(home), meters(home)
    outcome = restore(home, "--only", "registers", "--force")
    assert outcome.code == 0, outcome.err
    assert meters(home)["register_writes"] > counted["register_writes"]
    assert chips(home) == before


def test_a_file_whose_name_has_no_time(home: Path) -> None:
    """Nobody's backup: it is passed over, and no run fails for it."""
    (folder,) = (home / "simulator" / "certificates").glob("MCHP*")
    before = restore(home, "--list").document["backups"]
    (folder / "application-20261399T000000000000.hex").write_bytes(b":00000001FF\n")
    listed = restore(home, "--list")
    assert listed.code == 0, listed.err
    assert listed.document["backups"] == before


def test_a_damaged_list_is_put_aside(home: Path) -> None:
    (listed,) = files(home, "backups.json")
    cut = listed.read_bytes()[:-20]
    listed.write_bytes(cut)
    assert "damaged list of backups" in restore(home, "--list").err
    outcome = restore(home, "--only", "registers", "--force")
    assert outcome.code == 0, outcome.err
    (aside,) = files(home, "backups.json.damaged-*")
    assert aside.read_bytes() == cut
    assert len(json.loads(listed.read_text())) == 1, "what that run saved"
    assert aside.name in restore(home, "--list").err
    assert restore(home, "--only", "registers", "--date", "2001-01-01").code == ExitCode.STORE
    assert files(home, "backups.json.damaged-*") == [aside]


def test_dry_run_and_list_change_nothing(home: Path) -> None:
    before = snapshot(home)
    dry = restore(home, "--dry-run")
    assert dry.code == 0, dry.err
    assert step(dry, "Application from the backup")["done"].startswith("would ")
    listed = run_tool(home, "restore", "--simulate", "--list")
    assert listed.code == 0
    assert "application-" in listed.out
    assert snapshot(home) == before


def test_broken_off_in_the_wifi_module_it_goes_on(home: Path, overwritten: tuple[Path, dict[str, bytes]]) -> None:
    with start_kits([SimulatedKitName.parse("avr-iot-wa")], home / "simulator") as kits:
        kits.faults(winc_flip_after_writes=4)
        outcome = restore(home)
        assert outcome.code == ExitCode.PROOF, outcome.err
        kits.faults(winc_flip_after_writes=None)
    assert chips(home)["winc.bin"] != overwritten[1]["winc.bin"]
    assert restore(home).code == 0
    assert chips(home) == overwritten[1]


def test_the_state_after_a_write_that_was_broken_off_is_passed_over(
    home: Path, overwritten: tuple[Path, dict[str, bytes]]
) -> None:
    """The next run saves it, as all that it overwrites; it is not what anybody wants back."""
    (kit,) = Store(home / "simulator" / "certificates").kits()
    broken = (("winc-root-certificates-009", VENDORS), ("winc-05000", chips(home)["winc.bin"][0x5000:0x7000]))
    for kind, content in broken:
        name = file_name(kind, datetime(2099, 1, 1, tzinfo=UTC), "bin")
        save(kit, name, without_its_end(content), "provision")
    outcome = restore(home)
    assert outcome.code == 0, outcome.err
    assert chips(home) == overwritten[1]
    for kind, _ in broken:
        assert f"{kind}-20990101T000000000000.bin is passed over" in outcome.err
    roots = run_tool(home, "rootcerts", "--simulate", "--rrc", "backup")
    assert roots.code == 0, roots.err
    assert "winc-root-certificates-009-20990101T000000000000.bin is passed over" in roots.err
    assert chips(home) == overwritten[1]


def test_slot_8_of_the_secure_element(tmp_path: Path) -> None:
    job = ("--simulate", "-c", "azure", "certs", "provision", "--id-scope")
    slot = [
        yaml_slot(tmp_path) for scope in ("0ne00AbCd12", "0ne99999999") if run_tool(tmp_path, *job, scope).code == 0
    ]
    assert [content[:11] for content in slot] == [b"0ne00AbCd12", b"0ne99999999"]
    outcome = restore(tmp_path, "--only", "slot-8")
    assert outcome.code == 0, outcome.err
    assert yaml_slot(tmp_path) == slot[0]
    again = restore(tmp_path, "--only", "slot-8", "--force")
    assert again.code == 0, again.err
    assert step(again, "Slot 8")["done"].endswith(Path(outcome.document["restored_from"]["slot-8"]).name)
    assert yaml_slot(tmp_path) == slot[0]


def test_a_kit_with_a_modem_after_it_was_emptied(tmp_path: Path) -> None:
    kit = "avr-iot-cellular-mini"
    job = ("--simulate", kit, "-c", "aws", "-m", "mar", "certs", "provision")
    assert run_tool(tmp_path, *job).code == 0

    def held() -> tuple[Any, Any]:
        folder = kit_folder(tmp_path, kit)
        element = yaml.safe_load((folder / "ecc608.yaml").read_text())
        return yaml.safe_load((folder / "modem.yaml").read_text())["memory"], element["slots"][8]

    before = held()
    emptied = run_tool(tmp_path, "unprovision", "--simulate", kit, "--yes", "--erase-credentials")
    assert emptied.code == 0, emptied.err
    assert held() != before
    outcome = run_tool(tmp_path, "restore", "--simulate", kit, "--json")
    assert outcome.code == 0, outcome.err
    assert held() == before
    assert set(outcome.document["restored_from"]) >= {"modem", "slot-8"}


def test_a_modem_that_had_no_device_certificate_when_it_was_saved(tmp_path: Path) -> None:
    """Unprovisioned and provisioned again: the newest backup has the authorities of the servers alone."""
    kit = "avr-iot-cellular-mini"
    job = ("--simulate", kit, "-c", "aws", "-m", "mar", "certs", "provision")
    folder = kit_folder(tmp_path, kit)

    def certificates() -> dict[int, str]:
        return yaml.safe_load((folder / "modem.yaml").read_text())["memory"]["certificate"]

    assert run_tool(tmp_path, *job).code == 0
    assert run_tool(tmp_path, "unprovision", "--simulate", kit, "--yes", "--erase-credentials").code == 0
    assert list(certificates()) == [19]
    assert run_tool(tmp_path, *job).code == 0
    provisioned = certificates()
    assert list(provisioned) == [18, 19]
    state = yaml.safe_load((folder / "modem.yaml").read_text())
    state["memory"]["certificate"][19] = AMAZON_PEM.decode()
    (folder / "modem.yaml").write_text(yaml.safe_dump(state))

    outcome = run_tool(tmp_path, "restore", "--simulate", kit, "--json")
    assert outcome.code == 0, outcome.err
    assert certificates() == provisioned, "the device certificate stays, the authorities come back"

    # The backup before that has a device certificate, which is of no use to another secure element.
    for newer in files(tmp_path, "modem-certificates-*.pem")[1:]:
        newer.unlink()
    words = with_another_key(folder, tmp_path / "other")
    element = yaml.safe_load((folder / "ecc608.yaml").read_text())
    element["slots"][8] = "00" * 416
    (folder / "ecc608.yaml").write_text(yaml.safe_dump(element))
    run = run_tool(tmp_path, "restore", "--simulate", kit, "--only", "slot-8", "--only", "modem")
    assert run.code == ExitCode.STORE, run.err
    assert words in run.err
    assert yaml.safe_load((folder / "ecc608.yaml").read_text())["slots"][8] == element["slots"][8]
    assert certificates() == provisioned


def yaml_slot(home: Path) -> bytes:
    return bytes.fromhex(yaml.safe_load((kit_folder(home) / "ecc608.yaml").read_text())["slots"][8])


def test_earlier_firmware_of_the_wifi_module(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "application").code == 0
    old = bytearray(image_path("winc1500-19.7.6").read_bytes())
    old[0x5000:0x7000] = bytes(range(256)) * 32
    (kit_folder(tmp_path) / "winc.bin").write_bytes(old)
    assert run_tool(tmp_path, "--simulate", "wincupgrade").code == 0
    assert chips(tmp_path)["winc.bin"] != old
    nothing = restore(tmp_path)
    assert nothing.code == ExitCode.STORE, "firmware comes back only when it is named"
    outcome = restore(tmp_path, "--only", "wifi-firmware")
    assert outcome.code == 0, outcome.err
    flash = chips(tmp_path)["winc.bin"]
    # Root certificates are not firmware: they are those of the newer one now, and have a part of their own.
    assert flash[:0x4000] + flash[0x5000:] == old[:0x4000] + old[0x5000:]


# --- backups of no use: nothing on the kit is changed


def damage(home: Path) -> str:
    file = files(home, "winc-05000-*.bin")[-1]
    change(file, 100, b"\x00\x01")
    return "is damaged"


def of_another_kit(home: Path) -> str:
    (listed,) = files(home, "backups.json")
    listed.write_text(listed.read_text().replace(listed.parent.name, "MCHP3261000000000000"))
    return "is of another kit"


def copied_there(home: Path) -> str:
    (listed,) = files(home, "backups.json")
    content = json.loads(listed.read_text())
    listed.write_text(json.dumps({name: entry for name, entry in content.items() if "05000" not in name}))
    return "Nothing tells whose backup"


def another_secure_element(home: Path) -> str:
    """As when the kit's debugger was changed: the key is another one, so that the certificate is of no use."""
    return with_another_key(kit_folder(home), home / "other")


def with_another_key(kit: Path, other: Path) -> str:
    assert run_tool(other, "--simulate", "avr-iot-wg", "none").code == 0
    element = yaml.safe_load((kit / "ecc608.yaml").read_text())
    keys = yaml.safe_load((kit_folder(other, "avr-iot-wg") / "ecc608.yaml").read_text())
    element["private_keys"][0] = keys["private_keys"][0]
    (kit / "ecc608.yaml").write_text(yaml.safe_dump(element))
    return "or of another secure element"


@pytest.mark.parametrize("spoil", [damage, of_another_kit, copied_there, another_secure_element])
def test_backups_of_no_use(spoil, home: Path) -> None:
    words = spoil(home)
    before = chips(home)
    outcome = restore(home, "--only", "credentials")
    assert outcome.code == ExitCode.STORE, outcome.err
    assert words in outcome.err
    assert chips(home) == before, "also the application is back"
    if spoil is copied_there:
        assert restore(home, "--only", "credentials", "--force").code == 0


def test_registers_of_another_kit(home: Path) -> None:
    """Even where the list knows nothing, the registers say whose they are."""
    (listed,) = files(home, "backups.json")
    listed.unlink()
    for file in files(home, "board-config-*.bin"):
        serial_number = listed.parent.name.encode()
        content = file.read_bytes()
        assert serial_number in content
        file.write_bytes(content.replace(serial_number, b"MCHP" + b"0" * (len(serial_number) - 4)))
    before = chips(home)
    outcome = restore(home, "--only", "registers", "-f")
    assert outcome.code == ExitCode.USAGE
    assert "of another kit" in outcome.err
    assert chips(home)["board-config.bin"] == before["board-config.bin"]


def cut_off(content: bytes) -> bytes:
    return content[:-1]


def emptied(content: bytes) -> bytes:
    return b""


def without_its_end(content: bytes) -> bytes:
    """As a sector is when the cable was pulled between its erasing and the last page."""
    return content[:256].ljust(len(content), b"\xff")


@pytest.mark.parametrize(
    ("part", "pattern", "spoil", "words"),
    [
        ("registers", "board-config-*.bin", cut_off, "has 512 bytes"),
        ("slot-8", "ecc608-slot-8-*.bin", emptied, "has 0 bytes"),
        ("slot-8", "ecc608-slot-8-*.bin", cut_off, "has 415 bytes"),
        ("root-certificates", "winc-root-certificates-*.bin", cut_off, "has 4095 bytes"),
        ("root-certificates", "winc-root-certificates-*.bin", without_its_end, "There is no backup of root"),
        ("credentials", "winc-05000-*.bin", without_its_end, "There is no backup of cert"),
    ],
)
def test_all_is_judged_before_anything_is_touched(part: str, pattern: str, spoil, words: str, home: Path) -> None:
    """An unlisted file of no use, taken with --force, costs no other part and is no fault of the program."""
    (folder,) = (home / "simulator" / "certificates").glob("MCHP*")
    (folder / "ecc608-slot-8-20261122T143321018926.bin").write_bytes(bytes(416))
    for file in files(home, pattern):
        content = file.read_bytes()
        file.write_bytes(spoil(content))
    (folder / "backups.json").unlink()
    before = chips(home)
    outcome = restore(home, "--only", part, "--only", "application", "--force")
    assert outcome.code in (ExitCode.STORE, ExitCode.USAGE), outcome.err
    assert words in outcome.err
    assert chips(home) == before
    assert not outcome.document.get("steps"), "not even the MCU was programmed"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--date", "yesterday"), ExitCode.USAGE, "is no date"),
        (("--date", "2026"), ExitCode.USAGE, "is no date"),
        (("--date", "2026-1-2T14"), ExitCode.USAGE, "is no date"),
        (("--date", "2026-13-01"), ExitCode.USAGE, "is no date"),
        (("--date", "2026-11-22T24"), ExitCode.USAGE, "is no date"),
        (("--date", "20011231T235959"), ExitCode.STORE, "There are backups of:"),
        (("--only", "slot-8"), ExitCode.STORE, "There is no backup of slot 8"),
        (("--date", "2001-01-01"), ExitCode.STORE, "There are backups of:"),
    ],
)
def test_what_there_is_not(arguments: tuple[str, ...], code: ExitCode, words: str, home: Path) -> None:
    before = chips(home)
    outcome = restore(home, *arguments)
    assert outcome.code == code
    assert words in outcome.err
    assert chips(home) == before


def test_a_kit_that_nothing_was_saved_of(tmp_path: Path) -> None:
    outcome = restore(tmp_path)
    assert outcome.code == ExitCode.STORE
    assert "There is no backup of anything" in outcome.err
    assert restore(tmp_path, "--list").document["backups"] == []
