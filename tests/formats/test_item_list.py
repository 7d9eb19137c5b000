"""The item list in slot 8 of the secure element."""

from __future__ import annotations

import pytest

from iotprovision.errors import ProofError
from iotprovision.formats.item_list import Item, build, parse

THING, ENDPOINT = "a" * 40, "b" * 46


def test_the_bytes_of_two_items() -> None:
    """Headers by hand: type 1, next item at 42; type 2, next at 90."""
    data = build({Item.AWS_THING_NAME: THING, Item.AWS_ENDPOINT: ENDPOINT})
    assert len(data) == 416
    assert data[:2] == b"\x2a\x02" and data[2:42] == THING.encode()
    assert data[42:44] == b"\x5a\x04" and data[44:90] == ENDPOINT.encode()
    assert set(data[90:]) == {0}
    assert parse(data) == {1: THING, 2: ENDPOINT}


def test_an_item_that_ends_behind_byte_256() -> None:
    """Bit 8 of the offset is the lowest bit of the second byte."""
    data = build({Item.AWS_ENDPOINT: "e" * 300})
    assert data[:2] == b"\x2e\x05"
    assert parse(data) == {2: "e" * 300}


@pytest.mark.parametrize("size", [412, 413, 414])
def test_a_slot_that_is_nearly_full(size: int) -> None:
    assert parse(build({Item.AWS_ENDPOINT: "e" * size})) == {2: "e" * size}


def test_too_much_is_refused() -> None:
    with pytest.raises(ProofError, match="too small"):
        build({Item.AWS_ENDPOINT: "e" * 415})


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff" * 416, bytes(416), b"0neABCDEFGH\0" + bytes(404), b"\x01\x02" * 208, b"\x00\x02" * 208]
)
def test_what_is_no_list_is_empty_and_ends(data: bytes) -> None:
    items = parse(data)
    assert not {1, 2} & set(items)
