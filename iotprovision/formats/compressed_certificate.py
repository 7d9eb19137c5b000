"""A compressed certificate: 72 bytes in a slot of the ATECC608 that stand for a whole X.509 certificate.

Big endian, Microchip's "compressed certificate definition", version 0. ::

    0   64  signature, R and S
    64   3  dates: year - 2000 (5 bits), month (4), day (5), hour (5), years until it expires (5)
    67   2  number of the signer
    69   1  template and chain, which nobody uses
    70   1  where the serial number comes from (high half), version of the format (low half)
    71   1  reserved
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from iotprovision.errors import ProofError

SIZE = 72
# Where the serial number of the certificate comes from.
SERIAL_OF_PUBLIC_KEY = 0xA
SERIAL_OF_CHIP = 0xB
NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True)
class CompressedCertificate:
    """The fields of the 72 bytes.

    :param signature: R ‖ S, 64 bytes
    :param dates: the 3 bytes as they are, since serial numbers are made from them
    :param identifiers: template and chain, one byte; nobody uses them
    """

    dates: bytes
    signer_id: int
    signature: bytes = bytes(64)
    identifiers: int = 0x10
    serial_source: int = SERIAL_OF_PUBLIC_KEY

    @classmethod
    def from_bytes(cls, data: bytes) -> CompressedCertificate:
        """:raises ProofError: it is not a compressed certificate of version 0"""
        if len(data) != SIZE:
            raise corrupt(f"it has {len(data)} bytes, not {SIZE}")
        if len(set(data)) == 1:
            raise corrupt("the slot is blank")
        if data[70] & 0x0F:
            raise corrupt(f"it has format version {data[70] & 0x0F}, only 0 is known")
        return cls(data[64:67], int.from_bytes(data[67:69], "big"), data[:64], data[69], data[70] >> 4)

    def to_bytes(self) -> bytes:
        """72 bytes for a slot."""
        fields = self.signer_id.to_bytes(2, "big") + bytes([self.identifiers, self.serial_source << 4, 0])
        return self.signature + self.dates + fields

    def validity(self) -> tuple[datetime, datetime]:
        """The first and the last moment, UTC.

        :raises ProofError: the bytes are not dates
        """
        bits = int.from_bytes(self.dates, "big")
        year, month, day, hour, years = bits >> 19, bits >> 15 & 15, bits >> 10 & 31, bits >> 5 & 31, bits & 31
        try:
            begin = datetime(2000 + year, month, day, hour, tzinfo=UTC)
            return begin, begin.replace(year=begin.year + years) if years else NO_EXPIRY
        except ValueError as error:
            raise corrupt(f"{self.dates.hex().upper()} are not dates") from error

    def serial_number(self, public_key: bytes, chip_serial_number: bytes | None) -> int:
        """The serial number of the certificate.

        :raises ProofError: the source of serial numbers is not one that these chips use
        """
        if self.serial_source == SERIAL_OF_PUBLIC_KEY:
            source = public_key
        elif self.serial_source == SERIAL_OF_CHIP and chip_serial_number is not None:
            source = chip_serial_number
        else:
            raise corrupt(f"serial numbers of source {self.serial_source:X} are not supported")
        digest = bytearray(hashlib.sha256(source + self.dates).digest()[:16])
        digest[0] = digest[0] & 0x7F | 0x40
        return int.from_bytes(digest, "big")


def encode_dates(begin: datetime, years: int) -> bytes:
    """The 3 bytes for a certificate that begins on the hour and lasts some years; 0 years are no expiry.

    :raises ValueError: the dates cannot be written so
    """
    if not 2000 <= begin.year <= 2031 or not 0 <= years <= 31:
        raise ValueError("the first year is 2000 to 2031, the life at most 31 years")
    begin.replace(year=begin.year + years)
    bits = begin.year - 2000
    for value, width in ((begin.month, 4), (begin.day, 5), (begin.hour, 5), (years, 5)):
        bits = bits << width | value
    return bits.to_bytes(3, "big")


def corrupt(reason: str) -> ProofError:
    """The error for a slot that cannot be understood."""
    return ProofError(
        "The secure element does not hold a factory certificate",
        f"A slot cannot be understood: {reason}.",
        "use a method that makes its own device certificate, such as -m jitr",
    )
