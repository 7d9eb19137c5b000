"""All that a simulated run needs: a kit, the bus that this program sees, and a cloud account."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from iotprovision.cloud.aws.account import Account
from iotprovision.simulator.host import KitProcess, attached, start_kits
from iotprovision.simulator.kinds import SimulatedKitName
from iotprovision.simulator.local_cloud import LocalCloud


class SimulatedBench:
    """A context manager: inside it, this program's USB and serial ports are those of the simulated kit.

    :param folder: where kit and cloud keep their state
    :param kit_name: one of the simulated kits
    :param profile: name of the AWS profile; it exists in the local cloud whatever it is
    :raises UsageError: there is no such kit
    """

    def __init__(self, folder: Path, kit_name: str, profile: str) -> None:
        self._folder = folder
        self._kit_name = SimulatedKitName.parse(kit_name)
        self._cloud = LocalCloud(folder / "cloud", profile)
        self._resources = contextlib.ExitStack()
        self._kit: KitProcess | None = None

    def __enter__(self) -> SimulatedBench:
        with contextlib.ExitStack() as resources, ThreadPoolExecutor(1) as starter:
            # Both take most of a second to start; the cloud does it while the kit does.
            cloud = starter.submit(self._cloud.start)
            resources.callback(self._cloud.stop)
            try:
                self._kit = resources.enter_context(start_kits([self._kit_name], self._folder))
            finally:
                cloud.result()
            resources.enter_context(attached(self._folder))
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def account(self) -> Account:
        """The local cloud's account. Whatever the environment says, it reaches nothing else."""
        return Account(self._cloud.profile, endpoint_url=self._cloud.endpoint_url, config_file=self._cloud.config_file)

    def power_up(self) -> dict[str, Any]:
        """Let the board do its first power-up; see :class:`iotprovision.simulator.power_up.PowerUpReport`."""
        assert self._kit is not None
        report: dict[str, Any] = self._kit.power_up(asdict(self._cloud.address))
        return report
