"""Names of a kit that its owner needs elsewhere, kept as files in the kit's folder: the bare name, no line end."""

from __future__ import annotations

import re
from collections.abc import Callable

from iotprovision.boards.program import Program
from iotprovision.findings import Finding, State
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store.folder import Store

ACTION = "provision"
CHIP_SERIAL_NUMBER_FILE = "ecc_serial_number.txt"
AZURE_DEVICE_ID_FILE = "azure-device-id.txt"

CHIP_SERIAL_NUMBER = re.compile(r"[0-9A-F]{18}", re.ASCII)


class NameKept(Step):
    """A file holds a name of the kit.

    :param called: what a person calls the name
    :param name: gives it, None as long as there is none
    :param needs: what must run on the board so that it can be given
    """

    action = ACTION
    about = About.STORE
    proof = "the file is read and compared"

    def __init__(
        self,
        files: Store,
        file: str,
        called: str,
        name: Callable[[], str | None],
        needs: Program | None = None,
    ) -> None:
        self.needs = needs
        self.title = f"{called} in the store"
        self.would = f"write {file}"
        self._files = files
        self._file = file
        self._name = name

    def check(self, progress: Progress) -> Finding:
        name, kept = self._name(), self._files.read(self._file)
        if name is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        if kept is None:
            return Finding(State.MISSING, f"no {self._file}", name)
        if kept != name.encode("ascii"):
            return Finding(State.DIFFERENT, f"another one in {self._file}", name)
        return Finding(State.IN_PLACE, name)

    def apply(self, progress: Progress) -> str:
        name = self._name()
        assert name is not None, "the device certificate is made before this step"
        self._files.write(self._file, name.encode("ascii"))
        return f"kept {name} as {self._file}"


def kept_chip_serial_number(files: Store) -> str | None:
    """The serial number of the secure element that an earlier run kept, 18 hex digits; None where there is none.

    :raises StoreError: the file is there and cannot be read
    """
    text = (files.read(CHIP_SERIAL_NUMBER_FILE) or b"").decode("ascii", "replace").strip().upper()
    return text if CHIP_SERIAL_NUMBER.fullmatch(text) else None
