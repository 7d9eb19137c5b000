"""What every provisioner can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.steps.identity import Identity
from iotprovision.steps.links import Link
from iotprovision.steps.step import Step


@dataclass(frozen=True)
class Facts:
    """What is so in a method, whatever the kit and the account.

    :param makes_certificate: whether the kit gets a device certificate
    :param locks_slots: whether slots 10 to 12 of the secure element are locked behind what was proved
    :param connects_to_simulator: whether the local cloud plays this cloud, so that a simulated board can connect
    :param notice: what a person must know before anything is done
    """

    makes_certificate: bool = True
    locks_slots: bool = True
    connects_to_simulator: bool = True
    notice: str = ""


class Provisioner(Protocol):
    """One cloud and method: a module with these. :mod:`.plan` puts their steps in order."""

    @property
    def FACTS(self) -> Facts: ...  # noqa: N802 - a constant of the module

    def certs(self, account: AccountWork) -> list[Step]:
        """What is done once for an account, and needs no kit."""

    def identity(self, account: AccountWork, work: KitWork) -> Identity:
        """Which certificates make the kit a device."""

    def credentials(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """What is put on the kit, and proved by reading back. The provisioning firmware runs."""

    def registration(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """What the account is told about the kit once the kit is right."""

    def link(self, work: KitWork, identity: Identity) -> Link:
        """Where the page on the kit's drive leads to."""

    def account_proofs(self, account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
        """What the account knows, asked once more.

        :param identity: of the kit, where there is one
        :param connects: whether the kit has been told how to connect, so that the account must know it
        """

    def outlook(self, account: AccountWork, work: KitWork) -> str:
        """What is left for a person to do once the kit is provisioned, empty for nothing."""
