"""A memory holds what it shall: what is there is saved, then it is written and read back. For every memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from iotprovision import interrupts
from iotprovision.boards.memory import Content, Memory
from iotprovision.errors import ChipRefusedError
from iotprovision.findings import CannotKnowError, Finding, State
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store


class Keeper:
    """Keeps what a step is about to overwrite on one board.

    :param files: the board's folder in the store
    :param clock: the time, with its time zone
    :param saved_by: the action or command, which the list of backups names
    """

    def __init__(self, files: Store, clock: Callable[[], datetime], saved_by: str) -> None:
        self.files = files
        self.clock = clock
        self.saved_by = saved_by

    def keep(self, memory: Memory, content: bytes) -> str:
        """Save a content, unless there is nothing in it or a backup has it.

        :returns: a half sentence for the report, empty where there was nothing
        :raises StoreError: the store cannot be written
        """
        if memory.is_blank(content):
            return ""
        if same := backups.saved_before(self.files, memory.kind, content, self.saved_by):
            return f"what was there was saved before as {same.name}, "
        kind = backups.next_kind(self.files, memory.kind) if memory.is_numbered else memory.kind
        name = backups.file_name(kind, self.clock(), memory.ending)
        backups.save(self.files, name, content, self.saved_by)
        return f"saved what was there as {name}, "


class Stored(Step):
    """One memory.

    :param wanted: gives the content; None as long as it is not known
    :param title: what a person calls the statement
    :param source: where the content comes from, for a person; empty where the content says it best itself
    :param exact: whether what is blank in the content must be blank in the memory too
    :param prepare: raises what ends the run before anything is done
    :param fits: raises where the content is of another board; called when the board can be asked
    :param remedy: what to try where the chip refuses to be written
    """

    about = About.KIT
    proof = "read back, every byte equal"
    would = "save what is there and write it"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        memory: Memory,
        wanted: Content,
        keeper: Keeper,
        *,
        title: str = "",
        source: str = "",
        exact: bool = False,
        prepare: Callable[[], object] = lambda: None,
        fits: Callable[[bytes], None] = lambda content: None,
        remedy: str = "",
    ) -> None:
        self.title = title or memory.called[0].upper() + memory.called[1:]
        self.action = keeper.saved_by
        self.needs = memory.needs
        self._memory = memory
        self._wanted = wanted
        self._keeper = keeper
        self._source = source
        self._exact = exact
        self._prepare = prepare
        self._fits = fits
        self._remedy = remedy or memory.remedy

    def prepare(self) -> None:
        self._memory.allow_writing()
        self._prepare()

    def check(self, progress: Progress) -> Finding:
        wanted = self._wanted()
        if wanted is None:
            raise CannotKnowError("what it shall hold is not known yet")
        self._fits(wanted)
        difference = self._memory.difference(wanted, progress, self._exact)
        if difference is None:
            return Finding(State.IN_PLACE, self._source or self._memory.shown(wanted))
        return Finding(difference.state, difference.found, difference.expected or self._expected(wanted))

    def apply(self, progress: Progress) -> str:
        wanted = self._wanted()
        assert wanted is not None, "what is written is known by now"
        saved = self._keeper.keep(self._memory, self._memory.read())
        try:
            with interrupts.held():
                written = self._memory.write(wanted, progress)
        except ChipRefusedError as error:
            raise ChipRefusedError(error.what, error.why, error.hint or self._remedy, error.status) from error
        return saved + self._said(written)

    def _said(self, written: str) -> str:
        return f"wrote {self._source or written}"

    def _expected(self, wanted: bytes) -> str:
        return self._source or self._memory.shown(wanted)


class Emptied(Stored):
    """The memory holds nothing of a device any more."""

    proof = "read back, nothing there"
    would = "save what is there and erase it"
    forced_by = frozenset()

    def __init__(self, memory: Memory, keeper: Keeper, title: str) -> None:
        super().__init__(memory, memory.blank, keeper, title=title, source="nothing")

    def _said(self, written: str) -> str:
        return "erased it"
