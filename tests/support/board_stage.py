"""Runs steps on a board without a session: no lock, no application kept."""

from __future__ import annotations

from iotprovision.boards.nedbg.board import NedbgBoard
from iotprovision.steps.step import Step


class BoardStage:
    """Brings the board to what each step needs."""

    def __init__(self, board: NedbgBoard) -> None:
        self._board = board

    def prepared(self) -> None:
        """Nothing is asked of the board."""

    def begins(self, step: Step) -> None:
        if step.needs:
            self._board.bring(step.needs)

    def ends(self, step: Step, in_place: bool) -> None:
        if step.brings and in_place:
            self._board.bring(step.brings)
