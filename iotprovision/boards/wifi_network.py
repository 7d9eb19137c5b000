"""A Wi-Fi network, whatever board shall join it."""

from __future__ import annotations

import string
from dataclasses import dataclass, field

from iotprovision.errors import UsageError

OPEN = "open"
WPA_PSK = "wpa-psk"
WEP = "wep"
IEEE802_1X = "ieee802.1x"
SECURITIES = (OPEN, WPA_PSK, WEP, IEEE802_1X)

LONGEST_SSID = 32


@dataclass(frozen=True)
class WifiNetwork:
    """Name, passphrase and security of a network, checked when made. The passphrase never shows in ``repr``.

    :ivar ssid: 1 to 32 bytes in UTF-8
    :ivar security: one of :data:`SECURITIES`
    :ivar passphrase: WPA: 8 to 63 bytes, or 64 hex digits; WEP: 5 or 13 characters, or 10 or 26 hex digits
    :raises UsageError: no access point would take it
    """

    ssid: str
    passphrase: str | None = field(default=None, repr=False)
    security: str = WPA_PSK

    def __post_init__(self) -> None:
        if self.security not in SECURITIES:
            raise UsageError(f"Unknown Wi-Fi security {self.security!r}", hint=f"one of {', '.join(SECURITIES)}")
        self._check_ssid()
        if self.security == OPEN and self.passphrase:
            raise UsageError(
                "A passphrase was given for an open Wi-Fi network",
                hint="leave the passphrase out, or name the security: -auth wpa-psk",
            )
        if self.security in (WPA_PSK, WEP):
            self._check_passphrase(self.passphrase or "")

    def _check_ssid(self) -> None:
        size = _size("Wi-Fi network name", self.ssid)
        if not 1 <= size <= LONGEST_SSID:
            raise UsageError(
                f"The Wi-Fi network name has {size} bytes",
                f"A name has 1 to {LONGEST_SSID} bytes; letters outside ASCII count as 2 to 4.",
                "check the value of -ssid",
            )

    def _check_passphrase(self, passphrase: str) -> None:
        if not passphrase:
            raise UsageError(
                f"The security {self.security} needs a passphrase",
                hint="give it with -psk, or name an open network: -auth open",
            )
        size = _size("Wi-Fi passphrase", passphrase)
        digits = all(character in string.hexdigits for character in passphrase)
        if self.security == WPA_PSK and not (8 <= size <= 63 or (size == 64 and digits)):
            raise UsageError(
                f"The Wi-Fi passphrase has {size} bytes",
                "WPA takes 8 to 63 characters, or 64 hex digits.",
                "check the passphrase of the network",
            )
        if self.security == WEP and not (size in (5, 13) or (size in (10, 26) and digits)):
            raise UsageError(
                f"The WEP key has {size} bytes",
                "WEP takes 5 or 13 characters, or 10 or 26 hex digits.",
                "check the key",
            )


def _size(what: str, text: str) -> int:
    """Bytes in UTF-8. The text itself is not shown."""
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        # Python stands for bytes of the command line that are no UTF-8 with these.
        raise UsageError(f"The {what} is not valid UTF-8 text")
    return len(text.encode())
