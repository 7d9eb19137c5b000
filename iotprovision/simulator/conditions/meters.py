"""What a simulated kit was asked to do, counted, so that the cost of a run is exact on a noisy machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from threading import Lock


@dataclass
class Meters:
    """Counters of one kit since it was factory-fresh; ``meters.json`` in the kit's folder holds the same names."""

    hid_transactions: int = 0
    dfu_transfers: int = 0
    uart_bytes_to_kit: int = 0
    uart_bytes_from_kit: int = 0
    uart_bytes_discarded: int = 0
    target_flash_erases: int = 0
    target_flash_page_writes: int = 0
    winc_sector_erases: int = 0
    winc_page_writes: int = 0
    modem_writes: int = 0
    secure_element_writes: int = 0
    secure_element_locks: int = 0
    register_writes: int = 0
    debugger_reboots: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()

    def count(self, name: str, amount: int = 1) -> None:
        """Add to one counter; safe from any thread.

        :raises AttributeError: there is no counter of that name
        """
        with self._lock:
            setattr(self, name, getattr(self, name) + amount)

    def as_dict(self) -> dict[str, int]:
        """Every counter by its name."""
        with self._lock:
            return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, int]) -> Meters:
        """Counters saved earlier; names that are not known are left out, missing ones are 0."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: int(value) for name, value in values.items() if name in known})
