"""One run: find the kit, choose the steps, run them, exit code."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iotprovision.boards.catalogue import KitDescription
from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.boot_mode import needs_finishing
from iotprovision.boards.nedbg.debugger_upgrade import finish_upgrade
from iotprovision.boards.nedbg.detection import FoundKit, find_kit
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.command_line.passphrases import Passphrases
from iotprovision.errors import ExitCode, UsageError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.index import load_index
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.formats.id_scope import IdScope
from iotprovision.formats.winc_image import WincImage
from iotprovision.frozen import Frozen
from iotprovision.methods import named, words_for
from iotprovision.methods.azure import ID_SCOPE
from iotprovision.methods.plan import NEEDS_MCU, Plan
from iotprovision.methods.work import AccountWork, Firmware, KitWork, WifiModuleUpgrade
from iotprovision.pki.authority import Authority
from iotprovision.pki.names import Names
from iotprovision.runs.bench import Bench
from iotprovision.runs.board_session import account_data, azure_data, now, prove_mcu, put_application_back, tell_kit
from iotprovision.runs.job import Job
from iotprovision.runs.report import Reporter
from iotprovision.steps.debugger_firmware import ACTION as DEBUGGER_UPGRADE
from iotprovision.steps.identity import Chip
from iotprovision.steps.links import ACTION as LINKS
from iotprovision.steps.step import Record, Rules, run
from iotprovision.steps.wifi_module_firmware import ACTION as WIFI_MODULE_UPGRADE

DEBUGGER_JOB = "debugger-firmware"


def writes(job: Job, request: Frozen) -> bool:
    """Whether it may change anything."""
    return not job.dry_run


def perform(job: Job, request: Frozen, bench: Bench, reporter: Reporter) -> ExitCode:
    """Do the actions that were asked for."""
    with contextlib.ExitStack() as resources:
        Run(job, bench, reporter, resources).perform()
    return ExitCode.OK


class Run:
    """One run. Everything it opens is closed by ``resources``."""

    def __init__(self, job: Job, bench: Bench, reporter: Reporter, resources: contextlib.ExitStack) -> None:
        self._job = job
        self._reporter = reporter
        self._resources = resources
        self._actions = set(job.actions)
        self._archive: DebuggerArchive | None = None
        self._debugger_is_written = False
        self._bench = bench
        self._store = bench.store
        self._method = named(job.cloud, job.method)
        self._passphrases = Passphrases(job, bench.environment, self._store)

    def perform(self) -> None:
        """Read all that was given first, then find the kit, then run the steps."""
        network = self._network()
        names = self._names()
        self._id_scope()
        named_kit = self._bench.named_kit
        self._passphrases.ca_at_hand()
        if self._job.debugger_archive is not None:
            self._debugger_archive()
        if self._method.notice:
            self._reporter.notice(self._method.notice)
        self._bench.open()
        kit = None if self._actions == {"certs"} else self._find_kit(named_kit)
        if network and kit and not kit.kit.has_wifi:
            raise UsageError(
                f"{kit.name} has no Wi-Fi: it connects over a cellular network",
                "Nothing was changed.",
                "leave out -ssid and the passphrase",
            )
        account = self._account_work(names)
        if not self._actions - {"none"}:
            if kit and kit.name_given:
                self._target(kit)
            return
        work = self._kit_work(kit, network) if kit else None
        power_up = self._power_up if self._bench.is_simulated else None
        plan = Plan(self._method, self._actions, account, work, power_up, self._bench.join)
        self._execute(plan, account, work)
        if work and "provision" in self._actions and (outlook := self._method.outlook(account, work)):
            self._reporter.notice(outlook)

    # --- what the run works with

    def _network(self) -> WifiNetwork | None:
        job = self._job
        if job.wifi_ssid is None:
            return None
        network = WifiNetwork(job.wifi_ssid, self._passphrases.of_wifi(), job.wifi_authentication)
        if self._passphrases.can_be_seen:
            self._reporter.warning("a passphrase on the command line can be seen by others; --psk-file hides it")
        for warning in network.warnings:
            self._reporter.warning(warning)
        return network

    def _names(self) -> Names:
        job = self._job
        given = {
            "organization": job.organization,
            "root_common_name": job.root_common_name,
            "signer_common_name": job.signer_common_name,
        }
        return Names(**{name: value for name, value in given.items() if value is not None})

    def _find_kit(self, named: KitDescription | None) -> FoundKit:
        serial_number = self._bench.serial_suffix
        if DEBUGGER_UPGRADE in self._actions and not self._job.dry_run and needs_finishing():
            self._finish_debugger_upgrade()
        kit = find_kit(serial_number, self._job.port, named, self._reporter.notice)
        tell_kit(kit, self._reporter)
        return kit

    def _finish_debugger_upgrade(self) -> None:
        """A kit in boot mode cannot even say who it is, so this comes before the kit is found."""
        archive = self._debugger_archive()
        title = "Debugger in boot mode"
        self._reporter.notice(f"A kit is in boot mode: its debugger gets firmware {archive.version}")
        self._reporter.step_begins(title)
        progress = functools.partial(self._reporter.progress, title)
        serial_number = finish_upgrade(archive, self._upgrade_lock(), progress)
        self._debugger_is_written = True
        self._reporter.notice(f"The kit {serial_number} is back")

    def _debugger_archive(self) -> DebuggerArchive:
        """The one that was given, or the one that comes with this version.

        :raises UsageError: it is no archive for the debugger
        """
        if self._archive is None:
            image = next(image for image in load_index().images if DEBUGGER_JOB in image.jobs)
            self._archive = DebuggerArchive.load(self._job.debugger_archive or self._bench.cache().path(image))
        return self._archive

    def _upgrade_lock(self) -> Path:
        return self._bench.cache().folder / "debugger-upgrade.lock"

    def _account_work(self, names: Names) -> AccountWork:
        at_hand = self._passphrases.ca_at_hand() is not None
        authority = Authority(self._store, names, self._passphrases.of_ca, now, at_hand)
        if self._job.encrypt_keys and not self._job.new_authority and "certs" in self._actions:
            self._passphrases.check_encryption(authority)
        return AccountWork(
            self._store,
            authority,
            self._bench.account,
            "certs" in self._actions,
            self._job.forced,
            self._bench.azure(),
            self._job.method_options,
        )

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

    def _check_network_can_be_told(self, kit: FoundKit) -> None:
        """:raises UsageError: the demo that the kit will hold is told no network"""
        own = self._job.application is not None or "application" not in self._actions
        if self._method.cloud in kit.kit.demos_without_network and not own:
            raise UsageError(
                f"The vendor's {self._method.shown} demo application for {kit.name} takes no Wi-Fi network",
                "Its console has no command for it. Nothing was changed.",
                "leave out -ssid and the passphrase",
            )

    def _kit_work(self, kit: FoundKit, network: WifiNetwork | None) -> KitWork:
        self._check_actions(kit)
        application = self._application(kit) if "application" in self._actions else None
        if network:
            self._check_network_can_be_told(kit)
        target = self._target(kit)
        return KitWork(
            kit=kit,
            target=target,
            files=self._store.for_kit(kit.serial_number),
            chip=Chip(target),
            provisioning_firmware=self._bench.firmware(kit, "iotprovision", self._job.provisioning_firmware),
            known_images=self._bench.known_images(kit, self._job.application),
            application=application,
            network=network,
            provisioning_firmware_is_there=self._job.provisioning_firmware_is_there,
            lock=not self._job.no_lock,
            random=secrets.token_bytes,
            clock=now,
            factory_roots=self._bench.factory_roots(),
            debugger_archive=self._debugger_archive,
            upgrade_lock=self._upgrade_lock(),
            debugger_is_written=self._debugger_is_written,
            id_scope=self._id_scope(),
            wifi_module_upgrade=self._wifi_module_upgrade(kit) if WIFI_MODULE_UPGRADE in self._actions else None,
        )

    def _target(self, kit: FoundKit) -> Target:
        """The kit's MCU, which nobody else may use meanwhile; it was asked whether it is the one of the kit.

        :raises AccessError: it has no power, is locked, or is another one
        """
        if not self._job.dry_run:
            self._resources.enter_context(self._store.for_kit(kit.serial_number).lock())
        target = self._bench.target(kit)
        if not (kit.name_given or NEEDS_MCU & self._actions):
            return self._resources.enter_context(target)
        if kit.name_given and LINKS in self._actions:
            registers.read(kit.serial_number, ["KITNAME"])
        if mcu_by_name(kit.mcu).programmed_with_scripts:
            self._bench.cache().scripts_for(kit.mcu)  # fetched and checked before anything is done
        self._resources.enter_context(target)
        prove_mcu(target)
        if {"certs", DEBUGGER_UPGRADE} & self._actions or not NEEDS_MCU & self._actions:
            target.start()  # else what comes next goes on in the same session
        return target

    def _wifi_module_upgrade(self, kit: FoundKit) -> WifiModuleUpgrade:
        """Firmware of the user's own for the Wi-Fi module, or the newest of the vendor."""
        bridge, file = self._bench.firmware(kit, WIFI_MODULE_UPGRADE), self._job.wifi_module_firmware
        if file is not None:
            return WifiModuleUpgrade(bridge, lambda: WincImage.load(file))
        cache, image = self._bench.cache(), kit.kit.image("wifi-module-firmware")
        return WifiModuleUpgrade(bridge, lambda: WincImage.load(cache.path(image)))

    def _application(self, kit: FoundKit) -> Firmware:
        """The user's own, or the demo of the cloud.

        :raises UsageError: the vendor made no demo for this cloud and kit
        """
        file = self._job.application
        job = f"demo-{self._method.cloud}"
        if file is None and job not in load_index().jobs_of(kit.name):
            others = " ".join(action for action in self._job.actions if action != "application")
            raise UsageError(
                f"The vendor made no {self._method.shown} demo application for {kit.name}",
                "Nothing was changed. All but the action application can be done.",
                (f"iotprovision {words_for(self._method)} {others}\n" if others else "")
                + "or give an application with -app FILE",
            )
        return self._bench.firmware(kit, job, file)

    def _id_scope(self) -> IdScope | None:
        text = self._job.method_options.get(ID_SCOPE.name)
        return None if text is None else IdScope(text)

    # --- the steps

    def _power_up(self) -> Mapping[str, Any]:
        demo = self._job.application is None
        report = self._bench.power_up(demo, told=self._job.wifi_ssid is not None)
        self._reporter.add("first_connection", report)
        return report

    def _execute(self, plan: Plan, account: AccountWork, work: KitWork | None) -> None:
        rules = Rules(self._job.dry_run, self._job.forced)
        records: list[Record] = []
        try:
            for record in run(plan.steps(self._job.verify), rules, self._reporter):
                records.append(record)
        except BaseException:  # a fault of the program too must not cost the user's application
            self._put_application_back(plan, records)
            raise
        finally:
            self._reporter.table(records, self._job.dry_run)
            if account.opened:
                self._reporter.add("account", account_data(account.opened))
            if account.azure:
                self._reporter.add("azure", azure_data(account.azure))
            if work:
                self._add_kit_data(work)

    def _add_kit_data(self, work: KitWork) -> None:
        """What the run worked with on the kit, for the document and the history."""
        firmware = {"debugger": work.target.kit.debugger_version}
        if "provision" in self._actions:
            firmware["provisioning_firmware"] = work.provisioning_firmware.name
        if work.application:
            firmware["application"] = work.application.name
        self._reporter.add("firmware", firmware)
        if work.chip.known_serial_number:
            self._reporter.add("chip", {"serial_number": work.chip.known_serial_number.hex().upper()})

    def _put_application_back(self, plan: Plan, records: list[Record]) -> None:
        """After a failure: the kit gets back what it held, if the run has taken it and put nothing in its place."""
        step = plan.put_back(records)
        if step is None or self._job.dry_run:
            return
        assert plan.kept is not None, "what is put back was kept"
        put_application_back(step, plan.kept, self._reporter)
