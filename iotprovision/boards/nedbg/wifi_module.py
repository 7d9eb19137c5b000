"""What the Wi-Fi module of a kit (WINC1510) keeps in its flash, reached through the provisioning firmware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.boards.memory import (
    CredentialMemory,
    Credentials,
    Difference,
    HeldCredentials,
    Memory,
    RootMemory,
    check_size,
    first_other,
)
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import CloudError, ProofError, StoreError
from iotprovision.findings import State
from iotprovision.formats import client_store, root_store
from iotprovision.formats.device_credentials import (
    ENDPOINT_HEAD,
    ENDPOINT_SIZE,
    STORE_HEAD,
    THING_NAME_HEAD,
    THING_NAME_SIZE,
    DeviceCredentials,
    areas_in_use,
    areas_read,
    text_at,
)
from iotprovision.formats.root_store import Root
from iotprovision.formats.winc_flash import (
    CLIENT_AREA,
    CLIENT_STORE,
    ENDPOINT,
    ERASED,
    PAGE,
    ROOT_STORE,
    THING_NAME,
    FlashArea,
    pages,
)
from iotprovision.pki.reading import from_der
from iotprovision.progress import Progress, no_progress


@dataclass
class ModuleFlash:
    """The way to the flash.

    :param link: the conversation with the provisioning firmware
    :ivar owned: what this run may erase and write
    """

    link: Callable[[], ProvisioningLink]
    owned: list[FlashArea] = field(default_factory=list)


class ModuleFlashArea(Memory):
    """Whole sectors of the flash. What is written is erased first, and blank pages are left so.

    :cvar area: the sectors
    """

    area: ClassVar[FlashArea]

    def __init__(self, flash: ModuleFlash) -> None:
        self._flash = flash

    def allow_writing(self) -> None:
        if self.area not in self._flash.owned:
            self._flash.owned.append(self.area)

    def read(self, progress: Progress = no_progress) -> bytes:
        return self._flash.link().winc_read_range(self.area.address, self.area.size, progress)

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        found = self.read(progress)
        if found == wanted:
            return None
        if self.is_blank(wanted):
            return Difference(f"{len(found) - found.count(ERASED)} bytes", "erased")
        at = first_other(found, wanted)
        return Difference(f"other content, from 0x{self.area.address + at:05X} on")

    def write(self, content: bytes, progress: Progress) -> str:
        link = self._flash.link()
        for sector in self.area.sectors():
            link.winc_erase_sector(sector)
        written = pages(self.area.address, content)
        total, done = sum(map(len, written.values())), 0
        for address, data in written.items():
            link.winc_write(address, data)
            done += len(data)
            progress(done, total)
        return f"{total} bytes"

    def is_blank(self, content: bytes) -> bool:
        return content.count(ERASED) == len(content)

    def blank(self) -> bytes:
        return bytes([ERASED]) * self.area.size

    def check(self, content: bytes, source: str) -> None:
        check_size(content, self.area.size, source, "this part of the flash")
        if broken := self.why_broken(content):
            raise StoreError(f"The backup {source} holds no whole store", broken, "name another date")


class ClientArea(ModuleFlashArea, CredentialMemory):
    """Two sectors with the certificates that the module shows to a server, thing name and endpoint."""

    part = "credentials"
    kind = f"winc-{CLIENT_AREA.address:05x}"
    called = "certificates, thing name and endpoint in the Wi-Fi module"
    area = CLIENT_AREA

    def title(self, has_names: bool) -> str:
        return super().title(has_names) if has_names else "Certificates in the Wi-Fi module"

    def read(self, progress: Progress = no_progress) -> bytes:
        """As far as it is in use: a kit from the factory is not read to its end for nothing."""
        link = self._flash.link()
        heads = [link.winc_read(head.address, head.size) for head in (STORE_HEAD, ENDPOINT_HEAD, THING_NAME_HEAD)]
        image = bytearray(self.blank())
        for area in areas_in_use(*heads):
            start = area.address - self.area.address
            image[start : start + area.size] = link.winc_read_range(area.address, area.size)
        return bytes(image)

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        areas = [self.area] if exact or self.is_blank(wanted) else areas_read(wanted)
        total, done = sum(area.size for area in areas), 0
        for area in areas:
            for address in range(area.address, area.end, PAGE):
                start = address - self.area.address
                expected = wanted[start : start + min(PAGE, area.end - address)]
                found = self._flash.link().winc_read(address, len(expected))
                if found != expected:
                    return _difference(address, found, expected)
                done += len(expected)
                progress(done, total)
        return None

    def check_endpoint(self, endpoint: str | None) -> None:
        if endpoint is not None and len(endpoint) >= ENDPOINT_SIZE:
            raise CloudError(
                "The account's device endpoint does not fit in the Wi-Fi module",
                f"{endpoint} has {len(endpoint)} characters, the board reads at most {ENDPOINT_SIZE - 1}.",
                "a region with a shorter name",
            )

    def content(self, credentials: Credentials) -> bytes:
        return DeviceCredentials(
            device=credentials.device.public_bytes(Encoding.DER),
            signer=credentials.signer.public_bytes(Encoding.DER),
            thing_name=credentials.thing_name,
            endpoint=credentials.endpoint,
        ).image()

    def held(self) -> HeldCredentials:
        link = self._flash.link()
        device, signer, damaged = self._certificates()
        return HeldCredentials(
            device,
            signer,
            text_at(link.winc_read(THING_NAME.address, THING_NAME_SIZE)) or "",
            text_at(link.winc_read(ENDPOINT.address, ENDPOINT_SIZE)) or "",
            damaged,
        )

    def held_certificate(self) -> x509.Certificate | None:
        return self._certificates()[0]

    def _certificates(self) -> tuple[x509.Certificate | None, x509.Certificate | None, str]:
        """Device and signer, and what is wrong with their store."""
        link = self._flash.link()
        head = link.winc_read(STORE_HEAD.address, STORE_HEAD.size)
        if client_store.is_blank(head):
            return None, None, ""
        try:
            content = link.winc_read_range(STORE_HEAD.address, client_store.used_length(head))
            certificates = [from_der(certificate) for certificate in client_store.parse(content).certificates[:2]]
        except (ProofError, ValueError) as error:
            return None, None, f"the certificate store cannot be read: {getattr(error, 'what', error)}"
        device, signer = (*certificates, None, None)[:2]
        return device, signer, ""

    def why_broken(self, content: bytes) -> str:
        try:
            client_store.parse(content[: CLIENT_STORE.size])
        except ProofError as error:
            return error.why
        return ""

    def device_certificate(self, content: bytes) -> x509.Certificate | None:
        try:
            return from_der(client_store.parse(content).certificates[0])
        except (ProofError, ValueError, IndexError):
            return None

    def shown(self, content: bytes) -> str:
        areas = areas_read(content)
        host = text_at(content[ENDPOINT.address - self.area.address :][:ENDPOINT_SIZE])
        return f"{sum(area.size for area in areas)} bytes" + (f" for {host}" if host else "")


class RootStore(ModuleFlashArea, RootMemory):
    """The sector with the authorities whose servers the module trusts. They are compared by what they mean."""

    part = "root-certificates"
    kind = "winc-root-certificates"
    called = "root certificates in the Wi-Fi module"
    area = ROOT_STORE
    is_numbered = True

    def __init__(self, flash: ModuleFlash) -> None:
        RootMemory.__init__(self)
        ModuleFlashArea.__init__(self, flash)
        self._written: bytes | None = None

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        """Neither the order of the roots nor bytes that mean nothing count; what this run wrote is compared wholly."""
        if exact:
            return super().difference(wanted, progress, exact)
        found = self.read(progress)
        if self._written is not None and found != self._written:
            return Difference("other bytes than were written")
        try:
            roots = root_store.parse(found)
        except ProofError as error:
            return Difference(f"no readable store: {error.why}")
        wanted_roots = root_store.parse(wanted)
        if set(roots) == set(wanted_roots):
            return None
        if not roots:
            return Difference("none", state=State.MISSING)
        missing = [self._name(root) for root in wanted_roots if root not in roots]
        more = [self._name(root) for root in roots if root not in wanted_roots]
        parts = [f"without {', '.join(missing)}"] if missing else []
        parts += [f"with {', '.join(more)}"] if more else []
        return Difference(f"{len(roots)} roots, {' and '.join(parts)}")

    def write(self, content: bytes, progress: Progress) -> str:
        self._written = content
        super().write(content, progress)
        return f"{len(root_store.parse(content))} roots"

    def why_broken(self, content: bytes) -> str:
        try:
            root_store.parse(content)
        except ProofError as error:
            return error.why
        return ""

    def _name(self, root: Root) -> str:
        return self.names.get(root, root.name)


def _difference(address: int, found: bytes, expected: bytes) -> Difference:
    if found == bytes([ERASED]) * len(found):
        return Difference(f"erased at 0x{address:05X}", state=State.MISSING)
    at = first_other(found, expected)
    place = f"at 0x{address + at:05X}"
    return Difference(f"0x{found[at]:02X} {place}", f"0x{expected[at]:02X} {place}")
