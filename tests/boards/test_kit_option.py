"""``--kit``: a kit that does not say which it is; and what an MCU must be before anything is done to its kit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.mixed_bus import BLANK_NUMBER, erase_registers, set_register
from support.running import Outcome, run_tool

from iotprovision.boards.catalogue import kits as catalogue
from iotprovision.errors import ExitCode
from iotprovision.simulator.debugger.board_config import DEVNAME, KITNAME
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import KitState
from iotprovision.simulator.usb.host import KitProcess, attached, start_kits

WG, PIC, SAM, CELLULAR = BLANK_KITS = ("avr-iot-wg", "pic-iot-wg", "sam-iot-wx", "avr-iot-cellular-mini")
NEWER, NEWER_NAME = "avr-iot-wa", "AVR-IoT XX"
CONTRADICTION = "pic-iot-wa"  # its registers name a known kit and the MCU of another
HEALTHY = "avr-iot-wg#2"
ALL = (*BLANK_KITS, NEWER, CONTRADICTION, HEALTHY)
WRITES = (
    "dfu_transfers",
    "debugger_reboots",
    "register_writes",
    "target_flash_erases",
    "target_flash_page_writes",
    "winc_sector_erases",
    "secure_element_writes",
)
# Device ids of neighbours: ATmega4809, AVR128DA48, PIC24FJ256GA705, ATSAMD21J18A (their data sheets)
NEIGHBOURS = {WG: 0x1E9651, CELLULAR: 0x1E9708, PIC: 0x750F, SAM: 0x10010300}


class Desk:
    """Kits of which one is connected at a time, and a store."""

    def __init__(self, process: KitProcess, home: Path) -> None:
        self.process = process
        self.home = home

    @contextmanager
    def with_kit(self, name: str) -> Iterator[None]:
        self.process.plug_in(name)
        try:
            yield
        finally:
            self.process.unplug(name)

    def run(self, name: str, *arguments: str, **faults: object) -> Outcome:
        self.process.faults(name, **faults)
        try:
            with self.with_kit(name):
                outcome = run_tool(self.home, *arguments)
        finally:
            self.process.faults(name, **{fault: None if fault == "target_device_id" else False for fault in faults})
        assert "Traceback" not in outcome.err
        return outcome

    def refused(self, name: str, code: ExitCode, *arguments: str, **faults: object) -> str:
        """What is said by a run that must fail and leave everything as it is."""
        before, store = self.written(name), self.in_store()
        outcome = self.run(name, *arguments, **faults)
        assert outcome.code == code, outcome.err
        assert (self.written(name), self.in_store()) == (before, store)
        return outcome.err

    def written(self, name: str) -> list[int]:
        counted = self.process.meters(name)
        return [counted[counter] for counter in WRITES]

    def in_store(self) -> set[str]:
        return {file.name for file in self.home.rglob("*") if file.suffix in (".crt", ".key", ".hex", ".bin")}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("bus")
    names = [SimulatedKitName.parse(name) for name in ALL]
    for name in names:
        KitState.load_or_create(folder, name)
    for blank in BLANK_KITS:
        erase_registers(folder / blank)
    set_register(folder / NEWER, KITNAME, NEWER_NAME)
    set_register(folder / CONTRADICTION, DEVNAME, "ATmega4808")
    with start_kits(names, folder) as process, attached(folder):
        for name in ALL:
            process.unplug(name)
        yield Desk(process, tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(("name", "spelling"), [(WG, "AVR-IoT WG"), (PIC, "pic-iot-wa"), (SAM, "samd21-iot wg")])
def test_a_blank_kit_is_taken_for_what_it_is_called(desk: Desk, name: str, spelling: str) -> None:
    before = desk.written(name)
    outcome = desk.run(name, "none", "--kit", spelling, "--json")
    assert outcome.code == ExitCode.OK, outcome.err
    kit = outcome.document["kit"]
    assert kit["name"].lower().replace(" ", "-") == spelling.lower().replace(" ", "-")
    assert kit["serial_number"] == BLANK_NUMBER
    assert desk.written(name) == before


@pytest.mark.parametrize("name", BLANK_KITS)
def test_a_kit_is_only_taken_for_one_with_its_mcu(desk: Desk, name: str) -> None:
    mcu = SimulatedKitName.parse(name).kind.part.name.lower()
    others = {kit.mcu: kit.name for kit in catalogue() if kit.mcu != mcu}
    assert len(others) == len({kit.mcu for kit in catalogue()}) - 1
    for other in others.values():
        for actions in (["none"], ["dbgupgrade", "provision"]):
            said = desk.refused(name, ExitCode.ACCESS, *actions, "--kit", other)
            assert BLANK_NUMBER in said


def test_what_a_kit_with_a_newer_name_is_taken_for(desk: Desk) -> None:
    said = desk.refused(NEWER, ExitCode.KIT, "none")
    assert f"'{NEWER_NAME}'" in said
    assert all(kit.name in said for kit in catalogue())
    assert "--kit" in said
    outcome = desk.run(NEWER, "none", "--kit", "avr-iot-wa")
    assert outcome.code == ExitCode.OK
    assert "Found AVR-IoT WA" in outcome.err
    # The registers say which MCU the debugger is set up for, so a wrong name is noticed without one session.
    said = desk.refused(NEWER, ExitCode.KIT, "dbgupgrade", "provision", "--kit", "PIC-IoT WG")
    assert "ATmega4808" in said
    assert "pic24fj128ga705" in said


def test_registers_that_contradict_each_other(desk: Desk) -> None:
    assert "set up for another MCU" in desk.refused(CONTRADICTION, ExitCode.KIT, "dbgupgrade", "provision")


def test_a_kit_that_says_what_it_is_is_not_taken_for_another(desk: Desk) -> None:
    said = desk.refused(HEALTHY, ExitCode.KIT, "dbgupgrade", "provision", "--kit", "AVR-IoT WA")
    assert "calls itself AVR-IoT WG" in said
    assert "leave out --kit" in said
    assert desk.run(HEALTHY, "none", "--kit", "AVR-IoT WG").code == ExitCode.OK


def test_a_name_that_no_kit_has(desk: Desk) -> None:
    said = desk.refused(WG, ExitCode.USAGE, "dbgupgrade", "provision", "--kit", "AVR-IoT XY")
    assert all(kit.name in said for kit in catalogue())


def test_links_need_registers(desk: Desk) -> None:
    said = desk.refused(WG, ExitCode.ACCESS, "dbgupgrade", "provision", "links", "--kit", "avr-iot-wg")
    assert "blank" in said
    assert "pydebuggerconfig" in said


def test_a_blank_kit_is_provisioned(tmp_path: Path) -> None:
    folder = tmp_path / "simulator"
    KitState.load_or_create(folder, SimulatedKitName.parse(WG))
    erase_registers(folder / WG)
    job = ("--simulate", WG, "-c", "aws", "-m", "mar", "dbgupgrade", "certs", "provision", "application", "--json")
    assert run_tool(tmp_path, *job).code == ExitCode.KIT
    outcome = run_tool(tmp_path, *job, "--kit", WG)
    assert outcome.code == ExitCode.OK, outcome.err
    done = {step["title"]: step["done"] for step in outcome.document["steps"]}
    assert done["Debugger firmware"].startswith("wrote")
    assert "accepted as" in done["First connection"]


# --- commands


def test_status_and_doctor_take_a_blank_kit_for_what_it_is_called(desk: Desk) -> None:
    (kit,) = desk.run(WG, "status", "--kit", "avr-iot-wg", "--json").document["kits"]
    assert (kit["name"], kit["serial_number"]) == ("AVR-IoT WG", BLANK_NUMBER)
    (kit,) = desk.run(WG, "status", "--json").document["kits"]
    assert kit["obstacle"] == "blank"
    found = desk.run(WG, "doctor", "--kit", "avr-iot-wg", "--json").document["findings"]
    assert "kit-unknown" not in {finding["id"] for finding in found}
    found = desk.run(WG, "doctor", "--json").document["findings"]
    assert "kit-unknown" in {finding["id"] for finding in found}


@pytest.mark.parametrize("name", [WG, PIC])
@pytest.mark.parametrize(
    "command", [("status", "--deep"), ("restore",), ("rootcerts", "--rrc", "factory"), ("unprovision", "--yes")]
)
def test_a_command_works_on_a_kit_only_with_the_mcu_it_is_said_to_have(
    desk: Desk, name: str, command: tuple[str, ...]
) -> None:
    said = desk.refused(name, ExitCode.ACCESS, *command, "--kit", "samd21-iot-wg")
    assert "has not proved to be SAMD21-IoT WG" in said


# --- the MCU


@pytest.mark.parametrize("name", BLANK_KITS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"target_locked": True}, ("is locked", "erases all it holds", "pymcuprog erase", BLANK_NUMBER)),
        ({"target_unpowered": True}, ("has no power", "jumpers")),
        ({"target_device_id": 0}, ("does not meet the MCU", "device id", "Nothing was written")),
    ],
    ids=["locked", "unpowered", "other device id"],
)
def test_an_mcu_that_cannot_be_programmed_stops_a_run_before_anything_is_written(
    desk: Desk, name: str, fault: dict[str, object], words: tuple[str, ...]
) -> None:
    if "target_device_id" in fault:
        fault = {"target_device_id": NEIGHBOURS[name]}
        words = (*words, f"{NEIGHBOURS[name]:X}")
    kit = SimulatedKitName.parse(name).kind.register_name
    said = desk.refused(name, ExitCode.ACCESS, "dbgupgrade", "certs", "provision", "--kit", kit, **fault)
    for word in words:
        assert word.lower() in said.lower()


def test_another_revision_of_the_mcu_is_as_good(desk: Desk) -> None:
    assert desk.run(SAM, "none", "--kit", "samd21-iot-wx", target_device_id=0x10011405).code == ExitCode.OK
