"""The first power-up of a board with a modem: without any part of its credentials it does not even try."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer, thing_of

from iotprovision.formats.item_list import Item, build
from iotprovision.formats.modem_memory import PROFILE
from iotprovision.simulator.board.surroundings import CloudAddress
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.sequans import Sequans
from iotprovision.simulator.first_connection.power_up import first_power_up

NOWHERE = CloudAddress({}, "none.pem")


def board() -> Any:
    """A board with all it needs for an endpoint that no cloud has."""
    element, modem, signer = Ecc608(), Sequans(), Signer()
    key = element.private_keys[0].public_key()
    items = {Item.AWS_THING_NAME: thing_of(key), Item.AWS_ENDPOINT: "a-ats.iot.us-east-1.example"}
    element.slots[8][:] = build(items)
    modem.memory["certificate"] = {
        18: signer.issue(key).public_bytes(Encoding.PEM),
        19: signer.certificate.public_bytes(Encoding.PEM),
    }
    modem.profiles[1] = PROFILE.partition(",")[2]
    return SimpleNamespace(secure_element=element, modem=modem)


def test_with_all_parts_it_looks_for_its_endpoint() -> None:
    report = first_power_up(board(), NOWHERE)
    assert "a-ats.iot.us-east-1.example is not the local cloud's" in report["failure"]
    assert report["certificate_id"] and not report["signer_id"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda board: board.secure_element.slots[8].__setitem__(slice(None), b"\xff" * 416), "no thing name"),
        (
            lambda board: board.secure_element.slots[8].__setitem__(slice(None), build({Item.AWS_THING_NAME: "x"})),
            "no endpoint",
        ),
        (lambda board: board.modem.memory["certificate"].pop(18), "no device certificate"),
        (lambda board: board.modem.memory["certificate"].__setitem__(18, b"rubbish"), "no device certificate"),
        (lambda board: board.modem.memory["certificate"].pop(19), "no authorities"),
        (lambda board: board.modem.memory["certificate"].__setitem__(19, b"rubbish"), "no authorities"),
        (lambda board: board.modem.profiles.clear(), "no security profile"),
        (lambda board: board.modem.profiles.__setitem__(1, '2,"0xc02b",1,19,17,0,"","",1'), "no security profile"),
        (lambda board: board.secure_element.private_keys.clear(), "does not hold the key"),
    ],
)
def test_a_part_is_missing(damage: Callable[[Any], Any], words: str) -> None:
    damaged = board()
    damage(damaged)
    report = first_power_up(damaged, NOWHERE)
    assert words in report["failure"]
    assert report["attempts"] == []
