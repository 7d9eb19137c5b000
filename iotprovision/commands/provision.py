"""The command ``provision``: the actions, which make a board a device of an account."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from iotprovision.boards.finding import finish_debugger_upgrade, upgrade_is_unfinished
from iotprovision.boards.found import FoundKit
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.command_line.passphrases import Passphrases
from iotprovision.errors import ExitCode, UsageError
from iotprovision.firmware.choice import Firmware
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.index import load_index
from iotprovision.formats.id_scope import IdScope
from iotprovision.formats.winc_image import WincImage
from iotprovision.frozen import Frozen
from iotprovision.methods import named, words_for
from iotprovision.methods.azure import ID_SCOPE
from iotprovision.methods.plan import APPLICATION, CERTS, PROVISION, BoardPlan, Plan
from iotprovision.methods.work import AccountWork, DeviceWork
from iotprovision.pki.authority import Authority
from iotprovision.pki.names import Names
from iotprovision.runs.bench import Bench
from iotprovision.runs.board_session import BoardSession, execute_without_board, find_board, now
from iotprovision.runs.job import Job
from iotprovision.runs.report import Reporter
from iotprovision.steps.debugger_firmware import ACTION as DEBUGGER_UPGRADE
from iotprovision.steps.programs import Application

DEBUGGER_JOB = "debugger-firmware"


def writes(job: Job, request: Frozen) -> bool:
    """Whether it may change anything."""
    return not job.dry_run


def perform(job: Job, request: Frozen, bench: Bench, reporter: Reporter) -> ExitCode:
    """Read all that was given first, then find the board, then run the steps."""
    Provisioning(job, bench, reporter).perform()
    return ExitCode.OK


class Provisioning:
    """One run of the actions."""

    def __init__(self, job: Job, bench: Bench, reporter: Reporter) -> None:
        self._job = job
        self._bench = bench
        self._reporter = reporter
        self._method = named(job.cloud, job.method)
        self._actions = frozenset(job.actions)
        self._passphrases = Passphrases(job, bench.environment)
        self._debugger_is_written = False

    def perform(self) -> None:
        """:raises ProvisioningError: whatever ended the run"""
        network = self._network()
        names = self._names()
        id_scope = self._id_scope()
        _ = self._bench.named_kit
        self._passphrases.ca_at_hand()
        if self._job.debugger_archive is not None:
            self._debugger_archive()
        if self._method.notice:
            self._reporter.notice(self._method.notice)
        self._bench.open()
        kit = None if self._actions == {CERTS} else self._find_board()
        if kit and network:
            self._check_network(kit, network)
        account = self._account_work(names)
        plan = Plan(self._method, self._actions, account)
        try:
            if kit is None:
                steps = plan.without_board(self._job.verify)
                execute_without_board(steps, self._job, self._reporter)
            elif self._actions - {"none"} or kit.name_given:
                self._run_on_board(kit, plan, account, network, id_scope)
        finally:
            for section, done in account.done().items():
                self._reporter.add(section, done)

    def _run_on_board(
        self, kit: FoundKit, plan: Plan, account: AccountWork, network: WifiNetwork | None, id_scope: IdScope | None
    ) -> None:
        self._check_actions(kit)
        demo = self._application_firmware(kit) if APPLICATION in self._actions else None
        with BoardSession(self._job, self._bench, self._reporter, kit, PROVISION) as session:
            device = DeviceWork(session.board, session.files, session.keeper, self._bench.factory_roots(), id_scope)
            application = Application(session.board.programmer, demo.load, demo.name) if demo else None
            board_plan = BoardPlan(
                application=application,
                network=network,
                lock=not self._job.no_lock,
                debugger_archive=self._debugger_archive,
                upgrade_turn=self._bench.upgrade_turn,
                debugger_is_written=self._debugger_is_written,
                wifi_module_image=functools.partial(self._wifi_module_image, kit),
                power_up=self._power_up if self._bench.is_simulated else None,
                join=self._bench.join,
            )
            steps = plan.for_board(device, board_plan, self._job.verify) if self._actions - {"none"} else []
            session.execute(steps, application)
            if PROVISION in self._actions and (outlook := self._method.outlook(account, device)):
                self._reporter.notice(outlook)

    # --- what was given

    def _network(self) -> WifiNetwork | None:
        job = self._job
        if job.wifi_ssid is None:
            return None
        network = WifiNetwork(job.wifi_ssid, self._passphrases.of_wifi(), job.wifi_authentication)
        if job.wifi_passphrase_can_be_seen:
            self._reporter.warning("a passphrase on the command line can be seen by others; --psk-file hides it")
        return network

    def _names(self) -> Names:
        job = self._job
        given = {
            "organization": job.organization,
            "root_common_name": job.root_common_name,
            "signer_common_name": job.signer_common_name,
        }
        return Names(**{name: value for name, value in given.items() if value is not None})

    def _id_scope(self) -> IdScope | None:
        text = self._job.method_options.get(ID_SCOPE.name)
        return None if text is None else IdScope(text)

    # --- what the run works with

    def _find_board(self) -> FoundKit:
        finishes = DEBUGGER_UPGRADE in self._actions and not self._job.dry_run
        if finishes and upgrade_is_unfinished() and self._bench.other_runs.upgraded_kit() is None:
            self._finish_debugger_upgrade()
        return find_board(self._job, self._bench, self._reporter)

    def _finish_debugger_upgrade(self) -> None:
        """A kit in boot mode cannot even say who it is, so this comes before the kit is found."""
        archive = self._debugger_archive()
        title = "Debugger in boot mode"
        self._reporter.notice(f"A kit is in boot mode: its debugger gets firmware {archive.version}")
        self._reporter.step_begins(title)
        progress = functools.partial(self._reporter.progress, title)
        serial_number = finish_debugger_upgrade(archive, self._bench.upgrade_turn, progress)
        self._debugger_is_written = True
        self._reporter.notice(f"The kit {serial_number} is back")

    @functools.cache  # noqa: B019 - one object a run
    def _debugger_archive(self) -> DebuggerArchive:
        """The one that was given, or the one that comes with this version.

        :raises UsageError: it is no archive for the debugger
        """
        image = next(image for image in load_index().images if DEBUGGER_JOB in image.jobs)
        return DebuggerArchive.load(self._job.debugger_archive or self._bench.cache().path(image))

    def _account_work(self, names: Names) -> AccountWork:
        at_hand = self._passphrases.ca_at_hand() is not None
        authority = Authority(self._bench.store, names, self._passphrases.of_ca, now, at_hand)
        makes_authority = CERTS in self._actions
        if self._job.encrypt_keys and not self._job.new_authority and makes_authority:
            self._passphrases.check_encryption(authority)
        return AccountWork(
            authority,
            self._bench.account,
            makes_authority,
            self._job.forced,
            self._bench.azure(),
            self._job.method_options,
        )

    def _check_network(self, kit: FoundKit, network: WifiNetwork) -> None:
        gets_demo = APPLICATION in self._actions and self._job.application is None and self._has_demo(kit)
        demo_of = self._method.cloud if gets_demo else ""
        for warning in self._bench.board(kit).check_network(network, demo_of):
            self._reporter.warning(warning)

    def _check_actions(self, kit: FoundKit) -> None:
        """:raises UsageError: an action cannot be done on this kit"""
        for action, reason in kit.kit.left_out.items():
            if action in self._actions:
                others = [other for other in self._job.actions if other != action]
                raise UsageError(
                    f"This version does not do the action {action} on {kit.name}",
                    f"{reason}\nNothing was changed.",
                    f"leave out {action}" + (f": iotprovision {' '.join(others)}" if others else ""),
                )

    def _wifi_module_image(self, kit: FoundKit) -> WincImage:
        """Firmware of the user's own for the Wi-Fi module, or the newest of the vendor."""
        file = self._job.wifi_module_firmware
        return WincImage.load(file or self._bench.cache().path(kit.kit.image("wifi-module-firmware")))

    def _application_firmware(self, kit: FoundKit) -> Firmware:
        """The user's own, or the demo of the cloud.

        :raises UsageError: the vendor made no demo for this cloud and kit
        """
        file = self._job.application
        if file is None and not self._has_demo(kit):
            others = " ".join(action for action in self._job.actions if action != APPLICATION)
            raise UsageError(
                f"The vendor made no {self._method.shown} demo application for {kit.name}",
                "Nothing was changed. All but the action application can be done.",
                (f"iotprovision {words_for(self._method)} {others}\n" if others else "")
                + "or give an application with -app FILE",
            )
        return self._bench.firmware(kit, self._demo, file)

    @property
    def _demo(self) -> str:
        return f"demo-{self._method.cloud}"

    def _has_demo(self, kit: FoundKit) -> bool:
        return self._demo in load_index().jobs_of(kit.name)

    def _power_up(self) -> Mapping[str, Any]:
        demo = self._job.application is None
        report = self._bench.power_up(demo, told=self._job.wifi_ssid is not None)
        self._reporter.add("first_connection", report)
        return report
