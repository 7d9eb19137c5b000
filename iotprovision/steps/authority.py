"""The action ``certs``: an account that registers devices of a signer, and the signer."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.findings import Finding, State
from iotprovision.pki.authority import FILES, Authority, AuthorityState
from iotprovision.steps.foreign import not_foreign
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store.folder import Store

ACTION = "certs"
STORE_LOCK_WAIT = 30.0
"""Seconds to wait for a run on another kit that makes the same authorities."""


class StackDeployed(Step):
    """The stack that registers devices at their first connection."""

    title = "JITR stack in the account"
    action = ACTION
    about = About.ACCOUNT
    proof = "template and parts compared in the account"
    would = "create or update the stack"
    forced_by = frozenset({"faws"})

    def __init__(self, account: Account, overwrites: bool) -> None:
        self._account = account
        self._stack = JitrStack(account)
        self._overwrites = overwrites

    def prepare(self) -> None:
        """Rights that are missing are found before anything is made."""
        self._account.identity()
        not_foreign(self._stack.state(), self._overwrites)

    def check(self, progress: Progress) -> Finding:
        return not_foreign(self._stack.state(), self._overwrites)

    def apply(self, progress: Progress) -> str:
        self._stack.apply(anew=self._stack.state().in_place)
        return "deployed"


class AuthorityInStore(Step):
    """Root CA and signer CA, each with its key, in the store.

    :param anew: whether this run makes others in place of those that are there
    """

    title = "Root CA and signer CA"
    action = ACTION
    about = About.STORE
    proof = "keys match, signer verifies under root, both in date"
    would = "make the root CA and the signer CA"
    forced_by = frozenset({"fca"})

    def __init__(self, authority: Authority, store: Store, anew: bool = False) -> None:
        self._authority = authority
        self._store = store
        self._anew = anew

    def prepare(self) -> None:
        """A passphrase for keys that will be made is asked for before anything is made anywhere."""
        if self._anew or self._authority.state() is not AuthorityState.COMPLETE:
            self._settle_passphrase()

    def _settle_passphrase(self) -> None:
        if self._authority.state() is AuthorityState.COMPLETE and self._authority.is_encrypted:
            # New keys get the passphrase of the old ones, and those are what a mistyped one does not open.
            _ = self._authority.root_key
        self._authority.settle_passphrase()

    def check(self, progress: Progress) -> Finding:
        if self._authority.state() is not AuthorityState.COMPLETE:
            missing = self._authority.missing()
            if len(missing) == len(FILES):
                return Finding(State.MISSING, "none in the store")
            return Finding(State.DIFFERENT, f"not complete: {', '.join(missing)} missing", "all files")
        found = f"{_name(self._authority.root)}, {_name(self._authority.signer)}"
        if self._authority.is_encrypted:
            if not self._authority.passphrase_is_at_hand:
                return Finding(
                    State.IN_PLACE, found, proof="chain and dates; the keys are encrypted and were not opened"
                )
            _ = self._authority.root_key, self._authority.signer_key
        return Finding(State.IN_PLACE, found)

    def apply(self, progress: Progress) -> str:
        kept = ""
        with self._store.lock(STORE_LOCK_WAIT):
            if self._authority.state() is AuthorityState.COMPLETE:
                self._settle_passphrase()  # while the old ones are still in their place
                kept = f"kept the old ones in {self._authority.retire()}, "
            made = self._authority.missing()
            self._authority.create()
        return f"{kept}made {', '.join(made)}"


class SignerRegistered(Step):
    """The account knows the signer and registers its devices by itself."""

    title = "Signer registered with the account"
    action = ACTION
    about = About.ACCOUNT
    proof = "asked of the account: active, auto-registration on"
    would = "register the signer"

    def __init__(self, account: Account, authority: Authority) -> None:
        self._account = account
        self._authority = authority

    def prepare(self) -> None:
        self.check(lambda done, total: None)

    def check(self, progress: Progress) -> Finding:
        if self._authority.state() is not AuthorityState.COMPLETE:
            return Finding(State.MISSING, "there is no signer yet")
        return self._registration().state()

    def apply(self, progress: Progress) -> str:
        self._registration().apply()
        return "registered, active, auto-registration on"

    def _registration(self) -> SignerRegistration:
        return SignerRegistration(self._account, self._authority.signer, self._authority.verification_certificate)


def _name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
