"""What the ATECC608 secure element holds on these kits (ATECC608A data sheet; vendor's provisioning tools)."""

from __future__ import annotations

from enum import Enum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from iotprovision.errors import ProofError

SERIAL_NUMBER_SIZE = 9
SERIAL_NUMBER_START = bytes.fromhex("0123")
OTP_SIZE = 64
PUBLIC_KEY_SIZE = 64
SIGNATURE_SIZE = 64

SLOTS = range(16)
DEVICE_KEY_SLOT = 0
PROVISIONING_DATA_SLOT = 8
DEVICE_CERTIFICATE_SLOT = 10
SIGNER_PUBLIC_KEY_SLOT = 11
SIGNER_CERTIFICATE_SLOT = 12
# Frozen once their content is proved.
LOCKED_SLOTS = (DEVICE_CERTIFICATE_SLOT, SIGNER_PUBLIC_KEY_SLOT, SIGNER_CERTIFICATE_SLOT)

# The one-time-programmable zone of a Trust&Go part starts with this. Its factory certificate carries more than a slot
# can say (the MAC address of the part), so it cannot be rebuilt like the others.
TRUST_AND_GO_OTP_START = bytes.fromhex("7836746A755A4D79")
OTP_START_SIZE = 8

COORDINATE_SIZE = 32
# The chip aligns each coordinate of a stored public key to 36 bytes.
COORDINATE_PADDING = bytes(4)


class Kind(Enum):
    """Which factory made the certificates in slots 10 to 12; the value is the name of the configuration."""

    MAH1H = "MAH1H"
    MAH4I = "MAH4I"

    @property
    def last_serial_byte(self) -> int:
        """The last byte of the chip's serial number, by which the vendor's tools tell the kinds apart."""
        return {Kind.MAH1H: 0xFE, Kind.MAH4I: 0x01}[self]

    @property
    def otp_start(self) -> bytes:
        """The first eight bytes of the one-time-programmable zone; other chips of the family have others."""
        return {Kind.MAH1H: b"\xff" * 8, Kind.MAH4I: bytes.fromhex("4D4B4D7779685031")}[self]

    @classmethod
    def recognise(cls, serial_number: bytes, otp_start: bytes) -> Kind:
        """The kind of a chip by both of its marks, which must agree.

        :param serial_number: 9 bytes
        :param otp_start: the first 8 bytes of the one-time-programmable zone
        :raises ProofError: it is a Trust&Go or TrustFLEX part, or nothing that is known
        """
        title = f"The secure element {serial_number.hex().upper()}"
        hint = "use a method that makes its own device certificate, such as -m jitr"
        if otp_start == TRUST_AND_GO_OTP_START:
            raise ProofError(
                f"{title} is a Trust&Go part",
                "Its factory certificate names its MAC address and cannot be rebuilt from the slots.",
                hint,
            )
        kind = next((kind for kind in cls if kind.otp_start == otp_start), None)
        if kind is None:
            raise ProofError(
                f"{title} is a TrustFLEX or custom part",
                f"Its one-time-programmable zone starts with {otp_start.hex().upper()}:\n"
                "factory certificates of such parts are not known.",
                hint,
            )
        if cls.of(serial_number) is not kind:
            raise ProofError(
                f"{title} is of no known kind",
                f"Its one-time-programmable zone says {kind.value}, the last byte of its serial number says otherwise.",
                hint,
            )
        return kind

    @classmethod
    def of(cls, serial_number: bytes) -> Kind:
        """The kind of the chip with this serial number.

        :param serial_number: 9 bytes
        :raises ProofError: it is not a serial number of either kind
        """
        if len(serial_number) != SERIAL_NUMBER_SIZE or not serial_number.startswith(SERIAL_NUMBER_START):
            raise ProofError(
                f"{serial_number.hex().upper() or 'Nothing'} is not a serial number of an ATECC608",
                "It has 9 bytes and starts with 01 23.",
                "reset the kit and try again",
            )
        for kind in cls:
            if serial_number[-1] == kind.last_serial_byte:
                return kind
        raise ProofError(
            f"The secure element {serial_number.hex().upper()} is of a kind without known factory certificates",
            "Its serial number ends neither in FE (MAH1H) nor in 01 (MAH4I).",
            "use a method that makes its own device certificate, such as -m jitr",
        )


def slot_size(slot: int) -> int:
    """The size of a slot in bytes.

    :raises ValueError: there is no such slot
    """
    if slot not in SLOTS:
        raise ValueError(f"the ATECC608 has no slot {slot}")
    if slot < PROVISIONING_DATA_SLOT:
        return 36
    return 416 if slot == PROVISIONING_DATA_SLOT else 72


def padded_public_key(public_key: bytes) -> bytes:
    """A public key as a slot keeps it: each coordinate behind four zero bytes, 72 bytes.

    :param public_key: X ‖ Y, 64 bytes, big endian
    """
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise ValueError("a public key is X and Y, 64 bytes")
    return COORDINATE_PADDING + public_key[:COORDINATE_SIZE] + COORDINATE_PADDING + public_key[COORDINATE_SIZE:]


def unpadded_public_key(slot: bytes) -> bytes:
    """X ‖ Y, 64 bytes, of a public key in a slot.

    :raises ProofError: the slot does not hold a padded public key
    """
    if (
        len(slot) != slot_size(SIGNER_PUBLIC_KEY_SLOT)
        or slot[:4] != COORDINATE_PADDING
        or slot[36:40] != COORDINATE_PADDING
    ):
        raise ProofError(
            "The slot of the secure element does not hold a public key",
            "A stored public key is X and Y of 32 bytes, each behind four zero bytes.",
            "reset the kit and try again; if it stays, the slot was overwritten",
        )
    return slot[4:36] + slot[40:72]


def public_key_from_coordinates(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 public key of the coordinates that the chip gave.

    :param public_key: X ‖ Y, 64 bytes, big endian
    :raises ProofError: it is no point of the curve, so it was not read properly
    """
    try:
        if len(public_key) != PUBLIC_KEY_SIZE:
            raise ValueError("not 64 bytes")
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofError(
            "The secure element's public key is not a point of the curve P-256",
            "It was read with errors, or the slot holds no key.",
            "reset the kit and try again",
        ) from error


def coordinates(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """X ‖ Y, 64 bytes, big endian."""
    return public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
