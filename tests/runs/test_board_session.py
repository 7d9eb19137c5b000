"""The run of one board: which programs it brings for the steps, and what it leaves behind whatever happens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from iotprovision.boards.program import Program
from iotprovision.errors import CloudError, ProofError
from iotprovision.findings import Finding, State
from iotprovision.progress import Progress
from iotprovision.runs.board_session import BoardSession
from iotprovision.runs.job import Job
from iotprovision.runs.report import Reporter
from iotprovision.steps.programs import Application
from iotprovision.steps.step import Step
from iotprovision.store.folder import Store

KEPT, PROVISIONING, BRIDGE = "Application that the kit held", "Provisioning firmware", "Bridge to the Wi-Fi module"
APPLICATION, PUT_BACK = "Application", "Application put back"
OLD = "what the kit held"


class Processor:
    """What it holds is the name of an image."""

    mcu = "atmega4808"

    def __init__(self) -> None:
        self.held = OLD
        self.programmed: list[str] = []

    def first_difference(self, image: Any, progress: Progress) -> Any:
        if image == self.held:
            return None
        return SimpleNamespace(area="flash", address=0, expected=1, found=2)

    def read(self, area: str, offset: int, size: int, progress: Progress | None = None) -> bytes:
        return b"\x0c" * size if area != "eeprom" else b"\xff" * size

    def program(self, image: Any, progress: Progress) -> None:
        self.held = image
        self.programmed.append(image)


class Desk:
    """A board that remembers what was brought to run on it, and refuses what it does not hold."""

    def __init__(self) -> None:
        self.programmer = Processor()
        self.key = SimpleNamespace(known_serial_number=None)
        self.kit = SimpleNamespace(
            serial_number="MCHP1", mcu="atmega4808", name="AVR-IoT WA", name_given=False, debugger_version="1.30.35"
        )
        self.runs: list[Program] = []
        self.proved = 0

    def check_mcu(self) -> None:
        self.proved += 1

    def check_port(self) -> None: ...

    def bring(self, program: Program) -> None:
        if program in (Program.PROVISIONING, Program.BRIDGE):
            assert self.programmer.held == program.name, "it holds another program"
        self.runs.append(program)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None: ...


class Statement(Step):
    """A step that is true once it was applied."""

    action = "test"
    proof = "looked again"
    would = "make it so"

    def __init__(self, title: str, needs: Program | None, raises: BaseException | None = None) -> None:
        self.title = title
        self.needs = needs
        self._raises = raises
        self._is_true = False

    def check(self, progress: Progress) -> Finding:
        return Finding(State.IN_PLACE if self._is_true else State.MISSING, "so" if self._is_true else "not so")

    def apply(self, progress: Progress) -> str:
        if self._raises:
            raise self._raises
        self._is_true = True
        return "made it so"


class World:
    """A session on a board of this process."""

    def __init__(self, folder: Path, **asked: Any) -> None:
        self.board = Desk()
        self.reporter = Reporter(io.StringIO(), io.StringIO(), {}, as_json=True)
        bench: Any = SimpleNamespace(
            store=Store(folder),
            board=lambda kit: self.board,
            firmware=lambda kit, job, file=None: SimpleNamespace(
                name=job, load=lambda: Program.BRIDGE.name if job == "wincupgrade" else Program.PROVISIONING.name
            ),
            known_images=lambda kit, file: [SimpleNamespace(name=OLD, is_application=True, load=lambda: OLD)],
        )
        self.session = BoardSession(Job("provision", **asked), bench, self.reporter, self.board.kit, "provision")  # type: ignore[arg-type]
        # What an image of the index comes to is tested elsewhere; here it is a name.
        self.application = Application(self.board.programmer, lambda: "the new application", "new")  # type: ignore[arg-type, return-value]

    def run(self, steps: Sequence[Step], application: Application | None = None) -> list[str]:
        with self.session:
            return [record.title for record in self.session.execute(steps, application)]

    @property
    def ended(self) -> list[str]:
        return [record.title for _, record in self.reporter.records]


@pytest.fixture(autouse=True)
def names_as_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application that the board holds is known by its name alone."""
    monkeypatch.setattr(
        "iotprovision.steps.kept_application.ApplicationKept._holds",
        lambda self, image, progress: self._programmer.held == image,
    )


def test_a_step_finds_its_program_and_the_board_gets_back_what_it_held(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run([Statement("chips", Program.PROVISIONING)]) == [KEPT, PROVISIONING, "chips", PUT_BACK]
    assert world.board.programmer.programmed == [Program.PROVISIONING.name, OLD]
    assert world.board.runs[-1] is Program.APPLICATION


def test_steps_about_the_account_touch_no_board(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run([Statement("account", None)]) == ["account"]
    assert (world.board.runs, world.board.proved) == ([], 0)


def test_registers_need_no_program_and_nothing_is_kept_for_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run([Statement("registers", Program.ANY)]) == ["registers"]
    assert world.board.programmer.programmed == []


def test_each_program_is_brought_once_for_all_steps_in_a_row_that_need_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    steps = [
        Statement("sectors", Program.BRIDGE),
        Statement("one chip", Program.PROVISIONING),
        Statement("account", None),
        Statement("another chip", Program.PROVISIONING),
    ]
    brought = [KEPT, BRIDGE, "sectors", PROVISIONING, "one chip", "account", "another chip", PUT_BACK]
    assert world.run(steps) == brought


def test_a_new_application_comes_instead_of_the_old_one_and_again_behind_proofs(tmp_path: Path) -> None:
    world = World(tmp_path)
    steps = [
        Statement("chip", Program.PROVISIONING),
        world.application,
        Statement("proof", Program.PROVISIONING),
        Statement("network", Program.APPLICATION),
    ]
    titles = [KEPT, PROVISIONING, "chip", APPLICATION, PROVISIONING, "proof", APPLICATION, "network"]
    assert world.run(steps, world.application) == titles
    assert world.board.programmer.held == "the new application"


def test_an_application_alone_is_programmed_last(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.run([Statement("registers", Program.ANY)], world.application) == [KEPT, "registers", APPLICATION]


@pytest.mark.parametrize("fault", [CloudError("no"), KeyboardInterrupt(), RuntimeError("a fault of the program")])
def test_whatever_happens_the_board_gets_back_what_it_held(tmp_path: Path, fault: BaseException) -> None:
    world = World(tmp_path)
    with pytest.raises(type(fault)):
        world.run([Statement("chip", Program.PROVISIONING, fault)])
    assert world.board.programmer.held == OLD
    assert world.ended == [KEPT, PROVISIONING, PUT_BACK]


def test_a_fault_behind_the_new_application_leaves_that(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(ProofError):
        world.run([world.application, Statement("proof", Program.PROVISIONING, ProofError("no"))], world.application)
    assert world.board.programmer.held == "the new application"


def test_a_fault_before_anything_was_taken_programs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(CloudError):
        world.run([Statement("account", None, CloudError("no")), Statement("chip", Program.PROVISIONING)])
    assert world.board.programmer.programmed == []


def test_a_dry_run_programs_nothing_and_lets_the_board_go_on(tmp_path: Path) -> None:
    world = World(tmp_path, dry_run=True)
    world.run([Statement("chip", Program.PROVISIONING)])
    assert world.board.programmer.programmed == []
    assert world.board.runs[-1] in (Program.ANY, Program.APPLICATION)
    assert Program.PROVISIONING not in world.board.runs
