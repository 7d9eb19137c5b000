"""A SAM programmed with several transfers in a report: fewer reports, the same flash, every fault told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from pyedbglib.protocols.cmsisdap import CmsisDapSamDebugger
from pyedbglib.pyedbglib_errors import PyedbglibError
from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.toolconnection import ToolUsbHidConnection
from support.firmware_images import hex_image, image_path
from support.running import meters, run_tool
from support.simulated import kits_on_the_bus

from iotprovision.boards.nedbg.packed_transfers import PackedSamDebugger
from iotprovision.boards.nedbg.programming import TargetProgrammer
from iotprovision.errors import ProofError
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.usb.host import KitProcess

KIT, MCU = "sam-iot-wg", "atsamd21g18a"
PROVISIONING = "sam-iot-wg-provisioning"
FLASH, FLASH_SIZE, NOWHERE = 0, 0x40000, 0x30000000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitProcess]:
    with kits_on_the_bus(tmp_path_factory.mktemp("kits"), KIT) as kits:
        yield kits


@pytest.fixture
def kits(served: KitProcess) -> Iterator[KitProcess]:
    yield served
    served.faults(**Faults().as_dict())


@pytest.fixture
def debugger(kits: KitProcess) -> Iterator[PackedSamDebugger]:
    """Behind a session of the vendor's program, which has made the connection."""
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=kits.kits[0].serial_number, tool_name="nedbg"))
    backend.start_session(SessionConfig(MCU))
    yield PackedSamDebugger(backend.programmer.device_model.sam.debugger.transport)
    backend.end_session()
    backend.disconnect_from_tool()


def flash_of(kits: KitProcess) -> bytes:
    kits.save()
    return (kits.kits[0].folder / "flash.bin").read_bytes()


def cost(kits: KitProcess, packed: bool) -> int:
    """Transactions of erasing, programming and verifying the provisioning image."""
    image = hex_image(PROVISIONING)
    before = kits.meters()["hid_transactions"]
    with TargetProgrammer(kits.kits[0].serial_number, MCU, packed=packed) as target:
        target.program(image)
        target.verify(image)
    assert flash_of(kits) == image.flash.ljust(FLASH_SIZE, b"\xff")
    return kits.meters()["hid_transactions"] - before


def cost_with_pymcuprog(kits: KitProcess) -> int:
    """The same without any code of ours."""
    path = str(image_path(PROVISIONING))
    before = kits.meters()["hid_transactions"]
    backend = Backend()
    backend.connect_to_tool(ToolUsbHidConnection(serialnumber=kits.kits[0].serial_number, tool_name="nedbg"))
    backend.start_session(SessionConfig(MCU))
    backend.erase()
    backend.write_hex_to_target(path)
    assert backend.verify_hex(path)
    backend.end_session()
    backend.disconnect_from_tool()
    return kits.meters()["hid_transactions"] - before


def test_program_and_verify_take_at_most_60_percent_of_what_the_vendors_library_needs(kits: KitProcess) -> None:
    vendor = cost_with_pymcuprog(kits)
    assert cost(kits, packed=True) <= 0.6 * vendor
    assert cost(kits, packed=False) >= vendor, "switched off, the library does it its own way"


def test_the_option_reaches_the_debugger(tmp_path: Path) -> None:
    counted = []
    for options in ((), ("--no-packed-reports",)):
        home = tmp_path / str(len(options))
        outcome = run_tool(home, "--simulate", KIT, "-c", "azure", "application", *options, "--json")
        assert outcome.code == 0, outcome.err
        counted.append(meters(home, KIT)["hid_transactions"])
    assert counted[0] < 0.6 * counted[1]


def test_the_verify_is_a_read_back(kits: KitProcess) -> None:
    """A bit that flips in a page somewhere in the middle is found where it is."""
    image = hex_image(PROVISIONING)
    kits.faults(target_flip_after_writes=1000)
    with TargetProgrammer(kits.kits[0].serial_number, MCU) as target:
        target.program(image)
        with pytest.raises(ProofError, match=f"flash 0x{1000 * 64:04X}"):
            target.verify(image)


@pytest.mark.parametrize(
    ("address", "size"),
    [(0x400, 0x400), (0x3FC, 8), (0x3C4, 60), (0x7F0, 0x820), (0x100, 4), (0x1000, 1536), (0x13FC, 4), (0x7FC, 0x408)],
)
def test_an_address_that_wraps_after_1_kib(address: int, size: int, debugger: PackedSamDebugger) -> None:
    """The same place with the vendor's class, on either side."""
    vendor = CmsisDapSamDebugger(debugger.transport)
    assert debugger.read_block(address, size) == vendor.read_block(address, size)
    assert debugger.read_word(address) == vendor.read_word(address)


def test_what_is_written_across_1_kib_arrives(debugger: PackedSamDebugger) -> None:
    """Whole pages, as pymcuprog writes them; 0x3C0 is one whose next has another block of addresses."""
    debugger.write_word(0x41004004, 0)
    data = Random(5).randbytes(0x500)
    before = debugger.read_block(0x3C0, len(data))
    debugger.write_block(0x3C0, data)
    expected = bytes(old & new for old, new in zip(before, data, strict=True))
    assert debugger.read_block(0x3C0, len(data)) == expected


def test_a_fault_is_told_wherever_it_is(debugger: PackedSamDebugger) -> None:
    def clear() -> None:
        debugger.dap_target_init()

    for access in (
        lambda: debugger.read_word(NOWHERE),
        lambda: debugger.write_word(NOWHERE, 0),
        lambda: debugger.read_block(NOWHERE, 512),
        lambda: debugger.write_block(NOWHERE, bytes(256)),
        # The end of the flash in the middle of a report.
        lambda: debugger.read_block(FLASH_SIZE - 32, 256),
    ):
        with pytest.raises(PyedbglibError, match="acknowledge 0x04"):
            access()
        clear()
    assert len(debugger.read_block(FLASH, 256)) == 256, "and it goes on"


def test_a_fault_in_a_later_block_is_told(debugger: PackedSamDebugger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sticky error that appears behind the first report: the vendor's class does not look at these answers."""
    exchange = PackedSamDebugger._exchange

    def fault_before_a_block(self: PackedSamDebugger, command: bytes) -> bytes:
        if command[0] == self.ID_DAP_TransferBlock:
            vendor = CmsisDapSamDebugger(self.transport)
            with pytest.raises(PyedbglibError):
                vendor.read_word(NOWHERE)
        return exchange(self, command)

    monkeypatch.setattr(PackedSamDebugger, "_exchange", fault_before_a_block)
    with pytest.raises(PyedbglibError, match="Transfer 0 of 14 failed"):
        debugger.write_block(0x2000, bytes(256))
    debugger.dap_target_init()
