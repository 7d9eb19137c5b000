"""Certificates of a modem from their backup."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.modem_link import modem
from iotprovision.errors import StoreError
from iotprovision.findings import Finding, State
from iotprovision.formats.ecc608_zones import public_key_from_coordinates
from iotprovision.formats.modem_memory import DEVICE_CERTIFICATE_SLOT, SERVER_AUTHORITIES_SLOT, certificate_data
from iotprovision.pki.certificates import p256_key
from iotprovision.pki.reading import all_from_pem
from iotprovision.steps.identity import Chip, running_link
from iotprovision.steps.modem_credentials import CERTIFICATES_KIND
from iotprovision.steps.restoring import ACTION
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store


class ModemCertificatesRestored(Step):
    """The modem holds the certificates that an earlier run had saved: of the device, and of the authorities of servers.

    A backup has them one behind the other; the device's is the one that is no authority. A modem that had none when it
    was saved keeps the one that it has.
    """

    title = "Certificates in the modem from their backup"
    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save what is there and write the backup"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        chip: Chip,
        load: Callable[[], bytes],
        source: str,
        files: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._target = target
        self._chip = chip
        self._load = load
        self._source = source
        self._files = files
        self._clock = clock

    def prepare(self) -> None:
        try:
            self._certificates = all_from_pem(self._load())
        except ValueError as error:
            raise StoreError(
                f"The backup {self._files.path(self._source)} holds no certificates", str(error), "name another date"
            ) from error

    def check(self, progress: Progress) -> Finding:
        held, wanted = self._held(), self._wanted()
        if all(held[slot] == content for slot, content in wanted.items()):
            return Finding(State.IN_PLACE, f"as in {self._source}")
        return Finding(State.DIFFERENT, "other ones", self._source)

    def apply(self, progress: Progress) -> str:
        held, wanted = self._held(), self._wanted()
        present = held[DEVICE_CERTIFICATE_SLOT] + held[SERVER_AUTHORITIES_SLOT]
        saved = ""
        if present and not backups.saved_before(self._files, CERTIFICATES_KIND, present, ACTION):
            name = backups.file_name(CERTIFICATES_KIND, self._clock(), "pem")
            backups.save(self._files, name, present, ACTION)
            saved = f"saved what was there as {name}, "
        # A modem in the middle of a transfer takes what comes next for data; so no interrupt may come between.
        with interrupts.held(), modem(running_link(self._target)) as opened:
            for slot, content in wanted.items():
                opened.write_certificates(slot, content)
        return f"{saved}wrote {self._source}"

    def _held(self) -> dict[int, bytes]:
        with modem(running_link(self._target)) as opened:
            return {slot: opened.read_certificates(slot) for slot in (SERVER_AUTHORITIES_SLOT, DEVICE_CERTIFICATE_SLOT)}

    def _wanted(self) -> dict[int, bytes]:
        """What each slot shall hold, the device certificate last: with it, the kit is complete.

        :raises StoreError: the device certificate is not for the key of this kit
        """
        running_link(self._target)
        own = public_key_from_coordinates(self._chip.public_key).public_numbers()
        keys = [p256_key(certificate) for certificate in self._certificates]
        is_device = [key is not None and key.public_numbers() == own for key in keys]
        if not any(is_device) and not all(map(_is_authority, self._certificates)):
            raise StoreError(
                f"The backup {self._files.path(self._source)} is of another kit, or of another secure element",
                "The device certificate in it is not for the key in this one. The modem stays as it was.",
                "name another date, or provision the kit again",
            )
        pems = [certificate.public_bytes(Encoding.PEM) for certificate in self._certificates]
        authorities = b"".join(pem for pem, device in zip(pems, is_device, strict=True) if not device)
        device = next((pem for pem, device in zip(pems, is_device, strict=True) if device), b"")
        wanted = {
            SERVER_AUTHORITIES_SLOT: certificate_data(authorities, "of the servers"),
            DEVICE_CERTIFICATE_SLOT: certificate_data(device, "of the device"),
        }
        return {slot: content for slot, content in wanted.items() if content}


def _is_authority(certificate: x509.Certificate) -> bool:
    """Roots of version 1 have no extensions, and are authorities."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
