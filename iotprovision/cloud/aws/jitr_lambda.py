"""Just-in-time registration: makes a thing of a device whose certificate AWS has just seen for the first time."""

import hashlib
import json
import ssl
from contextlib import suppress
from typing import Any

import boto3

POLICY = "iotprovision-device-v1"
THING = "${iot:Connection.Thing.ThingName}"


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, str]:
    return register(event, boto3.client("iot"))


def register(event: dict[str, Any], iot: Any) -> dict[str, str]:
    """Everything may be repeated; the device is let in last, when all else is done."""
    certificate_id = event["certificateId"]
    ignored = {"ignored": certificate_id}
    if event.get("certificateStatus") != "PENDING_ACTIVATION":
        return ignored
    certificate = iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]
    if certificate["status"] != "PENDING_ACTIVATION":
        return ignored
    arn = certificate["certificateArn"]
    thing = thing_name(ssl.PEM_cert_to_DER_cert(certificate["certificatePem"].strip()))
    with suppress(iot.exceptions.ResourceAlreadyExistsException):  # someone gave it attributes
        iot.create_thing(thingName=thing)
    ensure_policy(iot, arn.split(":cert/")[0])
    iot.attach_thing_principal(thingName=thing, principal=arn)
    iot.attach_policy(policyName=POLICY, target=arn)
    iot.update_certificate(certificateId=certificate_id, newStatus="ACTIVE")
    return {"thing": thing, "certificate": certificate_id}


def ensure_policy(iot: Any, account: str) -> None:
    wanted = policy(account)
    try:
        found = iot.get_policy(policyName=POLICY)
    except iot.exceptions.ResourceNotFoundException:
        with suppress(iot.exceptions.ResourceAlreadyExistsException):  # another device was faster
            iot.create_policy(policyName=POLICY, policyDocument=json.dumps(wanted))
        found = iot.get_policy(policyName=POLICY)
    if json.loads(found["policyDocument"]) != wanted:
        raise PermissionError(f"Someone changed the policy {POLICY}; no device is activated with it")


def policy(account: str) -> dict[str, Any]:
    """A device may act as its own thing only. In IoT policies * is a wildcard, # and + are not."""

    def allow(actions: str, *resources: str) -> dict[str, Any]:
        return {
            "Effect": "Allow",
            "Action": ["iot:" + action for action in actions.split()],
            "Resource": [f"{account}:{resource}" for resource in resources],
        }

    own, shadow = f"{THING}/*", f"$aws/things/{THING}/shadow/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("Connect", f"client/{THING}"),
            allow("Publish Receive", f"topic/{own}", f"topic/{shadow}"),
            allow("Subscribe", f"topicfilter/{own}", f"topicfilter/{shadow}"),
        ],
    }


def thing_name(certificate: bytes) -> str:
    """SHA-1 of the public key of a DER certificate: its key identifier (RFC 5280, 4.2.1.2)."""
    to_be_signed = children(children(certificate)[0][1])[0][1]
    # Without the version: serial number, algorithm, issuer, validity, subject, public key.
    fields = [content for tag, content in children(to_be_signed) if tag != 0xA0]
    bits = children(fields[5])[1][1]
    return hashlib.sha1(bits[1:], usedforsecurity=False).hexdigest()


def children(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each DER element."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            end = at + (length & 0x7F)
            length, at = int.from_bytes(der[at:end], "big"), end
        found.append((tag, der[at : at + length]))
        at += length
    return found
