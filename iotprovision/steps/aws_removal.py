"""A kit out of an AWS account."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from cryptography import x509

from iotprovision.boards.board import DeviceKey
from iotprovision.boards.memory import CredentialMemory
from iotprovision.boards.program import Program
from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.device_removal import Belongings, DeviceRemoval
from iotprovision.cloud.aws.signer_registration import certificate_id
from iotprovision.errors import UsageError
from iotprovision.findings import CannotKnowError, Finding, State
from iotprovision.formats.ecc608_zones import public_key_from_coordinates
from iotprovision.pki.certificates import p256_key, thing_name
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.steps.step import About, Progress, Step
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

    :param held: where the board keeps the certificate that it has been given
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
    needs = Program.PROVISIONING

    def __init__(
        self,
        account: Account,
        key: DeviceKey,
        held: Sequence[CredentialMemory],
        files: Store,
        confirm: Confirm,
        force: bool,
    ) -> None:
        self._account = account
        self._key = key
        self._held = held
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
        if self._own_thing() is None:
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

    def _own_thing(self) -> str | None:
        """By the key in the secure element; None in a dry run, where it cannot be asked."""
        try:
            return thing_name(public_key_from_coordinates(self._key.public_key))
        except CannotKnowError:
            return None

    def _thing(self) -> str:
        if own := self._own_thing():
            return own
        kept = DeviceFiles(self._files).certificate()
        key = None if kept is None else p256_key(kept)
        if key is None:
            raise CannotKnowError("the key can be read only with the provisioning firmware in the MCU")
        return thing_name(key)

    def _identifiers(self) -> list[str]:
        """Certificates that may be the kit's: that in the store, that on the kit, those of a removal that broke off."""
        if not self._asked_kit and self._own_thing() is not None:
            found = (memory.held_certificate() for memory in self._held)
            self._on_kit = next((certificate for certificate in found if certificate is not None), None)
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
