"""A simulated ATECC608A: zones, locks, access rules and the commands that the kits' firmware uses.

Figures are from the ATECC608A datasheet. Keys and signatures are real P-256; signatures are deterministic (RFC 6979),
so that two runs with the same keys give the same bytes. The I2C side is in ``ecc608_bus.py``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from iotprovision.formats.ecc608_zones import OTP_SIZE, SLOTS, coordinates, slot_size
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.conditions.meters import Meters

CONFIG_SIZE = 128
WORD = 4
BLOCK = 32

REVISION = bytes.fromhex("00006002")
DEFAULT_SERIAL_NUMBER = bytes.fromhex("0123a1b2c3d4e5f601")

# Zones, as parameter 1 of Read, Write and Lock selects them.
ZONE_CONFIG, ZONE_OTP, ZONE_DATA = 0, 1, 2
WHOLE_BLOCK = 0x80

# Opcodes.
NONCE, RANDOM, READ, WRITE, LOCK, INFO, GENKEY, SIGN, SELFTEST = 0x16, 0x1B, 0x02, 0x12, 0x17, 0x30, 0x40, 0x41, 0x77
ECDH, VERIFY = 0x43, 0x45

# Status answers of one byte.
SUCCESS, MISCOMPARE, PARSE_ERROR, EXECUTION_ERROR = b"\x00", b"\x01", b"\x03", b"\x0f"

TEMPORARY_KEY = 0xFFFF  # in the place of a slot: a private key in RAM

# Offsets in the configuration zone.
SLOT_CONFIG, LOCK_VALUE, LOCK_CONFIG, SLOT_LOCKED, KEY_CONFIG = 20, 86, 87, 88, 96
UNLOCKED = 0x55

# Slots 0..7 hold P-256 private keys: secret, never written from outside, a new key may be generated inside.
# Slots 8..15 hold data that anyone may read and write until the slot is locked.
PRIVATE_KEY_SLOTS = range(8)
_PRIVATE_SLOT_CONFIG, _DATA_SLOT_CONFIG = 0x2083, 0x0F0F
_PRIVATE_KEY_CONFIG, _DATA_KEY_CONFIG = 0x0033, 0x003C
_SECRET, _WRITE_ALWAYS_MASK, _GENERATE_ALLOWED = 1 << 7, 0xF << 12, 1 << 13
_HOLDS_PRIVATE_KEY, _LOCKABLE = 1 << 0, 1 << 5
_P256 = 4  # key type


class _RefusedError(Exception):
    """The chip answers with a status instead of data."""

    def __init__(self, status: bytes) -> None:
        super().__init__(status.hex())
        self.status = status


def _point(x_and_y: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x_and_y)
    except ValueError:
        raise _RefusedError(EXECUTION_ERROR) from None  # no point of the curve


def default_config(serial_number: bytes) -> bytearray:
    """The configuration zone (128 bytes) of a kit's chip: configuration and data zones locked, no slot locked.

    :param serial_number: 9 bytes
    """
    config = bytearray(CONFIG_SIZE)
    config[0:4], config[8:13] = serial_number[:4], serial_number[4:]
    config[4:8] = REVISION
    config[13], config[14], config[16] = 0x60, 0x01, 0xB0  # AES enabled, I2C, 8-bit address
    for slot in SLOTS:
        private = slot in PRIVATE_KEY_SLOTS
        slot_config = _PRIVATE_SLOT_CONFIG if private else _DATA_SLOT_CONFIG
        key_config = _PRIVATE_KEY_CONFIG if private else _DATA_KEY_CONFIG
        config[SLOT_CONFIG + 2 * slot : SLOT_CONFIG + 2 * slot + 2] = slot_config.to_bytes(2, "little")
        config[KEY_CONFIG + 2 * slot : KEY_CONFIG + 2 * slot + 2] = key_config.to_bytes(2, "little")
    config[SLOT_LOCKED : SLOT_LOCKED + 2] = b"\xff\xff"
    return config


class Ecc608:
    """The chip's content and its command processor.

    :param serial_number: 9 bytes, used when no configuration zone is given
    :param private_keys: keys by slot number; slots without one refuse GenKey and Sign
    :param random: source of random bytes

    ``meters`` counts commands that changed data (``secure_element_writes``) and locks that changed state
    (``secure_element_locks``). ``faults.secure_element_refused_slots`` makes the chip refuse slots.
    """

    def __init__(
        self,
        serial_number: bytes = DEFAULT_SERIAL_NUMBER,
        private_keys: dict[int, ec.EllipticCurvePrivateKey] | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.config = default_config(serial_number)
        self.otp = bytearray(OTP_SIZE)
        self.slots = [bytearray(slot_size(slot)) for slot in SLOTS]
        self.private_keys = {0: ec.generate_private_key(ec.SECP256R1())} if private_keys is None else dict(private_keys)
        self.meters = Meters()
        self.faults = Faults()
        self._random = random
        self._temporary_key: bytes | None = None
        self._message_digest: bytes | None = None
        self._ephemeral_key: ec.EllipticCurvePrivateKey | None = None

    @property
    def serial_number(self) -> bytes:
        """9 bytes, from the configuration zone."""
        return bytes(self.config[0:4] + self.config[8:13])

    def public_key(self, slot: int = 0) -> bytes:
        """X ‖ Y (64 bytes) of the private key in a slot.

        :raises KeyError: the slot holds no private key
        """
        return coordinates(self.private_keys[slot].public_key())

    def is_locked(self, slot: int) -> bool:
        """Whether the slot was locked for ever."""
        return not self.config[SLOT_LOCKED + slot // 8] >> slot % 8 & 1

    def sleep(self) -> None:
        """Lose what is held in RAM, as the chip does when it goes to sleep."""
        self._temporary_key = self._message_digest = self._ephemeral_key = None

    def command(self, opcode: int, parameter1: int = 0, parameter2: int = 0, data: bytes = b"") -> bytes:
        """One command: the payload of the answer, which is a single status byte where there is no data.

        Never raises: whatever is wrong with a command is in the status.
        """
        handlers: dict[int, Callable[[int, int, bytes], bytes]] = {
            READ: self._read,
            WRITE: self._write,
            LOCK: self._lock,
            INFO: self._info,
            RANDOM: self._random_number,
            NONCE: self._nonce,
            GENKEY: self._generate_key,
            SIGN: self._sign,
            ECDH: self._shared_secret,
            VERIFY: self._verify,
            SELFTEST: self._self_test,
        }
        handler = handlers.get(opcode)
        if handler is None:
            return PARSE_ERROR
        try:
            return handler(parameter1, parameter2, data)
        except _RefusedError as refused:
            return refused.status

    # --- zones ---------------------------------------------------------------------------------------------------

    def _place(self, parameter1: int, address: int) -> tuple[bytearray, int, int, int | None]:
        """Zone memory, offset, length and slot number (data zone only) of a Read or Write."""
        zone, length = parameter1 & 3, BLOCK if parameter1 & WHOLE_BLOCK else WORD
        slot: int | None = None
        if zone == ZONE_CONFIG:
            memory, block = self.config, address >> 3 & 3
        elif zone == ZONE_OTP:
            memory, block = self.otp, address >> 3 & 1
        elif zone == ZONE_DATA:
            slot = address >> 3 & 15
            memory, block = self.slots[slot], address >> 8
        else:
            raise _RefusedError(PARSE_ERROR)
        offset = block * BLOCK + (address & 7) * WORD
        if offset >= len(memory):
            raise _RefusedError(PARSE_ERROR)
        return memory, offset, length, slot

    def _slot_word(self, table: int, slot: int) -> int:
        return int.from_bytes(self.config[table + 2 * slot : table + 2 * slot + 2], "little")

    def _check_usable(self, slot: int) -> None:
        if slot in self.faults.secure_element_refused_slots:
            raise _RefusedError(EXECUTION_ERROR)

    def _read(self, parameter1: int, address: int, _data: bytes) -> bytes:
        memory, offset, length, slot = self._place(parameter1, address)
        if slot is not None:
            self._check_usable(slot)
            if self._slot_word(SLOT_CONFIG, slot) & _SECRET:
                raise _RefusedError(EXECUTION_ERROR)
        return bytes(memory[offset : offset + length]).ljust(length, b"\0")  # the last block of a slot may be short

    def _write(self, parameter1: int, address: int, data: bytes) -> bytes:
        memory, offset, length, slot = self._place(parameter1, address)
        if len(data) != length:
            raise _RefusedError(PARSE_ERROR)
        if slot is None:
            lock_byte = LOCK_CONFIG if memory is self.config else LOCK_VALUE
            if self.config[lock_byte] != UNLOCKED:
                raise _RefusedError(EXECUTION_ERROR)
        else:
            self._check_usable(slot)
            if self.is_locked(slot) or self._slot_word(SLOT_CONFIG, slot) & _WRITE_ALWAYS_MASK:
                raise _RefusedError(EXECUTION_ERROR)
        data = data[: len(memory) - offset]
        if memory[offset : offset + length] != data:
            memory[offset : offset + length] = data
            self.meters.count("secure_element_writes")
        return SUCCESS

    def _lock(self, parameter1: int, _summary: int, _data: bytes) -> bytes:
        zone = parameter1 & 3
        if zone == ZONE_DATA:
            slot = parameter1 >> 2 & 15
            self._check_usable(slot)
            if self.is_locked(slot) or not self._slot_word(KEY_CONFIG, slot) & _LOCKABLE:
                return EXECUTION_ERROR
            self.config[SLOT_LOCKED + slot // 8] &= ~(1 << slot % 8) & 0xFF
        else:
            lock_byte = LOCK_CONFIG if zone == ZONE_CONFIG else LOCK_VALUE
            if self.config[lock_byte] != UNLOCKED:
                return EXECUTION_ERROR
            self.config[lock_byte] = 0
        self.meters.count("secure_element_locks")
        return SUCCESS

    # --- keys ----------------------------------------------------------------------------------------------------

    def _nonce(self, mode: int, _parameter2: int, data: bytes) -> bytes:
        if mode & 3 == 3:  # pass-through: the host's value is taken as it is
            if len(data) not in (32, 64):
                return PARSE_ERROR
            if mode & 0xC0 == 0x40:
                self._message_digest = data
            else:
                self._temporary_key = data
            return SUCCESS
        if len(data) != 20 or mode & 3 == 2:
            return PARSE_ERROR
        number = self._random(32)
        self._temporary_key = hashlib.sha256(number + data + bytes([NONCE, mode, 0])).digest()
        return number

    def _generate_key(self, mode: int, slot: int, _data: bytes) -> bytes:
        if slot == TEMPORARY_KEY and mode & 0x04:
            self._ephemeral_key = ec.generate_private_key(ec.SECP256R1())
            self._temporary_key = None
            return coordinates(self._ephemeral_key.public_key())
        if slot > 15:
            return PARSE_ERROR
        self._check_usable(slot)
        if mode & 0x04:  # a new key
            generated = self._slot_word(SLOT_CONFIG, slot) & _GENERATE_ALLOWED
            if not generated or not self._slot_word(KEY_CONFIG, slot) & _HOLDS_PRIVATE_KEY or self.is_locked(slot):
                return EXECUTION_ERROR
            self.private_keys[slot] = ec.generate_private_key(ec.SECP256R1())
            self.meters.count("secure_element_writes")
        return self.public_key(slot) if slot in self.private_keys else EXECUTION_ERROR

    def _sign(self, mode: int, slot: int, _data: bytes) -> bytes:
        if slot > 15:
            return PARSE_ERROR
        self._check_usable(slot)
        digest = self._message_digest if mode & 0x20 else self._temporary_key
        if not mode & 0x80 or digest is None or slot not in self.private_keys:
            return EXECUTION_ERROR
        algorithm = ec.ECDSA(utils.Prehashed(SHA256()), deterministic_signing=True)
        r, s = utils.decode_dss_signature(self.private_keys[slot].sign(digest[:32], algorithm))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _shared_secret(self, mode: int, slot: int, data: bytes) -> bytes:
        """ECDH with the point in ``data``; the secret goes out in clear, into RAM or a slot it cannot go here."""
        key = self._ephemeral_key if mode & 0x01 else self.private_keys.get(slot)
        if mode & 0x02 or mode & 0x0C not in (0x00, 0x0C) or len(data) != 64:
            return PARSE_ERROR
        if key is None:
            return EXECUTION_ERROR
        return key.exchange(ec.ECDH(), _point(data))

    def _verify(self, mode: int, curve: int, data: bytes) -> bytes:
        """A signature of the digest that Nonce left, with the public key behind it; no stored keys."""
        digest = self._message_digest if mode & 0x20 else self._temporary_key
        if mode & 0x07 != 0x02 or curve != _P256 or len(data) != 128:
            return PARSE_ERROR
        if digest is None:
            return EXECUTION_ERROR
        signature = utils.encode_dss_signature(*(int.from_bytes(part, "big") for part in (data[:32], data[32:64])))
        try:
            _point(data[64:]).verify(signature, digest[:32], ec.ECDSA(utils.Prehashed(SHA256())))
        except InvalidSignature:
            return MISCOMPARE
        return SUCCESS

    # --- the rest ------------------------------------------------------------------------------------------------

    def _info(self, _mode: int, _parameter2: int, _data: bytes) -> bytes:
        return REVISION

    def _random_number(self, _mode: int, _parameter2: int, _data: bytes) -> bytes:
        return self._random(32)

    def _self_test(self, _mode: int, _parameter2: int, _data: bytes) -> bytes:
        return SUCCESS

    # --- what is kept without power ------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything the chip keeps without power, private keys included, as numbers and hex text."""
        return {
            "serial_number": self.serial_number.hex(),
            "config": bytes(self.config).hex(),
            "otp": bytes(self.otp).hex(),
            "slots": {number: bytes(slot).hex() for number, slot in enumerate(self.slots)},
            "private_keys": dict(self._private_numbers()),
        }

    def _private_numbers(self) -> Iterator[tuple[int, str]]:
        for slot, key in sorted(self.private_keys.items()):
            yield slot, key.private_numbers().private_value.to_bytes(32, "big").hex()

    @classmethod
    def from_state(cls, state: dict[str, Any], random: Callable[[int], bytes] = os.urandom) -> Ecc608:
        """The chip that :meth:`state` described.

        :raises ValueError: something is missing, not hex, or of the wrong size
        """
        try:
            config = bytearray.fromhex(state["config"])
            otp = bytearray.fromhex(state["otp"])
            slots = [bytearray.fromhex(state["slots"][number]) for number in SLOTS]
            numbers = {int(slot): int(value, 16) for slot, value in state["private_keys"].items()}
            keys = {slot: ec.derive_private_key(value, ec.SECP256R1()) for slot, value in numbers.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the state of the secure element is incomplete: {error}") from error
        if (
            len(config) != CONFIG_SIZE
            or len(otp) != OTP_SIZE
            or [len(slot) for slot in slots] != [slot_size(slot) for slot in SLOTS]
        ):
            raise ValueError("a zone or slot in the state of the secure element has the wrong size")
        chip = cls(private_keys=keys, random=random)
        chip.config, chip.otp, chip.slots = config, otp, slots
        return chip
