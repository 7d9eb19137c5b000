"""A whole simulated kit: board, debugger, target, serial port and state, and its presence on the bus."""

from __future__ import annotations

import logging
import threading
import time
from importlib import import_module
from typing import Any

from iotprovision.errors import StoreError, UsageError
from iotprovision.simulator.board.board import Board, Microcontroller, MicrocontrollerFactory
from iotprovision.simulator.debugger import boot_loader, debugger_flash, nedbg
from iotprovision.simulator.debugger.boot_loader import BootLoader
from iotprovision.simulator.debugger.drive import write_drive
from iotprovision.simulator.debugger.nedbg import Nedbg
from iotprovision.simulator.debugger.serial_bridge import SerialBridge
from iotprovision.simulator.kit.kinds import SimulatedKitName
from iotprovision.simulator.kit.state import KitState

logger = logging.getLogger(__name__)

RESTART_SECONDS = 0.2  # a real debugger is away from the bus for about a second
IDLE_SECONDS = 0.5  # a pause that long, and what has changed is saved
GARBAGE = b"\xa5" * nedbg.REPORT_SIZE


class NotOnBus(Exception):  # noqa: N818
    """The kit has left the bus: unplugged, or its debugger restarts."""


class OpenFailed(Exception):  # noqa: N818
    """The USB device is open already, or access is denied."""


def microcontroller_factory(name: SimulatedKitName) -> MicrocontrollerFactory:
    """What stands for the MCU of this kit.

    :raises UsageError: it is to be emulated, and the emulator is not installed
    """
    if not name.emulated:
        from iotprovision.simulator.models.modelled_mcu import ModelledMcu

        return ModelledMcu
    module, _, factory = name.kind.family.emulator.partition(":")
    try:
        emulator: MicrocontrollerFactory = getattr(import_module(module), factory)
    except ImportError as error:
        raise UsageError(
            f"The microcontroller of {name.text} cannot be emulated",
            f"the emulator is not installed ({error})",
            "pip install '.[emulator]' (needs a C++ compiler), or use the modelled kit: " + name.text.split("@")[0],
        ) from error
    return emulator


class SimulatedKit:
    """One kit. Every method may be called from any thread.

    :param make_microcontroller: called once with the board and where its UART goes
    """

    def __init__(self, state: KitState, make_microcontroller: MicrocontrollerFactory) -> None:
        self.state = state
        self.lock = threading.RLock()
        self._owner: object | None = None
        self._plugged_in = True
        self._back_at = 0.0
        self._closing = threading.Event()
        self._work_for_saver = threading.Event()
        self._save_now = False
        self._last_used = 0.0
        self._writing = threading.Lock()
        self._bridge = SerialBridge(self)
        self._microcontroller = make_microcontroller(self.board, self._bridge.transmit)
        kind = state.name.kind
        self._target = kind.family.target(self.board, kind.part, self._microcontroller)
        self._debugger: Nedbg | BootLoader = self._start_debugger()
        self._saver = threading.Thread(target=self._save_when_idle, name="saver", daemon=True)
        self._saver.start()
        self._microcontroller.start()

    @property
    def board(self) -> Board:
        """The parts of the kit."""
        return self.state.board

    @property
    def microcontroller(self) -> Microcontroller:
        """What stands for the MCU."""
        return self._microcontroller

    @property
    def baud_rate(self) -> int | None:
        """What the UART of the MCU uses now, None while nothing runs."""
        return self._microcontroller.baud_rate

    def receive(self, data: bytes) -> None:
        """Bytes from the host at the serial port."""
        faults = self.board.faults
        with self.lock:
            loss = faults.power_loss_after_uart_bytes
            if loss is not None:
                faults.power_loss_after_uart_bytes = loss - len(data) if loss > len(data) else None
            if not faults.target_unpowered:
                self._microcontroller.receive(data[:loss])
            self._touch()
            if loss is not None and loss <= len(data):
                self.unplug()

    def _start_debugger(self, upgrade_wanted: bool = False) -> Nedbg | BootLoader:
        state = self.state
        if upgrade_wanted or not debugger_flash.is_whole(state.debugger_flash):
            return BootLoader(state.debugger_flash)
        write_drive(state.folder / "drive", state.registers, state.debugger_version)
        return Nedbg(state.registers, self._target, state.debugger_version, self.board.meters, self._session_ended)

    @property
    def present(self) -> bool:
        """Whether the kit is on the bus now."""
        return self._plugged_in and time.monotonic() >= self._back_at

    @property
    def in_boot_mode(self) -> bool:
        """Whether the debugger is its boot loader: no HID, no serial port, no serial number."""
        return isinstance(self._debugger, BootLoader)

    @property
    def has_serial_port(self) -> bool:
        """Whether the kit is on the bus, and not as its boot loader."""
        return self.present and not self.in_boot_mode

    def describe(self) -> dict[str, Any]:
        """What an enumeration of the bus finds, as plain values."""
        with self.lock:
            return {
                "present": self.present,
                "boot_mode": self.in_boot_mode,
                "readable": not self.board.faults.usb_access_denied,
                "kit": self.state.name.text,
                "vendor_id": nedbg.VENDOR_ID,
                "product_id": boot_loader.PRODUCT_ID if self.in_boot_mode else nedbg.PRODUCT_ID,
                "release": nedbg.RELEASE,
                "manufacturer": nedbg.MANUFACTURER,
                "product": nedbg.PRODUCT,
                "serial_number": self._serial_number,
                "usb_address": f"1-{self.state.usb_port}",
                "path": f"1-{self.state.usb_port}:1.0",
                "uart": self._bridge.url,
                "pty": self._bridge.terminal_path,
                "port": None if self.board.faults.no_serial_port else self._bridge.terminal_path or self._bridge.url,
                "folder": str(self.state.folder),
            }

    @property
    def _serial_number(self) -> str:
        return self._debugger.serial_number if isinstance(self._debugger, Nedbg) else self.state.registers.serial_number

    def open_usb(self, owner: object) -> None:
        """Give the HID, or the boot loader, to one owner.

        :raises OpenFailed: it has one already, or the fault says so
        :raises NotOnBus: the kit is away
        """
        with self.lock:
            if not self.present:
                raise NotOnBus
            faults = self.board.faults
            if faults.hid_open_denied or faults.usb_access_denied or self._owner is not None:
                raise OpenFailed
            self._owner = owner
            if isinstance(self._debugger, Nedbg):
                self._debugger.opened()

    def close_usb(self, owner: object) -> None:
        """The owner gives it back; nothing happens when it has lost it already."""
        with self.lock:
            if self._owner is owner:
                self._owner = None

    def exchange(self, owner: object, report: bytes) -> bytes:
        """One report from the host, answered.

        :raises NotOnBus: the kit has left the bus since the owner opened it
        """
        faults = self.board.faults
        with self.lock:
            if faults.unplug_after_transactions is not None and faults.strikes("unplug_after_transactions"):
                self.unplug()
            debugger = self._debugger
            if self._owner is not owner or not self.present or not isinstance(debugger, Nedbg):
                raise NotOnBus
            self.board.meters.count("hid_transactions")
            answer = debugger.exchange(report)
            if debugger.restart_due:
                self._restart_debugger(debugger.upgrade_wanted)
            self._touch()
        if faults.hid_answer_delay:
            self._closing.wait(faults.hid_answer_delay)
        if faults.hid_answer_garbage_after_transactions is not None and faults.strikes(
            "hid_answer_garbage_after_transactions"
        ):
            return GARBAGE
        return answer

    def transfer(self, owner: object, request_type: int, request: int, data: bytes, length: int) -> bytes:
        """One control transfer to the boot loader.

        :raises NotOnBus: the boot loader has left the bus since the owner opened it
        :raises Stalled: there is no such request
        """
        with self.lock:
            loader = self._debugger
            if self._owner is not owner or not self.present or not isinstance(loader, BootLoader):
                raise NotOnBus
            self.board.meters.count("dfu_transfers")
            if self.board.faults.strikes("power_loss_after_dfu_transfers"):
                loader.lose_power(request_type, request, data)
                self.unplug()
                raise NotOnBus
            answer = loader.transfer(request_type, request, data, length)
            if loader.restart_due:
                self._restart_debugger()
            self._touch()
        return answer

    def _restart_debugger(self, upgrade_wanted: bool = False) -> None:
        self.board.meters.count("debugger_reboots")
        self._leave_bus()
        self._back_at = time.monotonic() + RESTART_SECONDS
        self._debugger = self._start_debugger(upgrade_wanted)
        self._microcontroller.start()

    def _leave_bus(self) -> None:
        self._owner = None
        self._bridge.hang_up()
        self._target.end_session()

    def unplug(self) -> None:
        """Pull the cable: the kit is off the bus and without power until :meth:`plug_in`."""
        with self.lock:
            if self._plugged_in:
                self._plugged_in = False
                self._leave_bus()
                self._microcontroller.stop()
                self._session_ended()

    def plug_in(self) -> None:
        """Put the cable back: debugger and MCU start."""
        with self.lock:
            if not self._plugged_in:
                self._plugged_in = True
                self._debugger = self._start_debugger()
                self._microcontroller.start()

    def set_faults(self, values: dict[str, Any]) -> dict[str, Any]:
        """Set faults by name; gives them all.

        :raises ValueError: there is no fault of that name
        """
        faults = self.board.faults
        with self.lock:
            had_power = not faults.target_unpowered
            faults.update(values)
            if had_power and faults.target_unpowered:
                self._microcontroller.stop()
            elif not had_power and not faults.target_unpowered:
                self._microcontroller.start()
            return faults.as_dict()

    def _session_ended(self) -> None:
        self._save_now = True
        self._work_for_saver.set()

    def _touch(self) -> None:
        self._last_used = time.monotonic()
        if not self._work_for_saver.is_set():
            self._work_for_saver.set()

    def _save_when_idle(self) -> None:
        while not self._closing.is_set():
            self._work_for_saver.wait()
            while not (self._save_now or self._closing.is_set()):
                remaining = self._last_used + IDLE_SECONDS - time.monotonic()
                if remaining <= 0:
                    break
                self._closing.wait(min(remaining, IDLE_SECONDS / 5))
            self._save_now = False
            self._work_for_saver.clear()
            try:
                self.save()
            except StoreError as error:  # it is tried again after the next use, and at the end
                logger.warning("%s", error)

    def save(self) -> None:
        """Write to the kit's folder what has changed.

        :raises StoreError: the folder cannot be written
        """
        with self._writing:
            with self.lock:
                changes = self.state.changes()
            self.state.write(changes)

    def close(self) -> None:
        """Stop everything and save."""
        self._closing.set()
        self._work_for_saver.set()
        self._saver.join()
        with self.lock:
            self._owner = None
        self._microcontroller.close()
        self._bridge.close()
        self.save()
