"""AWS, multi-account registration: the account learns each device's certificate, and never the signer."""

from __future__ import annotations

from iotprovision.methods.aws_jitr import FACTS, credentials, identity, link, outlook
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.steps.authority import AuthorityInStore
from iotprovision.steps.aws import DeviceRegistered, PolicyOfDevices
from iotprovision.steps.identity import Identity
from iotprovision.steps.step import Proof, Step

__all__ = ["FACTS", "account_proofs", "certs", "credentials", "identity", "link", "outlook", "registration"]


def certs(account: AccountWork) -> list[Step]:
    return [
        PolicyOfDevices(account.account, account.overwrites),
        AuthorityInStore(account.authority, "fca" in account.force),
    ]


def registration(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    return [_registered(account, identity)]


def account_proofs(account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
    return [
        Proof(PolicyOfDevices(account.account, account.overwrites)),
        *([Proof(_registered(account, identity))] if identity else []),
    ]


def _registered(account: AccountWork, identity: Identity) -> DeviceRegistered:
    coming = {"force", "fdev", "fca"} if account.makes_authority else {"force", "fdev"}
    return DeviceRegistered(
        account.account,
        identity,
        policy_is_coming=account.makes_authority,
        certificate_is_coming=bool(coming & account.force),
        detaches=account.overwrites,
    )
