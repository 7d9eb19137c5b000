"""Which kits can be simulated, and how they are called on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iotprovision.chips.ecc608 import Kind as SecureElementKind
from iotprovision.errors import UsageError
from iotprovision.simulator.icsp_part import PIC24FJ128GA705, IcspPart
from iotprovision.simulator.updi_part import ATMEGA4808, AVR128DB48, UpdiPart


@dataclass(frozen=True)
class KitKind:
    """One kit of the catalogue of the simulator.

    :param register_name: KITNAME as the factory writes it
    :param board_file: the factory's board registers, in ``pydebuggerconfig/board-configs``
    :param device_file: the factory's device data, in ``pydebuggerconfig/device-configs``
    :param secure_element: which of the two kinds of factory certificates its chip has
    :param has_emulator: whether something executes the firmware of its MCU
    :param has_modem: whether it has a modem for cellular networks in the place of a Wi-Fi module
    """

    register_name: str
    part: UpdiPart | IcspPart
    board_file: str
    device_file: str
    secure_element: SecureElementKind
    has_emulator: bool = True
    has_modem: bool = False


KINDS = {
    "avr-iot-wg": KitKind(
        "AVR-IoT WG", ATMEGA4808, "AVR-IoT_WG.xml", "ATmega4808-device-blob.xml", SecureElementKind.MAH1H
    ),
    "avr-iot-wa": KitKind(
        "AVR-IoT WA", ATMEGA4808, "AVR-IoT_WA.xml", "ATmega4808-device-blob.xml", SecureElementKind.MAH4I
    ),
    "avr-iot-cellular-mini": KitKind(
        "AVR-IoT Cellular Mini",
        AVR128DB48,
        "AVR-IoT_Cellular-Mini.xml",
        "AVR128DB48-device-blob.xml",
        SecureElementKind.MAH4I,
        has_emulator=False,
        has_modem=True,
    ),
    "pic-iot-wg": KitKind(
        "PIC-IoT WG",
        PIC24FJ128GA705,
        "PIC-IoT_WG.xml",
        "PIC24FJ128GA705-device-blob.xml",
        SecureElementKind.MAH1H,
        has_emulator=False,
    ),
    "pic-iot-wa": KitKind(
        "PIC-IoT WA",
        PIC24FJ128GA705,
        "PIC-IoT_WA.xml",
        "PIC24FJ128GA705-device-blob.xml",
        SecureElementKind.MAH4I,
        has_emulator=False,
    ),
}
EMULATED = "@emulated"
_NAME = re.compile(r"(?P<kind>[a-z0-9-]+?)(?P<emulated>@emulated)?(?P<number>#(?:[2-9]|[1-9][0-9]))?")


@dataclass(frozen=True)
class SimulatedKitName:
    """``KIND``, ``KIND@emulated``, and ``#2`` and so on behind either for more than one of a kind."""

    text: str
    kind: KitKind
    emulated: bool

    @classmethod
    def parse(cls, text: str) -> SimulatedKitName:
        """:raises UsageError: there is no such kit; the hint lists those that there are"""
        match = _NAME.fullmatch(text.lower())
        kind = KINDS.get(match["kind"]) if match else None
        if match is None or kind is None:
            choices = ", ".join(
                f"{name}, {name}{EMULATED}" if known.has_emulator else name for name, known in KINDS.items()
            )
            raise UsageError(f"There is no simulated kit named {text!r}", hint=f"one of {choices} (#2, #3 … for more)")
        if match["emulated"] and not kind.has_emulator:
            raise UsageError(
                f"The microcontroller of {match['kind']} cannot be emulated",
                f"No emulator executes the firmware of a {kind.part.name}.",
                f"use the modelled kit: {match['kind']}{match['number'] or ''}",
            )
        return cls(text.lower(), kind, match["emulated"] is not None)
