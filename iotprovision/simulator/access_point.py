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
        if not colon or not 1 <= len(ssid.encode()) <= 32 or (passphrase and not 8 <= len(passphrase.encode()) <= 63):
            raise UsageError(
                "The simulated access point needs a name and a passphrase, SSID:PASSPHRASE",
                "A name has 1 to 32 bytes and no colon, a passphrase 8 to 63; without one behind the colon the "
                "network is open.",
                f"--simulate-ap '{DEFAULT_ACCESS_POINT}'",
            )
        return cls(ssid, passphrase)


@dataclass(frozen=True)
class Surroundings:
    """What the radio of a board reaches: one access point, and behind it one cloud."""

    access_point: AccessPoint
    cloud: CloudAddress
