"""AWS, sandbox: the vendor's own account, which knows the certificates that the kits bring from the factory."""

from __future__ import annotations

from iotprovision.methods.aws import Aws

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Mapping

    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.links import Link
    from iotprovision.steps.step import Step
    from iotprovision.store.folder import Store


class AwsSandbox(Aws):
    """The vendor's account."""

    name = "sandbox"
    help = "the vendor's account, no account of your own is needed"
    is_default = True
    uses_vendors_account = True
    link_code = "aws"
    page = "the vendor's AWS sandbox"

    def certs(self, account: AccountWork) -> list[Step]:
        """None: the account is the vendor's, and knows the factory's signers."""
        return []

    def identity(self, account: AccountWork, device: DeviceWork) -> Identity:
        from iotprovision.pki.device_files import FactoryCertificateFiles
        from iotprovision.steps.factory_certificates import FactoryMadeIdentity

        return FactoryMadeIdentity(FactoryCertificateFiles(device.files))

    def device_steps(self, account: AccountWork, device: DeviceWork, identity: Identity) -> list[Step]:
        from iotprovision.errors import UsageError
        from iotprovision.steps.factory_certificates import FactoryCertificatesRebuilt, FactoryMadeIdentity

        assert isinstance(identity, FactoryMadeIdentity)
        board = device.board
        if board.factory is None:
            raise UsageError(
                f"{board.kit.name} has no certificates from its factory, and the sandbox knows no others",
                "Nothing was changed.",
                "use a method that makes its own device certificate, such as -m jitr",
            )
        return [FactoryCertificatesRebuilt(board.key, board.factory, identity, device.factory_roots)]

    def endpoint(self, account: AccountWork, device: DeviceWork) -> str:
        from iotprovision.cloud.aws import sandbox

        return sandbox.endpoint(device.board.has_wifi)

    def link(self, device: DeviceWork, identity: Identity) -> Link:
        from iotprovision.steps.links import Link

        return Link(self.link_code, lambda: identity.thing_name)

    def device_on_page(self, files: Store) -> str:
        """The thing name, which the key of the factory's device certificate has."""
        from iotprovision.pki.certificates import p256_key, thing_name
        from iotprovision.pki.device_files import FactoryCertificateFiles

        factory = FactoryCertificateFiles(files).certificates()
        key = p256_key(factory.device) if factory else None
        return thing_name(key) if key else ""

    def check_removal(self, options: Mapping[str, str | None]) -> None:
        """Only the vendor could."""
        from iotprovision.errors import UsageError

        raise UsageError(
            "A kit cannot be taken out of the sandbox",
            "The account is the vendor's. It knows the certificates that the factory put into the kits, and only the "
            "vendor can change that.",
            "iotprovision unprovision takes it out of your own account, whether -m was jitr or mar",
        )


METHOD = AwsSandbox()
