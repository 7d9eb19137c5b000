"""The certificates that the secure element brought from its factory, rebuilt from its slots and proved."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509

from iotprovision.boards.board import DeviceKey, FactoryIdentity
from iotprovision.boards.program import Program
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.formats.ecc608_zones import (
    Kind,
    coordinates,
)
from iotprovision.formats.factory_certificates import FactoryCertificates, FactoryRoot, prove_chain
from iotprovision.pki.certificates import p256_key, thing_name
from iotprovision.pki.device_files import FactoryCertificateFiles
from iotprovision.steps.step import About, Progress, Step

ACTION = "provision"


class FactoryMadeIdentity:
    """The factory certificates that are kept for the kit, until the chip says that they are not its own."""

    def __init__(self, files: FactoryCertificateFiles) -> None:
        self.files = files
        self._refused = False

    @property
    def device(self) -> x509.Certificate | None:
        pair = self._pair()
        return pair.device if pair else None

    @property
    def signer(self) -> x509.Certificate | None:
        pair = self._pair()
        return pair.signer if pair else None

    @property
    def thing_name(self) -> str | None:
        device = self.device
        key = p256_key(device) if device else None
        return thing_name(key) if key else None

    def refuse(self) -> None:
        """The kept ones are not this chip's: nothing may be made of them."""
        self._refused = True

    def keep(self, pair: FactoryCertificates) -> None:
        """These are the chip's."""
        self.files.save(pair)
        self._refused = False

    def _pair(self) -> FactoryCertificates | None:
        return None if self._refused else self.files.certificates()


class FactoryCertificatesRebuilt(Step):
    """The whole certificates, of which the chip holds what differs from chip to chip.

    :param roots: what the certificates of each kind must come from
    """

    title = "Factory certificates of the secure element"
    action = ACTION
    about = About.STORE
    proof = "its key is the chip's; signatures verified from the device up to the factory's root"
    would = "read slots 10 to 12 of the secure element and rebuild its certificates"
    forced_by = frozenset({"force"})
    needs = Program.PROVISIONING

    def __init__(
        self,
        key: DeviceKey,
        factory: FactoryIdentity,
        identity: FactoryMadeIdentity,
        roots: Mapping[Kind, FactoryRoot],
    ) -> None:
        self._key = key
        self._factory = factory
        self._identity = identity
        self._roots = roots

    def check(self, progress: Progress) -> Finding:
        kind = self._factory.factory_kind()
        pair = self._identity.files.certificates()
        if pair is None:
            return Finding(State.MISSING, "none in the store", "those of the chip")
        reason = self._why_not(pair, kind)
        if reason:
            self._identity.refuse()
            return Finding(State.DIFFERENT, reason, "those of the chip")
        return Finding(State.IN_PLACE, f"{kind.value} kind, thing {self._identity.thing_name}")

    def apply(self, progress: Progress) -> str:
        pair = self._factory.factory_certificates(self._roots)
        self._identity.keep(pair)
        return f"rebuilt from slots 10 to 12 of {self._key.serial_number.hex().upper()}"

    def _why_not(self, pair: FactoryCertificates, kind: Kind) -> str | None:
        key = p256_key(pair.device)
        if key is None or coordinates(key) != self._key.public_key:
            return "those in the store are of another secure element than the kit has now"
        try:
            prove_chain(pair, self._roots[kind])
        except ProofError as error:
            return f"those in the store cannot be used: {error.what}"
        return None
