"""A Wi-Fi network as the demo's console can take it."""

from __future__ import annotations

import string
from dataclasses import dataclass, field

from iotprovision.errors import UsageError

OPEN = "open"
WPA_PSK = "wpa-psk"
WEP = "wep"
IEEE802_1X = "ieee802.1x"

# Authentication numbers of the console. 802.1X would be 4, which no demo accepts.
_NUMBERS = {OPEN: 1, WPA_PSK: 2, WEP: 3}

LONGEST_SSID = 32
# The buffer of the console holds 100 bytes and its length check is one off.
LONGEST_LINE = 99

_NO_COMMA = (
    "The console of the demo application splits its line at commas and has no way to quote one,\n"
    "so the board would take the rest for another setting."
)
_WEP_IS_NOT_SENT = (
    "WEP: the AWS demo answers OK and then sends nothing to the Wi-Fi module, so the board will not join this network."
)
_SPACE_AT_THE_END = "The network name begins or ends with a space; boards have not been seen to keep it."


@dataclass(frozen=True)
class WifiNetwork:
    """Name, passphrase and security of a network, checked when made. The passphrase never shows in ``repr``.

    :ivar ssid: 1 to 32 bytes in UTF-8
    :ivar security: ``open``, ``wpa-psk`` or ``wep``
    :ivar passphrase: WPA: 8 to 63 bytes, or 64 hex digits; WEP: 5 or 13 characters, or 10 or 26 hex digits
    :raises UsageError: the demo's console cannot take it, or no access point would
    """

    ssid: str
    passphrase: str | None = field(default=None, repr=False)
    security: str = WPA_PSK

    def __post_init__(self) -> None:
        if self.security == IEEE802_1X:
            raise UsageError(
                "The kits cannot use IEEE 802.1X",
                "No demo application accepts this kind of authentication.",
                "use a network with a passphrase (-auth wpa-psk) or without (-auth open)",
            )
        if self.security not in _NUMBERS:
            raise UsageError(f"Unknown Wi-Fi security {self.security!r}", hint=f"one of {', '.join(_NUMBERS)}")
        self._check_ssid()
        if self.security == OPEN:
            if self.passphrase:
                raise UsageError(
                    "A passphrase was given for an open Wi-Fi network",
                    hint="leave the passphrase out, or name the security: -auth wpa-psk",
                )
        else:
            self._check_passphrase(self.passphrase or "")
        if len(self.console_line().encode()) > LONGEST_LINE:
            raise UsageError(
                "Network name and passphrase are too long together",
                f"The console of the demo application takes {LONGEST_LINE - len('wifi ,,2')} bytes for both.",
                "shorten the passphrase of the network",
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is accepted and may well not work on the board."""
        found = [_WEP_IS_NOT_SENT] if self.security == WEP else []
        if self.ssid != self.ssid.strip(" "):
            found.append(_SPACE_AT_THE_END)
        return tuple(found)

    def console_line(self) -> str:
        """The line for the console, without its end. Holds the passphrase: never show or log it.

        Always with the number of the security: without it a passphrase that begins with 2 or 3 would be taken for one.
        """
        return f"wifi {self.console_settings()}"

    def console_settings(self) -> str:
        """What stands behind the command in such a line. Holds the passphrase."""
        passphrase = f",{self.passphrase}" if self.passphrase else ""
        return f"{self.ssid}{passphrase},{_NUMBERS[self.security]}"

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
    """Bytes in UTF-8, after a check for what a line of the console cannot hold. The text itself is not shown."""
    if "," in text:
        raise UsageError(f"The {what} has a comma", _NO_COMMA, "rename the network, or use a guest network without one")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UsageError(f"The {what} has a control character", "The console takes one line of text.")
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        # Python stands for bytes of the command line that are no UTF-8 with these.
        raise UsageError(f"The {what} is not valid UTF-8 text")
    return len(text.encode())
