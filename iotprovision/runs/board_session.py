"""The run of one board: found, locked, proved to be the right one, brought to what each step needs, and left in order.

Whatever is asked of a board goes through here. Steps say what must run on it; the session puts those programs into its
processor, keeps the application that it held, and puts that back whatever happens in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from iotprovision.boards.finding import find_kit
from iotprovision.boards.found import FoundKit
from iotprovision.boards.program import Program
from iotprovision.errors import AccessError, ProvisioningError, SerialLinkError
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.runs.bench import Bench
from iotprovision.runs.job import Job
from iotprovision.runs.report import Reporter
from iotprovision.steps.kept_application import ApplicationKept, ApplicationPutBack
from iotprovision.steps.programs import Application, BridgeFirmware, ProvisioningFirmware
from iotprovision.steps.step import Record, Rules, Step, run
from iotprovision.steps.stored import Keeper


def find_board(job: Job, bench: Bench, reporter: Reporter) -> FoundKit:
    """The board that is meant, told to a person and put into the document.

    :raises KitNotFoundError, AccessError: there is none, or no clear choice
    """
    kit = find_kit(bench.serial_suffix, job.port, bench.named_kit, reporter.notice, bench.other_runs)
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
    return kit


class BoardSession:
    """A context manager: inside it the board is locked, and no other run can use it.

    Entering it raises AccessError where a person said which kit it is, and its MCU is not that kit's.

    :param command: what is done: backups say who saved them
    """

    def __init__(self, job: Job, bench: Bench, reporter: Reporter, kit: FoundKit, command: str) -> None:
        self._job = job
        self._bench = bench
        self._reporter = reporter
        self._command = command
        self.kit = kit
        self.files = bench.store.for_kit(kit.serial_number)
        self.board = bench.board(kit)
        self._resources = contextlib.ExitStack()
        self._programs: dict[Program, Step] = {}
        self._kept: ApplicationKept | None = None
        self._plan: Sequence[Step] = ()
        self._is_proved = False
        self._holds: Program | None = None
        self._holds_application = False

    def __enter__(self) -> BoardSession:
        with contextlib.ExitStack() as resources:
            if not self._job.dry_run:
                resources.enter_context(self.files.lock())
            resources.enter_context(self.board)
            if self.kit.name_given:
                self._prove_mcu()
                self.board.bring(Program.ANY)  # preparing a step may ask the debugger
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def keeper(self, command: str = "") -> Keeper:
        """Keeps what steps of the session overwrite."""
        return Keeper(self.files, now, command or self._command)

    def execute(
        self, steps: Sequence[Step], application: Application | None = None, shown: bool = True
    ) -> list[Record]:
        """Run the steps, each with what it needs on the board.

        :param application: what the board runs from now on; None for what it held
        :param shown: whether the table of the steps is part of the result
        :raises ProvisioningError: a step failed; the application was put back
        """
        self._plan = plan = self._with_programs(steps, application)
        rules = Rules(self._job.dry_run, self._job.forced)
        records: list[Record] = []
        try:
            for record in run(plan, rules, self._reporter, self):
                records.append(record)
        except BaseException:  # a fault of the program too must not cost the user's application
            if not rules.dry_run:
                self._put_application_back(records)
            raise
        finally:
            if shown:
                self._reporter.table(records, rules.dry_run)
            self._tell()
        return records

    @property
    def application_found(self) -> str:
        """What the board held before the run, in words; empty where nobody had to look."""
        return self._kept.found.found if self._kept and self._kept.found else ""

    @property
    def left_a_program(self) -> str:
        """The name of what the run has left in a board that held no application; empty where it left nothing."""
        step = self._programs.get(Program.PROVISIONING)
        left = self._kept and self._kept.image is None and isinstance(step, ProvisioningFirmware) and step.applied
        return step.name if left and isinstance(step, ProvisioningFirmware) else ""

    # --- the programs that steps need

    def _with_programs(self, steps: Sequence[Step], application: Application | None) -> list[Step]:
        """The steps, and before those that need a program the one that brings it; what the board held comes last."""
        if not any(_needs_processor(step) for step in (*steps, *([application] if application else []))):
            return list(steps)
        self._kept = self._keeping()
        if application:
            self._programs[Program.APPLICATION] = application
        plan: list[Step] = []
        holds = None if application and application not in steps else Program.APPLICATION
        for step in steps:
            if self._kept not in plan and (step.needs is not None or step.brings):
                plan.append(self._kept)
            if step.needs in (Program.PROVISIONING, Program.BRIDGE, Program.APPLICATION) and step.needs is not holds:
                plan.append(self._bringing(step.needs))
                holds = step.needs
            plan.append(step)
            holds = step.brings or holds
        if self._kept not in plan:
            plan.append(self._kept)
        if holds is not Program.APPLICATION:
            plan.append(self._bringing(Program.APPLICATION))
        return plan

    def _keeping(self) -> ApplicationKept:
        known = self._bench.known_images(self.kit, self._job.application)
        return ApplicationKept(self.board.programmer, known, self.files, now, self._command)

    def _bringing(self, program: Program) -> Step:
        """The step that puts a program into the processor; each is made once."""
        if program not in self._programs:
            self._programs[program] = self._new_bringing(program)
        return self._programs[program]

    def _new_bringing(self, program: Program) -> Step:
        board, job = self.board, self._job
        if program is Program.PROVISIONING:
            firmware = self._bench.firmware(self.kit, "iotprovision", job.provisioning_firmware)
            there = job.provisioning_firmware_is_there
            return ProvisioningFirmware(board.programmer, firmware.load, firmware.name, board.check_port, there)
        if program is Program.BRIDGE:
            firmware = self._bench.firmware(self.kit, "wincupgrade")
            return BridgeFirmware(board.programmer, firmware.load, firmware.name, board.check_port)
        assert self._kept is not None, "what is put back was kept"
        return ApplicationPutBack(board.programmer, self._kept)

    def begins(self, step: Step) -> None:
        """The board runs what the step needs, as far as a dry run can bring it there."""
        if step.brings:
            self._holds_application = False
        if step.needs in (Program.PROVISIONING, Program.BRIDGE) and step.needs is not self._holds:
            self.board.bring(Program.ANY)
        elif step.needs is not None:
            self.board.bring(step.needs)

    def ends(self, step: Step, in_place: bool) -> None:
        """What the step has brought runs."""
        if step.brings is None:
            return
        if not in_place:
            self._holds = None
            self.board.bring(Program.ANY)
            return
        self._holds = step.brings
        self._holds_application = step.brings is Program.APPLICATION
        try:
            self.board.bring(step.brings)
        except SerialLinkError as error:
            if step.brings is not Program.PROVISIONING or not self._job.provisioning_firmware_is_there:
                raise
            raise SerialLinkError(
                "What runs on the kit is not the provisioning firmware",
                f"--sprov says that it is. {error.what}.",
                "leave out --sprov: then the provisioning firmware is programmed",
            ) from error

    # --- before and behind the steps

    def prepared(self) -> None:
        """Ask the MCU whether it is the one of the kit, before anything is done with it.

        :raises AccessError: it has no power, is locked, or is another one
        """
        if self._is_proved or self._kept is None:
            return
        self._prove_mcu()
        if self._plan[0].needs is not Program.NONE:
            self.board.bring(Program.ANY)

    def _prove_mcu(self) -> None:
        if mcu_by_name(self.kit.mcu).programmed_with_scripts:
            self._bench.cache().scripts_for(self.kit.mcu)  # fetched and checked before anything is done
        try:
            self.board.check_mcu()
        except AccessError as error:
            if not self.kit.name_given:
                raise
            raise AccessError(
                f"The kit {self.kit.serial_number} has not proved to be {self.kit.name}: "
                f"no {self.kit.mcu} answers as one should",
                f"{error.what}\n{error.why}\nNothing was changed.",
                f"name the right kit with --kit\n{error.hint}",
            ) from error
        self._is_proved = True

    def _put_application_back(self, records: Sequence[Record]) -> None:
        """After a failure: the board gets back what it held, or the new application where it had that already."""
        kept = self._kept
        titles = [record.title for record in records]
        if kept is None or kept.title not in titles or self._holds_application:
            return
        chosen = self._programs.get(Program.APPLICATION)
        was_programmed = chosen is not None and chosen.title in titles
        step = (
            self._bringing(Program.APPLICATION) if was_programmed else ApplicationPutBack(self.board.programmer, kept)
        )
        try:
            for _ in run([step], Rules(), self._reporter, self):
                pass  # the reporter has said it
        except ProvisioningError as error:
            self._reporter.warning(f"the application could not be put back: {error.what}")
        if kept.path:
            self._reporter.notice(f"The application that the kit held is kept in {kept.path}")

    def _tell(self) -> None:
        """What the run worked with on the board, for the document and the history."""
        versions = {"debugger": self.board.kit.debugger_version}
        called = {Program.PROVISIONING: "provisioning_firmware", Program.APPLICATION: "application"}
        for program, step in self._programs.items():
            if program in called and isinstance(step, Application | ProvisioningFirmware):
                versions[called[program]] = step.name
        self._reporter.add("firmware", versions)
        if self.board.key.known_serial_number:
            self._reporter.add("chip", {"serial_number": self.board.key.known_serial_number.hex().upper()})


def _needs_processor(step: Step) -> bool:
    return step.brings is not None or step.needs in (Program.NONE, Program.PROVISIONING, Program.BRIDGE)


def now() -> datetime:
    return datetime.now(UTC)


def execute_without_board(steps: Sequence[Step], job: Job, reporter: Reporter) -> None:
    """Run steps that are about no board.

    :raises ProvisioningError: a step failed
    """
    rules = Rules(job.dry_run, job.forced)
    records: list[Record] = []
    try:
        for record in run(steps, rules, reporter):
            records.append(record)
    finally:
        reporter.table(records, rules.dry_run)
