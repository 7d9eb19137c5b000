"""Check, apply, check: on steps that change one place of a small world."""

from collections.abc import Callable
from pathlib import Path

import pytest

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_policy import DevicePolicy
from iotprovision.errors import ExitCode, ProofError
from iotprovision.findings import Finding, State
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.aws import PolicyOfDevices
from iotprovision.steps.step import About, CannotKnowError, NoBoard, Progress, Proof, Record, Rules, Step, run


class Place(Step):
    """A place in a dictionary that shall hold a value."""

    action = "test"
    proof = "read back"
    would = "write it"
    forced_by = frozenset({"force"})

    def __init__(
        self, world: dict[str, int], name: str, value: int, writes: Callable[[int], int] = lambda v: v
    ) -> None:
        self.title = f"Place {name}"
        self.world, self.name, self.value, self.writes = world, name, value, writes
        self.written = 0

    def check(self, progress: Progress) -> Finding:
        found = self.world.get(self.name)
        if found is None:
            return Finding(State.MISSING, "nothing", str(self.value))
        state = State.IN_PLACE if found == self.value else State.DIFFERENT
        return Finding(state, str(found), str(self.value))

    def apply(self, progress: Progress) -> str:
        self.written += 1
        self.world[self.name] = self.writes(self.value)
        return f"wrote {self.value}"


class Silent:
    """An observer that remembers titles."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def step_begins(self, title: str) -> None:
        self.begun.append(title)

    def progress(self, title: str, done: int, total: int) -> None:
        pass

    def step_ends(self, record: Record) -> None:
        pass


class Ends(NoBoard):
    """A stage that remembers how each step ended."""

    def __init__(self) -> None:
        self.in_place: dict[str, bool] = {}

    def ends(self, step: Step, in_place: bool) -> None:
        self.in_place[step.title] = in_place


def perform(*steps: Step, rules: Rules = Rules()) -> list[Record]:  # noqa: B008 - frozen
    return list(run(steps, rules, Silent()))


def test_writes_what_is_missing_and_leaves_what_is_in_place() -> None:
    world = {"b": 2}
    first, second = Place(world, "a", 1), Place(world, "b", 2)
    records = perform(first, second)
    assert world == {"a": 1, "b": 2}
    assert (first.written, second.written) == (1, 0)
    assert [(record.state, record.done, record.proof) for record in records] == [
        (State.MISSING, "wrote 1", "read back"),
        (State.IN_PLACE, "nothing", "read back"),
    ]


def test_a_second_run_writes_nothing() -> None:
    world: dict[str, int] = {}
    perform(Place(world, "a", 1))
    again = Place(world, "a", 1)
    perform(again)
    assert again.written == 0


def test_what_does_not_hold_after_writing_ends_the_run() -> None:
    world: dict[str, int] = {}
    after = Place(world, "b", 2)
    with pytest.raises(ProofError, match="Place a") as caught:
        perform(Place(world, "a", 1, writes=lambda value: value ^ 8), after)
    assert "Expected 1; found 9" in caught.value.why
    assert after.written == 0


def test_a_dry_run_writes_nothing_and_says_what_it_would_do() -> None:
    world = {"b": 2}
    missing, right = Place(world, "a", 1), Place(world, "b", 2)
    stage = Ends()
    records = list(run([missing, right], Rules(dry_run=True), Silent(), stage))
    assert world == {"b": 2}
    assert [record.done for record in records] == ["would write it", "would do nothing"]
    assert stage.in_place == {missing.title: False, right.title: True}


def test_a_dry_run_says_what_would_be_written_again() -> None:
    world = {"b": 2}
    (record,) = perform(Place(world, "b", 2), rules=Rules(dry_run=True, force=frozenset({"force"})))
    assert (record.state, record.done, record.proof) == (State.IN_PLACE, "would write it", "")


def test_force_writes_what_is_in_place() -> None:
    world = {"a": 1}
    step = Place(world, "a", 1)
    (record,) = perform(step, rules=Rules(force=frozenset({"force"})))
    assert (step.written, record.done) == (1, "wrote 1")
    perform(step, rules=Rules(force=frozenset({"fca"})))
    assert step.written == 1, "another option forces other steps"


def test_every_step_is_prepared_before_the_first_is_applied() -> None:
    class Unfit(Place):
        def prepare(self) -> None:
            raise ProofError("unfit")

    world: dict[str, int] = {}
    with pytest.raises(ProofError, match="unfit"):
        perform(Place(world, "a", 1), Unfit(world, "b", 2))
    assert world == {}


def test_an_unknown_state_is_shown_in_a_dry_run_with_its_reason() -> None:
    class Hidden(Place):
        def check(self, progress: Progress) -> Finding:
            raise CannotKnowError("behind a door")

    (record,) = perform(Hidden({}, "a", 1), rules=Rules(dry_run=True))
    assert (record.state, record.found, record.done) == (State.UNKNOWN, "behind a door", "perhaps: would write it")


def test_what_nothing_can_ask_is_applied_every_time() -> None:
    class Unaskable(Place):
        unaskable = "nobody tells"

    world: dict[str, int] = {}
    (record,) = perform(Unaskable(world, "a", 1))
    assert (record.state, record.found, record.done) == (State.UNKNOWN, "nobody tells", "wrote 1")
    perform(Unaskable(world, "a", 1))
    assert world == {"a": 1}


def test_a_proof_looks_and_never_writes() -> None:
    world = {"a": 1}
    (record,) = perform(Proof(Place(world, "a", 1)), rules=Rules(force=frozenset({"force"})))
    assert record.state is State.IN_PLACE
    with pytest.raises(ProofError, match="not as it should be"):
        perform(Proof(Place(world, "a", 2)))
    assert world == {"a": 1}


SUSPECTS = {
    About.KIT: "the kit is at fault",
    About.ACCOUNT: "somebody else changes it",
    About.STORE: "its disk is sound",
}


@pytest.mark.parametrize("about", [*About, None])
def test_what_is_suspected_is_what_the_step_is_about(about: About | None) -> None:
    step = Place({}, "a", 1, writes=lambda value: value + 1)
    if about is not None:
        step.about = about
    with pytest.raises(ProofError) as raised:
        perform(step)
    suspected = [suspect for suspect, words in SUSPECTS.items() if words in raised.value.hint]
    assert suspected == ([about] if about else [])
    assert "run again" in raised.value.hint
    assert "log file" in raised.value.hint


def test_an_account_that_does_not_take_what_it_is_given_is_not_put_down_to_the_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalCloud(tmp_path) as cloud:
        step = PolicyOfDevices(
            Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file), overwrites=False
        )
        monkeypatch.setattr(DevicePolicy, "apply", lambda self: None)
        with pytest.raises(ProofError) as raised:
            perform(step)
    assert raised.value.exit_code == ExitCode.PROOF
    assert step.title in raised.value.what
    assert "account" in raised.value.hint
    assert "kit" not in raised.value.hint
