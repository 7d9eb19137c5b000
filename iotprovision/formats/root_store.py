"""The TLS root certificate store in the flash of the WINC1510: the authorities whose servers the module trusts.

Little endian, one sector of 4096 bytes::

    0    16  magic
    16   4   number of entries
    20       the entries, back to back, each filled with 0xFF up to a multiple of 4 bytes

An entry::

    0    20  SHA-1 of the values of all attributes of the subject, UTF-8, in the order of the certificate
    20   8   not before: year, 2; month, day, hour, minute, second; a byte that means nothing
    28   8   not after, likewise
    36   4   1 for RSA, 2 for EC
    40   2   RSA: bytes of the modulus; EC: 23, the number of P-256 in TLS
    42   2   RSA: bytes of the exponent; EC: bytes of a coordinate
    44       RSA: modulus and exponent without leading zeros; EC: X and Y in 32 bytes each, leading zeros and all

The module's firmware looks an entry up by the name and goes through them in sequence, so their order means nothing.
The layout is that of the vendor's own images (``WINC1500_19.7.7.bin``, from 0x4000 on).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats.winc_flash import ERASED, ROOT_STORE

MAGIC = bytes.fromhex("11F112F213F314F415F516F617F718F8")
HEAD = struct.Struct("<16sI")
ENTRY = struct.Struct("<20sH5BxH5BxIHH")
ALIGNMENT = 4
RSA, EC = 1, 2
P256, COORDINATE = 23, 32

FACTORY_NAMES: tuple[tuple[str, ...], ...] = (
    ("US", "Amazon", "Amazon Root CA 3"),
    ("IE", "Baltimore", "CyberTrust", "Baltimore CyberTrust Root"),
    ("US", "DigiCert Inc", "www.digicert.com", "DigiCert Global Root G2"),
    ("GlobalSign ECC Root CA - R4", "GlobalSign", "GlobalSign"),
    ("US", "Google Trust Services LLC", "GTS LTSR"),
    ("US", "Internet Security Research Group", "ISRG Root X1"),
    ("US", "Microsoft Corporation", "Microsoft RSA Root Certificate Authority 2017"),
    (
        "US",
        "VeriSign, Inc.",
        "VeriSign Trust Network",
        "(c) 2006 VeriSign, Inc. - For authorized use only",
        "VeriSign Class 3 Public Primary Certification Authority - G5",
    ),
    ("BE", "GlobalSign nv-sa", "Root CA", "GlobalSign Root CA"),
    (
        "US",
        "Arizona",
        "Scottsdale",
        "Starfield Technologies, Inc.",
        "Starfield Services Root Certificate Authority - G2",
    ),
)
"""Subjects of the roots that come with the module's firmware: the store has only their digests."""


def _digest(values: Iterable[str]) -> bytes:
    return hashlib.sha1("".join(values).encode()).digest()  # noqa: S324 - the module's format


# The library's errors for a certificate that it cannot read are not all ValueErrors.
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_KNOWN = {_digest(values): values[-1] for values in FACTORY_NAMES}
_KNOWN[_digest(FACTORY_NAMES[3])] = FACTORY_NAMES[3][0]  # its common name says less than its unit


@dataclass(frozen=True)
class Root:
    """One entry; two that are equal are the same to the module.

    :param key_type: :data:`RSA` or :data:`EC`
    :param parameter: the modulus; or for EC the coordinate X
    :param value: the exponent; or for EC the coordinate Y
    """

    name_digest: bytes
    not_before: datetime
    not_after: datetime
    key_type: int
    parameter: bytes
    value: bytes

    @property
    def name(self) -> str:
        """What a person calls it, as far as that is known."""
        return _KNOWN.get(self.name_digest, f"root with the name digest {self.name_digest.hex()}")

    def has_expired(self, moment: datetime) -> bool:
        return self.not_after < moment

    def packed(self) -> bytes:
        """Its bytes in the store."""
        first = P256 if self.key_type == EC else len(self.parameter)
        dates = (*_date_fields(self.not_before), *_date_fields(self.not_after))
        entry = ENTRY.pack(self.name_digest, *dates, self.key_type, first, len(self.value))
        return _filled(entry + self.parameter + self.value)


def root_of(certificate: x509.Certificate) -> Root:
    """The entry for a certificate.

    :raises UsageError: it is not an authority's, its key is neither RSA nor EC on P-256, or its content is not
        readable; says why, not whose it is
    """
    try:
        values = [attribute.value for attribute in certificate.subject]
        key = certificate.public_key()
        _check_authority(certificate)
        names = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
        dates = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _UNREADABLE as error:
        raise UsageError("the certificate is damaged", str(error)) from error
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return Root(_digest(names), *dates, RSA, _without_zeros(numbers.n), _without_zeros(numbers.e))
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_numbers()
        x, y = (number.to_bytes(COORDINATE, "big") for number in (point.x, point.y))
        return Root(_digest(names), *dates, EC, x, y)
    kind = f"EC on {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__.lstrip("_")
    raise UsageError(f"its key ({kind}) is none that the Wi-Fi module knows", "It takes RSA, and EC on P-256.")


def _check_authority(certificate: x509.Certificate) -> None:
    """Roots of version 1 have no extensions, and are taken."""
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = certificate.version is x509.Version.v1 or certificate.subject == certificate.issuer
    if not is_authority:
        raise UsageError("it is not the certificate of an authority", "Servers are trusted by the root they come from.")


def build(roots: Iterable[Root]) -> bytes:
    """The whole sector, 4096 bytes; what is given twice is in it once.

    :raises UsageError: they do not fit
    """
    entries = [root.packed() for root in dict.fromkeys(roots)]
    content = HEAD.pack(MAGIC, len(entries)) + b"".join(entries)
    if len(content) > ROOT_STORE.size:
        fitting, size = 0, HEAD.size
        while size + len(entries[fitting]) <= ROOT_STORE.size:
            size += len(entries[fitting])
            fitting += 1
        raise UsageError(
            f"{len(entries)} root certificates do not fit into the Wi-Fi module: {len(content)} bytes",
            f"It has {ROOT_STORE.size} bytes for them; the first {fitting} of these would fit.\n"
            "One with an RSA key of 4096 bits takes 560 bytes, one of 2048 bits 304, one with an EC key 108.",
            "leave out those of servers that the kit does not talk to",
        )
    return content.ljust(ROOT_STORE.size, bytes([ERASED]))


def parse(sector: bytes) -> tuple[Root, ...]:
    """What is in the store, in its order; an erased one holds nothing.

    :param sector: the flash from the start of the store on, at least to the end of the last entry
    :raises ProofError: it is not a store, or not a whole one; says which rule is broken
    """
    if sector.count(ERASED) == len(sector):
        return ()
    if len(sector) < HEAD.size or not sector.startswith(MAGIC):
        raise _garbage("it does not start with the magic number")
    _, count = HEAD.unpack_from(sector)
    roots: list[Root] = []
    at = HEAD.size
    for number in range(count):
        try:
            digest, *fields, key_type, first, second = ENTRY.unpack_from(sector, at)
            dates = [datetime(*fields[part : part + 6]).replace(tzinfo=UTC) for part in (0, 6)]
        except struct.error as error:
            raise _garbage(f"it counts {count} entries and is cut off in entry {number}") from error
        except ValueError as error:
            raise _garbage(f"a date of entry {number} is none") from error
        if key_type not in (RSA, EC) or (key_type == EC and (first, second) != (P256, COORDINATE)):
            raise _garbage(f"the key of entry {number} is of no kind that is known")
        start = at + ENTRY.size
        middle = start + (COORDINATE if key_type == EC else first)
        end = middle + second
        if end > len(sector):
            raise _garbage(f"entry {number} reaches beyond it")
        roots.append(Root(digest, dates[0], dates[1], key_type, sector[start:middle], sector[middle:end]))
        at += len(_filled(sector[at:end]))
    return tuple(roots)


def _filled(entry: bytes) -> bytes:
    return entry + bytes([ERASED]) * (-len(entry) % ALIGNMENT)


def _without_zeros(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _date_fields(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second


def _garbage(reason: str) -> ProofError:
    return ProofError(
        "The root certificate store of the Wi-Fi module is not readable",
        f"Read from flash address 0x{ROOT_STORE.address:X}: {reason}.",
        "put the vendor's roots back: iotprovision rootcerts --rrc factory",
    )
