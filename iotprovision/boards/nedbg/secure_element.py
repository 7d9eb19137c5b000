"""The secure element of a kit (ECC608), reached through the provisioning firmware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography import x509

from iotprovision.boards.memory import (
    CredentialMemory,
    Credentials,
    Difference,
    HeldCredentials,
    Memory,
    check_size,
)
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import ChipRefusedError, UsageError
from iotprovision.findings import State
from iotprovision.formats import item_list
from iotprovision.formats.ecc608_zones import (
    DEVICE_CERTIFICATE_SLOT,
    LOCKED_SLOTS,
    OTP_START_SIZE,
    PROVISIONING_DATA_SLOT,
    SIGNER_CERTIFICATE_SLOT,
    SIGNER_PUBLIC_KEY_SLOT,
    Kind,
    slot_size,
)
from iotprovision.formats.factory_certificates import FactoryCertificates, FactoryRoot, rebuild
from iotprovision.formats.item_list import Item
from iotprovision.pki.device_request import device_common_name, device_request
from iotprovision.progress import Progress, no_progress

_NAMES = (Item.AWS_THING_NAME, Item.AWS_ENDPOINT)


@dataclass
class SecureElement:
    """The key that the kit proves itself with, what the factory put beside it, and the slots.

    :param link: the conversation with the provisioning firmware
    :ivar owned: slots that this run may write
    """

    link: Callable[[], ProvisioningLink]
    owned: set[int] = field(default_factory=set)
    _serial_number: bytes | None = None
    _public_key: bytes | None = None
    _kind: Kind | None = None

    @property
    def known_serial_number(self) -> bytes | None:
        """9 bytes; None as long as nobody asked for it."""
        return self._serial_number

    @property
    def serial_number(self) -> bytes:
        """9 bytes; asked once."""
        if self._serial_number is None:
            self._serial_number = self.link().secure_element_serial()
        return self._serial_number

    @property
    def name(self) -> str:
        """What a device is called in its certificate."""
        return device_common_name(self.serial_number)

    @property
    def public_key(self) -> bytes:
        """X ‖ Y of the key in slot 0, 64 bytes; asked once."""
        if self._public_key is None:
            self._public_key = self.link().public_key()
        return self._public_key

    def sign(self, digest: bytes) -> bytes:
        """R ‖ S over a SHA-256 digest, 64 bytes, made with the key in slot 0."""
        return self.link().sign_digest(digest)

    def request(self, organization: str) -> x509.CertificateSigningRequest:
        """A certificate request that the chip signs.

        :raises ProofError: its signature does not verify
        """
        return device_request(self.public_key, self.serial_number, organization, self.sign)

    # --- what the factory made

    def factory_kind(self) -> Kind:
        """Which factory made the certificates in its slots; asked once.

        :raises ProofError: a chip whose certificates cannot be rebuilt
        """
        if self._kind is None:
            otp_start = self.link().read_otp(OTP_START_SIZE)
            self._kind = Kind.recognise(self.serial_number, otp_start)
        return self._kind

    def factory_certificates(self, roots: Mapping[Kind, FactoryRoot]) -> FactoryCertificates:
        """The whole certificates, of which the slots hold what differs from chip to chip.

        :param roots: what the certificates of each kind come from
        :raises ProofError: they do not verify
        """
        kind, link = self.factory_kind(), self.link()
        return rebuild(
            self.serial_number,
            self.public_key,
            link.read_slot(DEVICE_CERTIFICATE_SLOT),
            link.read_slot(SIGNER_PUBLIC_KEY_SLOT),
            link.read_slot(SIGNER_CERTIFICATE_SLOT),
            roots[kind],
        )


class CertificateSlots:
    """The slots with what the factory certificates are rebuilt from: they are locked once they were proved."""

    called = f"slots {LOCKED_SLOTS[0]} to {LOCKED_SLOTS[-1]} of the secure element"

    def __init__(self, chip: SecureElement) -> None:
        self._chip = chip

    def lock(self) -> None:
        """Lock them for good. One that was locked before stays as it was.

        :raises ChipRefusedError: the chip does not
        """
        for slot in LOCKED_SLOTS:
            self._chip.link().lock_slot(slot)


class DataSlot(Memory):
    """The slot from which applications read names. What is written may be a beginning: the rest of the slot stays."""

    part = "slot-8"
    kind = f"ecc608-slot-{PROVISIONING_DATA_SLOT}"
    called = f"slot {PROVISIONING_DATA_SLOT} of the secure element"

    def __init__(self, chip: SecureElement) -> None:
        self._chip = chip
        self._present = b""
        self._written: bytes | None = None

    def allow_writing(self) -> None:
        self._chip.owned.add(PROVISIONING_DATA_SLOT)

    def read(self, progress: Progress = no_progress) -> bytes:
        self._present = self._chip.link().read_slot(PROVISIONING_DATA_SLOT)
        return self._present

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        """Once something was written, the whole slot is looked at."""
        if self._written is None:
            found = self._chip.link().read_slot(PROVISIONING_DATA_SLOT, len(wanted))
            if found == wanted:
                return None
            return Difference(self.shown(found), state=State.MISSING if self.is_blank(found) else State.DIFFERENT)
        found = self.read()
        if not found.startswith(wanted):
            return Difference(self.shown(found))
        return None if found == self._written else Difference("other bytes behind what was written")

    def write(self, content: bytes, progress: Progress) -> str:
        self._written = content + self._present[len(content) :]
        try:
            self._chip.link().write_slot(PROVISIONING_DATA_SLOT, content)
        except ChipRefusedError as error:
            raise ChipRefusedError(
                f"The secure element refuses {self.called}: it could not be written",
                f"{error.why}\nA slot that was locked can never be written again.",
                status=error.status,
            ) from error
        return self.shown(content)

    def is_blank(self, content: bytes) -> bool:
        return not content.strip(b"\xff") or not content.strip(b"\0")

    def blank(self) -> bytes:
        return item_list.build({})

    def check(self, content: bytes, source: str) -> None:
        check_size(content, slot_size(PROVISIONING_DATA_SLOT), source, "the slot")

    def shown(self, content: bytes) -> str:
        """The text that it begins with."""
        text = content.rstrip(b"\0\xff").partition(b"\0")[0]
        if not text:
            return "nothing"
        return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else content[:12].hex()


class NamesInSlot(DataSlot, CredentialMemory):
    """The same slot, where applications for cellular networks find thing name and endpoint as a list of items."""

    remedy = "use another kit, or an application that has its thing name and endpoint built in"

    def __init__(self, chip: SecureElement, kit_name: str) -> None:
        super().__init__(chip)
        self._kit_name = kit_name

    def title(self, has_names: bool) -> str:
        return f"Thing name and endpoint in {self.called}"

    def check_endpoint(self, endpoint: str | None) -> None:
        """:raises UsageError: there is none, and the applications of such a kit need one"""
        if endpoint is None:
            raise UsageError(
                f"{self._kit_name} cannot be provisioned for this cloud",
                "No application of the vendor's connects a kit with a modem to it. Nothing was changed.",
                "use -c aws",
            )

    def content(self, credentials: Credentials) -> bytes:
        self.check_endpoint(credentials.endpoint)
        names = zip(_NAMES, (credentials.thing_name, credentials.endpoint), strict=True)
        return item_list.build({item: name for item, name in names if name is not None})

    def held(self) -> HeldCredentials:
        items = item_list.parse(self.read())
        return HeldCredentials(
            thing_name=items.get(Item.AWS_THING_NAME) or "", endpoint=items.get(Item.AWS_ENDPOINT) or ""
        )

    def held_certificate(self) -> None:
        """None, and the chip is not asked: certificates are elsewhere."""

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        if exact or item_list.parse(wanted):
            return super().difference(wanted, progress, exact)
        found = self.read()
        return Difference(self.shown(found), "nothing") if item_list.parse(found) else None

    def shown(self, content: bytes) -> str:
        items = item_list.parse(content)
        if not items:
            return "nothing"
        return ", ".join(items.get(item) or f"no {item.name[4:].replace('_', ' ').lower()}" for item in _NAMES)
