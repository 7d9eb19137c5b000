"""What a method works with: the account's side, and for runs that touch a board, the board's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from iotprovision.boards.board import Board
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.azure.enrolment import Enrolments
from iotprovision.formats.ecc608_zones import Kind
from iotprovision.formats.factory_certificates import FactoryRoot
from iotprovision.formats.id_scope import IdScope
from iotprovision.pki.authority import Authority
from iotprovision.steps.stored import Keeper
from iotprovision.store.folder import Store


class AccountWork:
    """An account and the authority whose signer it learns.

    :param open_account: called when a method needs the account; some need none
    :param makes_authority: whether this run makes the authority where there is none, and prepares the account
    :param force: the options given that force something, without their dashes
    :param azure: the Azure service that a kit is enrolled in, where one was named
    :param options: those that only the methods of this cloud have
    """

    def __init__(
        self,
        authority: Authority,
        open_account: Callable[[], Account],
        makes_authority: bool,
        force: frozenset[str] = frozenset(),
        azure: Enrolments | None = None,
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        self.authority = authority
        self.makes_authority = makes_authority
        self.force = force
        self.azure = azure
        self.options = options or {}
        self._open_account = open_account
        self.opened: Account | None = None

    @property
    def overwrites(self) -> bool:
        """Whether what somebody else made in the account may be overwritten."""
        return bool({"force", "faws"} & self.force)

    def done(self) -> dict[str, Mapping[str, Any]]:
        """What was done in the accounts, by the section of the document that it belongs to."""
        sections: dict[str, Mapping[str, Any]] = {}
        if self.opened:
            account = self.opened
            sections["account"] = {
                "profile": account.profile,
                "region": account.region,
                "reads": len(account.calls) - len(account.writes),
                "writes": [call.action for call in account.writes],
            }
        if self.azure:
            sections["azure"] = {"service": self.azure.shown, "reads": self.azure.reads, "writes": self.azure.writes}
        return sections

    @cached_property
    def account(self) -> Account:
        """:raises UsageError: the profile is unknown or not complete"""
        self.opened = self._open_account()
        return self.opened


@dataclass(frozen=True)
class DeviceWork:
    """A board that is to become a device.

    :param files: its folder in the store
    :param keeper: keeps what an action overwrites on it
    :param factory_roots: what the factory certificates of secure elements must come from
    :param id_scope: of the Azure Device Provisioning Service; None leaves what the board holds
    """

    board: Board
    files: Store
    keeper: Callable[[str], Keeper]
    factory_roots: Mapping[Kind, FactoryRoot]
    id_scope: IdScope | None = None
