"""Holding Ctrl-C back while something must not be cut in the middle."""

from __future__ import annotations

import signal

import pytest

from iotprovision.interrupts import held


def test_ctrl_c_acts_when_the_block_is_done() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done


def test_inside_another_block_the_outer_one_decides() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        with held():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_afterwards_ctrl_c_acts_at_once_again() -> None:
    with held():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_error_in_the_block_comes_first() -> None:
    with pytest.raises(RuntimeError), held():
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError
