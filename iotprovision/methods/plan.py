"""The steps of a run, in the order of danger: what a method makes of a board, where the board keeps it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import UsageError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.formats.winc_image import WincImage
from iotprovision.methods.method import Method
from iotprovision.methods.work import AccountWork, DeviceWork
from iotprovision.steps.credentials import CredentialsOfDevice, credentials_stored
from iotprovision.steps.debugger_firmware import ACTION as DEBUGGER_UPGRADE
from iotprovision.steps.debugger_firmware import DebuggerFirmware
from iotprovision.steps.first_connection import FirstConnection
from iotprovision.steps.identity import Identity
from iotprovision.steps.links import ACTION as LINKS
from iotprovision.steps.links import DebuggerRestarted, LinksOnDrive
from iotprovision.steps.locks import SlotsLocked
from iotprovision.steps.programs import Application
from iotprovision.steps.proof import Challenge
from iotprovision.steps.step import Proof, Step
from iotprovision.steps.wifi_module_firmware import ACTION as WIFI_MODULE_UPGRADE
from iotprovision.steps.wifi_module_firmware import WifiModuleFirmware
from iotprovision.steps.wifi_network import Join, WifiSet

CERTS, PROVISION, APPLICATION = "certs", "provision", "application"

PowerUp = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class BoardPlan:
    """What shall be done with a board beside what its method says.

    :param application: the program that it runs from now on; None for what it holds
    :param network: the Wi-Fi network to set; None leaves Wi-Fi alone
    :param lock: whether slots are locked where the method locks them
    :param debugger_archive: reads and judges the firmware for the debugger
    :param upgrade_turn: taken while a debugger is in boot mode
    :param debugger_is_written: that firmware was put into the debugger before the board could be found
    :param wifi_module_image: reads and judges the firmware for the Wi-Fi module
    :param power_up: lets the board connect, where that can be watched
    :param join: lets the board join its Wi-Fi network; see :class:`iotprovision.steps.wifi_network.WifiSet`
    """

    application: Application | None
    network: WifiNetwork | None
    lock: bool
    debugger_archive: Callable[[], DebuggerArchive]
    upgrade_turn: UpgradeTurn
    debugger_is_written: bool
    wifi_module_image: Callable[[], WincImage]
    power_up: PowerUp | None
    join: Join


class Plan:
    """Chooses and orders steps. Programs that steps need on the board are no part of it: its session brings them.

    :param actions: those that were asked for
    """

    def __init__(self, method: Method, actions: Collection[str], account: AccountWork) -> None:
        self._method = method
        self._actions = frozenset(actions)
        self._account = account

    def without_board(self, verify: bool) -> list[Step]:
        """:param verify: whether the whole is proved once more at the end"""
        steps = self._method.certs(self._account) if CERTS in self._actions else []
        return steps + (self._account_proofs(None, False) if verify else [])

    def for_board(self, device: DeviceWork, plan: BoardPlan, verify: bool) -> list[Step]:
        """:param verify: whether the whole is proved once more at the end"""
        method, board, actions = self._method, device.board, self._actions
        identity = method.identity(self._account, device)
        steps = method.certs(self._account) if CERTS in actions else []
        if DEBUGGER_UPGRADE in actions:
            # First of all on the kit: it restarts the MCU, and all that follows goes through the debugger.
            archive, turn = plan.debugger_archive, plan.upgrade_turn
            steps.append(DebuggerFirmware(board.debugger, archive, turn, plan.debugger_is_written))
        if WIFI_MODULE_UPGRADE in actions:
            # Before credentials are written through the module's driver, and long before anything is locked.
            steps.append(_wifi_module_firmware(device, plan))
        if PROVISION in actions:
            # The lock comes after the read-back of what it freezes, the account after the kit is right.
            steps += self._on_board(device, identity)
            if plan.lock and method.locks_slots and board.slots:
                steps.append(SlotsLocked(board.slots))
            steps += method.registration(self._account, identity)
        if LINKS in actions:
            # The debugger is restarted at once: it restarts the MCU too, which must not happen after Wi-Fi is set.
            links = self._links(device, identity)
            steps += [links, DebuggerRestarted(board.debugger, links)]
        if plan.application:
            steps.append(plan.application)
        if verify:
            steps += self._board_proofs(device, plan, identity)
        if plan.network and board.console:
            # Last of what is done to the kit: the demo keeps the network in RAM until it has connected.
            steps.append(WifiSet(board.console, plan.network, plan.join, board.check_port))
        power_up = plan.power_up if method.connects_to_simulator else None
        if power_up and plan.application and PROVISION in actions:
            steps.append(FirstConnection(power_up, board.console.open if board.console else None))
        if verify:
            steps += self._account_proofs(identity, power_up is not None or plan.network is not None)
        return steps

    def _on_board(self, device: DeviceWork, identity: Identity) -> list[Step]:
        """What the method makes known, and then where the board keeps what the method writes of it."""
        method, steps = self._method, self._method.device_steps(self._account, device, identity)
        if not method.writes_certificates:
            return steps
        has_names = method.writes_names
        endpoint = (lambda: method.endpoint(self._account, device)) if has_names else None
        credentials = CredentialsOfDevice(identity, endpoint)
        return steps + credentials_stored(device.board.credentials, credentials, device.keeper(PROVISION))

    def _links(self, device: DeviceWork, identity: Identity) -> LinksOnDrive:
        if device.board.page is None:
            raise UsageError(
                f"{device.board.kit.name} has no page on a drive", "Nothing was changed.", "leave out the action links"
            )
        link = self._method.link(device, identity)
        return LinksOnDrive(device.board.page, link, device.keeper(LINKS), PROVISION in self._actions)

    def _board_proofs(self, device: DeviceWork, plan: BoardPlan, identity: Identity) -> list[Step]:
        """The board proved once more. Its chips are read through programs of ours, so the application comes again."""
        steps: list[Step] = []
        if WIFI_MODULE_UPGRADE in self._actions:
            steps.append(Proof(_wifi_module_firmware(device, plan, thorough=True)))
        if DEBUGGER_UPGRADE in self._actions:
            archive, turn = plan.debugger_archive, plan.upgrade_turn
            steps.append(Proof(DebuggerFirmware(device.board.debugger, archive, turn, ask_again=True)))
        if PROVISION in self._actions:
            steps += [Proof(step) for step in self._on_board(device, identity)]
            if self._method.writes_certificates:
                steps.append(Challenge(device.board.key, identity, secrets.token_bytes))
        if LINKS in self._actions:
            steps.append(Proof(self._links(device, identity)))
        return steps

    def _account_proofs(self, identity: Identity | None, connects: bool) -> list[Step]:
        if not {CERTS, PROVISION} & self._actions:
            return []
        return self._method.account_proofs(self._account, identity, connects)


def _wifi_module_firmware(device: DeviceWork, plan: BoardPlan, thorough: bool = False) -> WifiModuleFirmware:
    module, keeper = device.board.wifi_module, device.keeper(WIFI_MODULE_UPGRADE)
    if module is None:
        raise UsageError(
            f"{device.board.kit.name} has no Wi-Fi module", "Nothing was changed.", f"leave out {WIFI_MODULE_UPGRADE}"
        )
    return WifiModuleFirmware(module, plan.wifi_module_image, keeper.files, keeper.clock, thorough)
