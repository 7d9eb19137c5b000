"""How far a long operation has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is in all, in bytes or whatever the operation counts."""


def no_progress(_done: int, _total: int) -> None:
    """For who does not want to know."""
