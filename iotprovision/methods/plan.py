"""The steps of a run, in the order of danger, from a provisioner and the actions that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from iotprovision.methods.method import Provisioner
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.steps.credentials import ProvisioningFirmware, SlotsLocked
from iotprovision.steps.debugger_firmware import ACTION as DEBUGGER_UPGRADE
from iotprovision.steps.debugger_firmware import DebuggerFirmware
from iotprovision.steps.first_connection import FirstConnection
from iotprovision.steps.identity import Identity
from iotprovision.steps.kept_application import ApplicationKept, ApplicationPutBack
from iotprovision.steps.links import DebuggerRestarted, LinksOnDrive
from iotprovision.steps.programs import Application, WifiSet
from iotprovision.steps.proof import Challenge
from iotprovision.steps.step import Proof, Record, Step
from iotprovision.steps.wifi_module_firmware import ACTION as WIFI_MODULE_UPGRADE
from iotprovision.steps.wifi_module_firmware import BridgeFirmware, WifiModuleFirmware

NEEDS_MCU = frozenset({WIFI_MODULE_UPGRADE, "provision", "application"})

PowerUp = Callable[[], Mapping[str, Any]]
Join = Callable[[], str | None]


class Plan:
    """Chooses and orders steps.

    :param actions: those that were asked for
    :param work: None for a run that needs no kit
    :param power_up: lets the board connect, where that can be watched
    :param join: lets the board join its Wi-Fi network; see :class:`iotprovision.steps.programs.WifiSet`
    """

    def __init__(
        self,
        method: Provisioner,
        actions: Collection[str],
        account: AccountWork,
        work: KitWork | None,
        power_up: PowerUp | None,
        join: Join,
    ) -> None:
        self._method = method
        self._actions = actions
        self._account = account
        self._work = work
        self._power_up = power_up if method.FACTS.connects_to_simulator else None
        self._join = join
        self.kept: ApplicationKept | None = None
        """The application that the kit held; known while the steps run, where they need the MCU."""
        self._applications = 0
        self._identity = method.identity(account, work) if work else None

    def steps(self, verify: bool) -> list[Step]:
        """:param verify: whether the whole is proved once more at the end"""
        steps: list[Step] = []
        if "certs" in self._actions:
            steps += self._method.certs(self._account)
        if self._work and self._identity:
            steps += self._kit_steps(self._work, self._identity, verify)
        if verify and {"certs", "provision"} & set(self._actions):
            connects = self._work is not None and (self._power_up is not None or self._work.network is not None)
            steps += self._method.account_proofs(self._account, self._identity, connects)
        self._applications = sum(isinstance(step, Application) for step in steps)
        return steps

    def put_back(self, records: Sequence[Record]) -> Step | None:
        """What brings the kit's application back after a failure; None where the MCU was not taken, or has a new one.

        :param records: of the steps that ended well
        """
        titles = [record.title for record in records]
        if not self._work or not self.kept or self.kept.title not in titles:
            return None
        programmed = titles.count(Application.title)
        if not programmed:
            return ApplicationPutBack(self._work.target, self.kept)
        # Proofs put other firmware into the MCU, and the application comes again behind them.
        return _application(self._work) if programmed < self._applications else None

    def _kit_steps(self, work: KitWork, identity: Identity, verify: bool) -> list[Step]:
        steps: list[Step] = []
        if DEBUGGER_UPGRADE in self._actions:
            # First of all on the kit: it restarts the MCU, and all that follows goes through the debugger.
            steps.append(
                DebuggerFirmware(work.target, work.debugger_archive, work.upgrade_turn, work.debugger_is_written)
            )
        if NEEDS_MCU & set(self._actions):
            self.kept = ApplicationKept(work.target, work.kit, work.known_images, work.files, work.clock)
            steps.append(self.kept)
        if WIFI_MODULE_UPGRADE in self._actions:
            # Before credentials are written through the module's driver, and long before anything is locked.
            steps += _wifi_module(work)
        if "provision" in self._actions:
            # The lock comes after the read-back of what it freezes, the account after the kit is right.
            steps.append(_provisioning_firmware(work, work.provisioning_firmware_is_there))
            steps += self._method.credentials(self._account, work, identity)
            # The vendor's tool leaves these slots of a kit with a modem open, and nothing on it reads them.
            locks = work.lock and self._method.FACTS.locks_slots and work.kit.kit.has_wifi
            steps += [SlotsLocked(work.target)] if locks else []
            steps += self._method.registration(self._account, work, identity)
        if "links" in self._actions:
            # The debugger is restarted at once: it restarts the MCU too, which must not happen after Wi-Fi is set.
            links = self._links(work, identity)
            steps += [links, DebuggerRestarted(work.target, links)]
        if "application" in self._actions:
            steps.append(_application(work))
        if verify:
            steps += self._proofs(work, identity)
        if self.kept and "application" not in self._actions:
            steps.append(ApplicationPutBack(work.target, self.kept))
        if work.network:
            # Last of what is done to the kit: the demo keeps the network in RAM until it has connected.
            steps.append(WifiSet(work.target, work.network, self._join))
        if self._power_up and {"provision", "application"} <= set(self._actions):
            console = work.target.console if work.kit.kit.has_console else None
            steps.append(FirstConnection(self._power_up, console))
        return steps

    def _proofs(self, work: KitWork, identity: Identity) -> list[Step]:
        """The kit proved once more. Its chips are read through the provisioning firmware, so that goes in and out."""
        steps: list[Step] = []
        if WIFI_MODULE_UPGRADE in self._actions:
            bridge, firmware_of_module = _wifi_module(work, thorough=True)
            steps += [bridge, Proof(firmware_of_module)]
        if DEBUGGER_UPGRADE in self._actions:
            firmware = DebuggerFirmware(work.target, work.debugger_archive, work.upgrade_turn, ask_again=True)
            steps.append(Proof(firmware))
        if "provision" in self._actions:
            steps.append(_provisioning_firmware(work))
            steps += [Proof(step) for step in self._method.credentials(self._account, work, identity)]
            if self._method.FACTS.makes_certificate:
                steps.append(Challenge(work.target, identity, work.random))
        if "links" in self._actions:
            steps.append(Proof(self._links(work, identity)))
        if "application" in self._actions:
            steps.append(_application(work))
        return steps

    def _links(self, work: KitWork, identity: Identity) -> LinksOnDrive:
        coming = "provision" in self._actions
        return LinksOnDrive(work.target, self._method.link(work, identity), work.files, work.clock, coming)


def _provisioning_firmware(work: KitWork, is_there: bool = False) -> ProvisioningFirmware:
    firmware = work.provisioning_firmware
    return ProvisioningFirmware(work.target, firmware.load, firmware.name, is_there)


def _wifi_module(work: KitWork, thorough: bool = False) -> tuple[Step, Step]:
    upgrade = work.wifi_module_upgrade
    assert upgrade is not None, "the action was asked for"
    bridge = BridgeFirmware(work.target, upgrade.bridge.load, upgrade.bridge.name)
    return bridge, WifiModuleFirmware(work.target, upgrade.load_image, work.files, work.clock, thorough)


def _application(work: KitWork) -> Application:
    assert work.application is not None, "the action was asked for"
    return Application(work.target, work.application.load, work.application.name)
