"""Whatever goes wrong: a message to act on, an exit code of its kind, and kit, store and account as they were."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from support.firmware_images import hex_image, image_path
from support.running import Outcome, kit_folder, run_command, run_tool, snapshot
from support.simulated import kits_on_the_bus

from iotprovision.cloud.aws.account import Account
from iotprovision.errors import ExitCode
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import KitProcess, start_kits
from iotprovision.store.folder import Store

JOB = ("--simulate", "-c", "aws", "-m", "jitr")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a kit and a cloud that have never been used for anything."""
    folder = tmp_path_factory.mktemp("home")
    outcome = run_tool(folder, *JOB, "--dry-run")
    assert outcome.code == 0, outcome.err
    return folder


@contextlib.contextmanager
def unchanged(home: Path) -> Iterator[None]:
    before = snapshot(home)
    yield
    assert snapshot(home) == before


@contextlib.contextmanager
def served(home: Path) -> Iterator[KitProcess]:
    """The kit of the store, served beforehand, so that faults can be set before the tool uses it."""
    with start_kits([SimulatedKitName.parse("avr-iot-wa")], home / "simulator") as kits:
        yield kits


def refused(outcome: Outcome, code: ExitCode, *words: str) -> None:
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


# --- kit


def test_no_kit(tmp_path: Path) -> None:
    refused(run_tool(tmp_path, "none"), ExitCode.KIT, "No kit", "USB cable")


def test_no_kit_as_json(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "none", "--json")
    assert (outcome.code, outcome.document["exit_code"]) == (ExitCode.KIT, ExitCode.KIT)
    assert outcome.document["error"]["try"]


def test_several_kits_are_listed(tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "bus", "avr-iot-wa", "avr-iot-wg") as kits:
        outcome = run_tool(tmp_path / "store", "none")
        refused(outcome, ExitCode.KIT, "-s", *(kit.serial_number for kit in kits.kits), "AVR-IoT WG")
        suffix = kits.kits[1].serial_number[-6:].lower()
        assert run_tool(tmp_path / "store", "none", "-s", suffix).code == 0
        refused(run_tool(tmp_path / "store", "none", "-s", "nosuch"), ExitCode.KIT, "nosuch")


def test_kit_that_may_not_be_opened(home: Path) -> None:
    with served(home) as kits, unchanged(home):
        kits.faults(hid_open_denied=True)
        outcome = run_tool(home, *JOB)
        refused(outcome, ExitCode.ACCESS)
        if sys.platform.startswith("linux"):
            assert 'ATTR{idVendor}=="03eb", ATTR{idProduct}=="2175"' in outcome.err


@pytest.mark.parametrize(("fault", "word"), [("target_locked", "locked"), ("target_unpowered", "power")])
def test_target_that_cannot_be_reached(fault: str, word: str, home: Path) -> None:
    with served(home) as kits, unchanged(kit_folder(home)):
        kits.faults(**{fault: True})
        refused(run_tool(home, *JOB, "application"), ExitCode.ACCESS, word)


# --- serial port


def test_port_that_is_gone(home: Path) -> None:
    with unchanged(home):
        refused(run_tool(home, *JOB, "-P", "/dev/no-such-port"), ExitCode.SERIAL_LINK, "/dev/no-such-port")


@pytest.mark.skipif(os.name != "posix", reason="pseudo terminals are a POSIX thing")
def test_port_that_is_busy(home: Path) -> None:
    import fcntl

    with served(home) as kits:
        pty = kits.kits[0].pty
        assert pty
        handle = os.open(pty, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with unchanged(home):
                refused(run_tool(home, *JOB), ExitCode.SERIAL_LINK, pty, "in use")
        finally:
            os.close(handle)


def test_port_with_nobody_behind_it(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with unchanged(home):
        refused(run_tool(home, *JOB, "-P", f"socket://127.0.0.1:{port}"), ExitCode.SERIAL_LINK, str(port))


def test_link_that_breaks_in_the_middle_and_the_next_run(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(uart_drop_after_bytes=2000)
        refused(run_tool(tmp_path, *JOB), ExitCode.SERIAL_LINK)
        outcome = run_tool(tmp_path, *JOB, "--json")
        assert outcome.code == 0, outcome.err
        assert outcome.document["first_connection"]["failure"] == ""


# --- chips


def test_write_that_does_not_read_back_is_never_locked(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(winc_flip_after_writes=2)
        refused(run_tool(tmp_path, *JOB), ExitCode.PROOF, "Wi-Fi module", "Expected", "found")
        kits.save()
        element = yaml.safe_load((kit_folder(tmp_path) / "ecc608.yaml").read_text())
        assert bytes.fromhex(element["config"])[89] == 0xFF, "no slot from 8 on is locked"
        assert run_tool(tmp_path, *JOB).code == 0


def test_image_that_does_not_read_back(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(target_flip_after_writes=20)
        refused(run_tool(tmp_path, *JOB), ExitCode.PROOF, "Provisioning firmware")
        assert kits.meters()["winc_sector_erases"] == 0


def test_secure_element_that_refuses(tmp_path: Path) -> None:
    with served(tmp_path) as kits:
        kits.faults(secure_element_refused_slots=[0])
        refused(run_tool(tmp_path, *JOB), ExitCode.CHIP_REFUSED, "slot 0")
        assert kits.meters()["winc_sector_erases"] == 0


# --- files


def test_hex_files_that_cannot_be_used(home: Path, tmp_path: Path) -> None:
    good = image_path("avr-iot-aws-demo").read_text(encoding="ascii")
    files = {
        "missing.hex": None,
        "empty.hex": "",
        "text.hex": "this is no firmware\n",
        "damaged.hex": good.replace(good[100:102], "00" if good[100:102] != "00" else "01", 1),
        "large.hex": ":020000040001F9\n:0400000001020304F2\n:00000001FF\n",
        "other.hex": image_path("avr-iot-cellular-mini-provisioning").read_text(encoding="ascii"),
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_text(content, encoding="ascii")
        for option in ("-app", "-p"):
            with unchanged(home):
                refused(run_tool(home, *JOB, option, str(tmp_path / name)), ExitCode.USAGE, name)


def test_firmware_image_with_a_wrong_hash(home: Path, tmp_path: Path) -> None:
    image = image_path("avr-iot-aws-demo")
    cache = tmp_path / "cache"
    copy = cache / image.relative_to(image.parents[2])
    copy.parent.mkdir(parents=True)
    copy.write_bytes(image.read_bytes() + b"\n")
    with unchanged(home):
        outcome = run_tool(home, *JOB, "application", variables={"IOTPROVISION_CACHE": str(cache)})
        refused(outcome, ExitCode.PROOF, image.name)


def test_no_network_and_no_cache(home: Path, tmp_path: Path) -> None:
    nowhere = {
        "IOTPROVISION_CACHE": str(tmp_path),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }
    with unchanged(home):
        refused(run_tool(home, *JOB, variables=nowhere), ExitCode.ACCESS, "iotprovision-firmware")


# --- Wi-Fi


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-ssid", "x" * 33, "-psk", "12345678"], "32"),
        (["-ssid", "a,b", "-psk", "12345678"], "comma"),
        (["-ssid", "home", "-psk", "1234567"], "8"),
        (["-ssid", "home", "-psk", "x" * 65], "63"),
        (["-ssid", "home", "-psk", "1234,5678"], "comma"),
        (["-ssid", "home"], "passphrase"),
        (["-ssid", "home", "-psk", "12345678", "-auth", "ieee802.1x"], "802.1"),
        (["-ssid", "home", "-psk", "12345678", "-auth", "open"], "open"),
    ],
)
def test_wifi_that_the_board_cannot_take(arguments: list[str], word: str, home: Path) -> None:
    with unchanged(home):
        outcome = run_tool(home, *JOB, *arguments)
        refused(outcome, ExitCode.USAGE, word)
        passphrase = arguments[3] if len(arguments) > 3 else "no passphrase"
        assert passphrase not in outcome.err


# --- store and keys


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_store_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    refused(run_tool(tmp_path / "store", "none"), ExitCode.STORE, "store")


def test_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    refused(run_tool(tmp_path / "store", "none"), ExitCode.STORE, "not a folder")


@pytest.fixture
def with_authority(tmp_path: Path) -> Path:
    """A store whose CA keys are encrypted; the kit has not been touched."""
    (tmp_path / "passphrase").write_text("open sesame\n")
    outcome = run_tool(tmp_path / "home", *JOB, "certs", "--ca-passphrase-file", str(tmp_path / "passphrase"))
    assert outcome.code == 0, outcome.err
    return tmp_path / "home"


def test_provision_without_an_authority(home: Path) -> None:
    with unchanged(home):
        refused(run_tool(home, *JOB, "provision"), ExitCode.STORE, "certs")


def test_links_without_a_device_certificate(home: Path) -> None:
    with unchanged(home):
        refused(run_tool(home, *JOB, "links"), ExitCode.STORE, "provision")


def test_wrong_passphrase(with_authority: Path) -> None:
    with unchanged(with_authority):
        outcome = run_tool(with_authority, *JOB, variables={"IOTPROVISION_CA_PASSPHRASE": "open barley"})
        refused(outcome, ExitCode.STORE, "passphrase")
        assert "barley" not in outcome.err
    log = (with_authority / "simulator" / "iotprovision.log").read_text()
    assert "barley" not in log
    assert "sesame" not in log
    outcome = run_tool(with_authority, *JOB, variables={"IOTPROVISION_CA_PASSPHRASE": "open sesame"})
    assert outcome.code == 0, outcome.err


def test_encrypted_keys_are_compared_as_far_as_they_can_be_opened(with_authority: Path) -> None:
    def outcome(passphrase: str) -> Outcome:
        variables = {"IOTPROVISION_CA_PASSPHRASE": passphrase} if passphrase else {}
        return run_tool(with_authority, *JOB, "certs", "--json", variables=variables)

    def proof(outcome: Outcome) -> str:
        (step,) = [step for step in outcome.document["steps"] if step["title"] == "Root CA and signer CA"]
        return str(step["proof"])

    assert "were not opened" in proof(outcome(""))
    assert "keys match" in proof(outcome("open sesame"))
    refused(outcome("open barley"), ExitCode.STORE, "passphrase")
    key = ec.generate_private_key(ec.SECP256R1())
    foreign = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    file = with_authority / "simulator" / "certificates" / "signer-ca.key"
    file.write_bytes(foreign)
    refused(outcome("open sesame"), ExitCode.STORE, "signer-ca.key")


def test_encryption_of_keys_that_are_there_already(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "certs").code == 0
    with unchanged(tmp_path):
        variables = {"IOTPROVISION_CA_PASSPHRASE": "open sesame"}
        refused(run_tool(tmp_path, *JOB, "certs", "--encrypt-keys", variables=variables), ExitCode.USAGE, "--fca")


def test_encryption_without_a_terminal_changes_nothing(home: Path) -> None:
    with unchanged(home):
        outcome = run_command(home, *JOB, "certs", "--encrypt-keys")
        refused(outcome, ExitCode.USAGE, "--ca-passphrase-file")
        assert "deployed" not in outcome.err


@pytest.mark.slow
def test_a_new_authority_without_its_passphrase_leaves_the_old_one(tmp_path: Path) -> None:
    job, variables = ("-c", "azure", "certs"), {"IOTPROVISION_CA_PASSPHRASE": "open sesame"}
    plain, encrypted = tmp_path / "plain", tmp_path / "encrypted"
    assert run_command(plain, *job).code == 0
    with unchanged(plain):
        refused(run_command(plain, *job, "--fca", "--encrypt-keys"), ExitCode.USAGE, "--ca-passphrase-file")
    assert run_command(encrypted, *job, variables=variables).code == 0
    with unchanged(encrypted):
        refused(run_command(encrypted, *job, "--fca"), ExitCode.USAGE, "--ca-passphrase-file")
        wrong = {"IOTPROVISION_CA_PASSPHRASE": "open barley"}
        refused(run_command(encrypted, *job, "--fca", variables=wrong), ExitCode.STORE, "passphrase")
    old = (encrypted / "signer-ca.key").read_bytes()
    assert run_command(encrypted, *job, "--fca", variables=variables).code == 0
    new = (encrypted / "signer-ca.key").read_bytes()
    assert new != old
    assert load_pem_private_key(new, b"open sesame")


def test_signer_certificate_that_is_missing(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB).code == 0
    (tmp_path / "simulator" / "certificates" / "signer-ca.crt").unlink()
    with unchanged(tmp_path):
        refused(run_tool(tmp_path, *JOB, "provision"), ExitCode.STORE, "signer-ca.crt", "certs")
        refused(run_tool(tmp_path, *JOB, "certs"), ExitCode.STORE, "signer-ca.crt", "backup")


def test_thing_name_in_the_store_is_put_right(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB).code == 0
    (file,) = (tmp_path / "simulator" / "certificates").rglob("aws-thing-name.txt")
    thing = file.read_bytes()
    certificate = file.with_name("device.crt").read_bytes()
    file.write_text("other")
    assert run_tool(tmp_path, *JOB, "provision").code == 0
    assert (file.read_bytes(), file.with_name("device.crt").read_bytes()) == (thing, certificate)


def test_another_program_is_taken_for_the_provisioning_firmware(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "certs").code == 0
    assert run_tool(tmp_path, "--simulate", "application").code == 0
    refused(run_tool(tmp_path, *JOB, "provision", "--sprov"), ExitCode.SERIAL_LINK, "leave out --sprov")


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX thing")
def test_key_readable_by_others(with_authority: Path) -> None:
    key = with_authority / "simulator" / "certificates" / "signer-ca.key"
    key.chmod(0o644)
    with unchanged(with_authority):
        refused(run_tool(with_authority, *JOB), ExitCode.STORE, "chmod 600", "signer-ca.key")


# --- output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_output_that_cannot_be_written(options: tuple[str, ...], home: Path) -> None:
    def run(out: int | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "iotprovision", "--simulate", "certs", "-m", "jitr", "--dry-run", *options],
            env={**os.environ, "IOTPROVISION_HOME": str(home)},
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    full = os.open("/dev/full", os.O_WRONLY)
    reader, nobody_reads = os.pipe()
    os.close(reader)
    try:
        done = run(full)
        assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.ACCESS, False), done.stderr
        assert "could not be written" in done.stderr
        done = run(nobody_reads)
        assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.OK, False), done.stderr
    finally:
        os.close(full)
        os.close(nobody_reads)


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the stream")
def test_output_that_is_closed(home: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m iotprovision --simulate none >&-"],
        env={**os.environ, "IOTPROVISION_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.OK, False), done.stderr


def test_an_error_is_said_once(home: Path, tmp_path: Path) -> None:
    outcome = run_command(home, *JOB, "application", "-app", str(tmp_path / "none.hex"), "--dry-run")
    refused(outcome, ExitCode.USAGE, "none.hex")
    assert outcome.err.count("none.hex") == 1


# --- account


def test_aws_profile_that_is_unknown_or_incomplete(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile known]\nregion = eu-west-1\n[default]\naws_access_key_id = AKIAEXAMPLE\n")
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    with kits_on_the_bus(tmp_path / "bus"), pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        for profile, word in (("nobody", "known"), ("known", "credentials"), ("default", "default")):
            outcome = run_tool(tmp_path / "store", "-c", "aws", "-m", "jitr", "-a", profile)
            refused(outcome, ExitCode.USAGE, profile, word)


def test_account_that_is_unreachable(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n"
        "aws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hidden-secret-value\n"
    )
    with kits_on_the_bus(tmp_path / "bus") as kits, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CONFIG_FILE", str(config))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config))
        outcome = run_tool(tmp_path / "store", "-c", "aws", "-m", "jitr")
        refused(outcome, ExitCode.CLOUD, "127.0.0.1:9")
        assert "hidden-secret-value" not in outcome.err
        assert kits.meters()["target_flash_erases"] == 0
    assert not list((tmp_path / "store").glob("*.key"))


def test_user_without_rights(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with LocalCloud(tmp_path / "cloud") as cloud, kits_on_the_bus(tmp_path / "bus") as kits:
        administrator = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        administrator.call("iam", "CreateUser", UserName="guest")
        key = administrator.call("iam", "CreateAccessKey", UserName="guest")["AccessKey"]
        config = tmp_path / "config"
        config.write_text(
            f"[profile guest]\nregion = {administrator.region}\nendpoint_url = {cloud.endpoint_url}\n"
            f"aws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_CONFIG_FILE", str(config))
            patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config))
            outcome = run_tool(store, "-c", "aws", "-m", "jitr", "-a", "guest")
        refused(outcome, ExitCode.CLOUD_DENIED, "guest", ":", "docs/aws-setup.md")
        assert key["SecretAccessKey"] not in outcome.err
        assert kits.meters()["target_flash_erases"] == 0
    assert not list(store.glob("*.key"))


# --- two runs, and Ctrl-C


def test_two_runs_on_one_kit(tmp_path: Path) -> None:
    with kits_on_the_bus(tmp_path / "bus") as kits:
        store = Store(tmp_path / "store")
        with store.for_kit(kits.kits[0].serial_number).lock():
            refused(run_tool(store.folder, "application"), ExitCode.LOCKED)
            assert kits.meters()["target_flash_erases"] == 0
        assert run_tool(store.folder, "application").code == 0


def interrupted_at(sign: str, tmp_path: Path, *arguments: str) -> None:
    """Ctrl-C when a line with this beginning was said."""
    tool = subprocess.Popen(
        [sys.executable, "-m", "iotprovision", *JOB, *arguments],
        env={**os.environ, "IOTPROVISION_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tool.stderr is not None
    while not tool.stderr.readline().startswith(sign):
        assert tool.poll() is None
    tool.send_signal(signal.SIGINT)
    _, err = tool.communicate(timeout=60)
    assert tool.returncode == ExitCode.INTERRUPTED, err
    assert "Interrupted" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_among_the_last_proofs_leaves_the_application(tmp_path: Path) -> None:
    interrupted_at("Proof: certificates, thing name", tmp_path, "--verify")
    demo = hex_image("avr-iot-aws-demo").flash
    assert (kit_folder(tmp_path) / "flash.bin").read_bytes()[: len(demo)] == demo


@pytest.mark.skipif(os.name != "posix", reason="Windows sends Ctrl-C to a whole console")
@pytest.mark.parametrize("sign", ["Found", "Root CA", "Provisioning firmware", "Device certificate", "Slots"])
def test_ctrl_c_at_any_moment_and_the_next_run(sign: str, tmp_path: Path) -> None:
    interrupted_at(sign, tmp_path)
    outcome = run_tool(tmp_path, *JOB, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["first_connection"]["failure"] == ""


def test_nothing_is_left_running(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JOB, "certs").code == 0
    deadline = time.monotonic() + 10
    while True:
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        left = [line for line in listing.splitlines() if str(tmp_path) in line]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert not left
