"""AWS, multi-account registration: the account learns each device's certificate, and never the signer."""

from __future__ import annotations

from iotprovision.methods.aws_jitr import AwsJitr

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.methods.work import AccountWork
    from iotprovision.steps.aws import DeviceRegistered
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.step import Step


class AwsMar(AwsJitr):
    """Multi-account registration: on the kit, all is as with just-in-time registration."""

    name = "mar"
    other_names = ()
    help = "multi-account registration: this tool registers each device in your own account"
    rights = "mar"

    def certs(self, account: AccountWork) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore
        from iotprovision.steps.aws import PolicyOfDevices

        return [
            PolicyOfDevices(account.account, account.overwrites),
            AuthorityInStore(account.authority, "fca" in account.force),
        ]

    def registration(self, account: AccountWork, identity: Identity) -> list[Step]:
        return [_registered(account, identity)]

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        from iotprovision.steps.aws import PolicyOfDevices
        from iotprovision.steps.step import Proof

        return [
            Proof(PolicyOfDevices(account.account, account.overwrites)),
            *([Proof(_registered(account, identity))] if identity else []),
        ]


def _registered(account: AccountWork, identity: Identity) -> DeviceRegistered:
    from iotprovision.steps.aws import DeviceRegistered

    coming = {"force", "fdev", "fca"} if account.makes_authority else {"force", "fdev"}
    return DeviceRegistered(
        account.account,
        identity,
        policy_is_coming=account.makes_authority,
        certificate_is_coming=bool(coming & account.force),
        detaches=account.overwrites,
    )


METHOD = AwsMar()
