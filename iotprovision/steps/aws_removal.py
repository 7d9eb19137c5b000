"""The command ``unprovision``: the kit out of the account, and its credentials out of its modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from cryptography import x509

from iotprovision import interrupts
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.modem_link import modem
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_removal import Belongings, DeviceRemoval
from iotprovision.cloud.aws.signer_registration import certificate_id
from iotprovision.errors import UsageError
from iotprovision.findings import Finding, State
from iotprovision.formats import item_list
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT, public_key_from_coordinates
from iotprovision.formats.modem_memory import DEVICE_CERTIFICATE_SLOT
from iotprovision.formats.winc_flash import CLIENT_AREA, ERASED
from iotprovision.pki.certificates import p256_key, thing_name
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.steps.credentials import CLIENT_AREA_KIND, certificate_in_wifi_module
from iotprovision.steps.id_scope import SLOT_KIND
from iotprovision.steps.identity import Chip, running_link
from iotprovision.steps.modem_credentials import CERTIFICATES_KIND, certificate_in_modem
from iotprovision.steps.step import About, CannotKnowError, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "unprovision"
UNFINISHED_FILE = "unprovision.json"
"""The certificates that a removal began with, by account and region: one that is detached from its thing cannot be
found there any more."""

NOBODY = "0" * 40
"""A thing that is no kit's: asked for to find out whether one may look, before the chip has told the kit's own."""

Confirm = Callable[[str], bool]


class DeviceRemovedFromAccount(Step):
    """The account has neither thing nor certificate of the kit.

    Which these are tells the key in the secure element: whatever the store says, nothing of another key is removed.

    :param confirm: asks the person, with what would be removed
    :param files: the kit's folder in the store
    """

    title = "Kit out of the account"
    action = ACTION
    about = About.ACCOUNT
    proof = "asked of the account: none of the certificates that are known of the kit, no thing of its name"
    proof_of_a_shared_thing = (
        "asked of the account: none of the certificates that are known of the kit; the thing of its name stays, "
        "something else is attached to it"
    )
    would = "detach policy and certificate, delete certificate and thing"

    def __init__(
        self, account: Account, target: Target, chip: Chip, files: Store, confirm: Confirm, force: bool
    ) -> None:
        self._account = account
        self._target = target
        self._chip = chip
        self._files = files
        self._confirm = confirm
        self._force = force
        self._on_kit: x509.Certificate | None = None
        self._asked_kit = False

    def prepare(self) -> None:
        """An account that cannot be reached, or not be looked into, is found before the kit is touched."""
        self._account.identity()
        self._account.find("iot", "DescribeThing", thingName=NOBODY)

    def check(self, progress: Progress) -> Finding:
        found = self._look()
        if found.is_empty:
            if found.strangers:
                return Finding(State.IN_PLACE, found.remark(), proof=self.proof_of_a_shared_thing)
            return Finding(State.IN_PLACE, f"nothing of the thing {found.thing}")
        text = found.shown() + (f"; {found.remark()}" if found.remark() else "")
        if self._target.provisioning is None:
            text += " (by the certificate in the store: the chip was not asked)"
        return Finding(State.DIFFERENT, text, "nothing")

    def apply(self, progress: Progress) -> str:
        found = self._look()
        question = f"Remove from the account {self._place}: {found.shown()}"
        if not self._confirm(question):
            raise UsageError("The kit was not taken out of the account", "It was not agreed to. Nothing was changed.")
        self._keep_unfinished(found.identifiers)
        done = DeviceRemoval(self._account, found.thing).remove(found, self._force)
        self._keep_unfinished([])
        return "; ".join(done)

    @property
    def _place(self) -> str:
        return f"{self._account.identity()['Account']}, {self._account.region}"

    def _look(self) -> Belongings:
        thing, identifiers = self._thing(), self._identifiers()
        return DeviceRemoval(self._account, thing).look(identifiers)

    def _thing(self) -> str:
        if self._target.provisioning is not None:
            return thing_name(public_key_from_coordinates(self._chip.public_key))
        kept = DeviceFiles(self._files).certificate()  # only in a dry run
        key = None if kept is None else p256_key(kept)
        if key is None:
            raise CannotKnowError("the key can be read only with the provisioning firmware in the MCU")
        return thing_name(key)

    def _identifiers(self) -> list[str]:
        """Certificates that may be the kit's: that in the store, that on the kit, those of a removal that broke off."""
        if not self._asked_kit and self._target.provisioning is not None:
            read = certificate_in_wifi_module if self._target.kit.kit.has_wifi else certificate_in_modem
            self._on_kit = read(self._target.provisioning)
            self._asked_kit = True
        kept = (DeviceFiles(self._files).certificate(), self._on_kit)
        unfinished = self._unfinished().get(self._place, [])
        return [*(certificate_id(each) for each in kept if each is not None), *unfinished]

    def _unfinished(self) -> dict[str, list[str]]:
        try:
            content = json.loads(self._files.read(UNFINISHED_FILE) or b"{}")
        except ValueError:
            return {}
        if not isinstance(content, dict):
            return {}
        return {place: [str(each) for each in ids] for place, ids in content.items() if isinstance(ids, list)}

    def _keep_unfinished(self, identifiers: list[str]) -> None:
        """Those of this account; what another account is still to lose stays noted."""
        places = self._unfinished()
        places.pop(self._place, None)
        if identifiers:
            places[self._place] = identifiers
        if places:
            self._files.write(UNFINISHED_FILE, json.dumps(places).encode())
        elif self._files.has(UNFINISHED_FILE):
            self._files.remove(UNFINISHED_FILE)


class WifiModuleEmptied(Step):
    """Certificates, thing name and endpoint erased from the Wi-Fi module."""

    title = "Credentials out of the Wi-Fi module"
    action = ACTION
    about = About.KIT
    proof = "read back, both sectors erased"
    would = "save them and erase two sectors"

    def __init__(self, target: Target, files: Store, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._files = files
        self._clock = clock

    def check(self, progress: Progress) -> Finding:
        found = self._read(progress)
        if found.count(ERASED) == len(found):
            return Finding(State.IN_PLACE, "erased")
        return Finding(State.DIFFERENT, f"{len(found) - found.count(ERASED)} bytes", "erased")

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        name = backups.file_name(CLIENT_AREA_KIND, self._clock(), "bin")
        backups.save(self._files, name, self._read(progress), ACTION)
        with interrupts.held():
            for sector in CLIENT_AREA.sectors():
                link.winc_erase_sector(sector)
        return f"saved them as {name}, erased both sectors"

    def _read(self, progress: Progress) -> bytes:
        return running_link(self._target).winc_read_range(CLIENT_AREA.address, CLIENT_AREA.size, progress)


class ModemEmptied(Step):
    """The device certificate out of the modem, thing name and endpoint out of the secure element.

    What is no secret of the device stays: the authorities of the servers, and the security profile.
    """

    title = "Credentials out of modem and secure element"
    action = ACTION
    about = About.KIT
    proof = "read back, nothing there"
    would = "save them and erase them"

    def __init__(self, target: Target, files: Store, clock: Callable[[], datetime]) -> None:
        self._target = target
        self._files = files
        self._clock = clock

    def check(self, progress: Progress) -> Finding:
        certificate, slot = self._read()
        parts = ["a device certificate"] if certificate else []
        parts += ["names"] if item_list.parse(slot) else []
        if not parts:
            return Finding(State.IN_PLACE, "none")
        return Finding(State.DIFFERENT, " and ".join(parts), "nothing")

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        certificate, slot = self._read()
        saved = []
        if item_list.parse(slot):
            saved.append(backups.file_name(SLOT_KIND, self._clock(), "bin"))
            backups.save(self._files, saved[-1], slot, ACTION)
            with interrupts.held():
                link.write_slot(PROVISIONING_DATA_SLOT, item_list.build({}))
        if certificate:
            saved.append(backups.file_name(CERTIFICATES_KIND, self._clock(), "pem"))
            backups.save(self._files, saved[-1], certificate, ACTION)
            with interrupts.held(), modem(link) as opened:
                opened.erase_certificates(DEVICE_CERTIFICATE_SLOT)
        return f"saved them as {' and '.join(saved)}, erased them"

    def _read(self) -> tuple[bytes, bytes]:
        link = running_link(self._target)
        slot = link.read_slot(PROVISIONING_DATA_SLOT)
        with modem(link) as opened:
            return opened.read_certificates(DEVICE_CERTIFICATE_SLOT), slot
