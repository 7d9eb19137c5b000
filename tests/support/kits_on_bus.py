"""Two simulated kits in a process of their own, on the bus that the vendor's libraries look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.usb.host import KitAnnouncement, KitProcess, attached, start_kits

WA, WG = "avr-iot-wa", "avr-iot-wg"


@dataclass
class KitsOnBus:
    """An AVR-IoT WA that is plugged in, and an AVR-IoT WG that can be."""

    process: KitProcess
    other_is_plugged_in: bool = True

    @property
    def first(self) -> KitAnnouncement:
        return self.process.kits[0]

    @property
    def other(self) -> KitAnnouncement:
        return self.process.kits[1]

    @property
    def serial(self) -> str:
        return self.first.serial_number

    def transactions(self) -> int:
        """HID transactions of the first kit since it was made."""
        return self.process.meters(WA)["hid_transactions"]

    def faults(self, **values) -> None:
        """Faults of the first kit."""
        self.process.faults(WA, **values)

    def content(self, name: str) -> bytes:
        """A file of the first kit's folder, brought up to date."""
        self.process.save(WA)
        return (self.first.folder / name).read_bytes()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The first kit without the other."""
        self.process.unplug(WG)
        try:
            yield
        finally:
            self.process.plug_in(WG)


@pytest.fixture(scope="module")
def served_kits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitsOnBus]:
    """Both kits, for all tests of a module; use ``kits``."""
    folder: Path = tmp_path_factory.mktemp("kits")
    with start_kits([SimulatedKitName.parse(name) for name in (WA, WG)], folder) as process, attached(folder):
        yield KitsOnBus(process)


@pytest.fixture
def kits(served_kits: KitsOnBus) -> Iterator[KitsOnBus]:
    """Both kits, without any fault at the end of a test."""
    yield served_kits
    nothing = Faults().as_dict()
    assert set(nothing) == {field.name for field in fields(Faults)}
    served_kits.faults(**nothing)
    served_kits.process.plug_in(WA)
