"""Typed values that never change, for modules that ``--help`` imports."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from typing import Any, NoReturn, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Frozen:
    """What a frozen dataclass is to its users and to a type checker.

    A dataclass itself would cost ``--help`` a fifth of its time: the standard library imports the whole of ``inspect``
    for it.
    """

    _names: tuple[str, ...] = ()
    _needed: frozenset[str] = frozenset()

    def __init_subclass__(cls) -> None:
        parts = (base.__dict__.get("__annotations__", ()) for base in reversed(cls.__mro__) if base is not Frozen)
        cls._names = tuple(dict.fromkeys(name for part in parts for name in part))
        cls._needed = frozenset(name for name in cls._names if not hasattr(cls, name))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of its values, in their order."""
        return cls._names

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self._names, values, strict=False))
        if len(values) > len(self._names) or given.keys() & named.keys() or named.keys() - set(self._names):
            raise TypeError(f"{type(self).__name__} has the values {', '.join(self._names)}, each once")
        given |= named
        if self._needed - given.keys():
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(self._needed - given.keys()))}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), *_values(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in _values(self).items())})"


def _values(values: Frozen) -> dict[str, object]:
    return {name: getattr(values, name) for name in values.names()}
