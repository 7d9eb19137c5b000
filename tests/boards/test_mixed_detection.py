"""Which kit is chosen, and what is said where none is, with any mix of kits and other debuggers on USB."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mixed_bus import (
    ALL,
    BLANK,
    BLANK_NUMBER,
    BLANK_TOO,
    BOOT_MODE,
    BOOT_MODE_TOO,
    HEALTHY,
    HIDDEN,
    HIDDEN_TOO,
    IN_USE,
    NANO,
    NANO_NAME,
    MixedBus,
    mixed_bus,
)
from support.other_runs import with_its_own_cache
from support.running import run_tool

from iotprovision.boards.finding import find_kit
from iotprovision.boards.found import Obstacle
from iotprovision.boards.nedbg.boot_mode import kits_in_boot_mode
from iotprovision.boards.nedbg.debugger import connection
from iotprovision.boards.nedbg.detection import detect_kits
from iotprovision.errors import AccessError, ExitCode, KitNotFoundError, ProvisioningError
from iotprovision.simulator.usb.foreign_devices import ATMEL_ICE, DAPLINK, EDBG, FOREIGN_DEVICES, KEYBOARD, PICKIT4

WA, PIC, SAM, CELLULAR = HEALTHY
OBSTACLES = {
    BLANK: Obstacle.BLANK,
    BLANK_TOO: Obstacle.BLANK,
    NANO: Obstacle.NO_KNOWN_KIT,
    BOOT_MODE: Obstacle.BOOT_MODE,
    BOOT_MODE_TOO: Obstacle.BOOT_MODE,
    IN_USE: Obstacle.NO_ACCESS,
    HIDDEN: Obstacle.NO_ACCESS,
    HIDDEN_TOO: Obstacle.NO_ACCESS,
}
# What tells each state in a list of several
WORDS = {
    Obstacle.BLANK: "(board registers are blank)",
    Obstacle.SAME_NUMBER: "(has the serial number of another one)",
    Obstacle.NO_KNOWN_KIT: f"{NANO_NAME} (no known kit)",
    Obstacle.BOOT_MODE: "(in boot mode, USB 03eb:2fc0)",
    Obstacle.NO_ACCESS: "(cannot be opened)",
}


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedBus]:
    """Many kits, none of them plugged in."""
    with mixed_bus(tmp_path_factory.mktemp("mix")) as bus:
        yield bus


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_its_own_cache(tmp_path, monkeypatch)


def seen(mix: MixedBus, name: str) -> str:
    """The serial number that USB shows of a kit."""
    return "" if name in (HIDDEN, HIDDEN_TOO, BOOT_MODE, BOOT_MODE_TOO) else mix.serial(name)


def obstacle(name: str, connected: tuple[str, ...]) -> Obstacle:
    twins = {BLANK, BLANK_TOO} <= set(connected)
    return Obstacle.SAME_NUMBER if twins and name in (BLANK, BLANK_TOO) else OBSTACLES[name]


def mixes() -> list[tuple[str, ...]]:
    """Nothing, each alone, pairs of all states, all together, and some of the many others, always the same."""
    chosen = random.Random(20261122)
    some = [tuple(sorted(chosen.sample(ALL, chosen.randint(3, 8)))) for _ in range(12)]
    pairs = itertools.combinations((WA, PIC, *OBSTACLES), 2)
    return [(), *itertools.combinations(ALL, 1), *pairs, ALL, *some]


def test_every_mix_gives_the_one_kit_or_says_what_is_there(mix: MixedBus) -> None:
    written = mix.written()
    for number, names in enumerate(mixes()):
        meant = [name for name in names if name != NANO]
        foreign = FOREIGN_DEVICES if number % 2 else ()
        with mix.with_kits(*names, foreign=foreign):
            connected = detect_kits()
            assert {kit.serial_number: kit.name for kit in connected.kits} == {
                mix.serial(name): HEALTHY[name] for name in names if name in HEALTHY
            }
            assert sorted((kit.serial_number, kit.obstacle.name) for kit in connected.unreachable) == sorted(
                (seen(mix, name), obstacle(name, names).name) for name in names if name not in HEALTHY
            )
            if len(meant) == 1 and meant[0] in HEALTHY:
                assert find_kit().serial_number == mix.serial(meant[0]), names
                continue
            with pytest.raises((KitNotFoundError, AccessError)) as raised:
                find_kit()
        if len(meant) < 2:
            continue
        boot_mode_only = {BOOT_MODE, BOOT_MODE_TOO} == set(meant)
        assert raised.value.what.startswith(f"{len(meant)} kits are "), names
        for name in [] if boot_mode_only else meant:
            lines = [line for line in raised.value.why.splitlines() if seen(mix, name) in line]
            word = HEALTHY[name] if name in HEALTHY else WORDS[obstacle(name, names)]
            assert any(word in line for line in lines), (names, name, raised.value.why)
        if any(seen(mix, name) for name in meant) and raised.type is KitNotFoundError:
            assert "-s" in raised.value.hint
        for state, word in ((BOOT_MODE, "dbgupgrade"), (HIDDEN, "udev" if sys.platform == "linux" else "plug")):
            assert state not in meant or word in raised.value.hint, (names, raised.value.hint)
    assert mix.written() == written, "looking changes nothing"


def test_each_kind_of_kit_is_chosen_among_all_others_by_its_number(mix: MixedBus) -> None:
    with mix.with_kits(*ALL, foreign=FOREIGN_DEVICES):
        for name, kit_name in HEALTHY.items():
            found = find_kit(mix.serial(name)[-7:])
            assert (found.name, found.serial_number, found.name_given) == (kit_name, mix.serial(name), False)
            assert found.port in (mix[name].pty, mix[name].uart)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (BLANK, KitNotFoundError, ("blank", "AVR-IoT WA", "SAMD21-IoT Wx", "--kit")),
        (NANO, KitNotFoundError, (f"'{NANO_NAME}'", "PIC-IoT WG", "--kit")),
        (IN_USE, AccessError, ("cannot be opened", "program")),
    ],
)
@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "alone"])
def test_one_that_cannot_be_used_says_why(
    mix: MixedBus, name: str, kind: type[ProvisioningError], words: tuple[str, ...], chosen: bool
) -> None:
    with mix.with_kits(name, *([WA, HIDDEN, BOOT_MODE] if chosen else [])), pytest.raises(kind) as raised:
        find_kit(mix.serial(name) if chosen else None)
    assert all(word in str(raised.value) for word in words)
    assert mix.serial(name) in raised.value.what


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hides names")
def test_a_kit_without_rights_alone_is_told_the_rule(mix: MixedBus) -> None:
    for names in ([HIDDEN], [HIDDEN, HIDDEN_TOO]):
        with mix.with_kits(*names), pytest.raises(AccessError) as raised:
            find_kit()
        assert raised.value.hint.count("SUBSYSTEM") == 2


def test_two_kits_with_blank_registers_cannot_be_told_apart(mix: MixedBus) -> None:
    with mix.with_kits(BLANK, BLANK_TOO, WA):
        with pytest.raises(KitNotFoundError, match=BLANK_NUMBER) as raised:
            find_kit(BLANK_NUMBER)
        assert find_kit(mix.serial(WA)).name == "AVR-IoT WA"
    assert "blank" in raised.value.why
    assert "one of them at a time" in raised.value.hint


def test_a_board_that_is_no_kit_is_left_alone_and_named(mix: MixedBus) -> None:
    said: list[str] = []
    with mix.with_kits(NANO, WA, foreign=(ATMEL_ICE,)):
        assert find_kit(notice=said.append).name == "AVR-IoT WA"
    (line,) = said
    assert mix.serial(NANO) in line
    assert NANO_NAME in line


def test_other_debuggers_are_named_where_no_kit_is(mix: MixedBus) -> None:
    with mix.with_kits(foreign=(DAPLINK, ATMEL_ICE, EDBG, PICKIT4, KEYBOARD)):
        with pytest.raises(KitNotFoundError, match="No kit is connected") as raised:
            find_kit()
        assert len(detect_kits().other_probes) == 4
    for words in ("DAPLink CMSIS-DAP (0d28:0204)", "Atmel-ICE CMSIS-DAP (03eb:2141)", "(03eb:2111)", "(03eb:2177)"):
        assert words in raised.value.why
    assert "2ff2" not in raised.value.why


def test_a_kit_without_a_serial_port(mix: MixedBus) -> None:
    for name in HEALTHY:
        mix.process.faults(name, no_serial_port=True)
        try:
            with mix.with_kits(name, BOOT_MODE, foreign=(DAPLINK,)):
                assert find_kit(mix.serial(name)).port is None
        finally:
            mix.process.faults(name, no_serial_port=False)


def test_a_kit_that_another_program_uses_is_listed(mix: MixedBus) -> None:
    with mix.with_kits(WA, PIC), connection(mix.serial(PIC)):
        assert [kit.name for kit in detect_kits().kits] == ["AVR-IoT WA"]
        with pytest.raises(KitNotFoundError, match="2 kits") as raised:
            find_kit()
        assert find_kit(mix.serial(WA)).name == "AVR-IoT WA"
    (line,) = [line for line in raised.value.why.splitlines() if mix.serial(PIC) in line]
    assert "cannot be opened" in line


def test_a_kit_that_is_chosen_leaves_the_others_in_peace(mix: MixedBus) -> None:
    with mix.with_kits(WA, PIC):
        before = mix.process.meters(PIC)["hid_transactions"]
        find_kit(mix.serial(WA))
        assert mix.process.meters(PIC)["hid_transactions"] == before


def run(mix: MixedBus, tmp_path: Path, *arguments: str, code: ExitCode) -> str:
    before = mix.written()
    outcome = run_tool(tmp_path, *arguments)
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    assert mix.written() == before
    return outcome.err


@pytest.mark.parametrize("others", [(WA,), (WA, PIC), (HIDDEN,), (BLANK,), (NANO, IN_USE)])
@pytest.mark.parametrize("actions", [["dbgupgrade"], ["none"], []], ids=lambda actions: " ".join(actions) or "all")
def test_a_mistyped_serial_number_upgrades_no_kit_in_boot_mode(
    mix: MixedBus, tmp_path: Path, others: tuple[str, ...], actions: list[str]
) -> None:
    with mix.with_kits(BOOT_MODE, *others):
        said = run(mix, tmp_path, *actions, "-s", "31415", code=ExitCode.KIT)
        assert kits_in_boot_mode() == 1
    assert "ends in 31415" in said
    assert "in boot mode" in said
    for name in others:
        assert seen(mix, name) in said


def test_the_kit_in_boot_mode_is_not_taken_where_a_healthy_one_may_be_meant(mix: MixedBus, tmp_path: Path) -> None:
    with mix.with_kits(BOOT_MODE, WA):
        for action in ("none", "dbgupgrade", "links"):
            said = run(mix, tmp_path, action, code=ExitCode.KIT)
            assert "2 kits are connected, 1 of them in boot mode" in said
            assert "dbgupgrade finishes" in said
            assert mix.serial(WA) in said
        said = run(mix, tmp_path, "none", "-s", mix.serial(WA)[-5:], code=ExitCode.OK)
        assert "Found AVR-IoT WA" in said


def test_the_tool_says_what_it_leaves_alone(mix: MixedBus, tmp_path: Path) -> None:
    with mix.with_kits(SAM, NANO, foreign=FOREIGN_DEVICES):
        said = run(mix, tmp_path, "none", code=ExitCode.OK)
    assert "Found SAMD21-IoT Wx" in said
    (line,) = [line for line in said.splitlines() if line.startswith("Left alone")]
    assert NANO_NAME in line
