"""The AVR128DB parts for yasimavr 0.1.6, which has no model of them: as much as the firmware of cellular kits meets.

Addresses, interrupt vectors and pins are those of the data sheet of the AVR128DB28/32/48/64. The peripherals are
yasimavr's own of the megaAVR 0-series; the ports, USARTs and TWIs of both families are alike.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from yasimavr.device_library import DeviceDescriptor
from yasimavr.device_library.builders._builders_arch_xt import XT_BaseDevice, XT_DeviceBuilder
from yasimavr.lib import core

# How many pins each port has, from port A on.
_PINS = {
    "AVR128DB48": {"A": 8, "B": 6, "C": 8, "D": 8, "E": 4, "F": 7},
    "AVR128DB64": {"A": 8, "B": 8, "C": 8, "D": 8, "E": 8, "F": 7, "G": 8},
}
_PORTS = "ABCDEFG"
_USARTS, _TWIS = range(6), range(2)
_VECTORS = """
    RESET NMI BOD CLKCTRL MVIO RTC_CNT RTC_PIT CCL PORTA TCA0_OVF TCA0_HUNF TCA0_CMP0 TCA0_CMP1 TCA0_CMP2 TCB0 TCB1
    TCD0_OVF TCD0_TRIG TWI0_TWIS TWI0_TWIM SPI0 USART0_RXC USART0_DRE USART0_TXC PORTD AC0 ADC0_RESRDY ADC0_WCMP ZCD0
    AC1 PORTC TCB2 USART1_RXC USART1_DRE USART1_TXC PORTF NVMCTRL_EE SPI1 USART2_RXC USART2_DRE USART2_TXC AC2
    TWI1_TWIS TWI1_TWIM TCB3 PORTB PORTE TCA1_OVF TCA1_HUNF TCA1_CMP0 TCA1_CMP1 TCA1_CMP2 ZCD1 USART3_RXC USART3_DRE
    USART3_TXC USART4_RXC USART4_DRE USART4_TXC PORTG ZCD2 TCB4 USART5_RXC USART5_DRE USART5_TXC
"""
_TWI_PINS = {0: ["PC3", "PC2", "", ""], 1: ["PF3", "PF2", "", ""]}

_RAMPZ = 0x3B
_CLOCK_CONTROLLER = range(0x60, 0x80)
_CLOCK_STATUS, _OSCILLATOR_IS_STABLE = 0x65, 0x02
_PORT_MULTIPLEXER = range(0x5E0, 0x5EC)

# ELPM Rd,Z and ELPM Rd,Z+; the same as LPM differ in one bit.
_ELPM_MASK, _ELPM = 0xFE0E, 0x9006
_ELPM_TO_R0, _LPM_TO_R0 = 0x95D8, 0x95C8
_EXTENDED = 0x0002


class _ClockStatus(core.Peripheral):  # type: ignore[misc]
    """CLKCTRL.MCLKSTATUS: the oscillator is always stable."""

    def __init__(self) -> None:
        super().__init__("MCLKSTATUS")

    def init(self, device: Any) -> bool:
        done = super().init(device)
        self.add_ioreg(_CLOCK_STATUS)
        return bool(done)

    def ioreg_read_handler(self, _address: int, _value: int) -> int:
        return _OSCILLATOR_IS_STABLE


class _Builder(XT_DeviceBuilder):  # type: ignore[misc]
    def _build_core_config(self, description: Any) -> Any:
        configuration = super()._build_core_config(description)
        configuration.rampz = _RAMPZ
        return configuration


class _Device(XT_BaseDevice):  # type: ignore[misc]
    """Clock controller and port multiplexer only keep what is written to them."""

    def __init__(self, description: Any, builder: Any) -> None:
        super().__init__(description, builder)
        builder.build_peripherals(self, [name for name in description.peripherals if name != "CPU"])
        registers = []
        for address in (*_CLOCK_CONTROLLER, *_PORT_MULTIPLEXER):
            if address != _CLOCK_STATUS:
                register = core.DummyController.dummy_register_t()
                register.reg = core.regmask_t(address, core.bitmask_t(0xFF))
                registers.append(register)
        self._kept = (core.DummyController("KEPT", registers), _ClockStatus())
        for peripheral in self._kept:
            self.attach_peripheral(peripheral)

    def arch_init(self) -> bool:
        for name in [f"TWI{number}" for number in _TWIS]:
            self._builder_.add_pin_driver_mux_configs(self, name)
        return True


def load_avr_db(part: str) -> Any:
    """A device of yasimavr.

    :param part: AVR128DB48 or AVR128DB64
    """
    with tempfile.TemporaryDirectory() as folder:
        # yasimavr takes a description from a file only.
        file = Path(folder) / f"{part}.yml"
        file.write_text(yaml.safe_dump(_description(part)), encoding="utf-8")
        description = DeviceDescriptor.create_from_file(str(file))
    return _Builder.build_device(description, _Device)


def without_extended_loads(flash: bytes) -> bytes:
    """Program memory with LPM in the place of ELPM.

    yasimavr has ELPM only in parts whose program counter has more than 16 bits; this one has it with 16. Both read the
    same where RAMPZ is 0: in programs of up to 64 KiB. A constant that looks like an ELPM is changed too.
    """
    changed = bytearray(flash)
    for place in range(0, len(flash) - 1, 2):
        word = int.from_bytes(flash[place : place + 2], "little")
        if word == _ELPM_TO_R0:
            changed[place : place + 2] = _LPM_TO_R0.to_bytes(2, "little")
        elif word & _ELPM_MASK == _ELPM:
            changed[place : place + 2] = (word & ~_EXTENDED).to_bytes(2, "little")
    return bytes(changed)


def _description(part: str) -> dict[str, Any]:
    controllers, interfaces = "ArchXT_controllers.yml", "ArchXT_interfaces.yml"
    peripherals: dict[str, Any] = {
        "CPU": {"file": controllers},
        "CPUINT": {"file": controllers, "base": 0x0110},
        "SLPCTRL": {"file": controllers, "base": 0x0050},
        "RSTCTRL": {"file": controllers, "base": 0x0040},
        "MISC": {"file": controllers},
        "FUSES": {"file": controllers, "base": 0x1050},
    }
    for port in _PINS[part]:
        number = _PORTS.index(port)
        base = 0x400 + 0x20 * number
        own = {"reg_base_port": base, "reg_base_vport": 4 * number, "iv_port": f"PORT{port}"}
        peripherals[f"PORT{port}"] = {"class": "PORT", "file": interfaces, "base": base, "config": own}
    for number in _USARTS:
        name = f"USART{number}"
        own = {"iv_rxc": f"{name}_RXC", "iv_txc": f"{name}_TXC", "iv_txe": f"{name}_DRE"}
        base = 0x800 + 0x20 * number
        peripherals[name] = {"class": "USART", "file": interfaces, "base": base, "config": own}
    for number in _TWIS:
        name = f"TWI{number}"
        own = {"iv_host": f"{name}_TWIM", "iv_client": f"{name}_TWIS", "dual_ctrl": True}
        peripherals[name] = {"class": "TWI", "file": interfaces, "base": 0x900 + 0x20 * number, "config": own}
    return {
        "name": part.lower(),
        "architecture": "XT",
        "memory": {
            "data": {
                "io": [0, 0x13FF],
                "eeprom": [0x1400, 0x15FF],
                "ram": [0x4000, 0x7FFF],
                "flash": [0x8000, 0xFFFF],
            },
            "ram": {"size": 0x4000},
            "flash": {"size": 0x20000, "page_size": 0x200},
            "eeprom": {"size": 0x200, "page_size": 1},
            "userrow": {"size": 0x20},
        },
        "core": {"extended_addressing": False, "clear_GIE_on_int": False},
        "fuses": {"size": 16, "factory_values": [0, 0, 0, 0, 0, 0xC0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]},
        "device_signature": [0x1E, 0x97, 0x0C],
        "access": {"lsb_first_on_write": True, "lsb_first_on_read": True},
        "pins": [f"P{port}{pin}" for port, pins in _PINS[part].items() for pin in range(pins)],
        "interrupts": {
            "vector_size": 4,
            "vectors": _VECTORS.split(),
            "sleep_mask": {mode: [0xFF] * 9 for mode in ("Idle", "Standby", "PowerDown")},
        },
        "peripherals": peripherals,
        "iomux": {f"TWI{number}": {"DFLT": pins} for number, pins in _TWI_PINS.items()},
    }
