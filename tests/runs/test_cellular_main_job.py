"""The AVR-IoT Cellular Mini end to end: what modem, secure element, MCU, store and account hold afterwards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from support.firmware_images import hex_image
from support.kit_contents import slot_locked
from support.running import Outcome, kit_folder, meters, run_tool
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg.programming import TargetProgrammer
from iotprovision.boards.nedbg.wire.provisioning_link import BAUD_RATE, ProvisioningLink
from iotprovision.boards.serial_port import open_port
from iotprovision.cloud.aws.server_authorities import server_authorities
from iotprovision.errors import ExitCode
from iotprovision.simulator.chips.sequans import Sequans
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import reset

KIT = "avr-iot-cellular-mini"
JOB = ("--simulate", KIT, "-c", "aws", "--json")
CHIP_FILES = ("modem.yaml", "ecc608.yaml", "flash.bin", "fuses.bin", "board-config.bin")
PROFILE = '2,"0xc02b",1,19,18,0,"","",1'
MODEM_STEP = "Certificates and security profile in the modem"
NAMES_STEP = "Thing name and endpoint in slot 8 of the secure element"


@dataclass(frozen=True)
class Done:
    """Two runs of a method on one kit."""

    home: Path
    method: str
    first: Outcome
    second: Outcome
    meters_after: tuple[dict[str, int], dict[str, int]]
    chips_after: tuple[dict[str, bytes], dict[str, bytes]]

    def file(self, name: str) -> Any:
        return yaml.safe_load(self.chips_after[0][name])

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(certificates(self.file("modem.yaml"))[18].encode())

    @property
    def thing(self) -> str:
        point = self.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return hashlib.sha1(point).hexdigest()


def certificates(modem: Any) -> dict[int, str]:
    found: dict[int, str] = modem["memory"]["certificate"]
    return found


def chips(home: Path) -> dict[str, bytes]:
    return {name: (kit_folder(home, KIT) / name).read_bytes() for name in CHIP_FILES}


@pytest.fixture(scope="module", params=["jitr", "sandbox"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    home = tmp_path_factory.mktemp(request.param)
    job = (*JOB, "-m", request.param)
    first = run_tool(home, *job)
    assert first.code == 0, first.err
    between = meters(home, KIT), chips(home)
    second = run_tool(home, *job)
    assert second.code == 0, second.err
    yield Done(home, request.param, first, second, (between[0], meters(home, KIT)), (between[1], chips(home)))


def test_the_board_connected(done: Done) -> None:
    connection = done.first.document["first_connection"]
    assert connection["failure"] == ""
    assert connection["client_id"] == done.thing
    refused = [attempt for attempt in connection["attempts"] if not attempt["accepted"]]
    assert bool(refused) == (done.method == "jitr")


def test_the_modem_holds_certificates_and_profile(done: Done) -> None:
    modem = done.file("modem.yaml")
    assert set(certificates(modem)) == {18, 19}
    for text in certificates(modem).values():
        assert text.startswith("-----BEGIN") and text.endswith("-----\n") and "\r" not in text
    assert certificates(modem)[18].count("BEGIN") == 1
    assert certificates(modem)[19].encode() == server_authorities()
    assert modem["profiles"] == {1: PROFILE}


def test_the_certificate_is_for_the_key_in_the_chip(done: Done) -> None:
    element = done.file("ecc608.yaml")
    numbers = done.certificate.public_key().public_numbers()
    own = ec.derive_private_key(int(str(element["private_keys"][0]), 16), ec.SECP256R1())
    assert own.public_key().public_numbers() == numbers


def test_slot_8_holds_thing_name_and_endpoint(done: Done) -> None:
    """By the layout alone: 16-bit headers, the next item's place in bits 0 to 8, the type above."""
    slot = bytes.fromhex(done.file("ecc608.yaml")["slots"][8])
    endpoint = done.first.document["first_connection"]["endpoint"].encode()
    assert slot[:2] == b"\x2a\x02" and slot[2:42] == done.thing.encode()
    following = 44 + len(endpoint)
    assert slot[42] | slot[43] << 8 == 2 << 9 | following
    assert slot[44:following] == endpoint
    assert set(slot[following:]) == {0}
    if done.method == "sandbox":
        assert endpoint == b"a1gqt8sttiign3-ats.iot.us-east-2.amazonaws.com"


def test_nothing_irreversible_was_done(done: Done) -> None:
    element = done.file("ecc608.yaml")
    assert not any(slot_locked(element, slot) for slot in range(8, 16))
    assert done.meters_after[0]["winc_sector_erases"] == done.meters_after[0]["winc_page_writes"] == 0


def test_the_demo_is_in_the_flash(done: Done) -> None:
    flash = done.chips_after[0]["flash.bin"]
    content = hex_image("avr-iot-cellular-mini-aws-demo").flash
    assert len(flash) == 128 * 1024
    assert flash == bytes(content).ljust(len(flash), b"\xff")


def test_the_links_lead_to_the_thing(done: Done) -> None:
    block = done.chips_after[0]["board-config.bin"][0xC00:]
    assert block[0x0C] == (1 if done.method == "sandbox" else 0x41)
    assert block[0x148 : 0x148 + 20].hex() == done.thing


def test_a_second_run_writes_nothing(done: Done) -> None:
    first, second = done.meters_after
    for counter in ("modem_writes", "secure_element_writes", "secure_element_locks", "register_writes"):
        expected = first[counter]
        if counter == "secure_element_writes":
            assert second[counter] - expected <= 1, "a nonce is no data"
        else:
            assert second[counter] == expected, counter
    for name in ("modem.yaml", "flash.bin", "board-config.bin"):
        assert done.chips_after[0][name] == done.chips_after[1][name]
    steps = {step["title"]: step for step in done.second.document["steps"]}
    assert steps[MODEM_STEP]["done"] == steps[NAMES_STEP]["done"] == "nothing"


def test_the_authorities_are_those_that_are_known_to_the_world() -> None:
    """The very certificates in the list of authorities that botocore brings; five, all self-signed."""
    known = {
        certificate.fingerprint(certificate.signature_hash_algorithm)
        for certificate in x509.load_pem_x509_certificates((Path(botocore.__file__).parent / "cacert.pem").read_bytes())
        if certificate.signature_hash_algorithm
    }
    authorities = x509.load_pem_x509_certificates(server_authorities())
    names = [certificate.subject.rfc4514_string().split(",")[0] for certificate in authorities]
    expected = [f"CN=Amazon Root CA {number}" for number in (1, 2, 3, 4)]
    assert names == [*expected, "CN=Starfield Services Root Certificate Authority - G2"]
    for certificate in authorities:
        assert certificate.signature_hash_algorithm
        assert certificate.fingerprint(certificate.signature_hash_algorithm) in known
        certificate.verify_directly_issued_by(certificate)
    assert len(server_authorities()) <= 8192 and b"\r" not in server_authorities()


def test_wifi_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    reset(tmp_path / "simulator", SimulatedKitName.parse(KIT))
    before = chips(tmp_path)
    outcome = run_tool(tmp_path, *JOB, "-m", "jitr", "-ssid", "lab", "-psk", "correct horse")
    assert outcome.code == ExitCode.USAGE
    assert "has no Wi-Fi" in outcome.err
    assert chips(tmp_path) == before
    assert not (tmp_path / "simulator" / "certificates" / "signer-ca.key").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-c", "azure", "provision"), "cannot be provisioned for this cloud"),
        (("-c", "azure"), "no Azure demo application"),
        (("-c", "google", "links"), "no page for this cloud"),
        (("-c", "aws", "wincupgrade"), "has no Wi-Fi module"),
    ],
)
def test_what_cannot_be_done_on_such_a_kit(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    reset(tmp_path / "simulator", SimulatedKitName.parse(KIT))
    before = chips(tmp_path)
    outcome = run_tool(tmp_path, "--simulate", KIT, *arguments)
    assert outcome.code == ExitCode.USAGE, outcome.err
    assert words in outcome.err
    assert chips(tmp_path) == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    reset(tmp_path / "simulator", SimulatedKitName.parse(KIT))
    before = chips(tmp_path)
    outcome = run_tool(tmp_path, *JOB, "-m", "jitr", "--dry-run")
    assert outcome.code == 0, outcome.err
    states = {step["title"]: step["state"] for step in outcome.document["steps"]}
    assert states[MODEM_STEP] == states[NAMES_STEP] == "unknown"
    assert chips(tmp_path) == before


def test_verify_proves_everything_once_more(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, *JOB, "-m", "mar", "--verify")
    assert outcome.code == 0, outcome.err
    titles = {step["title"] for step in outcome.document["steps"]}
    for title in (MODEM_STEP, NAMES_STEP):
        assert f"Proof: {title[0].lower()}{title[1:]}" in titles
    assert outcome.document["first_connection"]["failure"] == ""


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit that is provisioned and waits for its application."""
    home = tmp_path_factory.mktemp("provisioned")
    outcome = run_tool(home, *JOB, "-m", "mar", "certs", "provision")
    assert outcome.code == 0, outcome.err
    return home


def run_again(home: Path, *arguments: str) -> tuple[Outcome, dict[str, Any]]:
    outcome = run_tool(home, *JOB, "-m", "mar", "certs", "provision", *arguments)
    document = outcome.document if outcome.out else {}
    return outcome, {step["title"]: step for step in document.get("steps", [])}


def change_modem(home: Path, change: Any) -> None:
    path = kit_folder(home, KIT) / "modem.yaml"
    state = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(state)
    path.write_text(yaml.safe_dump(state, sort_keys=False), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["memory"]["certificate"].pop(18), "device certificate in slot 18"),
        (lambda state: state["memory"]["certificate"].__setitem__(19, "rubbish\n"), "authorities in slot 19"),
        (lambda state: state["profiles"].__setitem__(1, '2,"0xc02b",1,19,17,0,"","",1'), "security profile"),
    ],
)
def test_only_what_is_wrong_is_written(provisioned: Path, change: Any, words: str) -> None:
    before = meters(provisioned, KIT)["modem_writes"]
    change_modem(provisioned, change)
    outcome, steps = run_again(provisioned)
    assert outcome.code == 0, outcome.err
    assert words in steps[MODEM_STEP]["found"]
    assert meters(provisioned, KIT)["modem_writes"] == before + 1


def test_force_makes_a_new_certificate_and_writes_it(provisioned: Path) -> None:
    before, held = meters(provisioned, KIT)["modem_writes"], chips(provisioned)["modem.yaml"]
    outcome, steps = run_again(provisioned, "--force")
    assert outcome.code == 0, outcome.err
    assert re.search(r"saved (what was there|before) as modem-certificates-", steps[MODEM_STEP]["done"])
    assert meters(provisioned, KIT)["modem_writes"] == before + 1
    serial_number = outcome.document["kit"]["serial_number"]
    kept = list((provisioned / "simulator" / "certificates" / serial_number).glob("modem-certificates-*.pem"))
    assert any(file.read_text().startswith(certificates(yaml.safe_load(held))[18]) for file in kept)


def test_an_old_firmware_of_the_modem_is_told(provisioned: Path) -> None:
    change_modem(provisioned, lambda state: state.__setitem__("firmware_version", "8.0.5.10"))
    outcome, steps = run_again(provisioned)
    assert outcome.code == 0, outcome.err
    assert "firmware 8.0.5.10; 8.0.5.13 or newer is advised" in steps[MODEM_STEP]["found"]


def test_a_lost_certificate_is_taken_over_from_the_modem(provisioned: Path) -> None:
    kit = run_again(provisioned)[0].document["kit"]["serial_number"]
    file = provisioned / "simulator" / "certificates" / kit / "device.crt"
    before = x509.load_pem_x509_certificate(file.read_bytes())
    file.unlink()
    writes = meters(provisioned, KIT)["modem_writes"]
    outcome, steps = run_again(provisioned)
    assert outcome.code == 0, outcome.err
    assert "took over the one on the kit" in steps["Device certificate"]["done"]
    assert x509.load_pem_x509_certificate(file.read_bytes()) == before
    assert meters(provisioned, KIT)["modem_writes"] == writes


@pytest.mark.parametrize(
    ("faults", "code", "words"),
    [
        ({"modem_silent": True}, ExitCode.SERIAL_LINK, "modem of the kit does not answer"),
        ({"modem_full": True}, ExitCode.CHIP_REFUSED, "memory full"),
        ({"secure_element_refused_slots": [8]}, ExitCode.CHIP_REFUSED, "slot 8"),
        ({"modem_chatter": True}, ExitCode.OK, ""),
    ],
)
def test_bad_modems(tmp_path: Path, faults: dict[str, Any], code: ExitCode, words: str) -> None:
    """What goes wrong is said; the bridge is closed, and the kit gets back what it held."""
    with kits_on_the_bus(tmp_path / "simulator", KIT) as kits:
        kits.faults(**faults)
        outcome = run_tool(tmp_path, "--simulate", KIT, "-c", "aws", "-m", "jitr", "certs", "provision")
        assert outcome.code == code, outcome.err
        assert words in outcome.err
        kits.faults(**{name: [] if isinstance(value, list) else False for name, value in faults.items()})
        outcome = run_tool(tmp_path, "--simulate", KIT, "-c", "aws", "-m", "jitr", "certs", "provision")
        assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("arguments", [(), ("--sprov",)])
def test_a_kit_that_was_left_in_bridge_mode(provisioned: Path, arguments: tuple[str, ...]) -> None:
    """As after a run that was killed: nothing of what comes next is taken by the modem."""
    with kits_on_the_bus(provisioned / "simulator", KIT) as kits:
        with TargetProgrammer(kits.kits[0].serial_number, "avr128db48") as programmer:
            programmer.program(hex_image("avr-iot-cellular-mini-provisioning"))
        with open_port(kits.kits[0].uart, BAUD_RATE) as line:
            ProvisioningLink(line).synchronise()
            line.write(b"MC+BRIDGEMODE\r")
            assert line.read_some(5.0)
            line.write(b'AT+SQNSNVW="certificate",19,50\r')
            line.drain(0.2, 2.0)
        before = kits.meters()["modem_writes"]
        outcome = run_tool(provisioned, *JOB, "-m", "mar", "certs", "provision", *arguments)
        assert outcome.code == 0, outcome.err
        assert kits.meters()["modem_writes"] == before, "the transfer that was begun took nothing"


def test_a_certificate_that_no_slot_of_the_modem_takes(tmp_path: Path) -> None:
    """It has the name of a signer that somebody made by hand. Neither modem nor secure element is written."""
    job = (*JOB[:-1], "-m", "jitr", "certs", "provision")
    assert run_tool(tmp_path, *job).code == 0
    store = tmp_path / "simulator" / "certificates"
    signer, root = (
        x509.load_pem_x509_certificate((store / f"{name}-ca.crt").read_bytes()) for name in ("signer", "root")
    )
    keys = [load_pem_private_key((store / f"{name}-ca.key").read_bytes(), None) for name in ("signer", "root")]
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{n:064}") for n in range(100)]
    name = x509.Name([*signer.subject, *units])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(keys[0], SHA256())
    builder = x509.CertificateBuilder(root.subject, name, signer.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(signer.not_valid_before_utc).not_valid_after(signer.not_valid_after_utc)
    for extension in signer.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    (store / "signer-ca.csr").write_bytes(request.public_bytes(Encoding.PEM))
    (store / "signer-ca.crt").write_bytes(builder.sign(keys[1], SHA256()).public_bytes(Encoding.PEM))
    element = kit_folder(tmp_path, KIT) / "ecc608.yaml"
    state = yaml.safe_load(element.read_text(encoding="utf-8"))
    state["slots"][8] = "ff" * 416
    element.write_text(yaml.safe_dump(state), encoding="utf-8")
    before = meters(tmp_path, KIT)["modem_writes"]
    outcome = run_tool(tmp_path, *job)
    assert outcome.code == ExitCode.PROOF, outcome.err
    assert "too large for the modem" in outcome.err and "8192 bytes" in outcome.err
    assert meters(tmp_path, KIT)["modem_writes"] == before
    assert yaml.safe_load(element.read_text(encoding="utf-8"))["slots"][8] == "ff" * 416


def test_a_modem_keeps_its_state_in_a_file(done: Done) -> None:
    again = Sequans.from_state(done.file("modem.yaml"))
    assert again.state() == done.file("modem.yaml")
    assert re.fullmatch(r"\d+(\.\d+)+", again.firmware_version)
    assert json.dumps(again.state())


@pytest.mark.parametrize("bytes_to_kit", [1500, 2500, 7000])
def test_a_cable_that_is_pulled_while_the_modem_is_written(tmp_path: Path, bytes_to_kit: int) -> None:
    """Between 800 and 8000 bytes the run talks to the modem. The same command goes on from there."""
    job = ("--simulate", KIT, "-c", "aws", "-m", "mar", "certs", "provision")
    with kits_on_the_bus(tmp_path / "simulator", KIT) as kits:
        kits.faults(power_loss_after_uart_bytes=bytes_to_kit)
        outcome = run_tool(tmp_path, *job)
        assert outcome.code in (ExitCode.SERIAL_LINK, ExitCode.KIT, ExitCode.ACCESS), outcome.err
        assert "Traceback" not in outcome.err
        kits.plug_in()
        outcome = run_tool(tmp_path, *job)
        assert outcome.code == 0, outcome.err
    modem = yaml.safe_load((kit_folder(tmp_path, KIT) / "modem.yaml").read_text(encoding="utf-8"))
    assert certificates(modem)[19].encode() == server_authorities()
    x509.load_pem_x509_certificate(certificates(modem)[18].encode())
