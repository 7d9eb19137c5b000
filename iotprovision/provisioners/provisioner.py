"""What every provisioner can be asked for: the steps of each action, in their order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from iotprovision.provisioners.work import AccountWork, KitWork
from iotprovision.steps import Step


class Provisioner(Protocol):
    """One cloud and method; a module with these functions."""

    def certs(self, account: AccountWork) -> list[Step]:
        """Once for an account; needs no kit."""

    def provision(self, account: AccountWork, work: KitWork, authority_is_coming: bool) -> list[Step]:
        """Credentials on the kit.

        :param authority_is_coming: whether the same run makes the authority where there is none
        """

    def links(self, work: KitWork, certificate_is_coming: bool) -> list[Step]:
        """Links on the kit's drive.

        :param certificate_is_coming: whether the same run makes the device certificate that they need
        """

    def application(self, work: KitWork) -> list[Step]:
        """The program that the kit runs from then on."""

    def proofs(self, account: AccountWork | None, work: KitWork, actions: Collection[str]) -> list[Step]:
        """The kit proved once more, as far as these actions went."""

    def wifi(self, work: KitWork) -> list[Step]:
        """The Wi-Fi network, where one was given."""

    def account_proofs(self, account: AccountWork, work: KitWork | None, connects: bool) -> list[Step]:
        """What the account knows.

        :param work: the kit, where there is one
        :param connects: whether the kit has been told how to connect, so that the account must know it
        """
