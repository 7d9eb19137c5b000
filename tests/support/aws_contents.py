"""What an AWS account holds, asked of the account itself."""

from __future__ import annotations

from typing import Any

from iotprovision.cloud.aws.account import Account


def contents_of(account: Account) -> dict[str, Any]:
    """All that a person could see in the account."""
    lists = {
        "ListThings": "things",
        "ListCertificates": "certificates",
        "ListCACertificates": "certificates",
        "ListPolicies": "policies",
        "ListTopicRules": "rules",
    }
    found: dict[str, Any] = {name: account.call("iot", name)[key] for name, key in lists.items()}
    for policy in found["ListPolicies"]:
        name = policy["policyName"]
        found[name] = account.call("iot", "ListPolicyVersions", policyName=name)["policyVersions"]
    for certificate in found["ListCertificates"]:
        found[certificate["certificateId"]] = account.call(
            "iot", "ListAttachedPolicies", target=certificate["certificateArn"]
        )["policies"]
    return found
