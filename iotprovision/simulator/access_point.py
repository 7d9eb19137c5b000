"""The Wi-Fi network that a simulated board can join, and what is to be reached through it."""

from __future__ import annotations

from dataclasses import dataclass, field

from iotprovision.errors import UsageError
from iotprovision.simulator.power_up import CloudAddress

DEFAULT_ACCESS_POINT = "lab:correct horse"


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
