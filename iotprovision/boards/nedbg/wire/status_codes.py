"""Status codes of the provisioning firmware in words. The only place that knows them.

A code is ``source << 8 | status``. The sources are those of the provisioning firmware's command handler 1.3.0; the
status bytes of the secure element are CryptoAuthLib's ``ATCA_STATUS``, those of the Wi-Fi module the (negative)
``M2M_ERR`` codes of the WINC host driver. See docs/serial-protocol.md.
"""

from __future__ import annotations

COMMAND_HANDLER = 0x00
SECURE_ELEMENT = 0x01
WIFI_MODULE = 0x02

BAD_BLOB = 0x004
RANDOM_HEALTH_TEST = 0x1FA

_SOURCES = {
    COMMAND_HANDLER: "The provisioning firmware",
    SECURE_ELEMENT: "The secure element",
    WIFI_MODULE: "The Wi-Fi module",
}

_WORDS = {
    COMMAND_HANDLER: {
        0x01: "unknown command or malformed arguments",
        0x02: "the line was too long",
        0x03: "wrong number of arguments",
        0x04: "bad blob: its length is not acceptable or more than that was sent",
        0x05: "an argument has a value that is not accepted",
    },
    SECURE_ELEMENT: {
        0x01: "its configuration zone is locked",
        0x02: "its data zone is locked",
        0xD0: "it could not be woken",
        0xD1: "verification failed",
        0xD2: "it could not parse the command",
        0xD4: "checksum error in what it received",
        0xD5: "it reported an unknown error",
        0xD6: "fault in its elliptic curve engine",
        0xD7: "its self-test failed",
        0xE0: "the operation failed",
        0xE1: "general failure",
        0xE2: "bad parameter: offset or length does not fit the slot, or is no multiple of 4",
        0xE3: "invalid identifier",
        0xE4: "invalid size",
        0xE5: "checksum error in its answer",
        0xE6: "its answer could not be received",
        0xE7: "it does not answer",
        0xE8: "it must be woken again",
        0xE9: "parity error",
        0xEA: "time-out of the transmission",
        0xEB: "time-out of its answer",
        0xEC: "too many retries",
        0xED: "buffer too small",
        0xF0: "communication with it failed",
        0xF1: "it took too long",
        0xF2: "it does not know the operation",
        0xF3: "wake-up succeeded",
        0xF4: "it refused to execute: the slot may not be read or written, or is locked",
        0xF5: "the function is not implemented",
        0xF6: "assertion failed in its driver",
        0xF7: "sending to it failed",
        0xF8: "it is not locked",
        0xF9: "no device was found",
        0xFA: "the health test of its random number generator failed",
    },
    WIFI_MODULE: {
        0xFF: "sending to it failed",
        0xFE: "receiving from it failed",
        0xFD: "out of memory",
        0xFC: "it took too long",
        0xFB: "it could not be initialised",
        0xFA: "bus failure between microcontroller and module",
        0xF9: "it is not in the state that the operation needs",
        0xF8: "error in its firmware",
        0xF4: "the operation failed: the module does not answer",
        0xF3: "its firmware does not fit the driver",
        0xF1: "invalid argument",
    },
}


def source(status: int) -> str:
    """Who reports this status, to begin a sentence with."""
    return _SOURCES.get(status >> 8, f"An unknown source (0x{status >> 8:X})")


def words(status: int) -> str:
    """The status as half a sentence with its code: what a person reads."""
    meaning = _WORDS.get(status >> 8, {}).get(status & 0xFF, "a status that has no name")
    return f"{meaning} (status 0x{status:X})"


def is_transient(status: int) -> bool:
    """True where a reset of the target and another try may help: the firmware clears this condition at boot."""
    return status == RANDOM_HEALTH_TEST


def hint(status: int) -> str:
    """What to try, where something is known to help; else empty."""
    if is_transient(status):
        return "run the command again: the firmware clears this condition when it starts"
    if status >> 8 == WIFI_MODULE:
        return "unplug the kit for some seconds, plug it in and run the command again"
    return ""
