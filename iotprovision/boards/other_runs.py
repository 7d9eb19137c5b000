"""What other runs on this machine are doing with kits, told by the locks they hold: such a kit is not opened."""

from __future__ import annotations

import contextlib
from pathlib import Path

from iotprovision.boards.found import Obstacle, UnreachableKit
from iotprovision.boards.upgrade_turn import upgraded_kit
from iotprovision.errors import LockedError, StoreError, UsageError
from iotprovision.store.folder import Store


class OtherRuns:
    """Asks for locks only; nothing is made or written. To be asked before this run locks its own kit.

    :param store: with a folder a kit, which a run on the kit locks; None where there is none
    :param upgrade_lock: the file that a run locks while it upgrades a debugger; None where there is none
    """

    def __init__(self, store: Store | None = None, upgrade_lock: Path | None = None) -> None:
        self._store = store
        self._upgrade_lock = upgrade_lock

    def use(self, serial_number: str) -> bool:
        """Whether another run is using a kit."""
        if self._store is None:
            return False
        with contextlib.suppress(UsageError):  # no run can lock a kit whose serial number cannot name a folder
            if self._store.for_kit(serial_number).is_locked():
                return True
        return self.upgraded_kit() == serial_number

    def kits_in_use(self) -> list[str]:
        """The serial numbers of all kits that other runs are using, connected or not."""
        if self._store is None:
            return []
        with contextlib.suppress(StoreError):
            return [files.folder.name for files in self._store.kits() if files.is_locked()]
        return []

    def upgraded_kit(self) -> str | None:
        """The serial number of the kit whose debugger another run is upgrading now.

        :returns: empty where the run does not know it; None where there is no such run
        """
        return None if self._upgrade_lock is None else upgraded_kit(self._upgrade_lock)


NO_OTHER_RUNS = OtherRuns()
"""For who has locked the kit, and for who knows of no store."""


def busy_kit(serial_number: str, port: str | None = None, name: str = "") -> UnreachableKit:
    """A kit that another run is using.

    :param port, name: as of UnreachableKit
    """
    reason = LockedError(
        f"Another run is using kit {serial_number}",
        "It was not opened: two at once would mix what the kit answers.",
        "wait until the other run has ended",
    )
    return UnreachableKit(serial_number, Obstacle.BUSY, reason, port, name)
