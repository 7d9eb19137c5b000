"""A run makes statements about a board and an account true: check, apply where it is not so, check again.

From this one rule follow a dry run (check only), a second run that writes nothing, resuming after a failure (run again)
and "no success without proof".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from iotprovision.boards.program import Program
from iotprovision.errors import ProofError
from iotprovision.findings import CannotKnowError, Finding, State
from iotprovision.progress import Progress as Progress  # noqa: PLC0414 - every step takes one

NOTHING = "nothing"
"""What a step says that did not have to be applied."""


class About(Enum):
    """What a step makes a statement about, and so what to suspect when it is not true after it was made true."""

    KIT = "run again; if it happens twice, the kit is at fault: the log file has what it answered"
    ACCOUNT = (
        "run again in a minute, for an account can take a moment to show what was done; if it happens twice, look "
        "whether somebody else changes it: the log file has what it answered"
    )
    STORE = (
        "run again; if it happens twice, look whether another program changes the files of the store, and whether its "
        "disk is sound: the log file has what was done"
    )


NOBODY_SUSPECTED = "run again; if it happens twice, the log file has what was done and answered"


class Step(ABC):
    """One statement about the board, the account or the store.

    ``title`` is what a person would call it, ``action`` the action it belongs to, ``proof`` how the second check
    proves it, ``would`` what applying means (for a dry run).

    :ivar found: what the first check found; None before it, and where it could not be made
    :ivar applied: whether this run has applied it
    """

    title: str
    action: str
    proof: str
    would: str
    about: About | None = None
    """Nobody is suspected of what went wrong in a step that does not say what it is about."""
    needs: Program | None = None
    """What must run on the board while it looks and writes; None for a step that is about something else."""
    brings: Program | None = None
    """The program that the board holds once the step is in place."""
    found: Finding | None = None
    applied = False
    irreversible = False
    forced_by: frozenset[str] = frozenset()
    """Options that apply the step even where it is in place."""
    unaskable = ""
    """Why nothing can tell whether the step is in place. It is then always applied, and ``apply`` raises where the
    answer is no proof."""

    def prepare(self) -> None:  # noqa: B027 - most steps need no preparation
        """Read and build what can be read and built without changing anything; bad input ends the run here."""

    @abstractmethod
    def check(self, progress: Progress) -> Finding:
        """Look, change nothing.

        :raises CannotKnowError: in a dry run, where looking needs a change first
        """

    @abstractmethod
    def apply(self, progress: Progress) -> str:
        """Make it so.

        :returns: what was done, for a person
        """


@dataclass(frozen=True)
class Record:
    """What a run says about one step: what was found, what was done, how it was proved."""

    title: str
    action: str
    state: State
    found: str
    done: str
    proof: str
    irreversible: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.done != NOTHING


class Observer(Protocol):
    """Who is told about the steps while they run."""

    def step_begins(self, title: str) -> None: ...

    def progress(self, title: str, done: int, total: int) -> None: ...

    def step_ends(self, record: Record) -> None: ...


class Stage(Protocol):
    """Where steps happen. It brings the board to what each of them needs; no step does so for itself or another."""

    def prepared(self) -> None:
        """All steps are prepared, and none was checked yet."""

    def begins(self, step: Step) -> None: ...

    def ends(self, step: Step, in_place: bool) -> None:
        """:param in_place: False only in a dry run"""


class NoBoard:
    """For steps that are about no board."""

    def prepared(self) -> None:
        pass

    def begins(self, step: Step) -> None:
        assert step.needs is None, f"{step.title} needs a board"

    def ends(self, step: Step, in_place: bool) -> None:
        pass


@dataclass(frozen=True)
class Rules:
    """How the steps of a run are treated.

    :param force: the options given that force something
    """

    dry_run: bool = False
    force: frozenset[str] = frozenset()


def run(steps: Sequence[Step], rules: Rules, observer: Observer, stage: Stage | None = None) -> Iterator[Record]:
    """Prepare all steps, then make each true; yields what is to be said about each as soon as it is true.

    :param stage: brings the board to what the steps need; None where they are about no board
    :raises ProofError: a step is not in place after it was applied
    """
    stage = stage or NoBoard()
    for step in steps:
        step.prepare()
    stage.prepared()
    for step in steps:
        observer.step_begins(step.title)
        stage.begins(step)
        record = (_look if rules.dry_run else _make_true)(step, rules, observer, stage)
        observer.step_ends(record)
        yield record


def _make_true(step: Step, rules: Rules, observer: Observer, stage: Stage) -> Record:
    def progress(done: int, total: int) -> None:
        observer.progress(step.title, done, total)

    before = Finding(State.UNKNOWN, step.unaskable) if step.unaskable else step.check(progress)
    step.found = before
    done, last = NOTHING, before
    if not before.in_place or rules.force & step.forced_by:
        done = step.apply(progress)
        step.applied = True
        if not step.unaskable:
            last = after = step.check(progress)
            if not after.in_place:
                raise ProofError(
                    f"{step.title}: it was written, and is not in place after that",
                    f"Expected {after.expected or 'it to be in place'}; found {after.found}.",
                    step.about.value if step.about else NOBODY_SUSPECTED,
                )
    stage.ends(step, in_place=True)
    return _record(step, before, done, step.proof if last.proof is None else last.proof)


def _look(step: Step, rules: Rules, observer: Observer, stage: Stage) -> Record:
    try:
        finding = (
            Finding(State.UNKNOWN, step.unaskable)
            if step.unaskable
            else step.check(lambda done, total: observer.progress(step.title, done, total))
        )
        step.found = finding
    except CannotKnowError as reason:
        finding = Finding(State.UNKNOWN, str(reason))
    stage.ends(step, finding.in_place)
    if finding.in_place and not rules.force & step.forced_by:
        return _record(step, finding, "would do nothing", step.proof if finding.proof is None else finding.proof)
    verb = "perhaps: would " if finding.state is State.UNKNOWN and not step.unaskable else "would "
    return _record(step, finding, verb + step.would, "")


def _record(step: Step, finding: Finding, done: str, proof: str) -> Record:
    return Record(step.title, step.action, finding.state, finding.found, done, proof, step.irreversible)


class Proof(Step):
    """A step that is only looked at: it must be in place, or the run fails. ``--verify`` is made of these."""

    def __init__(self, step: Step) -> None:
        self._step = step
        title = step.title if step.title[1:2].isupper() else step.title[0].lower() + step.title[1:]
        self.title = f"Proof: {title}"
        self.action = "verify"
        self.proof = step.proof
        self.would = "prove it once more"
        self.needs = step.needs

    def check(self, progress: Progress) -> Finding:
        finding = self._step.check(progress)
        self._found = finding
        return finding

    def apply(self, progress: Progress) -> str:
        raise ProofError(
            f"{self._step.title}: not as it should be",
            f"Expected {self._found.expected or 'it to be in place'}; found {self._found.found}.",
            "run again without --verify to put it right",
        )
