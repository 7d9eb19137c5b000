"""The first power-up of a kit that can be watched: it connects with what its chips hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from iotprovision.boards.board import TalkingConsole
from iotprovision.boards.program import Program
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.steps.step import Progress, Step

ACTION = "first connection"
# The line takes 0.2 s at 9600 baud, and was sent before the state was reported.
LOG_TIMEOUT = 2.0


class FirstConnection(Step):
    """The board connects to the cloud by itself, and uses its shadow.

    :param power_up: lets the board do it. Returns ``attempts`` (each ``accepted`` and ``reason``), ``client_id``,
        ``endpoint``, the ``shadow`` as read back, and ``failure``, empty when all went well, with a ``hint``; and,
        empty unless the program on the MCU did all this itself, the ``network`` that it joined and the ``first_topic``
        that it wrote to
    :param console: opens the console of the demo, which logs what its cloud sends it; None where it has none
    """

    title = "First connection"
    action = ACTION
    proof = "the board wrote its shadow and read it back"
    would = "let the board power up and connect"
    unaskable = "seen only when the board powers up"
    needs = Program.APPLICATION

    def __init__(
        self,
        power_up: Callable[[], Mapping[str, Any]],
        console: Callable[[], AbstractContextManager[TalkingConsole | None]] | None,
    ) -> None:
        self._power_up = power_up
        self._console = console or nullcontext

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        with self._console() as console:
            report = self._power_up()
            logged = bool(
                console and report["first_topic"] and console.heard(_logged(report["client_id"]), LOG_TIMEOUT)
            )
        refusals = [attempt["reason"] for attempt in report["attempts"] if not attempt["accepted"]]
        if report["failure"]:
            raise ProofError(
                "The board did not connect",
                f"{report['failure'][:1].upper()}{report['failure'][1:]}."
                + "".join(f"\nAttempt {number}: {reason}." for number, reason in enumerate(refusals, 1)),
                report["hint"] or "run again with --force to write everything on the kit anew",
            )
        before = f"refused {_times(len(refusals))} ({refusals[0]}), then " if refusals else ""
        accepted = f"{before}accepted as {report['client_id']}"
        if not report["first_topic"]:
            return accepted
        if not logged:
            raise ProofError(
                "The demo connected and does not say so",
                f"Its log on the serial port lacks {_logged(report['client_id'])!r}.",
                "run again",
            )
        self.proof = "the state that the shadow was asked for came back reported, and the demo logged it on its console"
        return (
            f"the demo joined {report['network']!r}; {accepted}; its first message went to {report['first_topic']}; "
            f"asked for {_state(report['shadow'])} in its shadow, it reported that"
        )


def _logged(client_id: str) -> str:
    """What the AWS demos log of a message that says what the shadow wants of them."""
    return f"topic: $aws/things/{client_id}/shadow/update/delta"


def _state(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
