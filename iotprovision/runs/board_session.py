"""A command that works on one kit's chips: the kit is found and locked, and its application put back at the end."""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from iotprovision.boards.finding import find_kit
from iotprovision.boards.found import FoundKit
from iotprovision.boards.nedbg.board import Target
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.azure.enrolment import Enrolments
from iotprovision.errors import AccessError, ProvisioningError
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.formats.winc_flash import CLIENT_AREA, FlashArea
from iotprovision.runs.bench import Workplace
from iotprovision.runs.report import Reporter
from iotprovision.steps.credentials import ProvisioningFirmware
from iotprovision.steps.identity import Chip
from iotprovision.steps.kept_application import ApplicationKept, ApplicationPutBack
from iotprovision.steps.step import Record, Rules, Step, run


class KitRun:
    """A context manager: inside it the kit is locked, and no other run can use it.

    :param options: those of the command, with ``port``, ``dry_run`` and ``force`` among them
    :param command: its name: backups say who saved them
    :param owned: areas of the Wi-Fi module's flash that the command may write
    """

    def __init__(
        self,
        options: argparse.Namespace,
        place: Workplace,
        reporter: Reporter,
        command: str,
        owned: tuple[FlashArea, ...] = (CLIENT_AREA,),
    ) -> None:
        self._options = options
        self._place = place
        self._reporter = reporter
        self._command = command
        self._rules = Rules(options.dry_run, frozenset({"force"} if options.force else ()))
        self.kit = find_kit(place.serial_suffix, options.port, place.named_kit, reporter.notice, place.other_runs)
        tell_kit(self.kit, reporter)
        self.files = place.store.for_kit(self.kit.serial_number)
        self._scripts = functools.partial(place.cache().scripts_for, self.kit.mcu)
        self.target = place.target(self.kit, owned)
        self.chip = Chip(self.target)
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> KitRun:
        if not self._options.dry_run:
            self._resources.enter_context(self.files.lock())
        self._resources.enter_context(self.target)
        if self.kit.name_given:
            with contextlib.ExitStack() as failed:
                failed.push(self._resources)
                prove_mcu(self.target)
                self.target.free_debugger()
                failed.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def execute(
        self,
        on_chips: Sequence[Step],
        after: Sequence[Step] = (),
        application: Step | None = None,
        through_bridge: Sequence[Step] = (),
    ) -> None:
        """Run the steps and show them.

        :param on_chips: those that talk to the chips through the provisioning firmware; the program that the MCU held
            is saved before them
        :param after: those that need no program in the MCU, and come when the chips are right
        :param through_bridge: those that talk to the Wi-Fi module through the bridge, the bridge itself first
        :param application: what the MCU runs from then on; None for what it held
        """
        kept = ApplicationKept(
            self.target, self.kit, self._place.known_images(self.kit), self.files, now, saved_by=self._command
        )
        needs_mcu = on_chips or through_bridge or application
        versions = {"debugger": self.kit.debugger_version}
        steps: list[Step] = []
        if needs_mcu:
            if mcu_by_name(self.kit.mcu).programmed_with_scripts:
                self._scripts()  # fetched and checked before anything is done
            steps += [kept, *through_bridge]
        if on_chips:
            firmware = self._place.firmware(self.kit, "iotprovision")
            versions["provisioning_firmware"] = firmware.name
            steps += [ProvisioningFirmware(self.target, firmware.load, firmware.name), *on_chips]
        steps += after
        if application:
            steps.append(application)
        elif needs_mcu:
            steps.append(ApplicationPutBack(self.target, kept))
        records: list[Record] = []
        try:
            for record in run(steps, self._rules, self._reporter):
                records.append(record)
        except BaseException:  # a fault of the program too must not cost the user's application
            if not self._rules.dry_run and kept.title in [record.title for record in records]:
                put_application_back(ApplicationPutBack(self.target, kept), kept, self._reporter)
            raise
        finally:
            self._reporter.table(records, self._rules.dry_run)
            self._reporter.add("firmware", versions)
            if self.chip.known_serial_number:
                self._reporter.add("chip", {"serial_number": self.chip.known_serial_number.hex().upper()})


def tell_kit(kit: FoundKit, reporter: Reporter) -> None:
    """Say which kit it is, to a person and in the document."""
    reporter.for_kit(kit.serial_number)
    reporter.notice(
        f"Found {kit.name}, serial number {kit.serial_number}, {kit.mcu}, debugger {kit.debugger_version}, "
        f"serial port {kit.port or 'none'}"
    )
    reporter.add(
        "kit",
        {
            "name": kit.name,
            "serial_number": kit.serial_number,
            "mcu": kit.mcu,
            "debugger_version": kit.debugger_version,
            "port": kit.port,
        },
    )


def prove_mcu(target: Target) -> None:
    """Ask the MCU whether it is the one of the kit; it stands still then.

    :raises AccessError: it has no power, is locked, or is another one
    """
    kit = target.kit
    try:
        target.check_mcu()
    except AccessError as error:
        if not kit.name_given:
            raise
        raise AccessError(
            f"The kit {kit.serial_number} has not proved to be {kit.name}: no {kit.mcu} answers as one should",
            f"{error.what}\n{error.why}\nNothing was changed.",
            f"name the right kit with --kit\n{error.hint}",
        ) from error


def put_application_back(step: Step, kept: ApplicationKept, reporter: Reporter) -> None:
    """After a failure: the kit gets back what it held."""
    try:
        for _ in run([step], Rules(), reporter):
            pass  # the reporter has said it
    except ProvisioningError as error:
        reporter.warning(f"the application could not be put back: {error.what}")
    if kept.path:
        reporter.notice(f"The application that the kit held is kept in {kept.path}")


def account_data(account: Account) -> dict[str, Any]:
    """What was done in an AWS account, for the document."""
    return {
        "profile": account.profile,
        "region": account.region,
        "reads": len(account.calls) - len(account.writes),
        "writes": [call.action for call in account.writes],
    }


def azure_data(azure: Enrolments) -> dict[str, Any]:
    """What was done in an Azure service, for the document."""
    return {"service": azure.shown, "reads": azure.reads, "writes": azure.writes}


def now() -> datetime:
    return datetime.now(timezone.utc)
