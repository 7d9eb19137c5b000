"""The one step that writes, empties and restores every memory, on a memory that is a few bytes of this process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from iotprovision.boards.memory import Difference, Memory
from iotprovision.boards.program import Program
from iotprovision.errors import ChipRefusedError, ProofError
from iotprovision.findings import CannotKnowError, State
from iotprovision.progress import Progress, no_progress
from iotprovision.steps.step import Record, Rules, Step, run
from iotprovision.steps.stored import Emptied, Keeper, Stored
from iotprovision.store import backups
from iotprovision.store.folder import Store


class Bytes(Memory):
    """Eight bytes."""

    part, kind, called = "bytes", "eight-bytes", "bytes of this process"

    def __init__(self) -> None:
        self.held = b"\xff" * 8
        self.refuses = False
        self.forgets = False
        self.allowed = False

    def allow_writing(self) -> None:
        self.allowed = True

    def read(self, progress: Progress = no_progress) -> bytes:
        return self.held

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        if self.held == wanted:
            return None
        return Difference(repr(self.held), state=State.MISSING if self.is_blank(self.held) else State.DIFFERENT)

    def write(self, content: bytes, progress: Progress) -> str:
        if self.refuses:
            raise ChipRefusedError("It refuses", "It is locked.", status=7)
        assert self.allowed
        if not self.forgets:
            self.held = content
        return self.shown(content)

    def is_blank(self, content: bytes) -> bool:
        return not content.strip(b"\xff")

    def blank(self) -> bytes:
        return b"\xff" * 8


class Numbered(Bytes):
    """The same, with backups that a person chooses by number."""

    is_numbered = True


class Clock:
    """Every look is a second later."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Desk:
    """Brings nothing anywhere, and knows what was needed."""

    def __init__(self) -> None:
        self.needed: list[Program | None] = []

    def prepared(self) -> None: ...

    def begins(self, step: Step) -> None:
        self.needed.append(step.needs)

    def ends(self, step: Step, in_place: bool) -> None: ...


class Quiet:
    def step_begins(self, title: str) -> None: ...

    def progress(self, title: str, done: int, total: int) -> None: ...

    def step_ends(self, record: Record) -> None: ...


@pytest.fixture
def files(tmp_path: Path) -> Store:
    return Store(tmp_path).for_kit("MCHP1")


@pytest.fixture
def keeper(files: Store) -> Keeper:
    return Keeper(files, Clock(), "provision")


def true(step: Step, rules: Rules = Rules()) -> Record:  # noqa: B008 - it never changes
    (record,) = run([step], rules, Quiet(), Desk())
    return record


def test_what_is_there_is_saved_and_the_wanted_content_written_and_read_back(keeper: Keeper) -> None:
    memory = Bytes()
    memory.held = b"old data"
    record = true(Stored(memory, lambda: b"new data", keeper))
    assert memory.held == b"new data"
    (saved,) = backups.find(keeper.files, "eight-bytes")
    assert backups.read(keeper.files, saved, as_it_is=False) == b"old data"
    assert saved.name in record.done
    assert record.title == "Bytes of this process"


def test_a_second_run_writes_and_saves_nothing(keeper: Keeper) -> None:
    memory = Bytes()
    true(Stored(memory, lambda: b"new data", keeper))
    assert not true(Stored(memory, lambda: b"new data", keeper)).changed
    assert backups.find(keeper.files, "eight-bytes") == [], "an erased memory needs no copy"


def test_what_a_backup_has_is_not_saved_twice(keeper: Keeper) -> None:
    memory = Bytes()
    for content in (b"1st data", b"2nd data"):
        memory.held = b"old data"
        true(Stored(memory, lambda content=content: content, keeper))
    assert len(backups.find(keeper.files, "eight-bytes")) == 1


def test_backups_of_a_numbered_memory_count_up(keeper: Keeper) -> None:
    memory = Numbered()
    for content in (b"1st data", b"2nd data", b"3rd data"):
        true(Stored(memory, lambda content=content: content, keeper))
    assert sorted(backup.number for backup in backups.find(keeper.files, "eight-bytes")) == [1, 2]


def test_nothing_is_done_as_long_as_the_content_is_not_known(keeper: Keeper) -> None:
    memory = Bytes()
    step = Stored(memory, lambda: None, keeper)
    with pytest.raises(CannotKnowError):
        step.check(no_progress)
    (record,) = run([step], Rules(dry_run=True), Quiet(), Desk())
    assert record.done.startswith("perhaps: would ")
    assert memory.held == b"\xff" * 8


def test_a_memory_that_does_not_keep_what_is_written_ends_the_run(keeper: Keeper) -> None:
    memory = Bytes()
    memory.forgets = True
    with pytest.raises(ProofError, match="not in place"):
        true(Stored(memory, lambda: b"new data", keeper))


def test_what_the_chip_refuses_is_told_with_what_to_try(keeper: Keeper) -> None:
    memory = Bytes()
    memory.refuses = True
    with pytest.raises(ChipRefusedError) as refused:
        true(Stored(memory, lambda: b"new data", keeper, remedy="another board"))
    assert (refused.value.hint, refused.value.status, refused.value.why) == ("another board", 7, "It is locked.")


def test_a_content_of_another_board_is_refused_before_anything_is_written(keeper: Keeper) -> None:
    memory = Bytes()

    def fits(content: bytes) -> None:
        raise ProofError(f"{content!r} is another's")

    with pytest.raises(ProofError, match="another's"):
        true(Stored(memory, lambda: b"new data", keeper, fits=fits))
    assert memory.held == b"\xff" * 8


def test_emptied_saves_and_leaves_nothing(keeper: Keeper) -> None:
    memory = Bytes()
    memory.held = b"old data"
    record = true(Emptied(memory, keeper, "Bytes gone"))
    assert memory.held == memory.blank()
    assert "erased" in record.done
    assert len(backups.find(keeper.files, "eight-bytes")) == 1
    assert not true(Emptied(memory, keeper, "Bytes gone")).changed


def test_the_step_needs_what_its_memory_needs(keeper: Keeper) -> None:
    desk = Desk()
    list(run([Stored(Bytes(), lambda: b"new data", keeper)], Rules(), Quiet(), desk))
    assert desk.needed == [Program.PROVISIONING]
