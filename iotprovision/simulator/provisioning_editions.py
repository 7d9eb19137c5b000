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
    :param locks_slot_0: whether every start locks slot 0 of the secure element
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
    locks_slot_0: bool = False
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
