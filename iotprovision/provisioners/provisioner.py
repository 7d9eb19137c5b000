"""What every provisioner can be asked for."""

from __future__ import annotations

from typing import Protocol

from iotprovision.actions.identity import Identity
from iotprovision.provisioners.work import AccountWork, KitWork
from iotprovision.steps import Step


class Provisioner(Protocol):
    """One cloud and method: a module with these functions. :mod:`.plan` puts their steps in order."""

    def certs(self, account: AccountWork) -> list[Step]:
        """What is done once for an account, and needs no kit."""

    def identity(self, account: AccountWork, work: KitWork) -> Identity:
        """Which certificates make the kit a device."""

    def credentials(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """What is put on the kit, and proved by reading back. The provisioning firmware runs."""

    def registration(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """What the account is told about the kit once the kit is right."""

    def links_code(self) -> str:
        """Which of the kit's link codes (``kits.yaml``) leads to the cloud's page."""

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        """What the account knows, asked once more.

        :param identity: of the kit, where there is one
        :param connects: whether the kit has been told how to connect, so that the account must know it
        """
