"""Other devices on the simulated bus: they show themselves, and cannot be opened."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iotprovision.simulator.usb.bus import FOREIGN_DEVICE_FILE

USB_PORT = 99  # where no kit is ever plugged in


@dataclass(frozen=True)
class ForeignDevice:
    """What an enumeration of USB says about a HID device that is no kit.

    :param port: serial port that belongs to it; None for none
    """

    name: str
    vendor_id: int
    product_id: int
    manufacturer: str
    product: str
    serial_number: str
    port: str | None = None


# Ids and products of Microchip's own: pyedbglib ``hidtransport/toolinfo.py``. The others state theirs in their sources.
DAPLINK = ForeignDevice(
    "daplink", 0x0D28, 0x0204, "Arm", "DAPLink CMSIS-DAP", "07000001066AFF495056805087171025", "/dev/ttyACM98"
)
PICOPROBE = ForeignDevice(
    "picoprobe", 0x2E8A, 0x000C, "Raspberry Pi", "Debugprobe on Pico (CMSIS-DAP)", "E6614C311B7E6F35", "/dev/ttyACM97"
)
ATMEL_ICE = ForeignDevice("atmel-ice", 0x03EB, 0x2141, "Atmel Corp.", "Atmel-ICE CMSIS-DAP", "J41800012345")
EDBG = ForeignDevice("edbg", 0x03EB, 0x2111, "Atmel Corp.", "EDBG CMSIS-DAP", "ATML2130021800001234", "/dev/ttyACM96")
PICKIT4 = ForeignDevice(
    "pickit4", 0x03EB, 0x2177, "Microchip Technology Incorporated", "MPLAB PICkit 4 CMSIS-DAP", "BUR200512345"
)
KEYBOARD = ForeignDevice("keyboard", 0x03EB, 0x2FF2, "", "", "")
FOREIGN_DEVICES = (DAPLINK, PICOPROBE, ATMEL_ICE, EDBG, PICKIT4, KEYBOARD)


@contextmanager
def plugged_in(state_folder: Path, *devices: ForeignDevice) -> Iterator[None]:
    """The devices are on the bus of a folder as long as the context lasts."""
    with contextlib.ExitStack() as stack:
        for device in devices:
            file = state_folder / device.name / FOREIGN_DEVICE_FILE
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(_description(device)), encoding="utf-8")
            stack.callback(file.unlink)
        yield


def _description(device: ForeignDevice) -> dict[str, object]:
    return {
        "present": True,
        "boot_mode": False,
        "readable": True,
        "vendor_id": device.vendor_id,
        "product_id": device.product_id,
        "release": 0x0100,
        "manufacturer": device.manufacturer,
        "product": device.product,
        "serial_number": device.serial_number,
        "usb_address": f"1-{USB_PORT}",
        "path": f"1-{USB_PORT}:{device.name}",
        "port": device.port,
    }
