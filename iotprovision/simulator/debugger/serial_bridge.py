"""The serial port of a kit: bytes between the UART of the MCU and whoever has the port open.

The port is a TCP socket on 127.0.0.1 (``socket://`` in pyserial) and on POSIX a pseudo terminal too. What the MCU
says while nobody has it open is lost, as on a USB serial port whose DTR is low.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from typing import Protocol

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.debugger.pseudo_terminal import PseudoTerminal, pseudo_terminal_or_none

CHUNK = 4096
MAXIMUM_PENDING = 1 << 20  # a host that does not read loses what exceeds this, and the kit is never held up


class SerialKit(Protocol):
    """What the bridge needs of its kit."""

    @property
    def board(self) -> Board:
        """For its meters and faults."""

    @property
    def has_serial_port(self) -> bool:
        """Whether the kit is on the bus, and not as its boot loader."""

    @property
    def baud_rate(self) -> int | None:
        """What the UART of the MCU uses now, None while nothing runs."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host; called from the bridge's thread."""


class SerialBridge:
    """A thread that moves bytes; everything else only leaves word."""

    def __init__(self, kit: SerialKit) -> None:
        self._kit = kit
        self._meters = kit.board.meters
        self._faults = kit.board.faults
        self._hang_up = False
        self._closing = False
        self._output: deque[tuple[float, bytes]] = deque()
        self._client: socket.socket | None = None
        self._client_pending = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self._listener.setblocking(False)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._terminal: PseudoTerminal | None = pseudo_terminal_or_none()
        self._wake_sender, self._wake_receiver = socket.socketpair()
        self._wake_sender.setblocking(False)
        self._wake_receiver.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._watch_terminal()
        self._thread = threading.Thread(target=self._run, name="serial-bridge", daemon=True)
        self._thread.start()

    @property
    def terminal_path(self) -> str | None:
        """The pseudo terminal, None where the system has none."""
        terminal = self._terminal
        return terminal.path if terminal else None

    def transmit(self, data: bytes) -> None:
        """Bytes from the MCU; from any thread, never blocks."""
        self._output.append((time.monotonic() + self._faults.uart_answer_delay, bytes(data)))
        self._wake()

    def hang_up(self) -> None:
        """The debugger leaves the bus: who has the port open loses it."""
        self._hang_up = True
        self._wake()

    def close(self) -> None:
        """End the thread and free everything."""
        self._closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            self._wake_sender.send(b"\x00")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            self._drop_client()
            if self._terminal is not None:
                self._drop_terminal(self._terminal)
            self._selector.close()
            for end in (self._listener, self._wake_sender, self._wake_receiver):
                end.close()

    def _turn(self) -> None:
        ready = {key.fileobj for key, _ in self._selector.select(self._timeout())}
        if self._wake_receiver in ready:
            with contextlib.suppress(BlockingIOError):
                while self._wake_receiver.recv(CHUNK):
                    pass
        if self._hang_up:
            self._hang_up = False
            self._lose_port()
        self._accept()  # before output is given out: who connected earlier hears it
        self._read_client()
        self._read_terminal()
        self._give_out()
        self._flush()

    def _timeout(self) -> float | None:
        waits = [self._terminal.poll_interval] if self._terminal and self._terminal.poll_interval else []
        if self._output:
            waits.append(max(0.0, self._output[0][0] - time.monotonic()))
        return min(waits) if waits else None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self._client is not None and self._client_has_left():
                    self._drop_client()
                if self._client is not None or not self._kit.has_serial_port:
                    connection.close()  # one at a time, like any serial port
                    continue
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._client = connection
                self._selector.register(connection, selectors.EVENT_READ)

    def _client_has_left(self) -> bool:
        assert self._client is not None
        try:
            return self._client.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _read_client(self) -> None:
        while self._client is not None:
            try:
                data = self._client.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._drop_client()
                return
            self._take(data)

    def _read_terminal(self) -> None:
        terminal = self._terminal
        while terminal is not None and (data := terminal.read()):
            self._take(data if terminal.is_at(self._kit.baud_rate) else garbled(data))

    def _take(self, data: bytes) -> None:
        self._meters.count("uart_bytes_to_kit", len(data))
        if self._kit.has_serial_port:
            self._kit.receive(data)

    def _give_out(self) -> None:
        now = time.monotonic()
        while self._output and self._output[0][0] <= now:
            data = self._output.popleft()[1]
            terminal = self._terminal if self._terminal and self._terminal.is_open() else None
            if not self._kit.has_serial_port or (self._client is None and terminal is None):
                self._meters.count("uart_bytes_discarded", len(data))
                continue
            data, dropped = self._spoil(data)
            self._meters.count("uart_bytes_from_kit", len(data))
            if self._client is not None:
                self._client_pending += data[: MAXIMUM_PENDING - len(self._client_pending)]
            if terminal is not None:
                data = data if terminal.is_at(self._kit.baud_rate) else garbled(data)
                terminal.pending += data[: MAXIMUM_PENDING - len(terminal.pending)]
            if dropped:
                self._flush()
                if terminal is not None:
                    terminal.wait_until_read()
                self._lose_port()
                return

    def _spoil(self, data: bytes) -> tuple[bytes, bool]:
        """What the faults leave of some output, and whether the port is lost behind it."""
        faults = self._faults
        if faults.uart_garbage_after_bytes is None and faults.uart_drop_after_bytes is None:
            return data, False
        spoilt = bytearray()
        for value in data:
            if faults.strikes("uart_drop_after_bytes"):
                return bytes(spoilt), True
            spoilt.append(value ^ 0xFF if faults.strikes("uart_garbage_after_bytes") else value)
        return bytes(spoilt), False

    def _flush(self) -> None:
        if self._client is not None and self._client_pending:
            try:
                sent = self._client.send(self._client_pending)
                del self._client_pending[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self._drop_client()
        if self._client is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client_pending else 0)
            if self._selector.get_key(self._client).events != wanted:
                self._selector.modify(self._client, wanted)
        if self._terminal is not None:
            self._terminal.flush()

    def _lose_port(self) -> None:
        self._output.clear()
        self._drop_client()
        lost = self._terminal
        if lost is not None and lost.is_open():
            self._terminal = pseudo_terminal_or_none()  # before the other goes: who has lost that may ask for this
            self._watch_terminal()
            self._drop_terminal(lost)

    def _drop_client(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
        self._client_pending.clear()

    def _watch_terminal(self) -> None:
        if self._terminal is not None and self._terminal.events is not None:
            self._selector.register(self._terminal.events, selectors.EVENT_READ)

    def _drop_terminal(self, terminal: PseudoTerminal) -> None:
        if terminal.events is not None:
            self._selector.unregister(terminal.events)
        terminal.close()


def garbled(data: bytes) -> bytes:
    """What arrives when the two ends of a serial line are set to different rates."""
    return bytes((value ^ 0x5A) | 0x80 for value in data)
