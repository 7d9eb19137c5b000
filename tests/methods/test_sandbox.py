"""The vendor's sandbox: what kit and store hold afterwards, for both kinds of secure element, and what is refused."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from support.kit_contents import read_client_store, slot_locked
from support.running import Outcome, kit_folder, meters, run_tool, snapshot
from support.simulated import kits_on_the_bus, simulator

from iotprovision.errors import ExitCode
from iotprovision.formats.ecc608_zones import Kind
from iotprovision.simulator.board.surroundings import CloudAddress
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.cloud.sandbox_account import SandboxAccount
from iotprovision.simulator.first_connection.power_up import first_power_up
from iotprovision.simulator.kit.factory import new_identity

JOB = ("--simulate", "--json")
JITR = (*JOB, "-m", "jitr")
ENDPOINT = b"a1gqt8sttiign3.iot.us-east-2.amazonaws.com"
FACTORY_SLOTS = (10, 11, 12)
WRITES = (
    *("winc_sector_erases", "winc_page_writes", "secure_element_writes", "secure_element_locks"),
    *("register_writes", "debugger_reboots"),
)


@dataclass(frozen=True)
class Kit:
    """The simulated kit of a store, between runs."""

    home: Path

    @property
    def folder(self) -> Path:
        return kit_folder(self.home)

    @property
    def flash(self) -> bytes:
        """Of the Wi-Fi module."""
        return (self.folder / "winc.bin").read_bytes()

    @property
    def element(self) -> Any:
        return yaml.safe_load((self.folder / "ecc608.yaml").read_text())

    def exchange_element(self, state: Any) -> None:
        (self.folder / "ecc608.yaml").write_text(yaml.safe_dump(state))

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int(self.element["private_keys"][0], 16), ec.SECP256R1())

    @property
    def thing(self) -> str:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return hashlib.sha1(point).hexdigest()

    @property
    def files(self) -> Path:
        serial_number = yaml.safe_load((self.folder / "kit.yaml").read_text())["serial_number"]
        return self.home / "simulator" / "certificates" / serial_number

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.files / name).read_bytes())

    def board(self, endpoint: bytes) -> Any:
        """The board as its chips are, but for the endpoint."""
        flash = bytearray(self.flash)
        flash[0x6E00 : 0x6E00 + 64] = endpoint.ljust(64, b"\0")
        return SimpleNamespace(secure_element=Ecc608.from_state(self.element), wifi_module=Winc1510(flash), modem=None)


def fresh_kit(home: Path, kind: str) -> Kit:
    done = simulator("reset", "avr-iot-wa", "--secure-element", kind, "--state", home / "simulator")
    assert done.returncode == 0, done.stderr
    return Kit(home)


def succeeded(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.err
    return outcome.document


# --- the job


@dataclass(frozen=True)
class Done:
    """Two runs on one kit."""

    kind: str
    kit: Kit
    first: Any
    second: Any
    meters_after: tuple[dict[str, int], dict[str, int]]
    flash_after_first: bytes


@pytest.fixture(scope="module", params=["mah1h", "mah4i"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    kit = fresh_kit(tmp_path_factory.mktemp("home"), request.param)
    first = succeeded(run_tool(kit.home, *JOB))
    between, flash = meters(kit.home), kit.flash
    second = succeeded(run_tool(kit.home, *JOB, "-c", "aws", "-m", "sandbox", "all"))
    return Done(request.param, kit, first, second, (between, meters(kit.home)), flash)


def test_the_chip_is_of_the_kind_that_was_asked_for(done: Done) -> None:
    element = done.kit.element
    expected = {"mah1h": ("fe", "ff" * 8), "mah4i": ("01", "4d4b4d7779685031")}[done.kind]
    assert (element["serial_number"][-2:], element["otp"][:16]) == expected


def test_wifi_module_holds_certificates_thing_name_and_endpoint(done: Done) -> None:
    flash = done.kit.flash
    files = read_client_store(flash)
    expected = [done.kit.certificate("device_sandbox.crt"), done.kit.certificate("signer_sandbox.crt")]
    names = [f"CERT_{certificate.serial_number:X}" for certificate in expected]
    assert list(files) == [*names, "ECDSA.lst"]
    assert [files[name] for name in names] == [certificate.public_bytes(Encoding.DER) for certificate in expected]
    assert files["ECDSA.lst"] == b"".join(name.encode().ljust(48, b"\0") for name in names)
    assert expected[0].public_key() == done.kit.key.public_key()
    assert flash[0x6F00 : 0x6F00 + 41] == done.kit.thing.encode() + b"\0"
    assert flash[0x6E00 : 0x6E00 + len(ENDPOINT) + 1] == ENDPOINT + b"\0"
    assert set(flash[:0x5000] + flash[0x7000:]) == {0xFF}, "nothing but the two sectors was written"


def test_certificates_carry_the_names_of_the_factory(done: Done) -> None:
    device = done.kit.certificate("device_sandbox.crt")
    (name,) = device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    serial_number = done.kit.element["serial_number"].upper()
    assert name.value == {"mah1h": "ATECC608A-MAH1H", "mah4i": f"sn{serial_number}"}[done.kind]
    assert (done.kit.files / "aws-thing-name.txt").read_text() == done.kit.thing


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_openssl_accepts_the_chain_up_to_the_factorys_root(done: Done, tmp_path: Path) -> None:
    pem = (done.kit.home / "simulator" / ".factory" / "factory-root.key").read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    common_name, identifier = {
        "mah1h": ("ATECC Root CA 001", "EA4B7A61743CEF661190E3F0B688EC902575B77D"),
        "mah4i": ("Crypto Authentication Root CA 002", "7AED7D6DC6B7789DB23801A5E84A8CB0A40E2A8C"),
    }[done.kind]
    attributes = [(NameOID.ORGANIZATION_NAME, "Microchip Technology Inc"), (NameOID.COMMON_NAME, common_name)]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    begin, end = datetime(2015, 1, 1, tzinfo=UTC), datetime(2055, 1, 1, tzinfo=UTC)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    root = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(bytes.fromhex(identifier)), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    files = ["-untrusted", done.kit.files / "signer_sandbox.crt", done.kit.files / "device_sandbox.crt"]
    for strictness in ([], ["-x509_strict"]):
        command = ["openssl", "verify", *strictness, "-CAfile", tmp_path / "root.pem", *files]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


def test_slots_are_locked(done: Done) -> None:
    assert [slot for slot in range(8, 16) if slot_locked(done.kit.element, slot)] == list(FACTORY_SLOTS)


def test_registers_lead_to_the_thing_on_the_vendors_page(done: Done) -> None:
    block = (done.kit.folder / "board-config.bin").read_bytes()[0xC00 : 0xC00 + 512]
    assert (block[0x0C], block[0x105], block[0x148 : 0x148 + 20].hex()) == (0x01, 20, done.kit.thing)


def test_first_connection_is_accepted_at_once(done: Done) -> None:
    connection = done.first["first_connection"]
    assert [attempt["accepted"] for attempt in connection["attempts"]] == [True]
    assert (connection["endpoint"], connection["client_id"]) == (ENDPOINT.decode(), done.kit.thing)
    assert connection["shadow"]


def test_no_account_and_no_authority_of_the_user_is_needed(done: Done) -> None:
    for document in (done.first, done.second):
        assert "account" not in document, "no account was opened"
        assert not [step for step in document["steps"] if step["action"] == "certs"]
    assert not (done.kit.home / "simulator" / "cloud").exists()
    assert not [*done.kit.files.parent.glob("*.key"), *done.kit.files.parent.glob("*.crt")]


def test_costs_of_the_first_run(done: Done) -> None:
    cost = done.meters_after[0]
    assert cost["hid_transactions"] <= 1.15 * 4221
    assert cost["uart_bytes_to_kit"] + cost["uart_bytes_from_kit"] <= 1.15 * 8405


def test_a_second_run_writes_nothing(done: Done) -> None:
    before, after = done.meters_after
    assert {name: after[name] for name in WRITES} == {name: before[name] for name in WRITES}
    assert done.kit.flash == done.flash_after_first
    first = before["uart_bytes_to_kit"] + before["uart_bytes_from_kit"]
    assert after["uart_bytes_to_kit"] + after["uart_bytes_from_kit"] - first <= 0.6 * first


def test_a_chip_of_the_simulator_passes_for_none_of_the_vendors(tmp_path: Path) -> None:
    """What a real run pins, without ``--simulate``: the vendor's roots."""
    with kits_on_the_bus(tmp_path / "bus") as kits:
        outcome = run_tool(tmp_path / "store", "provision")
        assert outcome.code == ExitCode.PROOF, outcome.err
        assert "signature does not verify" in outcome.err
        assert kits.meters()["winc_sector_erases"] == 0


# --- options


def test_dry_run_on_a_fresh_kit_writes_nothing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "none").code == 0
    before = snapshot(tmp_path)
    document = succeeded(run_tool(tmp_path, *JOB, "--dry-run"))
    assert snapshot(tmp_path) == before
    steps = {step["title"]: step for step in document["steps"]}
    step = steps["Factory certificates of the secure element"]
    assert step["state"] == "unknown"
    assert step["done"] == "perhaps: would read slots 10 to 12 of the secure element and rebuild its certificates"


def test_verify_no_lock_and_then_force(tmp_path: Path) -> None:
    document = succeeded(run_tool(tmp_path, *JOB, "--verify", "--no-lock"))
    kit = Kit(tmp_path)
    proofs = {step["title"]: step["state"] for step in document["steps"] if step["title"].startswith("Proof")}
    assert proofs["Proof: the chip holds the key of the certificate"] == "in place"
    assert proofs["Proof: factory certificates of the secure element"] == "in place"
    assert proofs["Proof: certificates, thing name and endpoint in the Wi-Fi module"] == "in place"
    assert not any(slot_locked(kit.element, slot) for slot in FACTORY_SLOTS)
    flash, counted = kit.flash, meters(tmp_path)
    succeeded(run_tool(tmp_path, *JOB, "--no-lock", "--force"))
    assert meters(tmp_path)["winc_sector_erases"] == counted["winc_sector_erases"] + 2
    assert kit.flash == flash
    assert not any(slot_locked(kit.element, slot) for slot in FACTORY_SLOTS)


def test_certs_alone_needs_neither_kit_nor_account(tmp_path: Path) -> None:
    assert succeeded(run_tool(tmp_path, "--json", "certs"))["steps"] == []


def test_links_alone(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "links").code == ExitCode.STORE
    succeeded(run_tool(tmp_path, *JOB, "provision"))
    succeeded(run_tool(tmp_path, *JOB, "links"))
    kit = Kit(tmp_path)
    assert (kit.folder / "board-config.bin").read_bytes()[0xC00 + 0x148 :][:20].hex() == kit.thing


# --- between two accounts


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kit, list[bytes], list[Any]]:
    """A kit that went from the sandbox to the user's account and back; its Wi-Fi module and the run after each."""
    kit = Kit(tmp_path_factory.mktemp("home"))
    flashes, documents = [], []
    for job in (JOB, JITR, JOB):
        documents.append(succeeded(run_tool(kit.home, *job)))
        flashes.append(kit.flash)
    return kit, flashes, documents


def test_a_kit_moves_between_the_accounts(moved: tuple[Kit, list[bytes], list[Any]]) -> None:
    kit, (sandbox, own, again), documents = moved
    assert sandbox == again
    assert read_client_store(own).keys() != read_client_store(sandbox).keys()
    for document in documents:
        assert document["first_connection"]["failure"] == ""
        assert document["first_connection"]["client_id"] == kit.thing
    for name in ("device_sandbox.crt", "device.crt"):
        assert kit.certificate(name).public_key() == kit.key.public_key(), "one key, a certificate for each account"


def test_what_was_in_the_wifi_module_is_kept(moved: tuple[Kit, list[bytes], list[Any]]) -> None:
    kit, (sandbox, own, _), _ = moved
    kept = {file.read_bytes() for file in kit.files.glob("winc-05000-*.bin")}
    assert kept == {sandbox[0x5000:0x7000], own[0x5000:0x7000]}


def test_each_account_refuses_the_certificates_of_the_other(moved: tuple[Kit, list[bytes], list[Any]]) -> None:
    kit, (_, own, _), _ = moved
    state = kit.home / "simulator"
    sandbox = SandboxAccount(state)
    user = LocalCloud(state / "cloud")
    with sandbox.cloud, user:
        name = b"x-ats.iot.us-east-1.localhost"
        assert first_power_up(kit.board(ENDPOINT), sandbox.cloud.address)["failure"] == ""
        assert refused(kit.board(name), user.address)
        kit.folder.joinpath("winc.bin").write_bytes(own)
        assert first_power_up(kit.board(name), user.address)["failure"] == ""
        assert refused(kit.board(ENDPOINT), sandbox.cloud.address)


def refused(board: Any, address: CloudAddress) -> bool:
    """Whether nothing but the certificates is at fault: the server itself is trusted."""
    attempts = first_power_up(board, address, sleep=lambda _: None)["attempts"]
    return bool(attempts) and not any(a["accepted"] or "server's certificate" in a["reason"] for a in attempts)


# --- secure elements that cannot be used


def damaged(slot: int, change: Callable[[bytes], bytes], lock: bool = False) -> Callable[[Any], None]:
    def act(element: Any) -> None:
        element["slots"][slot] = change(bytes.fromhex(element["slots"][slot])).hex()
        if lock:
            config = bytearray.fromhex(element["config"])
            config[89] &= 0b11100011
            element["config"] = config.hex()

    return act


def with_otp(start: str) -> Callable[[Any], None]:
    def act(element: Any) -> None:
        element["otp"] = start + element["otp"][len(start) :]

    return act


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damaged(10, flipped(5)), ["device cannot be rebuilt", "does not verify"]),
        (damaged(10, flipped(66)), ["device cannot be rebuilt"]),
        (damaged(10, flipped(65)), ["are not dates"]),
        (damaged(10, flipped(68)), ["different signers"]),
        (damaged(12, flipped(5)), ["signer cannot be rebuilt"]),
        (damaged(11, flipped(20)), ["not a point of the curve"]),
        (damaged(11, lambda _: b"\xff" * 72), ["does not hold a public key"]),
        (damaged(12, lambda _: bytes(72)), ["the slot is blank"]),
        (damaged(10, lambda _: bytes(range(72)), lock=True), ["factory certificate"]),
        (with_otp("7836746A755A4D79"), ["Trust&Go", "-m jitr"]),
        (with_otp("0011223344556677"), ["TrustFLEX", "0011223344556677", "-m jitr"]),
        (with_otp("FF" * 8), ["MAH1H", "serial number says otherwise"]),
    ],
)
def test_a_secure_element_without_usable_factory_certificates(
    harm: Callable[[Any], None], words: list[str], tmp_path: Path
) -> None:
    kit = fresh_kit(tmp_path, "mah4i")
    element = kit.element
    harm(element)
    kit.exchange_element(element)
    locked = [slot_locked(element, slot) for slot in FACTORY_SLOTS]
    outcome = run_tool(tmp_path, *JOB, "provision")
    assert outcome.code == ExitCode.PROOF, outcome.err
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    counted = meters(tmp_path)
    assert (counted["winc_sector_erases"], counted["winc_page_writes"], counted["register_writes"]) == (0, 0, 0)
    assert [slot_locked(kit.element, slot) for slot in FACTORY_SLOTS] == locked
    assert not list(kit.files.glob("*_sandbox.crt"))


def test_a_secure_element_that_refuses_to_be_read(tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "simulator") as kits:
        kits.faults(secure_element_refused_slots=[12])
        outcome = run_tool(tmp_path, *JOB, "provision")
        assert outcome.code == ExitCode.CHIP_REFUSED, outcome.err
        assert "read slot 12" in outcome.err
        assert kits.meters()["winc_sector_erases"] == 0


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after a run, to be copied."""
    home = tmp_path_factory.mktemp("home")
    succeeded(run_tool(home, *JOB, "provision"))
    return home


def finding(document: Any) -> tuple[str, str, str]:
    steps = {step["title"]: step for step in document["steps"]}
    step = steps["Factory certificates of the secure element"]
    return step["state"], step["found"], step["done"]


@pytest.mark.parametrize("kind", list(Kind))
def test_another_secure_element_than_last_time_is_noticed(kind: Kind, used: Path, tmp_path: Path) -> None:
    home = shutil.copytree(used, tmp_path / "home")
    kit = Kit(home)
    kit.exchange_element(new_identity(home / "simulator", kind).secure_element().state())
    document = succeeded(run_tool(home, *JOB))
    state, found, done = finding(document)
    assert (state, found) == ("different", "those in the store are of another secure element than the kit has now")
    assert kit.element["serial_number"].upper() in done
    assert kit.certificate("device_sandbox.crt").public_key() == kit.key.public_key()
    assert document["first_connection"]["client_id"] == kit.thing


def stranger(home: Path) -> bytes:
    """The signer of another chip of the same factory."""
    other = fresh_kit(home / "other", "mah4i")
    succeeded(run_tool(other.home, *JOB, "provision"))
    return (other.files / "signer_sandbox.crt").read_bytes()


@pytest.mark.parametrize("harm", ["damaged", "gone", "foreign"])
def test_what_is_kept_is_never_trusted(harm: str, used: Path, tmp_path: Path) -> None:
    home = shutil.copytree(used, tmp_path / "home")
    signer = Kit(home).files / "signer_sandbox.crt"
    good = signer.read_bytes()
    if harm == "gone":
        signer.unlink()
    else:
        signer.write_bytes(good[:100] if harm == "damaged" else stranger(tmp_path))
    erased = meters(home)["winc_sector_erases"]
    state, _, done = finding(succeeded(run_tool(home, *JOB, "provision")))
    assert state == ("different" if harm == "foreign" else "missing")
    assert done.startswith("rebuilt from slots 10 to 12")
    assert signer.read_bytes() == good
    assert meters(home)["winc_sector_erases"] == erased, "what the Wi-Fi module holds was right all the time"
