"""What ``--verify`` proves beyond looking at every step again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from iotprovision.boards.nedbg.board import Target
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_registration import DeviceRegistration
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.steps.identity import Identity, running_link
from iotprovision.steps.step import About, Progress, Step

ACTION = "verify"
CHALLENGE_SIZE = 32
CONNECTION_WAIT = 60.0
"""Seconds that a kit which was just told its Wi-Fi network may take to connect twice."""


class Challenge(Step):
    """The chip signs what nobody could know before, and the signature verifies under the device certificate."""

    title = "Proof: the chip holds the key of the certificate"
    action = ACTION
    about = About.KIT
    proof = "signature over a random challenge verified with the certificate's key"
    would = "have the chip sign a random challenge"

    def __init__(self, target: Target, identity: Identity, random: Callable[[int], bytes]) -> None:
        self._target = target
        self._identity = identity
        self._random = random

    def check(self, progress: Progress) -> Finding:
        link = running_link(self._target)
        certificate = self._identity.device
        if certificate is None:
            return Finding(State.MISSING, "there is no device certificate")
        digest = hashlib.sha256(self._random(CHALLENGE_SIZE)).digest()
        answer = link.sign_digest(digest)
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


class DeviceInAccount(Step):
    """Thing, active certificate and policy of the device, as its first connection makes them.

    :param expected: whether the kit has been told how to connect, so that the account must know it
    """

    title = "Proof: the device in the account"
    action = ACTION
    about = About.ACCOUNT
    proof = "asked of the account"
    would = "ask the account"

    def __init__(
        self,
        account: Account,
        identity: Identity,
        expected: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._identity = identity
        self._expected = expected
        self._clock = clock
        self._sleep = sleep

    def check(self, progress: Progress) -> Finding:
        deadline = self._clock() + CONNECTION_WAIT
        while True:
            finding = self._look()
            if finding.in_place or not self._expected or self._clock() > deadline:
                break
            self._sleep(1.0)
        if finding.state is State.MISSING and not self._expected:
            return Finding(State.IN_PLACE, "not there yet: it registers itself at its first connection")
        return finding

    def apply(self, progress: Progress) -> str:
        raise ProofError(
            "The account does not have the device as it should",
            f"It says: {self._look().found}.",
            "look at the log of the Lambda in CloudWatch, and at the kit's console for its Wi-Fi connection",
        )

    def _look(self) -> Finding:
        certificate, thing = self._identity.device, self._identity.thing_name
        if certificate is None or thing is None:
            return Finding(State.MISSING, "there is no device certificate")
        return DeviceRegistration(self._account, certificate, thing).state()
