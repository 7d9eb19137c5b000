"""What the real provisioning firmware answered, as recorded in tests/data."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

AVR_IOT = "atmega4808-provisioning-0.4.9.txt"
CELLULAR_MINI = "avr128db48-provisioning-1.1.8.txt"
SAM_IOT_WG = "samd21g18a-provisioning-1.0.1.txt"
SAM_IOT_WX = "samd21g18a-wx-provisioning-1.0.0.txt"
DATA = Path(__file__).parent / "data"
SIGN_COMMAND = b"MC+ECC+SIGNDIGEST=32,64\r\n"
_SIGNATURE = re.compile(rb"\r\n([0-9A-F]{128})\r\nOK\r\n")


@dataclass(frozen=True)
class Exchange:
    """What was sent once everything before it was answered, and the answer; for the first one nothing was sent."""

    sent: bytes
    answer: bytes
    is_signature: bool


@cache
def exchanges(transcript: str = AVR_IOT) -> tuple[Exchange, ...]:
    """A whole transcript, in order."""
    found, sent, previous = [], b"", b""
    for line in (DATA / transcript).read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            previous, sent = sent, ast.literal_eval(line[2:])
        elif line.startswith("< "):
            found.append(Exchange(sent, ast.literal_eval(line[2:]), previous == SIGN_COMMAND))
    return tuple(found)


def check_answer(exchange: Exchange, answer: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
    """Byte for byte; a signature differs from run to run on a chip, so it is verified instead."""
    if not exchange.is_signature:
        assert answer == exchange.answer, f"sent {exchange.sent!r}"
        return
    recorded, given = _SIGNATURE.fullmatch(exchange.answer), _SIGNATURE.fullmatch(answer)
    assert recorded, "the transcript has no signature where one belongs"
    assert given, f"no signature: {answer!r}"
    digest = bytes.fromhex(exchange.sent.strip().decode())
    for match in (recorded, given):
        raw = bytes.fromhex(match[1].decode())
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public_key.verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))
