"""What the authorities and the devices are called."""

from __future__ import annotations

from dataclasses import dataclass

from iotprovision.errors import UsageError

# The upper bounds of organizationName and commonName (RFC 5280, appendix A.1), in characters.
LONGEST = 64


@dataclass(frozen=True)
class Names:
    """The names that go into new certificates.

    :raises UsageError: a name is empty, too long, has invisible characters, or both authorities have the same
    """

    organization: str = "Example Inc"
    root_common_name: str = "Example Root CA"
    signer_common_name: str = "Example Signer FFFF"

    def __post_init__(self) -> None:
        _check("organization", self.organization)
        _check("name of the root CA", self.root_common_name)
        _check("name of the signer CA", self.signer_common_name)
        if self.root_common_name == self.signer_common_name:
            raise UsageError(
                f"Root and signer CA are both called {self.root_common_name!r}",
                "Certificates find their issuer by its name, so the two must differ.",
                "give the signer another name",
            )


def _check(what: str, name: str) -> None:
    if 1 <= len(name) <= LONGEST and name.isprintable() and name == name.strip():
        return
    raise UsageError(
        f"The {what} {name!r} cannot stand in a certificate",
        f"A name there has 1 to {LONGEST} visible characters and no blank at either end (RFC 5280).",
        "use a shorter or plainer name",
    )
