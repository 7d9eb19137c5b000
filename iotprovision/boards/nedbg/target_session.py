"""A programming session of pymcuprog: the MCU stands still from its start to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pymcuprog.backend import Backend, SessionConfig
from pymcuprog.pymcuprog_errors import PymcuprogDeviceLockedError
from pymcuprog.toolconnection import ToolUsbHidConnection

from iotprovision.boards.nedbg.debugger import SHORT_NAME, other_mcu, vendor_errors
from iotprovision.boards.nedbg.packed_transfers import PackedSamDebugger
from iotprovision.errors import AccessError, ProvisioningError
from iotprovision.firmware.mcu import FLASH, mcu_by_name

# The lowest supply of the MCUs that are programmed with scripts is 2.0 V; without it some tenths are measured.
LOWEST_VOLTS = 1.5
# Bytes that read as zeros where the MCU is protected: an erased instruction is all ones, a program begins with a jump.
FIRST_INSTRUCTIONS = 16


class TargetSession(Protocol):
    """What can be done with an MCU that stands still."""

    def erase(self, area: str | None = None) -> None:
        """Erase the chip, or one memory by its name."""

    def read(self, area: str, offset: int, size: int) -> bytes:
        """Read a memory by its name, from an offset in it."""

    def write(self, area: str, offset: int, data: bytes) -> None:
        """Write to a memory by its name, from an offset in it."""

    def end(self) -> None:
        """Let the MCU run."""

    def abandon(self) -> None:
        """End what can be ended, without raising: another error is on its way."""


class DirectSession:
    """A session in this process.

    :param serial_number: of the debugger
    :param mcu: as pymcuprog spells it
    :param pack: folder of the scripts that the MCU is programmed with, for one that needs them. To start a session with
        scripts changes the modules that Python has loaded: pymcuprog drops those with ``/common/`` in their path
    :param packed: whether as many transfers as fit go into a report, where the MCU is programmed over CMSIS-DAP
    :raises AccessError: the kit or its MCU cannot be reached; the session is ended in any case
    """

    def __init__(self, serial_number: str, mcu: str, pack: Path | None = None, packed: bool = True) -> None:
        self._serial_number = serial_number
        self._pack = pack
        self._backend: Any = Backend()
        try:
            with self._errors():
                self._backend.connect_to_tool(ToolUsbHidConnection(serialnumber=serial_number, tool_name=SHORT_NAME))
            if pack:
                self._check_supply()
            settings = SessionConfig(mcu)
            settings.packpath = str(pack) if pack else None
            with self._errors():
                self._backend.start_session(settings)
            if packed and (target := self._sam()) is not None:
                target.debugger = PackedSamDebugger(target.debugger.transport)
            with self._errors():
                self._refuse_other(mcu, self._backend.read_device_id())
                self._refuse_locked()
            if pack:
                self._check_readable(mcu, pack)
        except BaseException:
            self.abandon()
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with vendor_errors(self._serial_number):
                yield
        except ProvisioningError:
            raise
        except Exception as error:
            if not self._pack:
                raise
            # The scripts raise plain exceptions, and some of their own.
            raise AccessError(
                f"The MCU of kit {self._serial_number} does not answer as it should",
                str(error),
                "check that nothing else is connected to the programming pins.",
            ) from error

    def _refuse_other(self, mcu: str, read: bytes) -> None:
        """pymcuprog compares the signature of an AVR only."""
        expected, found = mcu_by_name(mcu), int.from_bytes(read, "little")
        if found & expected.device_id_mask != expected.device_id:
            raise other_mcu(
                self._serial_number, f"Its device id is 0x{found:X}; that of an {mcu} is 0x{expected.device_id:X}."
            )

    def _sam(self) -> Any:
        """What pymcuprog has for a SAM; None for another MCU."""
        return getattr(self._backend.programmer.device_model, "sam", None)

    def _refuse_locked(self) -> None:
        """A locked SAM lets its identification be read; pymcuprog only logs that nothing else can be."""
        target = self._sam()
        if target is not None and target.is_device_locked():
            raise PymcuprogDeviceLockedError

    def _check_supply(self) -> None:
        with self._errors():
            volts = self._backend.read_target_voltage()
        if volts < LOWEST_VOLTS:
            raise AccessError(
                f"The MCU of kit {self._serial_number} has no power",
                f"The debugger measures {volts:.2f} V at the MCU.",
                "check the jumpers or straps that feed the MCU, and a battery where the kit runs from one.",
            )

    def _check_readable(self, mcu: str, pack: Path) -> None:
        if any(self.read(FLASH, 0, FIRST_INSTRUCTIONS)):
            return
        raise AccessError(
            f"The MCU of kit {self._serial_number} is locked: it lets nobody read it",
            "All of its flash reads as zero. Unlocking erases all it holds: the application. Nothing has been erased.",
            f"pymcuprog erase -d {mcu} -p {pack} -t {SHORT_NAME} -s {self._serial_number}",
        )

    def erase(self, area: str | None = None) -> None:
        """Erase the chip, or one memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        with self._errors():
            self._backend.erase(*([area] if area else []))

    def read(self, area: str, offset: int, size: int) -> bytes:
        """Read a memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        with self._errors():
            (memory,) = self._backend.read_memory(area, offset, size)
        return bytes(memory.data)

    def write(self, area: str, offset: int, data: bytes) -> None:
        """Write to a memory by its name.

        :raises AccessError: the kit cannot be reached
        """
        with self._errors():
            self._backend.write_memory(bytearray(data), area, offset)

    def end(self) -> None:
        """Let the MCU run. Nothing happens when the session was ended before.

        :raises AccessError: the debugger did not take part in ending it
        """
        backend, self._backend = self._backend, None
        if backend is None:
            return
        try:
            with self._errors():
                backend.end_session()
        except BaseException:
            self._backend = backend
            self.abandon()
            raise
        with self._errors():
            backend.disconnect_from_tool()

    def abandon(self) -> None:
        """End what can be ended, without raising."""
        backend, self._backend = self._backend, None
        if backend is None:
            return
        target = backend.programmer.device_model if backend.programmer else None
        backend.session_active = False
        endings: list[Callable[[], None]] = [backend.disconnect_from_tool]
        if target is not None:
            endings.insert(0, target.stop)
        for ending in endings:
            with contextlib.suppress(Exception), self._errors():
                ending()
        with contextlib.suppress(Exception):
            backend.transport.disconnect()


def error_as_values(error: ProvisioningError) -> dict[str, str]:
    """An error in a form that another process can be told."""
    return {"kind": type(error).__name__, "what": error.what, "why": error.why, "hint": error.hint}


def error_of_values(values: dict[str, str]) -> ProvisioningError:
    """What :func:`error_as_values` was given."""
    kinds = {kind.__name__: kind for kind in ProvisioningError.__subclasses__()}
    return kinds.get(values["kind"], AccessError)(values["what"], values["why"], values["hint"])
