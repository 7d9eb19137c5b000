"""How a simulated secure element leaves the factory: a serial number, a key, and factory certificates of its own.

The certificates are made as the vendor's factory makes them, under a root of the simulator's own, made once a folder.
Names and key identifiers are those of the vendor's templates, since whoever rebuilds the certificates takes them from
there; only the root's key differs.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from iotprovision.formats.compressed_certificate import CompressedCertificate, encode_dates
from iotprovision.formats.ecc608_zones import (
    DEVICE_CERTIFICATE_SLOT,
    DEVICE_KEY_SLOT,
    OTP_SIZE,
    PROVISIONING_DATA_SLOT,
    SERIAL_NUMBER_SIZE,
    SERIAL_NUMBER_START,
    SIGNER_CERTIFICATE_SLOT,
    SIGNER_PUBLIC_KEY_SLOT,
    Kind,
    coordinates,
    padded_public_key,
    slot_size,
)
from iotprovision.formats.factory_certificates import VENDOR_ROOTS, FactoryRoot, compress, device_body, signer_body
from iotprovision.pki.signer import signing_key
from iotprovision.pki.signers.key_files import KeyFile, KeyInMemory, Passphrase
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.store.folder import Store

# Beside the folders of the kits, where no kit is looked for.
ROOT_FOLDER = ".factory"
ROOT_KEY = "factory-root.key"
# Two kits may be made at once; making a key takes milliseconds.
ROOT_LOCK_TIMEOUT = 30.0

MADE = datetime(2020, 6, 9, 22, tzinfo=UTC)
SIGNER_YEARS = 29
# The chips of the one kind expire, those of the other do not.
DEVICE_YEARS = {Kind.MAH1H: 0, Kind.MAH4I: 28}


@dataclass(frozen=True)
class FactoryIdentity:
    """What tells one chip from another.

    :param serial_number: 9 bytes
    :param private_key: of slot 0
    :param slots: content by number, each of the slot's size; slots that are not listed are zero
    :param otp: the one-time-programmable zone, 64 bytes
    """

    kind: Kind
    serial_number: bytes
    private_key: ec.EllipticCurvePrivateKey
    slots: dict[int, bytes]
    otp: bytes

    def secure_element(self) -> Ecc608:
        """A chip with this identity."""
        chip = Ecc608(self.serial_number, {DEVICE_KEY_SLOT: self.private_key})
        for slot, content in self.slots.items():
            chip.slots[slot][:] = content
        chip.otp[:] = self.otp
        return chip


def new_identity(state_folder: Path, kind: Kind) -> FactoryIdentity:
    """A chip that nobody else has.

    :param state_folder: the simulator's folder, where the root's key is kept
    :raises StoreError: the root's key cannot be read or written
    """
    root_key = _root_key(state_folder)
    root = _root_of(root_key, kind)
    device_key = ec.generate_private_key(ec.SECP256R1())
    signer_key = ec.generate_private_key(ec.SECP256R1())
    public_key, signer_public_key = coordinates(device_key.public_key()), coordinates(signer_key.public_key())
    random = secrets.token_bytes(SERIAL_NUMBER_SIZE - len(SERIAL_NUMBER_START) - 1)
    serial_number = SERIAL_NUMBER_START + random + bytes([kind.last_serial_byte])
    signer_id = secrets.randbits(16)
    signer = CompressedCertificate(encode_dates(MADE, SIGNER_YEARS), signer_id)
    signer = compress(signer, signer_body(kind, signer, signer_public_key, root), root_key)
    device = CompressedCertificate(encode_dates(MADE, DEVICE_YEARS[kind]), signer_id)
    body = device_body(kind, serial_number, device, public_key, signer_public_key)
    device = compress(device, body, signer_key)
    slots = {
        # Never written: it reads as erased flash.
        PROVISIONING_DATA_SLOT: b"\xff" * slot_size(PROVISIONING_DATA_SLOT),
        DEVICE_CERTIFICATE_SLOT: device.to_bytes(),
        SIGNER_PUBLIC_KEY_SLOT: padded_public_key(signer_public_key),
        SIGNER_CERTIFICATE_SLOT: signer.to_bytes(),
    }
    return FactoryIdentity(kind, serial_number, device_key, slots, kind.otp_start.ljust(OTP_SIZE, b"\xff"))


def factory_root(state_folder: Path, kind: Kind) -> FactoryRoot:
    """The root that the factory certificates of this folder's kits are under, made if there is none yet.

    :raises StoreError: its key cannot be read or written
    """
    return _root_of(_root_key(state_folder), kind)


def _root_of(key: ec.EllipticCurvePrivateKey, kind: Kind) -> FactoryRoot:
    return replace(VENDOR_ROOTS[kind], public_key=coordinates(key.public_key()))


def _root_key(state_folder: Path) -> ec.EllipticCurvePrivateKey:
    store = Store(state_folder / ROOT_FOLDER)
    key = KeyFile(store, ROOT_KEY, Passphrase())
    with store.lock(ROOT_LOCK_TIMEOUT):
        if not key.exists:
            store.write_secret(ROOT_KEY, KeyInMemory.new().encoded(None))
    return signing_key(key)
