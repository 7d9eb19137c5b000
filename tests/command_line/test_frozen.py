"""Values that never change: what a frozen dataclass does with the same declaration is done here too."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from iotprovision.frozen import Frozen


class Light(Frozen):
    first: int
    second: str = "b"
    third: tuple[int, ...] = ()


@dataclass(frozen=True)
class Heavy:
    first: int
    second: str = "b"
    third: tuple[int, ...] = ()


class MoreLight(Light):
    fourth: bool = False


@dataclass(frozen=True)
class MoreHeavy(Heavy):
    fourth: bool = False


KINDS: tuple[tuple[Any, Any], ...] = ((Light, Heavy), (MoreLight, MoreHeavy))


@pytest.mark.parametrize(("light", "heavy"), KINDS)
@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((1,), {}),
        ((1, "c"), {"third": (2,)}),
        ((), {"first": 1}),
        ((), {"second": "c"}),
        ((1,), {"first": 2}),
        ((1,), {"other": 2}),
        ((1, "c", (), True, 5), {}),
    ],
)
def test_it_is_made_as_a_dataclass_is(light: Any, heavy: Any, values: Any, named: Any) -> None:
    try:
        expected = heavy(*values, **named)
    except TypeError:
        with pytest.raises(TypeError):
            light(*values, **named)
        return
    made = light(*values, **named)
    assert {name: getattr(made, name) for name in light.names()} == vars(expected)
    assert repr(made).partition("(")[2] == repr(expected).partition("(")[2]
    assert made == light(*values, **named)
    assert hash(made) == hash(light(*values, **named))
    assert made != expected


def test_it_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Heavy(1).first = 2  # type: ignore[misc]
    light = Light(1)
    with pytest.raises(AttributeError):
        light.first = 2  # type: ignore[misc]
    assert light.first == 1
    assert light != Light(2)
    assert Light(1) != MoreLight(1)
