"""An emulated MCU: whatever is in flash really runs, in a thread of its own, in step with demand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.board.connection_record import ConnectionRecord

logger = logging.getLogger(__name__)

# Simulated seconds that run at a stretch: short, so that stopping is prompt and answers leave early.
SLICE = 0.002
# A slice takes a few milliseconds; a stop that takes longer than this is a bug, not a slow machine.
STOP_TIMEOUT = 30.0


@dataclass
class _Watch:
    """Somebody waits for something to happen in simulated time."""

    happened: Callable[[], bool]
    longest: float
    until: float | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def look(self, now: float) -> None:
        """Simulated time is ``now``: end the wait when it happened, or will not any more."""
        self.until = now + self.longest if self.until is None else self.until
        if self.happened() or now >= self.until:
            self.over.set()


class SimulationEndedError(Exception):
    """The simulated MCU crashed or stopped for good."""


class Simulation(Protocol):
    """One run of what is in the flash of a board, from reset on, in simulated time."""

    @property
    def baud_rate(self) -> int | None:
        """The rate that the firmware set at its UART; None until it has."""

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""

    def run(self, seconds: float) -> bytes:
        """Run for simulated seconds: the bytes that left at the UART.

        :raises SimulationEndedError: the MCU crashed
        """

    def receive(self, data: bytes) -> None:
        """Bytes for the UART, at the rate that the firmware set."""


class EmulatedMcu:
    """The MCU of a board, in an emulator. See :class:`iotprovision.simulator.board.board.Microcontroller`.

    Simulated time runs as fast as the machine allows while there is something to do, and stands still while the
    firmware only waits for the host.

    :param simulate: begins a run of what is in the flash of the board
    """

    # The demo applications of AVR-IoT kits answer only about 4.2 s after reset; nothing may happen on the UART in
    # between.
    start_time = 6.0
    # The provisioning firmware answers within 0.4 s, the demo within 2 s while it starts its Wi-Fi module anew; quiet
    # for longer than this, it waits for the host.
    quiet_time = 3.0
    # Whether programs on it use the radio of the Wi-Fi module.
    has_radio = False

    def __init__(
        self, board: Board, transmit: Callable[[bytes], None], simulate: Callable[[Board], Simulation]
    ) -> None:
        self._board = board
        self._simulate = simulate
        self._transmit = transmit
        self._changed = threading.Condition()
        self._received = bytearray()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._control = threading.Lock()
        self._simulation: Simulation | None = None
        self._watch: _Watch | None = None
        board.secure_element.meters = board.wifi_module.meters = board.meters
        board.secure_element.faults = board.wifi_module.faults = board.faults
        if board.modem:
            board.modem.meters, board.modem.faults = board.meters, board.faults

    @property
    def baud_rate(self) -> int | None:
        """The rate that the firmware set at its UART; None while nothing runs."""
        simulation = self._simulation
        return simulation.baud_rate if simulation else None

    @property
    def simulated_time(self) -> float:
        """Simulated seconds since the start; 0 while nothing runs."""
        simulation = self._simulation
        return simulation.now if simulation else 0.0

    def start(self) -> None:
        """Reset, and run what is in flash."""
        with self._control:
            self._halt()
            if not bytes(self._board.flash).rstrip(b"\xff"):
                return
            self._stopping = False
            self._received.clear()
            self._board.connections = ConnectionRecord()
            self._thread = threading.Thread(target=self._run, name="emulated-mcu", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Halt; returns when nothing runs any more."""
        with self._control:
            self._halt()

    def close(self) -> None:
        """Halt for good."""
        self.stop()

    def receive(self, data: bytes) -> None:
        """Bytes from the host; lost while nothing runs."""
        with self._changed:
            if self._thread is not None and not self._stopping:
                self._received += data
                self._changed.notify_all()

    def wait_until(self, happened: Callable[[], bool], longest: float) -> bool:
        """Let simulated time pass until something has happened, whether or not the firmware only waits for the host.

        :param happened: asked every few simulated milliseconds
        :param longest: simulated seconds to wait
        :returns: whether it happened; False too when nothing runs any more
        """
        watch = _Watch(happened, longest)
        with self._changed:
            if self._thread is None or not self._thread.is_alive() or self._stopping:
                return happened()
            self._watch = watch
            self._changed.notify_all()
        watch.over.wait()
        return happened()

    def _halt(self) -> None:
        thread = self._thread
        if thread is None:
            return
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        thread.join(STOP_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError("the emulated MCU does not stop")
        self._thread = None
        self._simulation = None

    def _next_input(self, wait: bool) -> bytes | None:
        """What the host sent since the last call; None when the MCU is to stop."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: bool(self._received or self._watch) or self._stopping)
            if self._stopping:
                return None
            data = bytes(self._received)
            self._received.clear()
            return data

    def _run(self) -> None:
        # An emulator's objects are made, used and dropped in this one thread.
        try:
            simulation = self._simulate(self._board)
            self._simulation = simulation
            quiet_at = self.start_time
            early = b""
            while (data := self._next_input(wait=simulation.now > quiet_at)) is not None:
                self._look(simulation.now)
                early += data
                # No host is quick enough to be earlier than the set-up of the UART, which takes milliseconds of
                # simulated time; making the simulation takes longer than that.
                if early and simulation.baud_rate is not None:
                    simulation.receive(early)
                    early = b""
                if sent := simulation.run(SLICE):
                    self._transmit(sent)
                if data or sent:
                    quiet_at = max(quiet_at, simulation.now + self.quiet_time)
        except SimulationEndedError as error:
            logger.debug("the emulated MCU ended: %s", error)
        finally:
            self._simulation = None
            with self._changed:
                self._stopping = True
                if self._watch:
                    self._watch.over.set()
                    self._watch = None

    def _look(self, now: float) -> None:
        with self._changed:
            if self._watch:
                self._watch.look(now)
                if self._watch.over.is_set():
                    self._watch = None
