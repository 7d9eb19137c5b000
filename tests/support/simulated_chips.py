"""Boards with known chips for tests of the simulated microcontrollers."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.winc1510 import Winc1510
from support.firmware_images import hex_image

FLASH_SIZE = 48 * 1024
ATMEGA4808_FUSES = bytes.fromhex("0000020000c0070000")
RECORDED_SERIAL_NUMBER = bytes.fromhex("0123a1b2c3d4e5f6ee")
_ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_key(value: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(value, ec.SECP256R1())


def recorded_secure_element() -> Ecc608:
    """The chip with which tests/support/data/atmega4808-provisioning-0.4.9.txt was recorded."""
    keys = {}
    for slot in range(8):
        seed = hashlib.sha256(b"kitemu" + RECORDED_SERIAL_NUMBER + bytes([slot])).digest()
        keys[slot] = private_key(int.from_bytes(seed, "big") % _ORDER_OF_P256)
    return Ecc608(RECORDED_SERIAL_NUMBER, keys)


def flash_of(image_name: str) -> bytes:
    """The program memory of the MCU after this image of the index was programmed."""
    image = hex_image(image_name)
    flash = image.flash
    return flash + image.mcu.erased_flash(len(flash), image.mcu.flash.size - len(flash))


def board_with(flash: bytes, secure_element: Ecc608 | None = None) -> Board:
    """A board with something in its program memory and the recorded chip, Wi-Fi module erased."""
    return Board(
        kit_name="AVR-IoT WA",
        microcontroller="ATmega4808",
        flash=bytearray(flash),
        eeprom=bytearray(b"\xff" * 256),
        fuses=bytearray(ATMEGA4808_FUSES),
        user_row=bytearray(b"\xff" * 64),
        secure_element=secure_element or recorded_secure_element(),
        wifi_module=Winc1510(),
    )
