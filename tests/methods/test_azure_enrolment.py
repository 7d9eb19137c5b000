"""Enrolment in Azure, on a local double of its interfaces; every call is compared with Azure's published schema."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer, new_key
from support.running import Outcome, kit_folder, run_command, run_tool, snapshot

from iotprovision.cloud.azure.central import CentralApplication
from iotprovision.cloud.azure.enrolment import Enrolments
from iotprovision.cloud.azure.provisioning_service import ProvisioningService
from iotprovision.cloud.azure.service import Place
from iotprovision.command_line.parsing import parse
from iotprovision.commands import COMMANDS
from iotprovision.environment import Environment
from iotprovision.errors import CloudDeniedError, CloudError, ExitCode, UsageError
from iotprovision.findings import State
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.runs.job import Job
from iotprovision.simulator.cloud.azure import LocalAzure, Request
from iotprovision.steps.azure import AzureDeviceFiles, DeviceEnrolled, EnrolmentRemoved, ReplacedCertificates
from iotprovision.store.folder import Store

INTERFACES = json.loads((Path(__file__).parents[1] / "support" / "data" / "azure-interfaces.json").read_text())
DEVICE = "sn0123AABBCCDDEEFF01"
KINDS = {"dps": ProvisioningService, "central": CentralApplication}
THUMBPRINTS = {"dps": hashlib.sha256, "central": hashlib.sha1}


class Identity:
    """A device with a certificate, which is in no store."""

    device_id = DEVICE
    device: x509.Certificate | None = None


def certificate() -> x509.Certificate:
    """For the device; each has another key."""
    return Signer().issue(new_key().public_key(), common_name=DEVICE)


def thumbprint(kind: str, issued: x509.Certificate) -> str:
    return THUMBPRINTS[kind](issued.public_bytes(Encoding.DER)).hexdigest()


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalAzure]:
    with LocalAzure(tmp_path / "azure.json") as running:
        yield running
        for request in running.requests:
            check_against_schema(request)


def check_against_schema(request: Request) -> None:
    """The call is one that Azure knows, with what Azure allows in it; and the double answered as Azure would."""
    spec = INTERFACES["central" if request.path.startswith("/api/") else "dps"]
    path = request.path.removeprefix(spec["basePath"])
    templates = [each for each in spec["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path)]
    (operation,) = [each for each in (spec["paths"][t].get(request.method.lower()) for t in templates) if each]
    assert request.query == {"api-version": [spec["version"]]}
    for header in ("If-Match", "x-ms-max-item-count"):
        if header.lower() in request.headers:
            assert header in operation.get("headers", [])
    if "body" in operation:
        assert "json" in request.headers["content-type"]
        validate(spec, operation["body"], request.body)
        named = {"$ref": f"#/definitions/{operation['merge']}"} if "merge" in operation else operation["body"]
        only_known_and_writable(spec, named, request.body)
    else:
        assert request.body is None
    responses = operation["responses"]
    expected = responses.get(str(request.status), responses["default"])
    if expected is None:
        assert request.answer is None
    else:
        validate(spec, expected, request.answer)


def validate(spec: Any, schema: Any, value: Any) -> None:
    jsonschema.Draft4Validator({**schema, "definitions": spec["definitions"]}).validate(value)


def only_known_and_writable(spec: Any, schema: Any, value: Any) -> None:
    """Azure passes over what it does not know, so that a misspelt field would go unnoticed."""
    if "$ref" in schema:
        schema = spec["definitions"][schema["$ref"].rpartition("/")[2]]
    for key, inner in value.items() if isinstance(value, dict) and schema.get("properties") else ():
        assert key in schema["properties"], key
        assert not schema["properties"][key].get("readOnly"), key
        only_known_and_writable(spec, schema["properties"][key], inner)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def enrolments(kind: str, azure: LocalAzure) -> Enrolments:
    return KINDS[kind]("my-service", Place(azure.url, azure))


def step(
    enrolments: Enrolments, identity: Identity, force: bool = False, folder: Path = Path("none")
) -> DeviceEnrolled:
    return DeviceEnrolled(enrolments, identity, ReplacedCertificates(Store(folder)), force)  # type: ignore[arg-type]


def removal(enrolments: Enrolments) -> EnrolmentRemoved:
    """Prepared only: no kit is asked."""
    return EnrolmentRemoved(enrolments, None, None, lambda question: True, False)  # type: ignore[arg-type]


def look(each: DeviceEnrolled) -> Any:
    return each.check(lambda done, total: None)


def make_true(each: DeviceEnrolled) -> None:
    each.prepare()
    if not look(each).in_place:
        each.apply(lambda done, total: None)
    assert look(each).in_place


def test_a_device_is_enrolled_with_its_certificate(kind: str, enrolments: Enrolments, azure: LocalAzure) -> None:
    identity = Identity()
    identity.device = certificate()
    assert look(step(enrolments, identity)).state is State.MISSING
    assert enrolments.writes == []
    make_true(step(enrolments, identity))
    state = azure.devices()
    if kind == "dps":
        record = state["enrollments"][DEVICE.lower()]
        assert (record["deviceId"], record["provisioningStatus"]) == (DEVICE, "enabled")
    else:
        assert state["devices"][DEVICE]["enabled"]
    sent = next(request.body for request in azure.requests if "x509" in json.dumps(request.body))
    sent = sent.get("attestation", sent)["x509"]["clientCertificates"]["primary"]["certificate"]
    assert base64.b64decode(sent) == identity.device.public_bytes(Encoding.DER)

    writes = list(enrolments.writes)
    make_true(step(enrolments, identity))
    assert enrolments.writes == writes, "a second time nothing is written"


def test_before_there_is_a_certificate(enrolments: Enrolments) -> None:
    each = step(enrolments, Identity())
    each.prepare()
    assert look(each).state is State.MISSING
    assert enrolments.writes == []


def test_another_certificate_is_foreign_and_force_replaces_it(kind: str, enrolments: Enrolments) -> None:
    theirs, ours = Identity(), Identity()
    theirs.device, ours.device = certificate(), certificate()
    make_true(step(enrolments, theirs))
    with pytest.raises(CloudError, match="another certificate") as caught:
        step(enrolments, ours).prepare()
    assert thumbprint(kind, theirs.device)[:16] in caught.value.what
    assert look(step(enrolments, theirs)).in_place, "nothing was changed"
    make_true(step(enrolments, ours, force=True))
    with pytest.raises(CloudError):
        look(step(enrolments, theirs))


def test_the_certificate_that_this_run_replaces_is_the_kits_own(enrolments: Enrolments) -> None:
    identity = Identity()
    identity.device = certificate()
    make_true(step(enrolments, identity))
    each = step(enrolments, identity)
    each.prepare()
    identity.device = certificate()
    finding = look(each)
    assert (finding.state, finding.foreign) == (State.DIFFERENT, False)
    each.apply(lambda done, total: None)
    assert look(each).in_place


def test_a_replaced_certificate_is_known_until_the_service_has_the_new_one(
    enrolments: Enrolments, azure: LocalAzure, tmp_path: Path
) -> None:
    """Nobody forced anything; the service fails just when the certificate has been renewed."""
    files, identity = AzureDeviceFiles(Store(tmp_path / "kit")), Identity()
    identity.device = certificate()
    files.keep(identity.device)
    make_true(step(enrolments, identity, folder=files.store.folder))
    names = {path.name for path in files.store.folder.iterdir()}
    for _ in range(2):  # the CA was replaced twice, say
        identity.device = certificate()
        files.keep(identity.device)
    azure.refuses = 400
    with pytest.raises(CloudError):
        step(enrolments, identity, folder=files.store.folder).apply(lambda done, total: None)
    azure.refuses = 0
    with pytest.raises(CloudError, match="another certificate"):
        step(enrolments, identity).prepare()
    make_true(step(enrolments, identity, folder=files.store.folder))
    assert {path.name for path in files.store.folder.iterdir()} == names, "nothing is kept longer than needed"


def test_what_is_foreign_when_the_kit_was_written_already(enrolments: Enrolments) -> None:
    theirs, ours = Identity(), Identity()
    theirs.device, ours.device = certificate(), certificate()
    make_true(step(enrolments, theirs))
    with pytest.raises(CloudError, match="another certificate") as early:
        step(enrolments, ours).prepare()
    with pytest.raises(CloudError, match="another certificate") as late:
        look(step(enrolments, ours))
    assert "Nothing was changed" in early.value.why
    assert "Nothing was changed" not in late.value.why


def change(azure: LocalAzure, tmp_path: Path, **changes: Any) -> None:
    """What somebody does with Azure's own tools."""
    state = azure.devices()
    for records in (state["enrollments"], state["devices"]):
        for record in records.values():
            record.update(changes)
    (tmp_path / "azure.json").write_text(json.dumps(state))


def test_who_was_disabled_stays_so_until_forced(enrolments: Enrolments, azure: LocalAzure, tmp_path: Path) -> None:
    identity = Identity()
    identity.device = certificate()
    make_true(step(enrolments, identity))
    change(azure, tmp_path, provisioningStatus="disabled", enabled=False)
    # Each kind has a field of its own; the schemas are not asked what the other's would be.
    state = azure.devices()
    for record in state["enrollments"].values():
        del record["enabled"]
    for record in state["devices"].values():
        del record["provisioningStatus"]
    (tmp_path / "azure.json").write_text(json.dumps(state))
    with pytest.raises(CloudError, match="disabled"):
        look(step(enrolments, identity))
    make_true(step(enrolments, identity, force=True))


def test_what_else_is_in_the_record_stays(azure: LocalAzure, tmp_path: Path) -> None:
    enrolments = ProvisioningService("my-dps.azure-devices-provisioning.net", Place(azure.url, azure))
    theirs, ours = Identity(), Identity()
    theirs.device, ours.device = certificate(), certificate()
    make_true(step(enrolments, theirs))
    more = {"iotHubs": ["hub.azure-devices.net"], "allocationPolicy": "static", "deviceId": "pump-7"}
    change(azure, tmp_path, **more)
    make_true(step(enrolments, ours, force=True))
    record = azure.devices()["enrollments"][DEVICE.lower()]
    assert {key: record[key] for key in more} == more


def test_somebody_who_was_faster(azure: LocalAzure, tmp_path: Path) -> None:
    enrolments = ProvisioningService("my-dps", Place(azure.url, azure))
    enrolments.enrol(DEVICE, certificate(), None)
    found = enrolments.find(DEVICE)
    change(azure, tmp_path, etag='"another"')
    with pytest.raises(CloudError, match="at the same time"):
        enrolments.enrol(DEVICE, certificate(), found)


def test_a_device_that_had_a_key_before(azure: LocalAzure, tmp_path: Path) -> None:
    """A merge patch would leave the key beside the certificate."""
    enrolments = CentralApplication("my-app", Place(azure.url, azure))
    identity = Identity()
    identity.device = certificate()
    make_true(step(enrolments, identity))
    state = azure.devices()
    state["attestations"][DEVICE] = {"type": "symmetricKey", "symmetricKey": {"primaryKey": "x", "secondaryKey": "y"}}
    (tmp_path / "azure.json").write_text(json.dumps(state))
    with pytest.raises(CloudError, match="symmetricKey"):
        look(step(enrolments, identity))
    azure.requests.clear()  # the schema in the tests has attestation by certificate only
    each = step(enrolments, identity, force=True)
    each.apply(lambda done, total: None)
    azure.requests[:] = [request for request in azure.requests if "symmetricKey" not in json.dumps(request.answer)]
    assert azure.devices()["attestations"][DEVICE].keys() == {"type", "x509"}


def test_removal(enrolments: Enrolments, azure: LocalAzure) -> None:
    enrolments.enrol(DEVICE, certificate(), None)
    found = enrolments.find(DEVICE)
    assert found is not None
    enrolments.remove(DEVICE, found)
    assert enrolments.find(DEVICE) is None
    assert not any(azure.devices().values())


# --- what goes wrong


@pytest.mark.parametrize(("status", "error"), [(401, CloudDeniedError), (403, CloudDeniedError), (400, CloudError)])
def test_refusals(status: int, error: type[Exception], enrolments: Enrolments, azure: LocalAzure) -> None:
    azure.refuses = status
    with pytest.raises(error) as caught:
        enrolments.find(DEVICE)
    assert "Refused for a test." in str(caught.value)
    assert azure.token not in str(caught.value)


def test_a_service_that_does_not_exist(enrolments: Enrolments, azure: LocalAzure) -> None:
    """IoT Central answers 404 then, as for a device that it does not know."""
    azure.missing = True
    identity = Identity()
    identity.device = certificate()
    for each in (step(enrolments, identity), step(enrolments, Identity()), removal(enrolments)):
        with pytest.raises(CloudError, match=f"There is no {enrolments.shown}"):
            each.prepare()
    assert enrolments.writes == []
    with pytest.raises(CloudError, match="does not exist"):
        enrolments.enrol(DEVICE, identity.device, None)


def test_a_service_that_exists_and_is_empty(enrolments: Enrolments) -> None:
    removal(enrolments).prepare()
    assert (enrolments.reads, enrolments.writes) == (1, [])


@pytest.mark.parametrize("answer", [[], ["x"], "x", 7])
def test_an_answer_that_is_no_record(answer: Any, azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "answer", lambda *_: (200, answer))
    for service in (ProvisioningService, CentralApplication):
        with pytest.raises(CloudError, match="something else than a record"):
            service("my-service", Place(azure.url, azure)).find(DEVICE)


def test_a_record_without_attestation(azure: LocalAzure, tmp_path: Path) -> None:
    enrolments = ProvisioningService("my-dps", Place(azure.url, azure))
    enrolments.enrol(DEVICE, certificate(), None)
    for attestation in (None, [], {}, {"type": None}):
        change(azure, tmp_path, attestation=attestation)
        found = enrolments.find(DEVICE)
        azure.requests.clear()  # the schema knows no such record
        assert found is not None
        assert (found.attestation, found.thumbprint) == ("", "")
    key: Any = SimpleNamespace(name=DEVICE)
    each = EnrolmentRemoved(enrolments, key, DeviceFiles(Store(tmp_path)), lambda question: True, False)
    with pytest.raises(CloudError, match="without a certificate"):
        each.apply(lambda done, total: None)
    azure.requests.clear()


def test_a_service_that_cannot_be_reached(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iotprovision.cloud.azure.service.RETRIES", 0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = Place(f"http://127.0.0.1:{unused.getsockname()[1]}", azure)
        with pytest.raises(CloudError, match="Device Provisioning Service my-dps cannot be reached"):
            ProvisioningService("my-dps", place).find(DEVICE)


def test_nobody_is_logged_in(azure: LocalAzure) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    class Nobody:
        def get_token(self, *scopes: str, **options: Any) -> Any:
            raise ClientAuthenticationError("Please run 'az login' to set up an account")

    with pytest.raises(CloudDeniedError, match="no credentials for Azure"):
        ProvisioningService("my-dps", Place(azure.url, Nobody())).find(DEVICE)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "my dps", "a.b", "-a", "https://", "x" * 64, "my-dps.azurecentral.com"])
def test_what_is_no_name_of_a_service(name: str) -> None:
    with pytest.raises(UsageError, match="does not name"):
        ProvisioningService(name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "azure", "provision"),
        ("-c", "aws", "provision"),
        ("unprovision", "-c", "azure", "--yes"),
        ("unprovision",),
    ],
)
@pytest.mark.parametrize("option", ["--azure-dps", "--azure-central"])
def test_a_connection_string_is_shown_nowhere(arguments: tuple[str, ...], option: str, tmp_path: Path) -> None:
    key = base64.b64encode(b"nobody shall read this").decode()
    for given in (f"HostName=my-dps.azure-devices-provisioning.net;SharedAccessKey={key}", key.rstrip("=") * 4):
        outcome = run_command(tmp_path, "--simulate", *arguments, option, given)
        assert outcome.code == ExitCode.USAGE
        written = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
        assert key.rstrip("=") not in outcome.err + outcome.out + written
        assert "looks like a connection string" in outcome.err or "NAME" in outcome.err


def test_the_address_of_the_real_service() -> None:
    for service, address in (
        (ProvisioningService("my-dps"), "https://my-dps.azure-devices-provisioning.net"),
        (CentralApplication("my-app.azureiotcentral.com"), "https://my-app.azureiotcentral.com"),
    ):
        assert service._service.url == address


# --- whole runs


def azure_run(home: Path, *arguments: str) -> Outcome:
    return run_tool(home, "--simulate", "-c", "azure", "--json", *arguments)


def state_of(home: Path) -> Any:
    return json.loads((home / "simulator" / "azure.json").read_text())


def test_a_kit_is_enrolled_and_taken_out_again(tmp_path: Path) -> None:
    first = azure_run(tmp_path, "certs", "provision", "--azure-dps", "my-dps")
    assert first.code == 0, first.err
    (store,) = (tmp_path / "simulator" / "certificates").glob("*/device.crt")
    issued = x509.load_pem_x509_certificate(store.read_bytes())
    device_id = store.with_name("azure-device-id.txt").read_text()
    (record,) = state_of(tmp_path)["enrollments"].values()
    info = record["attestation"]["x509"]["clientCertificates"]["primary"]["info"]
    assert (record["registrationId"], record["deviceId"]) == (device_id.lower(), device_id)
    assert info["sha256Thumbprint"].lower() == thumbprint("dps", issued)
    assert first.document["azure"]["writes"] == [f"PUT /enrollments/{device_id.lower()}"]
    assert f"lets the kit in as {device_id}" in first.err

    second = azure_run(tmp_path, "certs", "provision", "--azure-dps", "my-dps", "--verify")
    assert second.code == 0, second.err
    assert second.document["azure"]["writes"] == []
    proofs = [each["title"] for each in second.document["steps"] if each["title"].startswith("Proof")]
    assert "Proof: device enrolled in the Device Provisioning Service my-dps" in proofs

    wrong = run_tool(tmp_path, "unprovision", "--simulate", "-c", "azure", "--azure-dps", "my-dps")
    assert wrong.code == ExitCode.USAGE, "it is asked for, and there is no terminal"
    out = run_tool(tmp_path, "unprovision", "--simulate", "-c", "azure", "--azure-dps", "my-dps", "--yes")
    assert out.code == 0, out.err
    assert state_of(tmp_path)["enrollments"] == {}


def test_a_foreign_enrolment_is_found_before_the_kit_is_touched(tmp_path: Path) -> None:
    assert azure_run(tmp_path, "certs", "provision").code == 0
    (store,) = (tmp_path / "simulator" / "certificates").glob("*/azure-device-id.txt")
    with LocalAzure(tmp_path / "simulator" / "azure.json") as running:
        theirs = Signer().issue(new_key().public_key(), common_name=store.read_text())
        CentralApplication("my-app", Place(running.url, running)).enrol(store.read_text(), theirs, None)
    before = snapshot(kit_folder(tmp_path))
    outcome = azure_run(tmp_path, "certs", "provision", "--azure-central", "my-app")
    assert outcome.code == ExitCode.CLOUD
    assert "knows the device" in outcome.err
    assert snapshot(kit_folder(tmp_path)) == before
    kept = run_tool(tmp_path, "unprovision", "--simulate", "-c", "azure", "--azure-central", "my-app", "--yes")
    assert kept.code == ExitCode.CLOUD
    assert store.read_text() in state_of(tmp_path)["devices"]
    forced = azure_run(tmp_path, "certs", "provision", "--azure-central", "my-app", "-f")
    assert forced.code == 0, forced.err


def test_a_kit_whose_ca_was_moved_away_is_let_in_with_its_new_certificate(tmp_path: Path) -> None:
    job = ("certs", "provision", "--azure-central", "my-app")
    assert azure_run(tmp_path, *job).code == 0
    store = tmp_path / "simulator" / "certificates"
    (issued,) = store.glob("*/device.crt")
    before = issued.read_bytes()
    for file in store.iterdir():
        if file.is_file():
            file.unlink()
    again = azure_run(tmp_path, *job)
    assert again.code == 0, again.err
    assert issued.read_bytes() != before
    known = state_of(tmp_path)["attestations"][issued.with_name("azure-device-id.txt").read_text()]
    info = known["x509"]["clientCertificates"]["primary"]["info"]
    assert info["sha1Thumbprint"].lower() == thumbprint("central", x509.load_pem_x509_certificate(issued.read_bytes()))
    assert not issued.with_name("azure-replaced.pem").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-c", "aws", "--azure-dps", "x"), "nothing that enrols a kit in Azure was asked for"),
        (("-c", "azure", "links", "--azure-central", "x"), "nothing that enrols a kit in Azure was asked for"),
        (("-c", "azure", "provision", "--azure-dps", "no name"), "does not name an Azure"),
        (("unprovision", "-c", "azure"), "was not said"),
        (("unprovision", "--azure-dps", "x", "--yes"), "--azure-dps names a service of Azure"),
        (("unprovision", "-c", "aws", "--azure-central", "x", "--yes"), "--azure-central names a service of Azure"),
        (("unprovision", "-c", "azure", "--azure-dps", "x", "--azure-central", "y", "--yes"), "not allowed with"),
    ],
)
def test_options_of_no_use(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    outcome = run_command(tmp_path, "--simulate", *arguments)
    assert outcome.code == ExitCode.USAGE
    assert words in outcome.err


def test_a_setting_waits_for_azure(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("azure-dps: my-dps\n")
    outcome = run_tool(tmp_path, "--simulate", "-c", "google", "none", "--json")
    assert outcome.code == 0, outcome.err
    assert "azure" not in outcome.document


def test_a_service_that_is_a_setting_was_not_typed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("azure-dps: my-dps\n")

    def parsed(*arguments: str) -> Job:
        return parse(arguments, Environment(variables={"IOTPROVISION_HOME": str(tmp_path)}), COMMANDS)[0]

    assert parsed("unprovision").cloud == "aws"
    with pytest.raises(UsageError, match="names a service of Azure"):
        parsed("unprovision", "--azure-dps", "my-dps")
    assert parsed("unprovision", "-c", "azure").method_options["azure_dps"] == "my-dps"
    for command in ("unprovision", "provision"):
        options = parsed(command, "-c", "azure", "--azure-central", "my-app").method_options
        assert (options["azure_dps"], options["azure_central"]) == (None, "my-app")
