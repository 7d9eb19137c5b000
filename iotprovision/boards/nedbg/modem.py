"""What the modem of a kit for cellular networks keeps, reached through the bridge of the provisioning firmware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.boards.memory import CredentialMemory, Credentials, Difference, HeldCredentials
from iotprovision.boards.nedbg.wire.modem_link import Modem, advice, modem
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.cloud.aws.server_authorities import server_authorities
from iotprovision.errors import StoreError
from iotprovision.findings import State
from iotprovision.formats.modem_memory import (
    DEVICE_CERTIFICATE_SLOT,
    PROFILE,
    SERVER_AUTHORITIES_SLOT,
    certificate_data,
    profile_fields,
)
from iotprovision.pki.reading import all_from_pem, from_pem
from iotprovision.progress import Progress, no_progress


@dataclass(frozen=True)
class _Content:
    """Certificates of the device and of the authorities of servers, each PEM; a part that is empty is left as it is."""

    device: bytes
    authorities: bytes


@dataclass(frozen=True)
class _Held(_Content):
    profile: tuple[str, ...]
    advice: str

    @property
    def has_profile(self) -> bool:
        """Whether the security profile is as applications expect it. Newer firmware knows more fields behind these."""
        wanted = profile_fields(PROFILE)
        return list(self.profile[: len(wanted)]) == wanted


class ModemCertificates(CredentialMemory):
    """Two slots of the modem, and the security profile that names both.

    A content is the certificate of the device and behind it those of the authorities. One without the former wants no
    certificate of a device where it is empty, and leaves what is there where it has authorities. The profile is the
    same for every kit.

    :param link: the conversation with the provisioning firmware
    """

    part = "modem"
    kind = "modem-certificates"
    called = "certificates and security profile in the modem"
    ending = "pem"

    def __init__(self, link: Callable[[], ProvisioningLink]) -> None:
        self._link = link
        self._held: _Held | None = None

    def read(self, progress: Progress = no_progress) -> bytes:
        """What the last look found, as nothing else writes to the modem."""
        held = self._held or self._look()
        return held.device + held.authorities

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        held = self._look()
        if not wanted:
            return Difference("a device certificate", "nothing") if held.device else None
        remark = f". {held.advice}" if held.advice else ""
        wrong = [what for what, is_right in _comparison(held, _split(wanted)) if not is_right]
        if not wrong:
            return None
        if not (held.device or held.authorities or held.profile):
            return Difference(f"nothing{remark}", state=State.MISSING)
        return Difference(f"not as it should be: {', '.join(wrong)}{remark}")

    def write(self, content: bytes, progress: Progress) -> str:
        held = self._held or self._look()
        self._held = None
        if not content:
            with modem(self._link()) as opened:
                opened.erase_certificates(DEVICE_CERTIFICATE_SLOT)
            return "nothing in place of the device certificate"
        wanted = _split(content)
        right = [is_right for _, is_right in _comparison(held, wanted)]
        done, total = 0, len(content)
        with modem(self._link()) as opened:
            # The device certificate comes last: with it, the kit is complete.
            parts = [
                ("the authorities of the servers", wanted.authorities, _writing(opened, SERVER_AUTHORITIES_SLOT)),
                ("the security profile", b"", lambda _: opened.write_profile()),
                ("the device certificate", wanted.device, _writing(opened, DEVICE_CERTIFICATE_SLOT)),
            ]
            # Where all is right, writing was asked for nevertheless.
            needed = [part for part, is_right in zip(parts, right, strict=True) if not is_right or all(right)]
            for _, data, write in needed:
                write(data)
                done += len(data)
                progress(done, total)
        return ", ".join(what for what, _, _ in needed)

    def is_blank(self, content: bytes) -> bool:
        return not content

    def blank(self) -> bytes:
        return b""

    def check(self, content: bytes, source: str) -> None:
        try:
            all_from_pem(content)
        except ValueError as error:
            raise StoreError(f"The backup {source} holds no certificates", str(error), "name another date") from error
        _split(content)

    def device_certificate(self, content: bytes) -> x509.Certificate | None:
        device = _split(content).device if content else b""
        return from_pem(device) if device else None

    def content(self, credentials: Credentials) -> bytes:
        device = certificate_data(credentials.device.public_bytes(Encoding.PEM), "of the device")
        return device + certificate_data(server_authorities(), "of the servers")

    def held(self) -> HeldCredentials:
        with modem(self._link()) as opened:
            data = opened.read_certificates(DEVICE_CERTIFICATE_SLOT)
        try:
            return HeldCredentials(from_pem(data))
        except ValueError:
            return HeldCredentials()

    def shown(self, content: bytes) -> str:
        remark = f". {self._held.advice}" if self._held and self._held.advice else ""
        return f"{len(content)} bytes in two slots, security profile {profile_fields(PROFILE)[0]}{remark}"

    def _look(self) -> _Held:
        with modem(self._link()) as opened:
            self._held = _Held(
                opened.read_certificates(DEVICE_CERTIFICATE_SLOT),
                opened.read_certificates(SERVER_AUTHORITIES_SLOT),
                tuple(opened.read_profile()),
                advice(opened.version()),
            )
        return self._held


def _writing(opened: Modem, slot: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        if data:
            opened.write_certificates(slot, data)

    return write


def _comparison(held: _Held, wanted: _Content) -> list[tuple[str, bool]]:
    return [
        (f"authorities in slot {SERVER_AUTHORITIES_SLOT}", wanted.authorities in (b"", held.authorities)),
        ("security profile", held.has_profile),
        (f"device certificate in slot {DEVICE_CERTIFICATE_SLOT}", wanted.device in (b"", held.device)),
    ]


def _split(content: bytes) -> _Content:
    """:raises ProofError: they do not fit into their slots"""
    device, authorities = b"", b""
    for certificate in all_from_pem(content):
        pem = certificate.public_bytes(Encoding.PEM)
        if _is_authority(certificate) or device:
            authorities += pem
        else:
            device = pem
    return _Content(certificate_data(device, "of the device"), certificate_data(authorities, "of the servers"))


def _is_authority(certificate: x509.Certificate) -> bool:
    """Roots of version 1 have no extensions, and are authorities."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
