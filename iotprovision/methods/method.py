"""What every method of registration declares, and can be asked for."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.option import Option
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.links import Link
    from iotprovision.steps.step import Step
    from iotprovision.store.folder import Store


class Method:
    """One cloud and one way to make a kit a device there: a module of this folder has one as ``METHOD``.

    :mod:`.plan` puts its steps in order. The module imports nothing heavy: what is declared here is asked for by
    ``--help`` too.
    """

    cloud: str
    """As it is typed behind ``-c``."""
    shown: str
    """The cloud, for a person."""
    name = "custom"
    """As it is typed behind ``-m``, where the cloud has several."""
    other_names: tuple[str, ...] = ()
    """What else may be typed there."""
    help = ""
    """What it is, in the help of ``-m``; of a cloud that has no other, in the help of ``-c``."""
    is_default = False
    """Whether it is meant where no method of its cloud was named. Of clouds, the one with such a method is meant."""
    options: tuple[Option, ...] = ()
    """Options that only this cloud has."""
    notice = ""
    """What a person must know before anything is done."""

    writes_certificates = True
    """Whether certificates of the device and of its signer are put where the board keeps its credentials."""
    writes_names = True
    """Whether thing name and endpoint are put there too."""
    locks_slots = True
    """Whether slots 10 to 12 of the secure element are locked behind what was proved."""
    connects_to_simulator = True
    """Whether the local cloud plays this cloud, so that a simulated board can connect."""
    uses_vendors_account = False
    """Whether the account is the vendor's, and the user needs none."""

    rights = ""
    """Which rights in an account it needs, in the words of ``cloud/aws/rights.py``; empty for none to ask for."""
    link_code = ""
    """Where the page on the kit's drive leads to, in the words of ``kits.yaml``; empty where there is no page."""
    page = ""
    """The same for a person."""
    page_names_thing = False
    """Whether that page names the kit by its thing name."""
    removes_devices = False
    """Whether :meth:`removal` takes a kit out of the account again."""
    stays_on_kit = ""
    """What a person must know of the credentials that a kit keeps after that."""

    def certs(self, account: AccountWork) -> list[Step]:
        """What is done once for an account, and needs no kit."""
        raise NotImplementedError

    def identity(self, account: AccountWork, device: DeviceWork) -> Identity:
        """Which certificates make the kit a device."""
        raise NotImplementedError

    def device_steps(self, account: AccountWork, device: DeviceWork, identity: Identity) -> list[Step]:
        """What makes the certificates known that are then put on the board, and what else the cloud needs there."""
        raise NotImplementedError

    def endpoint(self, account: AccountWork, device: DeviceWork) -> str:
        """Host name that the board connects to, where the method writes one.

        :raises CloudError: the account does not tell
        """
        raise NotImplementedError

    def registration(self, account: AccountWork, identity: Identity) -> list[Step]:
        """What the account is told about the kit once the kit is right."""
        return []

    def link(self, device: DeviceWork, identity: Identity) -> Link:
        """Where the page on the kit's drive leads to: one that is the same for every kit, if nothing else is said.

        What the board holds about the kit for another cloud is left.
        """
        from iotprovision.steps.links import Link

        return Link(self.link_code)

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        """What the account knows, asked once more.

        :param identity: of the kit, where there is one
        :param connects: whether the kit has been told how to connect, so that the account must know it
        """
        return []

    def outlook(self, account: AccountWork, device: DeviceWork) -> str:
        """What is left for a person to do once the kit is provisioned, empty for nothing."""
        return ""

    def device_on_page(self, files: Store) -> str:
        """How the page on the kit's drive should name the device; empty where the store does not know it.

        :param files: of the kit, in the store
        """
        return ""

    def check_removal(self, options: Mapping[str, str | None]) -> None:
        """Before anything is looked at: a kit can be taken out of its account.

        :param options: those of the cloud that were given, by their names
        :raises UsageError: it cannot, and why
        """
        from iotprovision.errors import UsageError

        raise UsageError(
            f"A kit cannot be taken out of {self.shown}",
            "This version does not know how. Nothing was done, in no account.",
        )

    def removal(
        self, account: AccountWork, device: DeviceWork, confirm: Callable[[str], bool], force: bool
    ) -> list[Step]:
        """What takes a kit out of its account; asked for only where :meth:`check_removal` has nothing against it.

        :param confirm: asks a person
        :param force: whether it is done also where somebody else has a part in it
        """
        raise NotImplementedError
