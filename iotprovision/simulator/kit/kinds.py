"""Which kits can be simulated, and how they are called on a command line. What stands for one is loaded on use."""

from __future__ import annotations

from importlib import import_module

from iotprovision.errors import UsageError
from iotprovision.frozen import Frozen

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from iotprovision.formats.ecc608_zones import Kind as SecureElementKind
    from iotprovision.simulator.board.board import Board, Microcontroller
    from iotprovision.simulator.debugger.nedbg import Target

    class Part(Protocol):
        """The MCU on a board: its name, and its memories as they leave the factory; sizes in bytes."""

        @property
        def name(self) -> str: ...
        @property
        def flash_size(self) -> int: ...
        @property
        def erased_flash(self) -> bytes: ...
        @property
        def eeprom_size(self) -> int: ...
        @property
        def factory_fuses(self) -> bytes: ...
        @property
        def factory_user_row(self) -> bytes: ...
        @property
        def unlocked(self) -> bytes: ...


SIMULATOR = "iotprovision.simulator"


class Family(Frozen):
    """What stands for the MCUs of a family.

    :param target_class: module and class of the side towards the debugger
    :param parts: module of its MCUs
    :param emulator: module and class of the emulator of its programs; empty where there is none
    """

    target_class: str
    parts: str
    emulator: str = ""

    @property
    def target(self) -> Callable[[Board, Any, Microcontroller], Target]:
        """The side towards the debugger, made of board, part and microcontroller."""
        made: Callable[[Board, Any, Microcontroller], Target] = _named(*self.target_class.split(":"))
        return made


MEGA_AVR = Family(
    f"{SIMULATOR}.targets.updi_target:UpdiTarget",
    f"{SIMULATOR}.targets.updi_part",
    f"{SIMULATOR}.emulators.emulated_avr:EmulatedAvr",
)
AVR_DB = Family(
    f"{SIMULATOR}.targets.updi_target:UpdiTarget",
    f"{SIMULATOR}.targets.updi_part",
    f"{SIMULATOR}.emulators.emulated_avr:EmulatedCellularAvr",
)
PIC = Family(f"{SIMULATOR}.targets.icsp_target:IcspTarget", f"{SIMULATOR}.targets.icsp_part")
SAM = Family(
    f"{SIMULATOR}.targets.swd_target:SwdTarget",
    f"{SIMULATOR}.targets.swd_part",
    f"{SIMULATOR}.emulators.emulated_sam:EmulatedSam",
)


class KitKind(Frozen):
    """One kit of the catalogue of the simulator.

    :param register_name: KITNAME as the factory writes it
    :param family: of its MCU
    :param mcu: its MCU, by the name that the module of its family has for it
    :param board_file: the factory's board registers, in ``pydebuggerconfig/board-configs``, or those of a like kit
    :param device_file: the factory's device data, in ``pydebuggerconfig/device-configs``
    :param certificates: which of the two kinds of factory certificates its secure element has
    :param secure_element_address: on the I2C bus, 7 bits
    :param has_modem: whether it has a modem for cellular networks in the place of a Wi-Fi module
    :param has_radio: whether its programs, emulated, can join a simulated network
    """

    register_name: str
    family: Family
    mcu: str
    board_file: str
    device_file: str
    certificates: str
    secure_element_address: int = 0x58
    has_modem: bool = False
    has_radio: bool = False

    @property
    def part(self) -> Part:
        """Its MCU."""
        part: Part = _named(self.family.parts, self.mcu)
        return part

    @property
    def secure_element(self) -> SecureElementKind:
        """Which of the two kinds of factory certificates its chip has."""
        from iotprovision.formats.ecc608_zones import Kind

        return Kind[self.certificates]


def _named(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


KINDS = {
    "avr-iot-wa": KitKind(
        "AVR-IoT WA", MEGA_AVR, "ATMEGA4808", "AVR-IoT_WA.xml", "ATmega4808-device-blob.xml", "MAH4I", has_radio=True
    ),
    "avr-iot-wg": KitKind(
        "AVR-IoT WG", MEGA_AVR, "ATMEGA4808", "AVR-IoT_WG.xml", "ATmega4808-device-blob.xml", "MAH1H", has_radio=True
    ),
    "sam-iot-wg": KitKind(
        "SAMD21-IoT WG",
        SAM,
        "ATSAMD21G18A",
        "SAMD21-IoT_WG.xml",
        "ATSAMD21G18A-device-blob.xml",
        "MAH1H",
    ),
    "sam-iot-wx": KitKind(
        "SAMD21-IoT Wx",
        SAM,
        "ATSAMD21G18A",
        "SAMD21-IoT_Wx.xml",
        "ATSAMD21G18A-device-blob.xml",
        "MAH4I",
        secure_element_address=0x36,
    ),
    "avr-iot-cellular-mini": KitKind(
        "AVR-IoT Cellular Mini",
        AVR_DB,
        "AVR128DB48",
        "AVR-IoT_Cellular-Mini.xml",
        "AVR128DB48-device-blob.xml",
        "MAH4I",
        has_modem=True,
    ),
    "avr-iot-cellular": KitKind(
        "AVR-IoT Cellular",
        AVR_DB,
        "AVR128DB64",
        "AVR-IoT_Cellular-Mini.xml",
        "AVR128DB64-device-blob.xml",
        "MAH4I",
        has_modem=True,
    ),
    "pic-iot-wg": KitKind(
        "PIC-IoT WG",
        PIC,
        "PIC24FJ128GA705",
        "PIC-IoT_WG.xml",
        "PIC24FJ128GA705-device-blob.xml",
        "MAH1H",
    ),
    "pic-iot-wa": KitKind(
        "PIC-IoT WA",
        PIC,
        "PIC24FJ128GA705",
        "PIC-IoT_WA.xml",
        "PIC24FJ128GA705-device-blob.xml",
        "MAH4I",
    ),
}
DEFAULT = "avr-iot-wa"
EMULATED = "@emulated"
_NAME = r"(?P<kind>[a-z0-9-]+?)(?P<emulated>@emulated)?(?P<number>#(?:[2-9]|[1-9][0-9]))?"


class SimulatedKitName(Frozen):
    """``KIND``, ``KIND@emulated``, and ``#2`` and so on behind either for more than one of a kind."""

    text: str
    kind: KitKind
    emulated: bool

    @classmethod
    def parse(cls, text: str) -> SimulatedKitName:
        """:raises UsageError: there is no such kit; the hint lists those that there are"""
        import re

        match = re.fullmatch(_NAME, text.lower())
        kind = KINDS.get(match["kind"]) if match else None
        if match is None or kind is None:
            choices = ", ".join(
                f"{name}, {name}{EMULATED}" if known.family.emulator else name for name, known in KINDS.items()
            )
            raise UsageError(f"There is no simulated kit named {text!r}", hint=f"one of {choices} (#2, #3 … for more)")
        if match["emulated"] and not kind.family.emulator:
            raise UsageError(
                f"The microcontroller of {match['kind']} cannot be emulated",
                f"No emulator executes the firmware of the {kind.part.name}.",
                f"use the modelled kit: {match['kind']}{match['number'] or ''}",
            )
        return cls(text.lower(), kind, match["emulated"] is not None)
