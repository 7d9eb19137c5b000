"""Finding kits by their debugger, with the vendor's USB library on simulated kits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from pydebuggerconfig.backend import Backend
from pyedbglib.hidtransport import cyhidapi
from serial.tools import list_ports

from iotprovision.boards.finding import find_kit
from iotprovision.boards.nedbg.debugger import connection
from iotprovision.boards.nedbg.detection import detect_kits, find_again
from iotprovision.errors import AccessError, ExitCode, KitNotFoundError
from iotprovision.simulator.usb.host import attached

if TYPE_CHECKING:
    from support.kits_on_bus import KitsOnBus

pytest_plugins = ["support.kits_on_bus"]

NEDBG = {"vendor_id": 0x03EB, "product_id": 0x2175, "manufacturer_string": "", "path": b"9-9:1.0"}


def add_to_bus(monkeypatch: pytest.MonkeyPatch, *entries: dict) -> None:
    """More devices, which only show themselves in the listing of USB."""
    kits_on_bus = cyhidapi.hid.enumerate

    monkeypatch.setattr(cyhidapi.hid, "enumerate", lambda *wanted: [*kits_on_bus(*wanted), *entries])


def test_a_kit_is_found_with_all_that_is_said_about_it(kits: KitsOnBus) -> None:
    before = kits.transactions()
    with kits.alone():
        found = find_kit()
    assert found.serial_number == kits.serial
    assert (found.name, found.kit.mcu, found.mcu) == ("AVR-IoT WA", "atmega4808", "ATmega4808")
    assert found.debugger_version == "1.22.73"
    assert found.port in (kits.first.pty, kits.first.uart)
    assert kits.transactions() - before <= 13


def test_all_kits_are_listed(kits: KitsOnBus) -> None:
    assert {(found.serial_number, found.name) for found in detect_kits().kits} == {
        (kits.first.serial_number, "AVR-IoT WA"),
        (kits.other.serial_number, "AVR-IoT WG"),
    }


def test_no_kit(tmp_path) -> None:
    with attached(tmp_path), pytest.raises(KitNotFoundError, match="No kit is connected") as raised:
        find_kit()
    assert raised.value.exit_code == ExitCode.KIT
    assert "cable" in raised.value.hint


def test_several_kits_are_listed_when_none_was_chosen(kits: KitsOnBus) -> None:
    with pytest.raises(KitNotFoundError, match="2 kits") as raised:
        find_kit()
    lines = raised.value.why.splitlines()
    for kit, name in ((kits.first, "AVR-IoT WA"), (kits.other, "AVR-IoT WG")):
        (line,) = [line for line in lines if kit.serial_number in line]
        assert name in line
        assert (kit.pty or kit.uart) in line
    assert "-s" in raised.value.hint


def test_one_of_several_kits_that_may_not_be_opened_is_listed_all_the_same(kits: KitsOnBus) -> None:
    kits.faults(hid_open_denied=True)
    with pytest.raises(KitNotFoundError, match="2 kits") as raised:
        find_kit()
    (line,) = [line for line in raised.value.why.splitlines() if kits.serial in line]
    assert "cannot be opened" in line


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda serial: serial[-6:].lower()])
def test_a_kit_is_chosen_by_the_end_of_its_serial_number(kits: KitsOnBus, change) -> None:
    assert find_kit(change(kits.serial)).serial_number == kits.serial
    assert find_kit(change(kits.other.serial_number)).name == "AVR-IoT WG"


def test_a_serial_number_that_no_kit_has(kits: KitsOnBus) -> None:
    with pytest.raises(KitNotFoundError, match="XYZ") as raised:
        find_kit("XYZ")
    assert kits.serial in raised.value.why


def test_a_kit_that_may_not_be_opened(kits: KitsOnBus, capfd) -> None:
    kits.faults(hid_open_denied=True)
    with kits.alone(), pytest.raises(AccessError, match=kits.serial) as raised:
        find_kit()
    assert raised.value.exit_code == ExitCode.ACCESS
    if sys.platform.startswith("linux"):
        rules = [line for line in raised.value.hint.splitlines() if line.startswith("SUBSYSTEM")]
        assert [('ATTR{idVendor}=="03eb"' in rule, 'TAG+="uaccess"' in rule) for rule in rules] == [(True, True)] * 2
        assert ['"2175"' in rules[0], '"2fc0"' in rules[1]] == [True, True]
    assert capfd.readouterr() == ("", ""), "the vendor's libraries are quiet"


def test_a_kit_whose_names_linux_hides(tmp_path, monkeypatch) -> None:
    with attached(tmp_path):
        add_to_bus(monkeypatch, {**NEDBG, "serial_number": "", "product_string": ""})
        with pytest.raises(AccessError, match="cannot be opened"):
            find_kit()


@pytest.mark.parametrize(
    "foreign",
    [
        {"vendor_id": 0x0D28, "product_id": 0x0204, "serial_number": "0700", "product_string": "DAPLink CMSIS-DAP"},
        {"vendor_id": 0x03EB, "product_id": 0x2111, "serial_number": "ATML1", "product_string": "EDBG CMSIS-DAP"},
        {"vendor_id": 0x046D, "product_id": 0xC31C, "serial_number": None, "product_string": None},
    ],
    ids=["daplink", "edbg", "keyboard"],
)
def test_other_devices_are_ignored(kits: KitsOnBus, monkeypatch, foreign: dict) -> None:
    # pyedbglib itself looks for its name in the product string of every device of this vendor.
    add_to_bus(monkeypatch, {"manufacturer_string": "Somebody", "path": b"9-9:1.0", **foreign})
    with kits.alone():
        assert find_kit().serial_number == kits.serial


def test_a_kit_that_is_not_in_the_catalogue(kits: KitsOnBus) -> None:
    Backend(kits.serial).replace({"KITNAME": "AVR-IoT XX"})
    try:
        with pytest.raises(KitNotFoundError, match="'AVR-IoT XX'") as raised:
            find_kit(kits.serial)
        assert "AVR-IoT WA" in raised.value.why
    finally:
        Backend(kits.serial).replace({"KITNAME": "AVR-IoT WA"})


def test_a_kit_without_a_serial_port(kits: KitsOnBus, monkeypatch) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: [])
    assert find_kit(kits.serial).port is None


def test_a_port_that_was_named_is_taken(kits: KitsOnBus) -> None:
    assert find_kit(kits.serial, port="socket://127.0.0.1:7000").port == "socket://127.0.0.1:7000"


def test_a_kit_that_another_program_uses(kits: KitsOnBus) -> None:
    with connection(kits.serial), pytest.raises(AccessError, match="cannot be opened"):
        find_kit(kits.serial)
    assert find_kit(kits.serial).name == "AVR-IoT WA"


def test_a_kit_that_is_unplugged_while_it_is_asked(kits: KitsOnBus) -> None:
    kits.faults(unplug_after_transactions=5)
    with pytest.raises(AccessError, match="broke") as raised:
        find_kit(kits.serial)
    assert "cable" in raised.value.hint


def test_a_debugger_that_answers_nonsense(kits: KitsOnBus) -> None:
    for number in range(13):
        kits.faults(hid_answer_garbage_after_transactions=number)
        with pytest.raises((AccessError, KitNotFoundError)):
            find_kit(kits.serial)
    assert find_kit(kits.serial).name == "AVR-IoT WA"


def test_a_kit_that_was_found_is_found_again_with_what_has_changed(kits: KitsOnBus, monkeypatch) -> None:
    found = find_kit(kits.serial)
    assert find_again(found) == found
    assert find_again(found, "socket://127.0.0.1:7000").port == "socket://127.0.0.1:7000"
    monkeypatch.setattr(list_ports, "comports", lambda: [])
    assert find_again(found).port is None


def test_looking_for_a_kit_that_has_gone_opens_no_other(kits: KitsOnBus) -> None:
    found = find_kit(kits.other.serial_number)
    before = kits.transactions()
    with kits.alone(), pytest.raises(KitNotFoundError, match=f"{kits.other.serial_number} is not connected"):
        find_again(found)
    assert kits.transactions() == before
