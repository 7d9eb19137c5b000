"""Ctrl-C and termination: nothing irreplaceable is half written when the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done, then let it act. Inside another such block, the outer one decides.

    For the seconds in which a kit is erased and not yet written. Elsewhere than in the main thread no signal arrives,
    so there is nothing to hold.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    # A handler that was not set by Python cannot be put back by it.
    held_back = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    before = {number: signal.signal(number, remember) for number in held_back}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for signal_number in arrived[:1]:
        handler = before[signal.Signals(signal_number)]
        # One block may lie in another: then the outer one remembers it.
        if callable(handler):
            handler(signal_number, None)
        else:
            raise KeyboardInterrupt


def treat_termination_as_interrupt() -> None:
    """Let SIGTERM end the run in the same orderly way as Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
