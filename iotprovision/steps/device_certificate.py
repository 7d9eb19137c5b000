"""A certificate of the own signer for the key of a board."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from iotprovision.boards.board import DeviceKey
from iotprovision.boards.memory import CredentialMemory
from iotprovision.boards.program import Program
from iotprovision.errors import StoreError
from iotprovision.findings import Finding, State
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.steps.identity import OwnIdentity
from iotprovision.steps.step import About, Progress, Step

ACTION = "provision"


class DeviceCertificate(Step):
    """A certificate for the key in the secure element, issued by the signer."""

    title = "Device certificate"
    action = ACTION
    about = About.STORE
    proof = "its key is the chip's, the signer issued it, it is in date"
    would = "have the secure element sign a request and issue a certificate for it"
    forced_by = frozenset({"force", "fdev"})
    needs = Program.PROVISIONING

    def __init__(
        self,
        key: DeviceKey,
        identity: OwnIdentity,
        authority: Authority,
        authority_is_coming: bool,
        force: frozenset[str],
        held: Sequence[CredentialMemory],
    ) -> None:
        """
        :param force: the options given that force something; with one of ours, no certificate is taken over
        :param held: where the board keeps the certificate that it has been given before
        """
        self._key = key
        self._identity = identity
        self._authority = authority
        self._authority_is_coming = authority_is_coming
        self._is_forced = bool(force & self.forced_by)
        self._held = held
        self._is_missing = True

    def prepare(self) -> None:
        """A signer that is missing, or that will have to sign and cannot, is found before the kit is touched."""
        state = self._authority.state()
        if state is AuthorityState.UNFINISHED and not self._authority_is_coming:
            raise StoreError(
                "The root CA and the signer CA are not complete",
                f"Missing: {', '.join(self._authority.missing())}.",
                "run the action 'certs': it makes what can be made, and says what must come from a backup",
            )
        is_missing = state is not AuthorityState.COMPLETE and not self._authority_is_coming
        if is_missing or (state is AuthorityState.COMPLETE and self._will_issue()):
            _ = self._authority.signer_key

    def _will_issue(self) -> bool:
        """Whether a certificate will be issued, as far as can be known before the chip was asked for its key."""
        certificate = self._identity.device
        if certificate is None or self._is_forced:
            return True
        return self._authority.device_certificate_is_current(certificate, None) is not None

    def check(self, progress: Progress) -> Finding:
        if self._authority.state() is not AuthorityState.COMPLETE:
            return Finding(State.MISSING, "there is no signer yet")
        certificate = self._identity.device
        self._is_missing = certificate is None
        if certificate is None:
            return Finding(State.MISSING, "none in the store", "a certificate for the chip's key")
        reason = self._authority.device_certificate_is_current(certificate, self._key.public_key)
        if not reason and not self._identity.files.are_consistent():
            return Finding(State.DIFFERENT, "the thing name in the store is not the certificate's", "the certificate's")
        if reason:
            return Finding(State.DIFFERENT, f"the one in the store cannot be used: {reason}", "one for the chip's key")
        return Finding(State.IN_PLACE, self._identity.shown)

    def apply(self, progress: Progress) -> str:
        if not self._is_missing and not self._identity.files.are_consistent():
            certificate = self._identity.device
            assert certificate is not None
            if self._authority.device_certificate_is_current(certificate, self._key.public_key) is None:
                self._identity.files.keep(certificate)
                return "put the thing name in the store right"
        kept = self._one_on_the_board() if self._is_missing and not self._is_forced else None
        if kept is not None:
            self._identity.files.keep(kept)
            return f"took over the one on the kit, for {self._identity.shown}"
        request = self._key.request(self._authority.names.organization)
        self._identity.files.save(request, self._authority.issue_device_certificate(request, self._key.name))
        return f"the chip signed a request; issued for {self._identity.shown}"

    def _one_on_the_board(self) -> x509.Certificate | None:
        """The certificate that the board has been given before, if it can still be used: the store is only a copy."""
        for memory in self._held:
            certificate = memory.held_certificate()
            if certificate is not None:
                reason = self._authority.device_certificate_is_current(certificate, self._key.public_key)
                return certificate if reason is None else None
        return None
