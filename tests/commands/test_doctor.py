"""The command ``doctor``: each finding, that nothing is changed by looking, and the page that follows the findings."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.aws_contents import contents_of
from support.aws_users import policy, user
from support.other_runs import with_its_own_cache
from support.running import Outcome, kit_folder, meters, run_tool, snapshot
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg import registers
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.rights import METHODS, RIGHTS, Answer, ask, rights_for
from iotprovision.environment import Environment
from iotprovision.errors import ExitCode, StoreError, UsageError
from iotprovision.firmware.cache import FirmwareCache
from iotprovision.inspection.account_health import AccountHealth
from iotprovision.inspection.computer_health import check_clock, check_firmware, check_store
from iotprovision.inspection.diagnosis import CHECKS, Diagnosis, Verdict, exit_code, fine, guarded, note, problem
from iotprovision.inspection.udev_rule import UdevRules
from iotprovision.runs.history import History
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.simulator.usb.host import attached
from iotprovision.store.folder import Store

if TYPE_CHECKING:
    from support.kits_on_bus import KitsOnBus

pytest_plugins = ["support.kits_on_bus"]

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MOST_SECONDS = 5.0


def findings(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in outcome.document["findings"]:
        found.setdefault(finding["id"], []).append(finding)
    return found


def problems(outcome: Outcome) -> set[str]:
    return {finding["id"] for finding in outcome.document["findings"] if finding["verdict"] == "problem"}


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    outcome = run_tool(home, "--simulate", "-c", "aws", "-m", "jitr", "--no-lock")
    assert outcome.code == 0, outcome.err
    return home


@pytest.fixture
def home(provisioned: Path, tmp_path: Path) -> Path:
    shutil.copytree(provisioned, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer on which nobody has configured AWS."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))


# --- the page


def test_the_page_follows_the_findings_one_by_one() -> None:
    assert re.findall(r"^## `([a-z0-9-]+)`", PAGE, re.MULTILINE) == list(CHECKS)


def test_every_finding_has_a_cure_and_its_exit_code() -> None:
    with pytest.raises(AssertionError):
        problem("no-kit", "none", "")
    with pytest.raises(AssertionError):
        fine("no-such-check", "")
    assert exit_code([fine("no-kit", ""), note("clock", "", "x")]) == ExitCode.OK
    assert exit_code([problem("clock", "", "x"), problem("no-kit", "", "x")]) == ExitCode.KIT


# --- the whole


def test_all_is_well_and_nothing_is_changed(home: Path) -> None:
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        before_account = contents_of(Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file))
    before, cost = snapshot(home), meters(home)
    log = (home / "simulator" / "iotprovision.log").read_bytes()
    history = (home / "simulator" / "history.jsonl").read_bytes()
    began = time.process_time()
    outcome = run_tool(home, "doctor", "--simulate", "--json")
    assert time.process_time() - began < MOST_SECONDS
    assert outcome.code == 0, outcome.out
    assert problems(outcome) == set()
    assert findings(outcome)["aws-rights"][0]["verdict"] == "fine"
    assert snapshot(home) == before
    assert (home / "simulator" / "iotprovision.log").read_bytes() == log
    assert (home / "simulator" / "history.jsonl").read_bytes() == history
    after = meters(home)
    assert {name for name in cost if after[name] != cost[name]} <= {"hid_transactions", "uart_bytes_discarded"}
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        assert contents_of(account) == before_account
        assert JitrStack(account).state().in_place
    shown = run_tool(home, "doctor", "--simulate")
    assert "No problem was found" in shown.err
    assert kit_folder(home).is_dir()


@pytest.mark.usefixtures("no_aws")
def test_no_kit_and_no_account(tmp_path: Path) -> None:
    with attached(tmp_path / "bus"):
        outcome = run_tool(tmp_path / "home", "doctor", "--json")
    assert outcome.code == ExitCode.KIT
    found = findings(outcome)
    assert found["no-kit"][0]["exit_code"] == int(ExitCode.KIT)
    assert "cable" in " ".join(found["no-kit"][0]["cure"])
    assert found["aws-profile"][0]["verdict"] == "note"
    assert found["store-access"][0]["verdict"] == "fine"
    assert not (tmp_path / "home").exists()


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize("arguments", [("-m", "jitr"), ("-a", "work")])
def test_an_account_that_was_named_is_needed(arguments: tuple[str, ...], tmp_path: Path, kits: KitsOnBus) -> None:
    outcome = run_tool(tmp_path, "doctor", "--json", *arguments)
    assert "aws-profile" in problems(outcome)
    assert "aws configure" in findings(outcome)["aws-profile"][0]["cure"][0]


@pytest.mark.usefixtures("no_aws")
def test_the_sandbox_needs_no_account(tmp_path: Path, kits: KitsOnBus) -> None:
    outcome = run_tool(tmp_path, "doctor", "--json", "-m", "sandbox")
    assert findings(outcome)["aws-profile"][0]["verdict"] == "fine"
    assert problems(outcome) <= {"udev-rule"}


# --- kits


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize(
    ("fault", "check", "word"),
    [
        ("usb_access_denied", "kit-access", "udev"),
        ("hid_open_denied", "kit-access", "close other programs"),
        ("target_unpowered", "kit-power", "jumpers"),
    ],
)
def test_a_kit_that_cannot_be_used(fault: str, check: str, word: str, kits: KitsOnBus, tmp_path: Path) -> None:
    kits.faults(**{fault: True})
    outcome = run_tool(tmp_path, "doctor", "--json")
    assert outcome.code in (ExitCode.ACCESS, ExitCode.KIT)
    (finding,) = [each for each in findings(outcome)[check] if each["verdict"] == "problem"]
    assert word in " ".join(finding["cure"])
    assert any(each["verdict"] == "fine" for each in findings(outcome)["kit-power"])  # of the other kit


@pytest.mark.usefixtures("no_aws")
def test_an_old_debugger_is_no_obstacle(kits: KitsOnBus, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "doctor", "--json", "-s", kits.serial)
    (finding,) = findings(outcome)["debugger-firmware"]
    assert (finding["verdict"], finding["cure"]) == ("note", ["iotprovision dbgupgrade"])
    assert problems(outcome) <= {"udev-rule"}


@pytest.mark.usefixtures("no_aws")
def test_a_kit_of_another_name(kits: KitsOnBus, tmp_path: Path) -> None:
    name = registers.read(kits.serial, ["KITNAME"])["KITNAME"]
    registers.write(kits.serial, {"KITNAME": "Coffee machine"})
    try:
        outcome = run_tool(tmp_path, "doctor", "--json")
        of_other = run_tool(tmp_path, "doctor", "--json", "-s", kits.other.serial_number)
    finally:
        registers.write(kits.serial, {"KITNAME": name})
    assert "Coffee machine" in findings(outcome)["kit-unknown"][0]["found"]
    assert "kit-unknown" not in findings(of_other)
    assert kits.other.serial_number in findings(of_other)["kit-access"][0]["found"]


@pytest.mark.usefixtures("no_aws")
def test_one_port_is_not_that_of_several_kits(kits: KitsOnBus, tmp_path: Path) -> None:
    for command in ("doctor", "status"):
        outcome = run_tool(tmp_path, command, "-P", "socket://127.0.0.1:1")
        assert outcome.code == ExitCode.USAGE
        assert "-s" in outcome.err


@pytest.mark.usefixtures("no_aws")
def test_a_kit_in_boot_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_its_own_cache(tmp_path, monkeypatch)
    with kits_on_the_bus(tmp_path / "bus", "avr-iot-wa") as kits:
        kits.faults(power_loss_after_dfu_transfers=150)
        assert run_tool(tmp_path / "home", "dbgupgrade").code == ExitCode.ACCESS
        kits.plug_in()
        outcome = run_tool(tmp_path / "home", "doctor", "--json")
        listed = run_tool(tmp_path / "home", "status", "--json")
    assert outcome.code in (ExitCode.KIT, ExitCode.ACCESS)  # without a udev rule, that comes first
    assert "dbgupgrade" in findings(outcome)["boot-mode"][0]["cure"][0]
    assert [kit["obstacle"] for kit in listed.document["kits"]] == ["boot-mode"]


@pytest.mark.usefixtures("no_aws")
def test_a_port_that_another_program_holds(kits: KitsOnBus, tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "doctor", "--json", "-s", kits.serial, "-P", "socket://127.0.0.1:1")
    assert "serial-port" in problems(outcome)
    assert outcome.code in (ExitCode.SERIAL_LINK, ExitCode.ACCESS)  # without a udev rule, that comes first
    outcome = run_tool(tmp_path, "doctor", "--json", "-s", kits.serial)
    assert findings(outcome)["serial-port"][0]["verdict"] == "fine"


# --- the udev rule


def rules(folder: Path, **values: Any) -> UdevRules:
    (folder / "etc").mkdir(exist_ok=True)
    return UdevRules([folder / "etc", folder / "usr"], **{"has_udev": False, **values})


def test_the_udev_rule_is_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    missing = rules(tmp_path, has_udev=True).check()
    assert (missing.verdict, CHECKS[missing.check]) == (Verdict.PROBLEM, ExitCode.ACCESS)
    assert "--install-udev-rule" in missing.cure
    assert rules(tmp_path, is_root=True).check().verdict is Verdict.NOTE
    assert rules(tmp_path).check().verdict is Verdict.NOTE
    assert "70-microchip-kits.rules" in rules(tmp_path).install()
    text = (tmp_path / "etc" / "70-microchip-kits.rules").read_text()
    assert text.count('ATTR{idVendor}=="03eb"') == 2
    assert {"2175", "2fc0"} == set(re.findall(r'idProduct}=="(\w+)"', text))
    assert rules(tmp_path, has_udev=True).check().verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ('SUBSYSTEM=="usb", ATTRS{idVendor}=="03eb", MODE="0666"', Verdict.FINE),  # all of this vendor's
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03EB", ATTR{idProduct}=="2*", TAG+="uaccess"', Verdict.FINE),
        ('# SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE="0666"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", ATTR{idProduct}=="2175", MODE="0666"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", ENV{ID_MM_DEVICE_IGNORE}="1"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", ENV{ID_MODEL}="kit"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", TAG-="uaccess"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE="0600"', Verdict.PROBLEM),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE="0664"', Verdict.PROBLEM),  # the group is root
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE="0660", GROUP="plugdev"', Verdict.FINE),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE:="666"', Verdict.FINE),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", GROUP="plugdev"', Verdict.FINE),
        ('SUBSYSTEM=="usb", ATTR{idVendor}=="03eb", MODE="0600", OWNER="tester"', Verdict.FINE),
    ],
)
def test_rules_of_others_count(line: str, verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "99-others.rules").write_text(f"\n{line}\n")
    assert rules(tmp_path, has_udev=True).check().verdict is verdict


def test_nothing_is_installed_without_being_asked(tmp_path: Path) -> None:
    outcome = run_tool(tmp_path, "doctor", "--install-udev-rule")
    assert outcome.code == ExitCode.USAGE  # there is no terminal to ask at
    assert "--yes" in outcome.err
    assert run_tool(tmp_path, "doctor", "--yes").code == ExitCode.USAGE


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("yes\n", True), ("\n", False), ("no\n", False)])
def test_a_person_is_asked(answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    err = io.StringIO()
    assert Environment(io.StringIO(), err, {}).confirm("Shall it?", "add --yes") is agreed
    assert "Shall it?" in err.getvalue()


# --- the computer


def by_check(diagnoses: Iterator[Diagnosis]) -> dict[str, Diagnosis]:
    return {diagnosis.check: diagnosis for diagnosis in diagnoses}


@pytest.mark.skipif(os.name != "posix", reason="rights of another kind")
def test_a_store_that_others_can_read(home: Path) -> None:
    store = Store(home / "simulator" / "certificates")
    history = History(home / "simulator")
    assert {each.verdict for each in check_store(store, history)} == {Verdict.FINE}
    store.path("signer-ca.key").chmod(0o644)
    found = by_check(check_store(store, history))
    assert found["store-shared"].verdict is Verdict.PROBLEM
    assert f"chmod 600 {store.path('signer-ca.key')}" in found["store-shared"].cure
    store.folder.chmod(0o755)
    assert f"chmod 700 {store.folder}\n" in by_check(check_store(store, history))["store-shared"].cure


def test_an_authority_that_is_not_whole(home: Path) -> None:
    store, history = Store(home / "simulator" / "certificates"), History(home / "simulator")
    store.path("root-ca.crt").unlink()
    store.path("signer-ca.key").unlink()
    found = by_check(check_store(store, history))["authority"]
    assert found.verdict is Verdict.PROBLEM
    assert "backup" in found.cure
    assert not store.path("root-ca.crt").exists()


def test_a_history_that_was_cut_off_is_noted(tmp_path: Path) -> None:
    History(tmp_path).add({"time": "2026-01-02T03:04:05+00:00"})
    with History(tmp_path).path.open("ab") as file:
        file.write(b'{"time": "20')
    found = by_check(check_store(Store(tmp_path), History(tmp_path)))["history"]
    assert (found.verdict, "line 2 " in found.found) == (Verdict.NOTE, True)


@pytest.mark.usefixtures("no_aws")
def test_a_history_that_cannot_be_read_hides_nothing_else(tmp_path: Path, kits: KitsOnBus) -> None:
    tmp_path.chmod(0o700)
    History(tmp_path).path.mkdir()
    outcome = run_tool(tmp_path, "doctor", "--json")
    assert set(findings(outcome)) >= {"kit-access", "store-access", "authority", "history", "firmware-content", "clock"}
    (finding,) = findings(outcome)["history"]
    assert (finding["verdict"], finding["exit_code"]) == ("problem", int(ExitCode.STORE))
    assert "chown" in " ".join(finding["cure"])
    listed = run_tool(tmp_path, "status", "--json")
    assert listed.code == 0
    assert kits.serial in {kit["serial_number"] for kit in listed.document["kits"]}
    assert "cannot be read" in listed.err


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_key_that_is_a_link_to_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "signer-ca.key").symlink_to(tmp_path / "not-mounted")
    found = by_check(check_store(Store(tmp_path), History(tmp_path)))
    assert found["store-shared"].verdict is Verdict.FINE
    assert found["history"].verdict is Verdict.FINE


def test_a_store_that_cannot_even_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)  # the system refuses the name, whoever asks
    (finding,) = check_store(Store(folder), History(folder))
    assert (finding.check, finding.verdict) == ("store-access", Verdict.PROBLEM)
    assert "IOTPROVISION_HOME" in finding.cure


@pytest.mark.usefixtures("no_aws")
def test_a_check_that_fails_does_not_hide_the_others(tmp_path: Path) -> None:
    too_long = str(tmp_path / ("x" * 300))
    with attached(tmp_path / "bus"):
        outcome = run_tool(tmp_path / "home", "doctor", "--json", variables={"IOTPROVISION_CACHE": too_long})
    assert outcome.code == ExitCode.KIT
    assert {"no-kit", "firmware-cache"} <= problems(outcome)
    assert set(findings(outcome)) >= {"usb-library", "store-access", "aws-profile", "clock"}


def test_only_the_command_line_ends_the_whole() -> None:
    def fails(error: Exception) -> Iterator[Diagnosis]:
        yield fine("clock", "right")
        raise error

    for error in (StoreError("No room"), RuntimeError("a fault")):
        first, second = guarded("clock", lambda error=error: fails(error))
        assert (first.verdict, second.verdict) == (Verdict.FINE, Verdict.PROBLEM)
        assert str(error) in second.found
    with pytest.raises(UsageError):
        list(guarded("clock", lambda: fails(UsageError("none such"))))


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    found = by_check(check_store(Store(tmp_path / "store"), History(tmp_path)))
    assert found["store-access"].verdict is Verdict.PROBLEM


def test_firmware_that_is_not_there_or_not_what_it_was(tmp_path: Path) -> None:
    cache = FirmwareCache({"IOTPROVISION_CACHE": str(tmp_path)})
    found = by_check(check_firmware(cache))
    assert (found["firmware-cache"].verdict, found["firmware-content"].verdict) == (Verdict.NOTE, Verdict.FINE)
    place = cache.place(cache.index.images[0])
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    found = by_check(check_firmware(cache))
    assert found["firmware-content"].verdict is Verdict.PROBLEM
    assert str(place) in found["firmware-content"].found
    assert place.read_bytes() == b"something else"


def test_a_clock_that_is_wrong() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert check_clock(now, None).verdict is Verdict.FINE
    assert check_clock(now, now + timedelta(minutes=4)).verdict is Verdict.FINE
    assert check_clock(now, now + timedelta(minutes=6)).verdict is Verdict.PROBLEM
    assert check_clock(now, now - timedelta(minutes=6)).verdict is Verdict.PROBLEM
    assert check_clock(datetime(1970, 1, 1, tzinfo=UTC), None).verdict is Verdict.PROBLEM


# --- the account


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def root(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


@pytest.mark.parametrize("method", METHODS)
def test_the_rights_that_are_asked_for_are_those_of_the_page(method: str) -> None:
    allowed = set()
    for statement in json.loads(policy(method))["Statement"]:
        names = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        allowed |= {(action, name) for action in actions for name in names}
    asked = {
        (right.action, right.resource.format(region="us-east-1", account="111122223333"))
        for right in rights_for([method])
    }
    assert asked <= allowed
    assert {action for action, _ in asked} == {action for action, _ in allowed}
    assert len(set(RIGHTS)) == len(RIGHTS)


@pytest.mark.parametrize("method", METHODS)
def test_a_profile_with_the_rights_of_the_page_lacks_none(method: str, root: Account, tmp_path: Path) -> None:
    before = contents_of(root)
    answers = ask(user(root, tmp_path, method), rights_for([method]))
    assert Answer.DENIED not in answers.values()
    unknown = {right.action for right, answer in answers.items() if answer is Answer.UNKNOWN}
    # It may not ask IAM, so what can only be tried by making something stays open; and AWS IoT refuses to show a rule
    # that is not there in the same words as one that may not be seen.
    untried = {right.action for right in rights_for([method]) if right.parameters is None}
    assert unknown == untried | ({"iot:GetTopicRule"} if method == "jitr" else set())
    assert contents_of(root) == before
    assert set(ask(root, rights_for([method])).values()) == {Answer.ALLOWED}


def test_each_right_that_is_lacking_is_named(root: Account, tmp_path: Path) -> None:
    lacking = {"iot:DescribeThing", "iot:UpdateCertificate", "iot:CreateThing"}
    document = json.loads(policy("mar"))
    for statement in document["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action not in lacking]
    simulate = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
    account = limited(root, tmp_path, "lacking", {**document, "Statement": [*document["Statement"], simulate]})
    found = list(AccountHealth(lambda: account, ("mar",), True).check())
    missing = [each for each in found if each.check == "aws-rights" and each.verdict is Verdict.PROBLEM]
    assert {action for action in lacking if any(action in each.found for each in missing)} == lacking
    assert len(missing) == len(lacking)
    assert not [each for each in found if each.check == "aws-rights-unknown"]
    assert exit_code(found) == ExitCode.CLOUD_DENIED


class _FailingService(BaseHTTPRequestHandler):
    """Knows who asks, and fails at everything else."""

    def do_GET(self) -> None:  # noqa: N802
        asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = 503, b""
        if b"GetCallerIdentity" in asked:
            arn = b"<Arn>arn:aws:iam::111122223333:user/some</Arn><UserId>A</UserId><Account>111122223333</Account>"
            result = b"<GetCallerIdentityResult>" + arn + b"</GetCallerIdentityResult>"
            status, body = 200, b"<GetCallerIdentityResponse>" + result + b"</GetCallerIdentityResponse>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_service_that_fails_says_nothing_of_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iotprovision.cloud.aws.account.ATTEMPTS", 1)
    file = tmp_path / "config"
    file.write_text("[default]\nregion=us-east-1\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=x\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), _FailingService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            account = Account(endpoint_url=f"http://127.0.0.1:{server.server_port}", config_file=file)
            answers = ask(account, rights_for(METHODS))
        finally:
            server.shutdown()
            thread.join()
    assert set(answers.values()) == {Answer.UNKNOWN}
    assert len(answers) == len(rights_for(METHODS))


def limited(root: Account, folder: Path, name: str, document: dict[str, Any]) -> Account:
    root.call("iam", "CreateUser", UserName=name)
    root.call("iam", "PutUserPolicy", UserName=name, PolicyName="some", PolicyDocument=json.dumps(document))
    key = root.call("iam", "CreateAccessKey", UserName=name)["AccessKey"]
    file = folder / "limited"
    file.write_text(
        f"[profile {name}]\nregion=us-east-1\n"
        f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
    )
    return Account(name, endpoint_url=root.endpoint_url, config_file=file)


def test_credentials_that_are_refused(root: Account, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(
        "[profile old]\nregion=us-east-1\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=wrong\n"
    )
    account = Account("old", endpoint_url=root.endpoint_url, config_file=file)
    (last,) = [each for each in AccountHealth(lambda: account, ("mar",), True).check() if each.cure]
    assert (last.check, last.verdict) == ("aws-credentials", Verdict.PROBLEM)


def test_an_account_that_cannot_be_reached(root: Account, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iotprovision.cloud.aws.account.ATTEMPTS", 1)
    account = Account(endpoint_url="http://127.0.0.1:9", config_file=cloud.config_file)
    health = AccountHealth(lambda: account, ("mar",), True)
    (last,) = [each for each in health.check() if each.cure]
    assert (last.check, last.verdict) == ("aws-connection", Verdict.PROBLEM)
    assert health.time is None


def test_an_account_that_goes_away_in_the_middle(root: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    def lost(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="the cloud")

    root.client("iot").meta.events.register("before-send.iot.DescribeThing", lost)
    found = list(AccountHealth(lambda: root, ("mar",), True).check())
    assert [each.check for each in found if each.verdict is Verdict.PROBLEM] == ["aws-connection"]
    assert "aws-endpoint" in [each.check for each in found]


def test_a_profile_that_is_not_complete() -> None:
    def no_profile() -> Account:
        raise UsageError("There is no AWS profile 'default'", hint="aws configure")

    (needed,) = AccountHealth(no_profile, ("mar",), True).check()
    (not_needed,) = AccountHealth(no_profile, ("mar",), False).check()
    assert (needed.verdict, not_needed.verdict) == (Verdict.PROBLEM, Verdict.NOTE)
