"""What all methods of AWS have in common."""

from __future__ import annotations

from iotprovision.methods.method import Method
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.steps.step import Step
    from iotprovision.store.folder import Store

PROFILE = Option(
    "aws_profile",
    ("-a", "--aws-profile"),
    "AWS profile name (default: default)",
    metavar="AWS_PROFILE",
    default="default",
    names_account=True,
    stands_for="a profile of AWS",
)


def profile_of(options: Mapping[str, str | None]) -> str:
    """The AWS profile that is meant.

    :param options: those of the cloud that were given, by their names
    """
    return options.get(PROFILE.name) or "default"


class Aws(Method):
    """One of AWS."""

    cloud = "aws"
    shown = "AWS"
    options = (PROFILE,)
    page_names_thing = True


class OwnAwsAccount(Aws):
    """One that makes a kit a device of the user's own account."""

    link_code = "aws-custom"
    page = "an AWS account of your own"
    removes_devices = True
    stays_on_kit = (
        "The kit still holds its credentials. An account with just-in-time registration takes it back at its "
        "next connection; --erase-credentials erases them."
    )

    def device_on_page(self, files: Store) -> str:
        """The thing name, which the key of the device certificate has."""
        from iotprovision.pki.certificates import p256_key, thing_name
        from iotprovision.pki.device_files import DeviceFiles

        certificate = DeviceFiles(files).certificate()
        key = p256_key(certificate) if certificate else None
        return thing_name(key) if key else ""

    def check_removal(self, options: Mapping[str, str | None]) -> None:
        """Nothing is against it."""

    def removal(
        self, account: AccountWork, device: DeviceWork, confirm: Callable[[str], bool], force: bool
    ) -> list[Step]:
        """Certificates and thing are deleted; whether the account learned of the kit by itself or from here."""
        from iotprovision.steps.aws_removal import DeviceRemovedFromAccount

        board = device.board
        return [DeviceRemovedFromAccount(account.account, board.key, board.credentials, device.files, confirm, force)]
