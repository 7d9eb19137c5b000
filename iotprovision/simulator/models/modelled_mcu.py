"""A modelled microcontroller: it knows the vendor's images by their content and behaves as the one that is in flash."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from iotprovision.firmware.mcu import without_erased_end
from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.models.azure_demo_firmware import PicAzureDemoFirmware
from iotprovision.simulator.models.bridge_firmware import BridgeFirmware, SamBridgeFirmware
from iotprovision.simulator.models.cellular_firmware import CellularProvisioningFirmware
from iotprovision.simulator.models.demo_firmware import (
    DemoFirmware,
    GoogleDemoFirmware,
    PicDemoFirmware,
    PicGoogleDemoFirmware,
)
from iotprovision.simulator.models.harmony_demo import HarmonyDemoFirmware
from iotprovision.simulator.models.provisioning_editions import CELLULAR, PIC_IOT, SAM_IOT_WG, SAM_IOT_WX
from iotprovision.simulator.models.provisioning_firmware import ProvisioningFirmware
from iotprovision.simulator.targets.icsp_part import ERASED_INSTRUCTION

ERASED = b"\xff"


class Firmware(Protocol):
    """A modelled firmware."""

    baud_rate: int

    def start(self) -> bytes:
        """Reset: everything sent until the firmware waits for input."""

    def receive(self, burst: bytes) -> bytes:
        """Everything sent in answer to bytes that come in at the full rate of the line."""


# SHA-256 of the flash content without what is erased at its end, by the image's name in firmware/index.yaml.
FINGERPRINTS = {
    "avr-iot-provisioning": "17727394d7a523a128738daeb0ef5512e2381d6fdadf117e2e6920fcdca230b5",
    "avr-iot-winc-upgrade": "437cc4c13e758393febb6d9cd94a8e4a4777f9d66743b20fb42c80d3fdce683c",
    "avr-iot-aws-demo": "55788b5f0dfa7ba27b656f266188ecdb62aad04063ccb99c6dfd09e08f9ae4b9",
    "avr-iot-google-demo": "f9df89f5ad4f2f28bf3bf872dfdf0e1aa6e23691429b4d40ec161d72b3808aba",
    "avr-iot-cellular-mini-provisioning": "ec2fc3bd13b6005a674014c322c0b4affa830540f0893353d6136ced33d06a6e",
    "avr-iot-cellular-mini-aws-demo": "938494ce09445a971f9f4b7217f671a5b08718f9431b770e9b2ccd72eacb2860",
    "avr-iot-cellular-provisioning": "aef9125512b6b4fd9cf22ba53d4214f3fe2f0f4cd491176f3eaa192a288c4237",
    "pic-iot-provisioning": "8324aa964b6d2b2d8b17521666412726bbd8b1dc4ddd8a42d4cdbf43b82990bc",
    "pic-iot-aws-demo": "d8f98cf58799e2f8f9b236b089779b1b2a8a1f4e1c2c544fc7662ed0188a0d17",
    "pic-iot-google-demo": "743b04895e17187aaf8196f7e96c422a2017067ce46b53415e1381e9d97d2588",
    "pic-iot-azure-demo": "3c64ace3c2913d397eb3a97dcba1e26c167d828a950d6e43cb5171a54e35136d",
    "sam-iot-wg-provisioning": "cdb5a3f452e50f4ce8c243f9d17618abe3b50ba3b89af810b5b17b0796e7bbe8",
    "sam-iot-wx-provisioning": "36c95cab9accac6cc7d12659a95add2dd0c26ba09197f02b0d5a14f4129bb1ee",
    "sam-iot-wg-azure-demo": "608e7e9b7f744113a9b6e4b12e45ebe884b134f85c6b92cf0eced773b1d6b1b5",
    "sam-iot-wg-winc-upgrade": "ce60ae7f3e1d496d4ba938e74995756f9ede730c672437f6321b4f421e7c5c18",
    "sam-iot-wx-winc-upgrade": "cf2c7d7f182948a14bdd67db8441a5224b8bc0d366a58457b041116908da4dec",
}


def _on_wifi_board(make: Callable[[Ecc608, Winc1510], Firmware]) -> Callable[[Board], Firmware]:
    return lambda board: make(board.secure_element, board.wifi_module)


# The others are recognised and stay silent.
MODELS: dict[str, Callable[[Board], Firmware]] = {
    "avr-iot-provisioning": _on_wifi_board(ProvisioningFirmware),
    "avr-iot-winc-upgrade": _on_wifi_board(BridgeFirmware),
    "avr-iot-aws-demo": _on_wifi_board(DemoFirmware),
    "avr-iot-google-demo": _on_wifi_board(GoogleDemoFirmware),
    "avr-iot-cellular-mini-provisioning": CellularProvisioningFirmware,
    "avr-iot-cellular-provisioning": partial(CellularProvisioningFirmware, edition=CELLULAR),
    "pic-iot-provisioning": _on_wifi_board(partial(ProvisioningFirmware, edition=PIC_IOT)),
    "pic-iot-aws-demo": _on_wifi_board(PicDemoFirmware),
    "pic-iot-google-demo": _on_wifi_board(PicGoogleDemoFirmware),
    "pic-iot-azure-demo": _on_wifi_board(PicAzureDemoFirmware),
    "sam-iot-wg-provisioning": _on_wifi_board(partial(ProvisioningFirmware, edition=SAM_IOT_WG)),
    "sam-iot-wx-provisioning": _on_wifi_board(partial(ProvisioningFirmware, edition=SAM_IOT_WX)),
    "sam-iot-wg-azure-demo": _on_wifi_board(HarmonyDemoFirmware),
    "sam-iot-wg-winc-upgrade": _on_wifi_board(SamBridgeFirmware),
    "sam-iot-wx-winc-upgrade": _on_wifi_board(SamBridgeFirmware),
}


def fingerprint(flash: bytes) -> str:
    """What a flash content is recognised by: SHA-256 without what is erased at its end, 64 hex digits."""
    # A PIC's flash ends with the last byte of an instruction, which does not exist and reads as 0.
    erased = ERASED_INSTRUCTION if flash.endswith(ERASED_INSTRUCTION[-1:]) else ERASED
    return hashlib.sha256(without_erased_end(flash, erased)).hexdigest()


def recognize(flash: bytes) -> str | None:
    """The name of the image in flash, as in firmware/index.yaml; None for anything else."""
    content = fingerprint(flash)
    return next((name for name, known in FINGERPRINTS.items() if known == content), None)


class ModelledMcu:
    """The MCU of a board. See :class:`iotprovision.simulator.board.board.Microcontroller`.

    Everything happens in the calling thread and takes no time: the banner is sent inside :meth:`start`, an answer
    inside :meth:`receive`. Content that is not recognised gives an MCU that never sends anything.
    """

    def __init__(self, board: Board, transmit: Callable[[bytes], None]) -> None:
        self._board = board
        self._transmit = transmit
        self._lock = threading.RLock()
        self._firmware: Firmware | None = None
        self.image: str | None = None
        board.secure_element.meters = board.wifi_module.meters = board.meters
        board.secure_element.faults = board.wifi_module.faults = board.faults
        if board.modem:
            board.modem.meters, board.modem.faults = board.meters, board.faults

    @property
    def baud_rate(self) -> int | None:
        """The rate of the image that runs; None while nothing runs."""
        firmware = self._firmware
        return firmware.baud_rate if firmware else None

    @property
    def firmware(self) -> Firmware | None:
        """The modelled firmware that runs."""
        return self._firmware

    def start(self) -> None:
        """Reset, and behave as what is in flash."""
        with self._lock:
            self._board.secure_element.sleep()
            self._board.wifi_module.reset()
            if self._board.modem:
                self._board.modem.power_up()
            self.image = recognize(bytes(self._board.flash))
            model = MODELS.get(self.image or "")
            self._firmware = model(self._board) if model else None
            if self._firmware:
                self._send(self._firmware.start())

    def stop(self) -> None:
        """Halt."""
        with self._lock:
            self._firmware = None

    def close(self) -> None:
        """Halt for good."""
        self.stop()

    def receive(self, data: bytes) -> None:
        """Bytes from the host; lost while nothing runs."""
        with self._lock:
            if self._firmware:
                self._send(self._firmware.receive(data))

    def _send(self, data: bytes) -> None:
        if data:
            self._transmit(data)
