"""The Lambda: its source runs here as AWS runs it, from the text in the template, against the local cloud."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.certificate_chain import DAY, Signer, id_of, name, new_key, thing_of

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_template import LONGEST_SOURCE, source, template
from iotprovision.simulator.cloud.aws import LocalCloud


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


@pytest.fixture(scope="module")
def function() -> dict[str, Any]:
    """The names that the inlined source defines."""
    text = json.loads(template())["Resources"]["Function"]["Properties"]["Code"]["ZipFile"]
    names: dict[str, Any] = {}
    exec(compile(text, "index.py", "exec"), names)
    return names


def pending(account: Account, certificate: x509.Certificate) -> dict[str, Any]:
    """Register a certificate, still to be activated, and give the event of it."""
    answer = account.call(
        "iot",
        "RegisterCertificateWithoutCA",
        certificatePem=certificate.public_bytes(Encoding.PEM).decode(),
        status="INACTIVE",
    )
    account.call("iot", "UpdateCertificate", certificateId=answer["certificateId"], newStatus="PENDING_ACTIVATION")
    return {"certificateId": answer["certificateId"], "certificateStatus": "PENDING_ACTIVATION"}


def status(account: Account, certificate: x509.Certificate) -> str:
    answer = account.call("iot", "DescribeCertificate", certificateId=id_of(certificate))
    return str(answer["certificateDescription"]["status"])


def test_the_source_fits_and_needs_nothing_but_the_runtime() -> None:
    assert len(source().encode()) <= LONGEST_SOURCE
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.walk(ast.parse(source()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert {module.split(".")[0] for module in imported} - {"boto3"} <= sys.stdlib_module_names


def test_a_device_gets_thing_policy_and_activation(account: Account, function: dict[str, Any]) -> None:
    key = new_key().public_key()
    certificate = Signer().issue(key)
    event = pending(account, certificate)
    for _ in range(2):  # AWS may deliver an event twice
        function["register"](event, account.client("iot"))
    assert status(account, certificate) == "ACTIVE"
    (principal,) = account.call("iot", "ListThingPrincipals", thingName=thing_of(key))["principals"]
    assert principal.endswith(id_of(certificate))
    (policy,) = account.call("iot", "ListAttachedPolicies", target=principal)["policies"]
    document = json.loads(account.call("iot", "GetPolicy", policyName=policy["policyName"])["policyDocument"])
    allowed = {
        (action, resource)
        for statement in document["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    prefix, thing = "arn:aws:iot:us-east-1:111122223333:", "${iot:Connection.Thing.ThingName}"
    shadow = f"$aws/things/{thing}/shadow/*"
    assert allowed == {
        ("iot:Connect", f"{prefix}client/{thing}"),
        ("iot:Publish", f"{prefix}topic/{thing}/*"),
        ("iot:Publish", f"{prefix}topic/{shadow}"),
        ("iot:Receive", f"{prefix}topic/{thing}/*"),
        ("iot:Receive", f"{prefix}topic/{shadow}"),
        ("iot:Subscribe", f"{prefix}topicfilter/{thing}/*"),
        ("iot:Subscribe", f"{prefix}topicfilter/{shadow}"),
    }


def test_a_step_that_was_done_before_is_no_obstacle(account: Account, function: dict[str, Any]) -> None:
    key = new_key().public_key()
    certificate = Signer().issue(key)
    event = pending(account, certificate)
    account.call("iot", "CreateThing", thingName=thing_of(key), attributePayload={"attributes": {"room": "kitchen"}})
    function["register"](event, account.client("iot"))
    assert status(account, certificate) == "ACTIVE"
    thing = account.call("iot", "DescribeThing", thingName=thing_of(key))
    assert thing["attributes"] == {"room": "kitchen"}


@pytest.mark.parametrize("now", ["ACTIVE", "INACTIVE", "REVOKED"])
def test_a_certificate_that_is_not_pending_is_left_alone(account: Account, function: dict[str, Any], now: str) -> None:
    key = new_key().public_key()
    certificate = Signer().issue(key)
    event = pending(account, certificate)
    account.call("iot", "UpdateCertificate", certificateId=id_of(certificate), newStatus=now)
    function["register"](event, account.client("iot"))
    function["register"]({**event, "certificateStatus": now}, account.client("iot"))
    assert status(account, certificate) == now
    assert account.find("iot", "DescribeThing", thingName=thing_of(key)) is None


def test_a_policy_that_someone_widened_lets_nobody_in(account: Account, function: dict[str, Any]) -> None:
    first, second = (Signer().issue(new_key().public_key()) for _ in range(2))
    function["register"](pending(account, first), account.client("iot"))
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
    policy = function["POLICY"]
    version = account.call(
        "iot", "CreatePolicyVersion", policyName=policy, policyDocument=json.dumps(wide), setAsDefault=True
    )["policyVersionId"]
    event = pending(account, second)
    with pytest.raises(PermissionError, match=policy):
        function["register"](event, account.client("iot"))
    assert status(account, second) == "PENDING_ACTIVATION"
    account.call("iot", "SetDefaultPolicyVersion", policyName=policy, policyVersionId="1")
    account.call("iot", "DeletePolicyVersion", policyName=policy, policyVersionId=version)
    function["register"](event, account.client("iot"))
    assert status(account, second) == "ACTIVE"


def test_the_thing_name_is_the_key_identifier(function: dict[str, Any]) -> None:
    for _ in range(20):  # lengths of serial numbers and signatures vary
        certificate = Signer("S" * 64).issue(new_key().public_key(), "d" * 64)
        identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
        assert function["thing_name"](certificate.public_bytes(Encoding.DER)) == identifier.hex()


def test_the_thing_name_of_an_rsa_certificate_with_long_fields(function: dict[str, Any]) -> None:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateBuilder(name("i" * 64), name("s" * 64), key.public_key(), 1)
    now = Signer().starts
    certificate = builder.not_valid_before(now).not_valid_after(now + DAY).sign(key, hashes.SHA256())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert function["thing_name"](certificate.public_bytes(Encoding.DER)) == hashlib.sha1(public).hexdigest()
