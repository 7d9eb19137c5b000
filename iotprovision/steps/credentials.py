"""The action ``provision``: credentials on the kit, and the slots of the secure element locked behind them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import ProofError, SerialLinkError, StoreError
from iotprovision.findings import Finding, State
from iotprovision.firmware.hex_image import HexImage
from iotprovision.formats import client_store
from iotprovision.formats.device_credentials import (
    ENDPOINT_HEAD,
    STORE_HEAD,
    THING_NAME_HEAD,
    DeviceCredentials,
    areas_in_use,
)
from iotprovision.formats.ecc608_zones import LOCKED_SLOTS
from iotprovision.formats.winc_flash import CLIENT_AREA
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.device_request import device_request
from iotprovision.pki.reading import from_der
from iotprovision.steps.flash import ImageInFlash
from iotprovision.steps.identity import Chip, Identity, OwnIdentity, running_link
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "provision"
CLIENT_AREA_KIND = f"winc-{CLIENT_AREA.address:05x}"
LARGEST_READ = 256


class ProvisioningFirmware(ImageInFlash):
    """The firmware that lets the tool talk to the chips."""

    title = "Provisioning firmware"
    action = ACTION

    def __init__(self, target: Target, load: Callable[[], HexImage], name: str, is_there: bool = False) -> None:
        """
        :param is_there: the user says that the MCU holds it: it is only started
        """
        super().__init__(target, load, name)
        self._is_there = is_there
        if is_there:
            self.forced_by = frozenset()

    def prepare(self) -> None:
        super().prepare()
        self._target.check_port()

    def check(self, progress: Progress) -> Finding:
        if self._is_there:
            return Finding(State.IN_PLACE, "taken as it is")
        return super().check(progress)

    def finish(self, in_place: bool) -> None:
        if in_place:
            try:
                self._target.start_provisioning()
            except SerialLinkError as error:
                if not self._is_there:
                    raise
                raise SerialLinkError(
                    "What runs on the kit is not the provisioning firmware",
                    f"--sprov says that it is. {error.what}.",
                    "leave out --sprov: then the provisioning firmware is programmed",
                ) from error
        else:
            self._target.start()


def certificate_in_wifi_module(link: ProvisioningLink) -> x509.Certificate | None:
    """The device certificate that the kit has been given before."""
    head = link.winc_read(STORE_HEAD.address, STORE_HEAD.size)
    try:
        length = client_store.used_length(head)
        certificates = client_store.parse(link.winc_read_range(STORE_HEAD.address, length)).certificates
        return from_der(certificates[0])
    except (ProofError, ValueError, IndexError):
        return None


class DeviceCertificate(Step):
    """A certificate for the key in the secure element, issued by the signer."""

    title = "Device certificate"
    action = ACTION
    about = About.STORE
    proof = "its key is the chip's, the signer issued it, it is in date"
    would = "have the secure element sign a request and issue a certificate for it"
    forced_by = frozenset({"force", "fdev"})

    def __init__(
        self,
        target: Target,
        chip: Chip,
        identity: OwnIdentity,
        authority: Authority,
        authority_is_coming: bool,
        force: frozenset[str],
        read_from_kit: Callable[[ProvisioningLink], x509.Certificate | None] = certificate_in_wifi_module,
    ) -> None:
        """
        :param force: the options given that force something; with one of ours, no certificate is taken over
        :param read_from_kit: gives the device certificate that the kit holds, if any
        """
        self._target = target
        self._chip = chip
        self._identity = identity
        self._authority = authority
        self._authority_is_coming = authority_is_coming
        self._is_forced = bool(force & self.forced_by)
        self._read_from_kit = read_from_kit
        self._is_missing = True

    def prepare(self) -> None:
        """A signer that is missing, or whose key cannot be opened, is found before the kit is touched."""
        state = self._authority.state()
        if state is AuthorityState.UNFINISHED and not self._authority_is_coming:
            raise StoreError(
                "The root CA and the signer CA are not complete",
                f"Missing: {', '.join(self._authority.missing())}.",
                "run the action 'certs': it makes what can be made, and says what must come from a backup",
            )
        if state is AuthorityState.COMPLETE or not self._authority_is_coming:
            _ = self._authority.signer_key

    def check(self, progress: Progress) -> Finding:
        if self._authority.state() is not AuthorityState.COMPLETE:
            return Finding(State.MISSING, "there is no signer yet")
        certificate = self._identity.device
        self._is_missing = certificate is None
        if certificate is None:
            return Finding(State.MISSING, "none in the store", "a certificate for the chip's key")
        reason = self._authority.device_certificate_is_current(certificate, self._chip.public_key)
        if not reason and not self._identity.files.are_consistent():
            return Finding(State.DIFFERENT, "the thing name in the store is not the certificate's", "the certificate's")
        if reason:
            return Finding(State.DIFFERENT, f"the one in the store cannot be used: {reason}", "one for the chip's key")
        return Finding(State.IN_PLACE, self._identity.shown)

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        if not self._is_missing and not self._identity.files.are_consistent():
            certificate = self._identity.device
            assert certificate is not None
            if self._authority.device_certificate_is_current(certificate, self._chip.public_key) is None:
                self._identity.files.keep(certificate)
                return "put the thing name in the store right"
        kept = self._one_on_the_kit(link) if self._is_missing and not self._is_forced else None
        if kept is not None:
            self._identity.files.keep(kept)
            return f"took over the one on the kit, for {self._identity.shown}"
        organization = self._authority.names.organization
        request = device_request(self._chip.public_key, self._chip.serial_number, organization, link.sign_digest)
        self._identity.files.save(request, self._authority.issue_device_certificate(request))
        return f"the chip signed a request; issued for {self._identity.shown}"

    def _one_on_the_kit(self, link: ProvisioningLink) -> x509.Certificate | None:
        """The certificate that the kit has been given before, if it can still be used: the store is only a copy."""
        certificate = self._read_from_kit(link)
        if certificate is None:
            return None
        reason = self._authority.device_certificate_is_current(certificate, self._chip.public_key)
        return certificate if reason is None else None


class WifiModuleCredentials(Step):
    """Certificates, thing name and endpoint in the flash of the Wi-Fi module.

    :param endpoint: of the account; None where the demo of the cloud reads neither endpoint nor thing name, which are
        then erased with what else is in their sectors
    """

    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save what is there, erase two sectors and write them"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        identity: Identity,
        endpoint: Callable[[], str] | None,
        backups: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._target = target
        self._identity = identity
        self._endpoint = endpoint
        self.title = f"Certificates{', thing name and endpoint' if endpoint else ''} in the Wi-Fi module"
        self._backups = backups
        self._clock = clock

    def prepare(self) -> None:
        if self._endpoint:
            self._endpoint()

    def check(self, progress: Progress) -> Finding:
        link = running_link(self._target)
        wanted = self._wanted()
        if wanted is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        total = sum(area.size for area, _ in wanted.areas())
        done = 0
        for area, content in wanted.areas():
            for offset in range(0, area.size, LARGEST_READ):
                expected = content[offset : offset + LARGEST_READ]
                found = link.winc_read(area.address + offset, len(expected))
                if found != expected:
                    return self._difference(area.address + offset, expected, found)
                done += len(expected)
                progress(done, total)
        return Finding(State.IN_PLACE, f"{total} bytes" + (f" for {wanted.endpoint}" if wanted.endpoint else ""))

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        wanted = self._wanted()
        assert wanted is not None, "the device certificate is made before this step"
        saved = self._save(link)
        pages = wanted.pages()
        total = sum(map(len, pages.values()))
        done = 0
        with interrupts.held():
            for sector in wanted.sectors():
                link.winc_erase_sector(sector)
            for address, data in pages.items():
                link.winc_write(address, data)
                done += len(data)
                progress(done, total)
        return f"{saved}wrote {total} bytes"

    def _wanted(self) -> DeviceCredentials | None:
        device, signer = self._identity.device, self._identity.signer
        if device is None or signer is None:
            return None
        return DeviceCredentials(
            device=device.public_bytes(Encoding.DER),
            signer=signer.public_bytes(Encoding.DER),
            thing_name=self._identity.thing_name if self._endpoint else None,
            endpoint=self._endpoint() if self._endpoint else None,
        )

    def _save(self, link: ProvisioningLink) -> str:
        """Keep what is about to be erased, as far as it is in use.

        :returns: a half sentence for the report, empty where there was nothing
        """
        heads = [link.winc_read(head.address, head.size) for head in (STORE_HEAD, ENDPOINT_HEAD, THING_NAME_HEAD)]
        areas = areas_in_use(*heads)
        if not areas:
            return ""
        image = bytearray(b"\xff") * CLIENT_AREA.size
        for area in areas:
            start = area.address - CLIENT_AREA.address
            image[start : start + area.size] = link.winc_read_range(area.address, area.size)
        name = backups.file_name(CLIENT_AREA_KIND, self._clock(), "bin")
        backups.save(self._backups, name, bytes(image), ACTION)
        return f"saved the old ones as {name}, "

    @staticmethod
    def _difference(address: int, expected: bytes, found: bytes) -> Finding:
        if found == b"\xff" * len(found):
            return Finding(State.MISSING, f"erased at 0x{address:05X}", "what the store says")
        at = next(index for index, (one, other) in enumerate(zip(expected, found, strict=True)) if one != other)
        return Finding(
            State.DIFFERENT,
            f"0x{found[at]:02X} at 0x{address + at:05X}",
            f"0x{expected[at]:02X} at 0x{address + at:05X}",
        )


class SlotsLocked(Step):
    """The certificate slots of the secure element, locked."""

    title = "Slots 10 to 12 of the secure element locked"
    action = ACTION
    about = About.KIT
    proof = "the chip answered OK to each lock"
    would = "lock them; this cannot be undone"
    irreversible = True
    unaskable = "no command of the firmware tells"

    def __init__(self, target: Target) -> None:
        self._target = target

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        for slot in LOCKED_SLOTS:
            running_link(self._target).lock_slot(slot)
        return "locked; one that was locked before stays as it was"
