"""A Wi-Fi network as the consoles of the demo applications take it: one line, split at commas."""

from __future__ import annotations

from iotprovision.boards.wifi_network import IEEE802_1X, OPEN, WEP, WPA_PSK, WifiNetwork
from iotprovision.errors import UsageError

# Authentication numbers of the console. 802.1X would be 4, which no demo accepts.
_NUMBERS = {OPEN: 1, WPA_PSK: 2, WEP: 3}

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


def console_line(network: WifiNetwork, command: str = "wifi") -> str:
    """The line for the console, without its end. Holds the passphrase: never show or log it.

    Always with the number of the security: without it a passphrase that begins with 2 or 3 would be taken for one.

    :param command: what it begins with
    :raises UsageError: the console cannot take this network
    """
    if network.security == IEEE802_1X:
        raise UsageError(
            "The kits cannot use IEEE 802.1X",
            "No demo application accepts this kind of authentication.",
            "use a network with a passphrase (-auth wpa-psk) or without (-auth open)",
        )
    _check("Wi-Fi network name", network.ssid)
    _check("Wi-Fi passphrase", network.passphrase or "")
    passphrase = f",{network.passphrase}" if network.passphrase else ""
    line = f"{command} {network.ssid}{passphrase},{_NUMBERS[network.security]}"
    if len(line.encode()) > LONGEST_LINE:
        raise UsageError(
            "Network name and passphrase are too long together",
            f"The console of this kit's demo takes {LONGEST_LINE - len(f'{command} ,,2')} bytes for both.",
            "shorten the passphrase of the network",
        )
    return line


def warnings(network: WifiNetwork) -> tuple[str, ...]:
    """What the console accepts and may well not work on the board."""
    found = [_WEP_IS_NOT_SENT] if network.security == WEP else []
    if network.ssid != network.ssid.strip(" "):
        found.append(_SPACE_AT_THE_END)
    return tuple(found)


def _check(what: str, text: str) -> None:
    """Refuse what a line of the console cannot hold. The text itself is not shown."""
    if "," in text:
        raise UsageError(f"The {what} has a comma", _NO_COMMA, "rename the network, or use a guest network without one")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise UsageError(f"The {what} has a control character", "The console takes one line of text.")
