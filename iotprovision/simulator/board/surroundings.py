"""What the radio of a simulated board reaches: a Wi-Fi network, and through it a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from iotprovision.errors import UsageError

DEFAULT_ACCESS_POINT = "lab:correct horse"


@dataclass(frozen=True)
class CloudAddress:
    """Where a simulated board finds the cloud: it never asks DNS, so it can never reach a real one.

    :param ports: host name, or ``*.suffix``, to the port on 127.0.0.1
    :param certificate_authority_file: PEM of the authority that the server's certificate must come from
    """

    ports: Mapping[str, int]
    certificate_authority_file: str

    def port(self, host: str) -> int | None:
        """The port behind a host name, None where the name is none of this cloud's."""
        for name, port in self.ports.items():
            if host == name or (name.startswith("*.") and host.endswith(name[1:])):
                return port
        return None


class Attempt(TypedDict):
    """One connection: whether it was accepted, and if not, why."""

    accepted: bool
    reason: str


@dataclass(frozen=True)
class AccessPoint:
    """An access point of the simulator's own. The passphrase is WPA's; where it is empty, the network is open."""

    ssid: str
    passphrase: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> AccessPoint:
        """``SSID:PASSPHRASE``, or ``SSID:`` for an open network.

        :raises UsageError: it is not of this form, or no access point could be called so
        """
        ssid, colon, passphrase = text.partition(":")
        # Bytes of a terminal that are no UTF-8 are kept as surrogates; they count as one byte each.
        sizes = [len(part.encode("utf-8", "surrogateescape")) for part in (ssid, passphrase)]
        proper = colon and 1 <= sizes[0] <= 32 and (not sizes[1] or 8 <= sizes[1] <= 63)
        if not proper or any("\ud800" <= character <= "\udfff" for character in text):
            raise UsageError(
                "The simulated access point needs a name and a passphrase, SSID:PASSPHRASE",
                "A name has 1 to 32 bytes of UTF-8 and no colon, a passphrase 8 to 63; without one behind the colon "
                "the network is open.",
                f"--simulate-ap '{DEFAULT_ACCESS_POINT}'",
            )
        return cls(ssid, passphrase)


@dataclass(frozen=True)
class Surroundings:
    """What the radio of a board reaches: one access point, and behind it one cloud."""

    access_point: AccessPoint
    cloud: CloudAddress
