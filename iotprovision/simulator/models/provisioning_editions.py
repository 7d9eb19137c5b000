"""In what the provisioning firmware of one kit differs from that of another; the command handler 1.3.0 is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edition:
    """The provisioning firmware of one kit.

    :param welcome: first line after a reset
    :param product: first line of MC+ABOUT
    :param version: of the firmware
    :param board: last line of MC+ABOUT
    :param leds: the bit of each LED by its name
    :param ring_size: bytes that wait while the firmware is busy
    :param pace: seconds of computing, in those of an AVR-IoT kit
    :param mode_change_time: seconds until the Wi-Fi module is in the mode for its flash, or back in the usual one;
        0 where the ring is so small that they change nothing
    :param order: commands in the order of the table, where it is not that of AVR-IoT
    :param start_delay: seconds that it waits at its start
    :param locks_slot_0: whether every start locks slot 0 of the secure element
    :param tests_generator: whether every start tests the random generator of the secure element
    :param resets_modem: whether every start resets the modem
    :param misread_ping: where the argument of a ping lies in RAM, in a firmware that takes it for a place in program
        memory; None in one that does not
    :param secure_element_address: 7 bits; where the firmware can be told another one, by MC+ECC+ADDR. None where not
    """

    welcome: bytes
    product: bytes
    version: bytes
    board: bytes
    leds: Mapping[bytes, int] = field(default_factory=dict)
    ring_size: int = 7
    pace: float = 1.0
    mode_change_time: float = 0.0
    order: tuple[bytes, ...] = ()
    start_delay: float = 0.0
    locks_slot_0: bool = False
    tests_generator: bool = True
    resets_modem: bool = False
    misread_ping: int | None = None
    secure_element_address: int | None = None


_LEDS = {b"ERROR": 1, b"DATA": 2, b"CONN": 4, b"WIFI": 8}

AVR_IOT = Edition(
    welcome=b"Welcome to the avr-iot command handler!",
    product=b"AVR-IoT provisioning FW",
    version=b"0.4.9",
    board=b"AVR-IoT WG",
    leds={**_LEDS, b"ALL": 15},
    locks_slot_0=True,
)
# 24 MHz instead of 10 MHz. The ring of 64 bytes is full with 63.
_CELLULAR_PACE = 10 / 24
_CELLULAR_RING_SIZE = 63
CELLULAR_MINI = Edition(
    welcome=b"Welcome to the AVR-IoT Cellular Mini provisioning command handler!",
    product=b"AVR-IoT Cellular Mini provisioning FW",
    version=b"1.1.8",
    board=b"AVR-IoT Cellular Mini",
    leds={b"ERROR": 1, b"DATA": 2, b"CONN": 4, b"CELL": 8, b"USER": 16},
    ring_size=_CELLULAR_RING_SIZE,
    pace=_CELLULAR_PACE,
    locks_slot_0=True,
    resets_modem=True,
)
CELLULAR = Edition(
    welcome=b"Welcome to the AVR-IoT Cellular provisioning command handler!",
    product=b"AVR-IoT Cellular provisioning FW",
    version=b"0.3.1",
    board=b"AVR-IoT Cellular",
    leds={b"ERR": 1, b"DATA": 2, b"CONN": 4, b"CELL": 8, b"USER": 16},
    ring_size=_CELLULAR_RING_SIZE,
    pace=_CELLULAR_PACE,
    locks_slot_0=True,
    misread_ping=0x4010,
)
# Built from what is known of its source: times are those of the AVR, but for the wait at its start.
PIC_IOT = Edition(
    welcome=b"Welcome to the PIC-IoT command handler!",
    product=b"PIC-IoT provisioning FW",
    version=b"0.4.7",
    board=b"PIC-IoT WG",
    leds=_LEDS,
    ring_size=127,
    order=(
        b"MC+ABOUT",
        b"MC+BLOBTEST",
        b"MC+PING",
        b"MC+ECC+GENPUBKEY",
        b"MC+ECC+LOCK",
        b"MC+ECC+OTP+READ",
        b"MC+ECC+PUBKEY+READ",
        b"MC+ECC+PUBKEY+WRITE",
        b"MC+ECC+READ",
        b"MC+ECC+SERIAL",
        b"MC+ECC+SIGNDIGEST",
        b"MC+ECC+WRITEBLOB",
        b"MC+GETLED",
        b"MC+LISTCOMMANDS",
        b"MC+RESET",
        b"MC+SETLED",
        b"MC+VERSION",
        b"MC+WINC+ERASE",
        b"MC+WINC+READ",
        b"MC+WINC+WRITEBLOB",
    ),
    start_delay=0.5,
    tests_generator=False,
)
# 48 MHz instead of 10 MHz, and a core that does more in a cycle. The ring of 128 bytes is full with 127.
_SAM_PACE = 0.1
_SAM_RING_SIZE = 127
_SAM_MODE_CHANGE_TIME = 1.0
_SAM_WELCOME = b"Welcome to the SAM-IoT provisioning command handler!"

SAM_IOT_WG = Edition(
    welcome=_SAM_WELCOME,
    product=b"SAM-IoT provisioning FW",
    version=b"1.0.1",
    board=b"SAM-IoT",
    leds=_LEDS,
    ring_size=_SAM_RING_SIZE,
    pace=_SAM_PACE,
    mode_change_time=_SAM_MODE_CHANGE_TIME,
    secure_element_address=0x58,
)
SAM_IOT_WX = Edition(
    welcome=_SAM_WELCOME,
    product=b"SAM-IoT Wx provisioning FW",
    version=b"1.0.0",
    board=b"SAM-IoT Wx",
    leds=_LEDS,
    ring_size=_SAM_RING_SIZE,
    pace=_SAM_PACE,
    mode_change_time=_SAM_MODE_CHANGE_TIME,
    secure_element_address=0x36,
)
