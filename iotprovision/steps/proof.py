"""What ``--verify`` proves beyond looking at every step again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from iotprovision.boards.board import DeviceKey
from iotprovision.boards.program import Program
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.steps.identity import Identity
from iotprovision.steps.step import Progress, Step

ACTION = "verify"
CHALLENGE_SIZE = 32


class Challenge(Step):
    """The chip signs what nobody could know before, and the signature verifies under the device certificate."""

    title = "Proof: the chip holds the key of the certificate"
    action = ACTION
    proof = "signature over a random challenge verified with the certificate's key"
    would = "have the chip sign a random challenge"
    needs = Program.PROVISIONING

    def __init__(self, key: DeviceKey, identity: Identity, random: Callable[[int], bytes]) -> None:
        self._key = key
        self._identity = identity
        self._random = random

    def check(self, progress: Progress) -> Finding:
        certificate = self._identity.device
        if certificate is None:
            return Finding(State.MISSING, "there is no device certificate")
        digest = hashlib.sha256(self._random(CHALLENGE_SIZE)).digest()
        answer = self._key.sign(digest)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        signature = utils.encode_dss_signature(int.from_bytes(answer[:32], "big"), int.from_bytes(answer[32:], "big"))
        try:
            key.verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))
        except InvalidSignature:
            return Finding(State.DIFFERENT, "a signature of another key", "a signature that verifies")
        return Finding(State.IN_PLACE, "signed by the certificate's key")

    def apply(self, progress: Progress) -> str:
        raise ProofError(
            "The chip does not hold the key of the device certificate",
            "It signed a challenge, and the signature does not verify under the certificate in the store.",
            "run again with the action provision",
        )
