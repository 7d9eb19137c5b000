"""All that a simulated run needs: a kit, the bus that this program sees, and a cloud account."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from iotprovision.errors import KitNotFoundError
from iotprovision.simulator.host import attached, control, start_kits
from iotprovision.simulator.kinds import SimulatedKitName
from iotprovision.simulator.usb_bus import Bus

if TYPE_CHECKING:
    from iotprovision.chips.ecc608 import Kind
    from iotprovision.chips.factory_certificates import FactoryRoot
    from iotprovision.cloud.aws.account import Account
    from iotprovision.cloud.azure.service import Place
    from iotprovision.simulator.local_azure import LocalAzure
    from iotprovision.simulator.local_cloud import LocalCloud
    from iotprovision.simulator.sandbox_account import SandboxAccount


class SimulatedBench:
    """A context manager: inside it, this program's USB and serial ports are those of the simulated kit.

    A kit that is being served from the folder already (``python -m iotprovision.simulator serve``) is used as it is,
    and left running.

    :param folder: where kit and cloud keep their state
    :param kit_name: one of the simulated kits
    :param profile: name of the AWS profile; it exists in the local cloud whatever it is
    :param sandbox: whether the board is to connect to the vendor's account instead of the user's own
    :param needs_cloud: whether the cloud is started; without it only the kit is there
    :raises UsageError: there is no such kit
    """

    def __init__(
        self, folder: Path, kit_name: str, profile: str, sandbox: bool = False, needs_cloud: bool = True
    ) -> None:
        self._folder = folder
        self._kit_name = SimulatedKitName.parse(kit_name)
        self._sandbox: SandboxAccount | None = None
        self._cloud = self._new_cloud(profile, sandbox) if needs_cloud else None
        self._azure: LocalAzure | None = None
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> SimulatedBench:
        with contextlib.ExitStack() as resources:
            # The cloud first: only one run can have it, so that no kit of a run which is just ending is used.
            if self._cloud:
                resources.enter_context(self._cloud)
            if not self._is_served():
                resources.enter_context(start_kits([self._kit_name], self._folder))
            resources.enter_context(attached(self._folder))
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    @property
    def serial_number(self) -> str:
        """Of the simulated kit's debugger; others may be on the same bus."""
        for _, kit in Bus(self._folder).kits():
            if self._is_named(kit):
                return str(kit["serial_number"])
        raise KitNotFoundError(f"The simulated kit {self._kit_name.text} has left the bus", "Its process has ended.")

    def account(self) -> Account:
        """The user's account in the local cloud. Whatever the environment says, it reaches nothing else."""
        from iotprovision.cloud.aws.account import Account

        assert self._sandbox is None, "the vendor's account is not the user's"
        assert self._cloud is not None, "the cloud was not asked for"
        return Account(self._cloud.profile, endpoint_url=self._cloud.endpoint_url, config_file=self._cloud.config_file)

    def azure(self) -> Place:
        """Where the user's Azure services are: on this machine, and whoever asks has the right credentials."""
        from iotprovision.cloud.azure.service import Place
        from iotprovision.simulator.local_azure import LocalAzure

        if self._azure is None:
            self._azure = self._resources.enter_context(LocalAzure(self._folder / "azure.json"))
        return Place(self._azure.url, self._azure)

    def factory_roots(self) -> dict[Kind, FactoryRoot]:
        """What the factory certificates of the simulated chips come from."""
        from iotprovision.chips.ecc608 import Kind
        from iotprovision.simulator.factory import factory_root

        return {kind: factory_root(self._folder, kind) for kind in Kind}

    def power_up(self) -> dict[str, Any]:
        """Let the board do its first power-up; see :class:`iotprovision.simulator.power_up.PowerUpReport`."""
        assert self._cloud is not None, "the cloud was not asked for"
        folder = self._folder / self._kit_name.text
        if self._sandbox:
            self._sandbox.learn(folder)
        report: dict[str, Any] = control(folder, "power up", cloud=asdict(self._cloud.address))
        return report

    def _new_cloud(self, profile: str, sandbox: bool) -> LocalCloud:
        from iotprovision.simulator.local_cloud import LocalCloud
        from iotprovision.simulator.sandbox_account import SandboxAccount

        if not sandbox:
            return LocalCloud(self._folder / "cloud", profile)
        self._sandbox = SandboxAccount(self._folder, not self._kit_name.kind.has_modem)
        return self._sandbox.cloud

    def _is_served(self) -> bool:
        return any(self._is_named(kit) for _, kit in Bus(self._folder).kits())

    def _is_named(self, kit: Mapping[str, Any]) -> bool:
        return bool(kit["kit"] == self._kit_name.text)
