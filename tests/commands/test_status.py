"""Status codes of the firmware in words."""

from __future__ import annotations

import pytest

from iotprovision.boards.nedbg.wire import status_codes as status

# Codes the vendor's provisioning firmware 0.4.9 was seen to answer, and the two others its documentation explains.
SEEN = [0x1, 0x2, 0x3, 0x4, 0x5, 0x1E2, 0x1F4, 0x2F4, 0x1FA, 0x2FA]


@pytest.mark.parametrize("code", SEEN)
def test_every_code_that_was_seen_has_words(code: int) -> None:
    assert "no name" not in status.words(code)
    assert f"0x{code:X}" in status.words(code)


def test_no_two_codes_of_a_source_share_their_words() -> None:
    for source in (status.COMMAND_HANDLER, status.SECURE_ELEMENT, status.WIFI_MODULE):
        named = [status.words(source << 8 | low).partition(" (status")[0] for low in range(256)]
        named = [words for words in named if "no name" not in words]
        assert len(named) == len(set(named)) > 4


@pytest.mark.parametrize(
    ("code", "source"),
    [
        (0x5, "The provisioning firmware"),
        (0x1F4, "The secure element"),
        (0x2FA, "The Wi-Fi module"),
        (0x7AB, "An unknown source (0x7)"),
    ],
)
def test_the_source_is_named(code: int, source: str) -> None:
    assert status.source(code) == source


@pytest.mark.parametrize("code", [0x9, 0x142, 0x201, 0x7AB, 0xABCDEF])
def test_unknown_codes_are_shown_in_hex(code: int) -> None:
    assert f"0x{code:X}" in status.words(code)


def test_only_the_health_test_of_the_random_numbers_may_pass_by_itself() -> None:
    assert [code for code in range(0x300) if status.is_transient(code)] == [0x1FA]
