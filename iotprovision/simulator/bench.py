"""All that a simulated run needs: a kit, the bus that this program sees, and a cloud account."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from iotprovision.errors import KitNotFoundError
from iotprovision.simulator.board.surroundings import DEFAULT_ACCESS_POINT, AccessPoint
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.bus import Bus
from iotprovision.simulator.usb.host import attached, control, start_kits

if TYPE_CHECKING:
    from iotprovision.cloud.aws.account import Account
    from iotprovision.cloud.azure.service import Place
    from iotprovision.formats.ecc608_zones import Kind
    from iotprovision.formats.factory_certificates import FactoryRoot
    from iotprovision.simulator.cloud.aws import LocalCloud
    from iotprovision.simulator.cloud.azure import LocalAzure
    from iotprovision.simulator.cloud.sandbox_account import SandboxAccount


class Simulation:
    """A context manager: inside it, this program's USB and serial ports are those of the simulated kit.

    A kit that is being served from the folder already (``python -m iotprovision.simulator serve``) is used as it is,
    and left running.

    :param folder: where kit and cloud keep their state
    :param kit_name: one of the simulated kits
    :param profile: name of the AWS profile; it exists in the local cloud whatever it is
    :param sandbox: whether the board is to connect to the vendor's account instead of the user's own
    :param access_point: the Wi-Fi network that an emulated board can join
    :param needs_cloud: whether the cloud is started; without it only the kit is there
    :raises UsageError: there is no such kit
    """

    def __init__(
        self,
        folder: Path,
        kit_name: str,
        profile: str,
        sandbox: bool = False,
        needs_cloud: bool = True,
        access_point: AccessPoint | None = None,
    ) -> None:
        self._folder = folder
        self._kit_name = SimulatedKitName.parse(kit_name)
        self._access_point = access_point or AccessPoint.parse(DEFAULT_ACCESS_POINT)
        self._chip_is_known = False
        self._sandbox: SandboxAccount | None = None
        self._cloud = self._new_cloud(profile, sandbox) if needs_cloud else None
        self._azure: LocalAzure | None = None
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> Simulation:
        with contextlib.ExitStack() as resources:
            # The cloud first: only one run can have it, so that no kit of a run which is just ending is used.
            if self._cloud:
                resources.enter_context(self._cloud)
            if not self._is_served():
                resources.enter_context(start_kits([self._kit_name], self._folder))
            resources.enter_context(attached(self._folder))
            if self._kit_name.emulated and self._cloud:
                # The demo may use its radio as soon as it runs, and the vendor's account knows the chip long before.
                self._tell_kit(
                    "surroundings", cloud=asdict(self._cloud.address), access_point=asdict(self._access_point)
                )
                self._learn_chip()
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
        from iotprovision.simulator.cloud.azure import LocalAzure

        if self._azure is None:
            self._azure = self._resources.enter_context(LocalAzure(self._folder / "azure.json"))
        return Place(self._azure.url, self._azure)

    def factory_roots(self) -> dict[Kind, FactoryRoot]:
        """What the factory certificates of the simulated chips come from."""
        from iotprovision.formats.ecc608_zones import Kind
        from iotprovision.simulator.kit.factory import factory_root

        return {kind: factory_root(self._folder, kind) for kind in Kind}

    def join(self) -> str | None:
        """Let the board join the network that it was just told.

        :returns: why it did not, empty when it did; None where that cannot be watched
        """
        reason: str | None = self._tell_kit("demo joins")
        return reason

    def power_up(self, demo: bool = False, told: bool = False) -> dict[str, Any]:
        """Let the board do its first power-up; see :class:`.power_up.PowerUpReport`.

        An emulated board does it by itself where it knows a Wi-Fi network; otherwise the simulator connects with what
        the chips hold.

        :param demo: the vendor's AWS demo is on the board
        :param told: it was just told a Wi-Fi network
        """
        assert self._cloud is not None, "the cloud was not asked for"
        self._learn_chip()
        report: dict[str, Any] | None = self._tell_kit("demo connects", told=told) if demo else None
        if report is None:
            report = self._tell_kit("power up", cloud=asdict(self._cloud.address))
        elif not report["failure"]:
            self._use_shadow(report)
        return report

    def _use_shadow(self, report: dict[str, Any]) -> None:
        """Ask for a state in the shadow, as a person would with the AWS console, and see the demo report it."""
        client = (self._sandbox or self).account().client("iot-data")
        thing = report["client_id"]
        held = self._shadow(client, thing).get("reported", {})
        desired = {"toggle": 0 if held.get("toggle") == 1 else 1}
        client.update_thing_shadow(thingName=thing, payload=json.dumps({"state": {"desired": desired}}))
        self._tell_kit("demo reports", state=desired)
        report["shadow"] = self._shadow(client, thing).get("reported", {})
        if report["shadow"] != desired:
            report["failure"] = f"the shadow was asked for {desired}, and the demo reported {report['shadow']}"

    @staticmethod
    def _shadow(client: Any, thing: str) -> dict[str, Any]:
        try:
            answer = client.get_thing_shadow(thingName=thing)
        except client.exceptions.ResourceNotFoundException:
            return {}
        state: dict[str, Any] = json.loads(answer["payload"].read())["state"]
        return state

    def _tell_kit(self, action: str, **values: Any) -> Any:
        return control(self._folder / self._kit_name.text, action, **values)

    def _learn_chip(self) -> None:
        """The vendor's account knows what the factory has made."""
        if self._sandbox and not self._chip_is_known:
            self._sandbox.learn(self._folder / self._kit_name.text)
            self._chip_is_known = True

    def _new_cloud(self, profile: str, sandbox: bool) -> LocalCloud:
        from iotprovision.simulator.cloud.aws import LocalCloud
        from iotprovision.simulator.cloud.sandbox_account import SandboxAccount

        if not sandbox:
            return LocalCloud(self._folder / "cloud", profile)
        self._sandbox = SandboxAccount(self._folder, not self._kit_name.kind.has_modem)
        return self._sandbox.cloud

    def _is_served(self) -> bool:
        return any(self._is_named(kit) for _, kit in Bus(self._folder).kits())

    def _is_named(self, kit: Mapping[str, Any]) -> bool:
        return bool(kit["kit"] == self._kit_name.text)
