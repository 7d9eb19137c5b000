"""Credentials of a kit with a modem: certificates in the modem, names in the secure element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.modem_link import Modem, advice, modem
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.cloud.aws.server_authorities import server_authorities
from iotprovision.errors import ChipRefusedError
from iotprovision.findings import Finding, State
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT
from iotprovision.formats.item_list import Item, build, parse
from iotprovision.formats.modem_memory import (
    DEVICE_CERTIFICATE_SLOT,
    PROFILE,
    SERVER_AUTHORITIES_SLOT,
    certificate_data,
    profile_fields,
)
from iotprovision.pki.reading import from_pem
from iotprovision.steps.credentials import ACTION
from iotprovision.steps.id_scope import SLOT_KIND
from iotprovision.steps.identity import Identity, running_link
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

CERTIFICATES_KIND = "modem-certificates"


class NamesInSlot(Step):
    """Thing name and endpoint as a list of items in slot 8, where applications for cellular networks look for them.

    :param endpoint: of the account
    :param others_fit: raises where what is to be written to the modem can never be written: then nothing is
    """

    title = f"Thing name and endpoint in slot {PROVISIONING_DATA_SLOT} of the secure element"
    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save the slot and write them"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        identity: Identity,
        endpoint: Callable[[], str],
        backups: Store,
        clock: Callable[[], datetime],
        others_fit: Callable[[], object],
    ) -> None:
        self._target = target
        self._identity = identity
        self._endpoint = endpoint
        self._others_fit = others_fit
        self._backups = backups
        self._clock = clock

    def prepare(self) -> None:
        self._endpoint()

    def check(self, progress: Progress) -> Finding:
        link = running_link(self._target)
        thing_name = self._identity.thing_name
        if thing_name is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        self._others_fit()
        found = link.read_slot(PROVISIONING_DATA_SLOT)
        if found == self._wanted(thing_name):
            return Finding(State.IN_PLACE, f"{thing_name}, {self._endpoint()}")
        items = parse(found)
        shown = ", ".join(items.get(item) or f"no {item.name[4:].replace('_', ' ').lower()}" for item in _ITEMS)
        return Finding(State.DIFFERENT if items else State.MISSING, shown, f"{thing_name}, {self._endpoint()}")

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        thing_name = self._identity.thing_name
        assert thing_name is not None, "the device certificate is made before this step"
        wanted = self._wanted(thing_name)
        before = link.read_slot(PROVISIONING_DATA_SLOT)
        saved = ""
        if before.strip(b"\xff") and before.strip(b"\0"):
            name = backups.file_name(SLOT_KIND, self._clock(), "bin")
            backups.save(self._backups, name, before, ACTION)
            saved = f"saved the slot as {name}, "
        try:
            with interrupts.held():
                link.write_slot(PROVISIONING_DATA_SLOT, wanted)
        except ChipRefusedError as error:
            raise ChipRefusedError(
                "Thing name and endpoint could not be written: "
                f"the secure element refuses slot {PROVISIONING_DATA_SLOT}",
                f"{error.why}\nA slot that was locked can never be written again.",
                "use another kit, or an application that has its thing name and endpoint built in",
                error.status,
            ) from error
        return f"{saved}wrote both"

    def _wanted(self, thing_name: str) -> bytes:
        return build({Item.AWS_THING_NAME: thing_name, Item.AWS_ENDPOINT: self._endpoint()})


_ITEMS = (Item.AWS_THING_NAME, Item.AWS_ENDPOINT)


@dataclass(frozen=True)
class _Held:
    """What the modem holds."""

    device: bytes
    authorities: bytes
    profile: list[str]
    advice: str


class ModemCredentials(Step):
    """The device certificate, the authorities of the servers, and the security profile that names both."""

    title = "Certificates and security profile in the modem"
    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save what is there and write them"
    forced_by = frozenset({"force"})

    def __init__(self, target: Target, identity: Identity, backups: Store, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._identity = identity
        self._backups = backups
        self._clock = clock

    def check(self, progress: Progress) -> Finding:
        link = running_link(self._target)
        wanted = self.wanted()
        if wanted is None:
            return Finding(State.MISSING, "there is no device certificate yet")
        with modem(link) as opened:
            held = _read(opened)
        remark = f". {held.advice}" if held.advice else ""
        wrong = [what for what, is_right in _comparison(held, wanted) if not is_right]
        if not wrong:
            size = sum(map(len, wanted))
            return Finding(State.IN_PLACE, f"{size} bytes in two slots, security profile {held.profile[0]}{remark}")
        nothing = not (held.device or held.authorities or held.profile)
        found = "nothing" if nothing else f"not as it should be: {', '.join(wrong)}"
        return Finding(State.MISSING if nothing else State.DIFFERENT, found + remark, "what the store says")

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        wanted = self.wanted()
        assert wanted is not None, "the device certificate is made before this step"
        device, authorities = wanted
        # A modem in the middle of a transfer takes what comes next for data; so no interrupt may come between.
        with interrupts.held(), modem(link) as opened:
            held = _read(opened)
            saved = self._save(held)
            is_right = [right for _, right in _comparison(held, wanted)]
            writes: list[tuple[str, int, Callable[[], None]]] = [
                (
                    "the authorities of the servers",
                    len(authorities),
                    lambda: opened.write_certificates(SERVER_AUTHORITIES_SLOT, authorities),
                ),
                ("the security profile", 0, opened.write_profile),
                # Last: with it, the kit is complete.
                (
                    "the device certificate",
                    len(device),
                    lambda: opened.write_certificates(DEVICE_CERTIFICATE_SLOT, device),
                ),
            ]
            # Where all is right, writing was asked for nevertheless.
            needed = [write for write, right in zip(writes, is_right, strict=True) if not right or all(is_right)]
            total, done = sum(size for _, size, _ in needed), 0
            for _, size, write in needed:
                write()
                done += size
                progress(done, total)
        return f"{saved}wrote {', '.join(what for what, _, _ in needed)}"

    def wanted(self) -> tuple[bytes, bytes] | None:
        """Device certificate and authorities.

        :raises ProofError: they do not fit
        """
        device = self._identity.device
        if device is None:
            return None
        return (
            certificate_data(device.public_bytes(Encoding.PEM), "of the device"),
            certificate_data(server_authorities(), "of the servers"),
        )

    def _save(self, held: _Held) -> str:
        """Keep what is about to be overwritten. Certificates are no secrets."""
        name = backups.file_name(CERTIFICATES_KIND, self._clock(), "pem")
        if not held.device and not held.authorities:
            return ""
        backups.save(self._backups, name, held.device + held.authorities, ACTION)
        return f"saved the old ones as {name}, "


def certificate_in_modem(link: ProvisioningLink) -> x509.Certificate | None:
    """The device certificate that the kit has been given before."""
    with modem(link) as opened:
        data = opened.read_certificates(DEVICE_CERTIFICATE_SLOT)
    try:
        return from_pem(data)
    except ValueError:
        return None


def _read(opened: Modem) -> _Held:
    return _Held(
        opened.read_certificates(DEVICE_CERTIFICATE_SLOT),
        opened.read_certificates(SERVER_AUTHORITIES_SLOT),
        opened.read_profile(),
        advice(opened.version()),
    )


def _comparison(held: _Held, wanted: tuple[bytes, bytes]) -> list[tuple[str, bool]]:
    device, authorities = wanted
    return [
        (f"authorities in slot {SERVER_AUTHORITIES_SLOT}", held.authorities == authorities),
        # Newer firmware knows fields behind those that were set.
        ("security profile", held.profile[: len(profile_fields(PROFILE))] == profile_fields(PROFILE)),
        (f"device certificate in slot {DEVICE_CERTIFICATE_SLOT}", held.device == device),
    ]
