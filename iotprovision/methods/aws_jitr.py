"""AWS, just-in-time registration: the account learns the signer, a device registers itself when it first connects."""

from __future__ import annotations

from iotprovision.methods.aws import OwnAwsAccount

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.links import Link
    from iotprovision.steps.step import Step


class AwsJitr(OwnAwsAccount):
    """Just-in-time registration."""

    name = "jitr"
    other_names: tuple[str, ...] = ("custom",)  # the vendor's older word
    help = "just-in-time registration: devices register themselves there"
    rights = "jitr"

    def certs(self, account: AccountWork) -> list[Step]:
        from iotprovision.steps.authority import AuthorityInStore
        from iotprovision.steps.aws import PolicyOfDevices, SignerRegistered, StackDeployed

        return [
            PolicyOfDevices(account.account, account.overwrites),
            StackDeployed(account.account, account.overwrites),
            AuthorityInStore(account.authority, "fca" in account.force),
            SignerRegistered(account.account, account.authority),
        ]

    def identity(self, account: AccountWork, device: DeviceWork) -> Identity:
        from iotprovision.pki.device_files import DeviceFiles
        from iotprovision.steps.identity import OwnIdentity

        return OwnIdentity(DeviceFiles(device.files), account.authority)

    def device_steps(self, account: AccountWork, device: DeviceWork, identity: Identity) -> list[Step]:
        from iotprovision.steps.device_certificate import DeviceCertificate
        from iotprovision.steps.identity import OwnIdentity

        assert isinstance(identity, OwnIdentity)
        board, makes_authority = device.board, account.makes_authority
        return [
            DeviceCertificate(board.key, identity, account.authority, makes_authority, account.force, board.credentials)
        ]

    def endpoint(self, account: AccountWork, device: DeviceWork) -> str:
        return account.account.iot_endpoint()

    def link(self, device: DeviceWork, identity: Identity) -> Link:
        from iotprovision.steps.links import Link

        return Link(self.link_code, lambda: identity.thing_name)

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        from iotprovision.steps.aws import DeviceInAccount, PolicyOfDevices, SignerRegistered, StackDeployed
        from iotprovision.steps.step import Proof

        return [
            Proof(PolicyOfDevices(account.account, account.overwrites)),
            Proof(StackDeployed(account.account, account.overwrites)),
            Proof(SignerRegistered(account.account, account.authority)),
            *([DeviceInAccount(account.account, identity, connects)] if identity else []),
        ]


METHOD = AwsJitr()
