"""The own authority in the store."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from iotprovision.errors import StoreError
from iotprovision.findings import Finding, State
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.authority_files import FILES
from iotprovision.steps.step import About, Progress, Step

ACTION = "certs"


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

    def __init__(self, authority: Authority, anew: bool = False) -> None:
        self._authority = authority
        self._anew = anew

    def prepare(self) -> None:
        """A passphrase for keys that will be made is asked for before anything is made anywhere."""
        if self._authority.look() is not AuthorityState.COMPLETE or self._anew:
            self._authority.settle_passphrase()

    def check(self, progress: Progress) -> Finding:
        """Nobody is asked for a passphrase to look. One that is at hand is tried, so that a wrong one is found."""
        if self._authority.look() is not AuthorityState.COMPLETE:
            missing = self._authority.missing()
            if len(missing) == len(FILES):
                return Finding(State.MISSING, "none in the store")
            return Finding(State.DIFFERENT, f"not complete: {', '.join(missing)} missing", "all files")
        found = f"{_name(self._authority.root)}, {_name(self._authority.signer)}"
        if self._authority.passphrase_is_at_hand:
            self._authority.prove_keys()
        unopened = self._authority.unopened_keys
        if unopened:
            verb = "was" if len(unopened) == 1 else "were"
            proof = f"signer verifies under root, both in date; {' and '.join(unopened)} {verb} not opened"
            return Finding(State.IN_PLACE, found, proof=proof)
        return Finding(State.IN_PLACE, found)

    def apply(self, progress: Progress) -> str:
        """What other runs have made since the check stays, unless this run was told to replace whatever is there."""
        kept = ""
        with self._authority.alone():
            if self._authority.look() is AuthorityState.COMPLETE:
                if not self._anew:
                    self._check_encryption()
                    return "left those that another run made meanwhile"
                self._authority.settle_passphrase()  # while the old ones are still in their place
                kept = f"kept the old ones in {self._authority.retire()}, "
            made = self._authority.missing()
            self._authority.create()
        return f"{kept}made {', '.join(made)}"

    def _check_encryption(self) -> None:
        """Whoever gave a passphrase for new keys must not be left with plain ones."""
        if not self._authority.would_encrypt:
            return
        if not self._authority.is_encrypted:
            raise StoreError(
                "Another run made the CA keys meanwhile, and did not encrypt them",
                "This run was to make encrypted ones.",
                "have new ones made: --fca",
            )
        self._authority.prove_keys()


def _name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
