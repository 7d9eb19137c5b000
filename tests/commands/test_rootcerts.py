"""The command rootcerts on a simulated AVR-IoT WA: what its Wi-Fi module holds before and after, and what is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.firmware_images import hex_image, image_path
from support.kit_contents import read_root_store
from support.roots import AMAZON, BEGIN, END, root
from support.running import Outcome, kit_folder, meters, run_tool, snapshot

from iotprovision.errors import ExitCode
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import start_kits
from iotprovision.store.folder import Store

VENDORS = image_path("winc1500-19.7.7").read_bytes()[0x4000:0x5000]
DEMO = "avr-iot-aws-demo"


def flash(home: Path) -> bytes:
    return (kit_folder(home) / "winc.bin").read_bytes()


def store(home: Path) -> bytes:
    return flash(home)[0x4000:0x5000]


def rootcerts(home: Path, *arguments: str) -> Outcome:
    return run_tool(home, "rootcerts", "--simulate", "--json", *arguments)


def backups(home: Path) -> dict[str, bytes]:
    files = sorted((home / "simulator" / "certificates").glob("*/winc-root-certificates-*.bin"))
    return {file.name[:26]: file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit with the vendor's roots and demo, and something in every other part of its Wi-Fi module."""
    home = tmp_path_factory.mktemp("fresh")
    assert run_tool(home, "--simulate", "application").code == 0
    content = bytearray(range(256)) * 4096
    content[0x4000:0x5000] = VENDORS
    (kit_folder(home) / "winc.bin").write_bytes(content)
    return home


@pytest.fixture
def home(fresh: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "home"))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roots")
    for number, certificate in enumerate(AMAZON):
        form, ending = ((Encoding.PEM, "pem"), (Encoding.DER, "cer"))[number % 2]
        (folder / f"{number}.{ending}").write_bytes(certificate.public_bytes(form))
    return folder


def test_installed_kept_and_put_back(home: Path, roots: Path, tmp_path: Path) -> None:
    before = flash(home)
    outcome = rootcerts(home, "--irc", str(roots))
    assert outcome.code == 0, outcome.err
    keys = [
        [(numbers.x, numbers.y)] if isinstance(numbers, ec.EllipticCurvePublicNumbers) else [(numbers.n, numbers.e)]
        for numbers in (certificate.public_key().public_numbers() for certificate in AMAZON)  # type: ignore[union-attr]
    ]
    assert [
        [tuple(int.from_bytes(part, "big") for part in each["key"])] for each in read_root_store(store(home))
    ] == keys
    after = flash(home)
    assert after[:0x4000] + after[0x5000:] == before[:0x4000] + before[0x5000:], "nothing else is touched"
    assert backups(home) == {"winc-root-certificates-001": VENDORS}
    demo = hex_image(DEMO).flash
    assert (kit_folder(home) / "flash.bin").read_bytes()[: len(demo)] == demo, "the application is back"

    erases = meters(home)["winc_sector_erases"]
    files = snapshot(home)
    again = rootcerts(home, "--irc", str(roots))
    assert (again.code, meters(home)["winc_sector_erases"]) == (0, erases), "the same by content is left alone"
    assert {name for name, digest in snapshot(home).items() if files.get(name) != digest} <= {"simulator/history.jsonl"}

    other = tmp_path / "other"
    other.mkdir()
    (other / "own.pem").write_bytes(root("Own root").public_bytes(Encoding.PEM))
    assert rootcerts(home, "--irc", str(other)).code == 0
    ours = backups(home)["winc-root-certificates-002"]
    assert backups(home)["winc-root-certificates-001"] == VENDORS, "a second install costs nothing of the first"
    assert rootcerts(home, "--rrc", "backup").code == 0
    assert store(home) == ours == after[0x4000:0x5000]
    assert len(read_root_store(backups(home)["winc-root-certificates-003"])) == 1, "what a restore replaces is kept too"
    erases = meters(home)["winc_sector_erases"]
    assert rootcerts(home, "--rrc", "backup").code == 0
    assert meters(home)["winc_sector_erases"] == erases, "a second restore does not undo the first"
    assert rootcerts(home, "--rrc", "1").code == 0
    assert store(home) == VENDORS


def test_factory_roots_and_the_expired_one_is_named(home: Path) -> None:
    content = bytearray(flash(home))
    content[0x4000:0x5000] = b"\xff" * 0x1000
    (kit_folder(home) / "winc.bin").write_bytes(content)
    outcome = rootcerts(home, "--rrc", "factory")
    assert outcome.code == 0, outcome.err
    assert store(home) == VENDORS
    assert "expired: Baltimore CyberTrust Root (2025-05-12)" in outcome.err
    assert backups(home) == {}, "an erased sector is nothing to keep"


def test_order_and_meaningless_bytes_are_no_difference(home: Path) -> None:
    content = bytearray(flash(home))
    content[0x4000 + 20 + 27] = 0x5A
    (kit_folder(home) / "winc.bin").write_bytes(content)
    outcome = rootcerts(home, "--rrc", "factory")
    assert outcome.code == 0, outcome.err
    assert meters(home).get("winc_sector_erases", 0) == 0


def test_the_backup_is_saved_before_the_erase(home: Path, roots: Path) -> None:
    """The kit is broken off in the middle of writing; what it held is in the store, and goes back."""
    with start_kits([SimulatedKitName.parse("avr-iot-wa")], home / "simulator") as kits:
        kits.faults(winc_flip_after_writes=3)
        outcome = rootcerts(home, "--irc", str(roots))
        assert outcome.code == ExitCode.PROOF, outcome.err
        kits.faults(winc_flip_after_writes=None)
    assert store(home) != VENDORS
    assert backups(home) == {"winc-root-certificates-001": VENDORS}
    assert rootcerts(home, "--rrc", "backup").code == 0
    assert store(home) == VENDORS


def test_dry_run(home: Path, roots: Path) -> None:
    before = snapshot(home)
    outcome = rootcerts(home, "--irc", str(roots), "--dry-run")
    assert outcome.code == 0, outcome.err
    assert snapshot(home) == before
    assert outcome.document["steps"][-2]["state"] == "unknown"


def test_two_runs_on_one_kit_at_once(home: Path, roots: Path) -> None:
    assert rootcerts(home, "--rrc", "factory").code == 0
    (kit,) = Store(home / "simulator" / "certificates").kits()
    with kit.lock():
        outcome = rootcerts(home, "--irc", str(roots))
    assert outcome.code == ExitCode.LOCKED
    assert "Another run is using" in outcome.err
    assert store(home) == VENDORS


@pytest.mark.parametrize("kit", ["avr-iot-wg", "pic-iot-wa", "sam-iot-wx"])
def test_other_kits(kit: str, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "rootcerts", "--simulate", kit, "--rrc", "factory", "--json")
    assert outcome.code == 0, outcome.err
    assert (kit_folder(tmp_path, kit) / "winc.bin").read_bytes()[0x4000:0x5000] == VENDORS


# --- bad input: nothing on the kit is touched


def too_many(folder: Path) -> None:
    for number in range(38):
        (folder / f"{number}.pem").write_bytes(root(str(number)).public_bytes(Encoding.PEM))


def p384(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "P-384")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, BEGIN, END)
    (folder / "p384.pem").write_bytes(builder.sign(key, hashes.SHA384()).public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda folder: None, "holds no files"),
        (lambda folder: folder.joinpath("notes.txt").write_text("my roots"), "notes.txt is no certificate"),
        (p384, "p384.pem cannot be used: its key (EC on secp384r1)"),
        (too_many, "38 root certificates do not fit"),
        (lambda folder: folder.rmdir(), "cannot be read"),
    ],
)
def test_folders_of_no_use(fill, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "roots"
    folder.mkdir()
    fill(folder)
    outcome = rootcerts(tmp_path / "home", "--irc", str(folder))
    assert outcome.code == ExitCode.USAGE
    assert words in outcome.err
    assert outcome.document["error"]["kind"] == "UsageError"
    assert not kit_folder(tmp_path / "home").exists()


def test_backups_of_no_use(home: Path, roots: Path) -> None:
    missing = rootcerts(home, "--rrc", "backup")
    assert missing.code == ExitCode.STORE
    assert "no backup of root certificates" in missing.err
    assert rootcerts(home, "--irc", str(roots)).code == 0
    before = store(home)
    (file,) = (home / "simulator" / "certificates").glob("*/winc-root-certificates-*.bin")
    assert "There are the numbers 1" in rootcerts(home, "--rrc", "7").err

    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\0")
    assert "is damaged" in rootcerts(home, "--rrc", "backup", "-f").err
    file.write_bytes(content)

    listed = file.with_name("backups.json")
    text = listed.read_text()
    listed.write_text(text.replace(file.parent.name, "MCHP3261000000000000"))
    other = rootcerts(home, "--rrc", "backup", "--force")
    assert other.code == ExitCode.STORE
    assert "is of another kit" in other.err
    listed.write_text("{")
    unlisted = rootcerts(home, "--rrc", "1")
    assert unlisted.code == ExitCode.STORE
    assert "Nothing tells whose backup" in unlisted.err
    assert store(home) == before
    assert rootcerts(home, "--rrc", "1", "--force").code == 0
    assert store(home) == VENDORS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which root certificates"),
        (("--rrc", "newest"), "--rrc takes backup, factory"),
        (("--irc", "x", "--rrc", "backup"), "not allowed with"),
    ],
)
def test_options_of_no_use(arguments: tuple[str, ...], words: str, tmp_path: Path, capfd) -> None:
    outcome = rootcerts(tmp_path, *arguments)
    assert outcome.code == ExitCode.USAGE
    assert words in outcome.err + capfd.readouterr().err


def test_a_kit_without_wifi(tmp_path: Path, roots: Path) -> None:
    outcome = run_tool(tmp_path, "rootcerts", "--simulate", "avr-iot-cellular-mini", "--irc", str(roots))
    assert outcome.code == ExitCode.USAGE
    assert "has no Wi-Fi module" in outcome.err
