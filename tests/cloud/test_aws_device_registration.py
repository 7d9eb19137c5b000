"""A device in an account: registered with all it needs, found by fingerprint, and nothing that is there made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from botocore.stub import Stubber
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer, id_of, new_key, thing_of

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.cloud.aws.device_registration import DeviceRegistration
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.errors import CloudError
from iotprovision.findings import State
from iotprovision.simulator.cloud.aws import LocalCloud

POLICY = "iotprovision-device-v1"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        DevicePolicy(Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)).apply()
        yield cloud


@pytest.fixture
def account(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


@dataclass
class Device:
    """A key and a certificate for it."""

    signer: Signer = field(default_factory=Signer)
    key: ec.EllipticCurvePublicKey = field(default_factory=lambda: new_key().public_key())

    def __post_init__(self) -> None:
        self.certificate = self.signer.issue(self.key)
        self.thing = thing_of(self.key)
        self.id = id_of(self.certificate)
        self.arn = f"arn:aws:iot:us-east-1:111122223333:cert/{self.id}"

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def registration(self, account: Account) -> DeviceRegistration:
        return DeviceRegistration(account, self.certificate, self.thing)


def look(account: Account, device: Device) -> tuple[str, list[str], list[str]]:
    """Status of the certificate, certificates of the thing, policies of the certificate; asked of the account."""
    found = account.call("iot", "DescribeCertificate", certificateId=device.id)["certificateDescription"]
    principals = account.call("iot", "ListThingPrincipals", thingName=device.thing)["principals"]
    policies = account.call("iot", "ListAttachedPolicies", target=found["certificateArn"])["policies"]
    return found["status"], principals, [policy["policyName"] for policy in policies]


def test_a_new_device_gets_all_it_needs_and_a_second_run_writes_nothing(cloud: LocalCloud, account: Account) -> None:
    device = Device()
    assert device.registration(account).state().state is State.MISSING
    assert account.writes == []
    device.registration(account).register()
    assert device.registration(account).state().in_place
    assert look(account, device) == ("ACTIVE", [device.arn], [POLICY])
    assert [call.operation for call in account.writes] == [
        "RegisterCertificateWithoutCA",
        "CreateThing",
        "AttachPolicy",
        "AttachThingPrincipal",
    ]
    second = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    device.registration(second).register()
    assert second.writes == []


@pytest.mark.parametrize(
    ("break_it", "writes"),
    [
        (
            lambda account, device: account.call(
                "iot", "UpdateCertificate", certificateId=device.id, newStatus="INACTIVE"
            ),
            ["UpdateCertificate"],
        ),
        (
            lambda account, device: account.call(
                "iot", "UpdateCertificate", certificateId=device.id, newStatus="PENDING_ACTIVATION"
            ),
            ["UpdateCertificate"],
        ),
        (
            lambda account, device: account.call("iot", "DetachPolicy", policyName=POLICY, target=device.arn),
            ["AttachPolicy"],
        ),
        (
            lambda account, device: account.call(
                "iot", "DetachThingPrincipal", thingName=device.thing, principal=device.arn
            ),
            ["AttachThingPrincipal"],
        ),
    ],
    ids=["inactive", "pending activation", "policy detached", "thing detached"],
)
def test_only_what_is_missing_is_made(
    cloud: LocalCloud, break_it: Callable[[Account, Device], object], writes: list[str]
) -> None:
    device = Device()
    root = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    device.registration(root).register()
    break_it(root, device)
    account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
    assert device.registration(account).state().state is State.DIFFERENT
    device.registration(account).register()
    assert [call.operation for call in account.writes] == writes
    assert look(account, device) == ("ACTIVE", [device.arn], [POLICY])


def test_a_certificate_that_was_registered_inactive_is_let_in_last(account: Account) -> None:
    device = Device()
    account.call("iot", "RegisterCertificateWithoutCA", certificatePem=device.pem, status="INACTIVE")
    device.registration(account).register()
    assert look(account, device) == ("ACTIVE", [device.arn], [POLICY])
    assert account.writes[-1].operation == "UpdateCertificate"


def test_a_thing_that_somebody_described_keeps_its_attributes(account: Account) -> None:
    device = Device()
    attributes = {"room": "kitchen"}
    account.call("iot", "CreateThing", thingName=device.thing, attributePayload={"attributes": attributes})
    device.registration(account).register()
    assert account.call("iot", "DescribeThing", thingName=device.thing)["attributes"] == attributes


@pytest.mark.parametrize(
    ("status", "command"),
    [("REVOKED", "update-certificate --certificate-id"), ("PENDING_TRANSFER", "cancel-certificate-transfer")],
)
def test_what_somebody_decided_is_not_undone(account: Account, status: str, command: str) -> None:
    device = Device()
    account.call("iot", "RegisterCertificateWithoutCA", certificatePem=device.pem, status="INACTIVE")
    account.call("iot", "UpdateCertificate", certificateId=device.id, newStatus=status)
    writes = list(account.writes)
    with pytest.raises(CloudError, match=status) as raised:
        device.registration(account).register()
    for words in (device.id, command, "--profile default", "--fdev"):
        assert words in str(raised.value)
    assert account.writes == writes


def test_a_device_that_came_through_its_registered_signer_is_taken_as_it_is(account: Account) -> None:
    device = Device()
    signer = SignerRegistration(account, device.signer.certificate, device.signer.verification)
    signer.apply()
    account.call("iot", "RegisterCertificate", certificatePem=device.pem, status="ACTIVE")
    device.registration(account).register()
    assert look(account, device) == ("ACTIVE", [device.arn], [POLICY])
    assert device.registration(account).status().signer_id == id_of(device.signer.certificate)


def test_earlier_certificates_of_the_device_are_detached_and_nothing_else(account: Account) -> None:
    key = new_key().public_key()
    old, new, stranger, other = Device(key=key), Device(key=key), Device(), Device()
    for device in (old, new, stranger, other):
        device.registration(account).register()
    # Somebody tied another key to this thing on purpose, and the old certificate to another thing.
    account.call("iot", "AttachThingPrincipal", thingName=new.thing, principal=stranger.arn)
    account.call("iot", "AttachThingPrincipal", thingName=other.thing, principal=old.arn)
    registration = new.registration(account)
    assert set(registration.status().other_certificates) == {old.arn, stranger.arn}
    assert registration.detach_earlier() == [old.id]
    assert set(look(account, new)[1]) == {new.arn, stranger.arn}
    assert set(look(account, other)[1]) == {other.arn, old.arn}
    assert account.call("iot", "DescribeCertificate", certificateId=old.id)["certificateDescription"]["status"]
    assert registration.detach_earlier() == []


def test_a_run_that_was_faster_is_no_obstacle(account: Account) -> None:
    """Another run, or our own call whose answer was lost, comes first: the answers of AWS are put in place."""
    device = Device()
    there = description(device, "INACTIVE")
    with Stubber(account.client("iot")) as stub:
        stub.add_client_error("describe_certificate", "ResourceNotFoundException", http_status_code=404)
        stub.add_client_error("describe_thing", "ResourceNotFoundException", http_status_code=404)
        stub.add_client_error("register_certificate_without_ca", "ResourceAlreadyExistsException", "there", 409)
        stub.add_response("describe_certificate", there)
        stub.add_client_error("describe_thing", "ResourceNotFoundException", http_status_code=404)
        stub.add_response("list_attached_policies", {"policies": []})
        stub.add_client_error("create_thing", "ResourceAlreadyExistsException", "with attributes", 409)
        stub.add_response("attach_policy", {}, {"policyName": POLICY, "target": device.arn})
        stub.add_response("attach_thing_principal", {}, {"thingName": device.thing, "principal": device.arn})
        stub.add_response("update_certificate", {}, {"certificateId": device.id, "newStatus": "ACTIVE"})
        device.registration(account).register()
        stub.assert_no_pending_responses()


def test_all_pages_of_certificates_and_policies_are_read(account: Account) -> None:
    """The local cloud lists all in one page: the pages of AWS are put in their place."""
    device = Device()
    with Stubber(account.client("iot")) as stub:
        stub.add_response("describe_certificate", description(device, "ACTIVE"))
        stub.add_response("describe_thing", {"thingName": device.thing})
        strangers = [f"arn:aws:iot:us-east-1:111122223333:cert/{number:064x}" for number in range(2)]
        stub.add_response("list_thing_principals", {"principals": strangers, "nextToken": "more"})
        stub.add_response(
            "list_thing_principals", {"principals": [device.arn]}, {"thingName": device.thing, "nextToken": "more"}
        )
        stub.add_response("list_attached_policies", {"policies": [{"policyName": "other"}], "nextMarker": "more"})
        stub.add_response(
            "list_attached_policies",
            {"policies": [{"policyName": POLICY}]},
            {"target": device.arn, "marker": "more"},
        )
        status = device.registration(account).status()
        stub.assert_no_pending_responses()
    assert status.finding.in_place
    assert status.other_certificates == tuple(strangers)


def test_a_certificate_that_the_account_refuses(account: Account) -> None:
    device = Device()
    with Stubber(account.client("iot")) as stub:
        stub.add_client_error("describe_certificate", "ResourceNotFoundException", http_status_code=404)
        stub.add_client_error("describe_thing", "ResourceNotFoundException", http_status_code=404)
        stub.add_client_error(
            "register_certificate_without_ca", "CertificateValidationException", "not a proper certificate", 400
        )
        with pytest.raises(CloudError, match="RegisterCertificateWithoutCA failed") as raised:
            device.registration(account).register()
    assert "not a proper certificate" in str(raised.value)


def description(device: Device, status: str) -> dict[str, object]:
    return {
        "certificateDescription": {
            "certificateArn": device.arn,
            "certificateId": device.id,
            "certificatePem": device.pem,
            "status": status,
        }
    }


def test_the_identifier_is_the_fingerprint(account: Account) -> None:
    device = Device()
    device.registration(account).register()
    found = account.call("iot", "DescribeCertificate", certificateId=device.id)["certificateDescription"]
    assert x509.load_pem_x509_certificate(found["certificatePem"].encode()) == device.certificate
