"""Numbers as the C library of the AVR reads them (``strtol`` and ``strtoul`` with base 0 and a 32-bit long)."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONG_MAX, LONG_MIN, UNSIGNED_LONG_MAX = 2**31 - 1, -(2**31), 2**32 - 1

_NUMBER = re.compile(
    rb"[ \t\n\v\f\r]*(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|(?P<octal>0[0-7]*)|(?P<decimal>[0-9]+))"
)


@dataclass(frozen=True)
class CNumber:
    """What was read.

    :param value: clamped and wrapped as the function does it; 0 when there were no digits
    :param complete: nothing follows the number (also true of an empty text)
    """

    value: int
    complete: bool


def _parse(text: bytes) -> tuple[int, bool, bool]:
    """Magnitude, whether a minus sign stood before it, and whether the text ends with it."""
    match = _NUMBER.match(text)
    if match is None:
        return 0, False, not text
    for base, name in ((16, "hex"), (8, "octal"), (10, "decimal")):
        if (digits := match[name]) is not None:
            return int(digits, base), match["sign"] == b"-", match.end() == len(text)
    raise AssertionError("the pattern has one of three kinds of digits")


def strtol(text: bytes) -> CNumber:
    """A signed long: hexadecimal after ``0x``, octal after ``0``, else decimal; clamped to 32 bits."""
    magnitude, negative, complete = _parse(text)
    return CNumber(max(LONG_MIN, min(LONG_MAX, -magnitude if negative else magnitude)), complete)


def strtoul(text: bytes) -> CNumber:
    """An unsigned long; a minus sign negates it modulo 2 to the power 32, too large a number gives the largest."""
    magnitude, negative, complete = _parse(text)
    if magnitude > UNSIGNED_LONG_MAX:
        return CNumber(UNSIGNED_LONG_MAX, complete)
    return CNumber(-magnitude % 2**32 if negative else magnitude, complete)
