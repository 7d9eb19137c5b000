"""The TLS root certificate store in the flash of the WINC1510: what the module checks servers against.

Little endian. ::

    0    16   magic
    16   4    number of entries
    20        the entries, each padded with 0xFF to a multiple of 4 bytes

    0    20   SHA-1 over the values of the subject's name attributes, in their order, with nothing in between
    20   8    not before: year (2), month, day, hour, minute, second, one byte that nobody sets
    28   8    not after, likewise
    36   4    kind of key: 1 RSA, 2 elliptic curve
    40   2    RSA: length of the modulus; elliptic curve: 23, which is P-256
    42   2    RSA: length of the exponent; elliptic curve: length of a coordinate, 32
    44        modulus and exponent, or X and Y
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from iotprovision.chips.winc_flash import ERASED, ROOT_STORE
from iotprovision.errors import ProofError, UsageError

MAGIC = bytes.fromhex("11F112F213F314F415F516F617F718F8")
P256 = 23
_RSA, _ELLIPTIC = 1, 2
_COORDINATE = 32
_DATE = struct.Struct("<H5Bx")
_ENTRY = struct.Struct("<20s8s8sIHH")
_FIRST = len(MAGIC) + 4


@dataclass(frozen=True)
class Root:
    """One entry.

    :param name: SHA-1 of the subject, see :func:`name_digest`
    :param key: the public key, of which RSA and P-256 are known to the module
    """

    name: bytes
    not_before: datetime
    not_after: datetime
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Root:
        """:raises UsageError: the module knows no key of this kind"""
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey) and not (
            isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        ):
            raise UsageError("The Wi-Fi module takes roots with RSA or P-256 keys only")
        return cls(
            name_digest(certificate.subject), certificate.not_valid_before_utc, certificate.not_valid_after_utc, key
        )


def name_digest(name: x509.Name) -> bytes:
    """How the module looks a name up, 20 bytes."""
    values = (value.encode() if isinstance(value := attribute.value, str) else value for attribute in name)
    return hashlib.sha1(b"".join(values), usedforsecurity=False).digest()


def parse(store: bytes) -> tuple[Root, ...]:
    """The roots of a store; an erased one has none.

    :param store: the sector from :data:`iotprovision.chips.winc_flash.ROOT_STORE` on
    :raises ProofError: it is damaged
    """
    if all(byte == ERASED for byte in store):
        return ()
    if not store.startswith(MAGIC):
        raise _damaged("it does not start with the magic number")
    count = int.from_bytes(store[len(MAGIC) : _FIRST], "little")
    roots, offset = [], _FIRST
    for number in range(count):
        try:
            name, not_before, not_after, kind, first, second = _ENTRY.unpack_from(store, offset)
            size = 2 * second if kind == _ELLIPTIC else first + second
            material = store[offset + _ENTRY.size : offset + _ENTRY.size + size]
            if len(material) < size:
                raise ValueError("it is cut off")
            roots.append(Root(name, _date(not_before), _date(not_after), _key(kind, first, material)))
        except (struct.error, ValueError) as error:
            raise _damaged(f"entry {number}: {error}") from error
        offset += _padded(_ENTRY.size + size)
    return tuple(roots)


def build(roots: Iterable[Root]) -> bytes:
    """The store with these roots, to the end of the last entry.

    :raises UsageError: they do not fit into the sector
    """
    entries = [_entry(root) for root in roots]
    store = MAGIC + len(entries).to_bytes(4, "little") + b"".join(entries)
    if len(store) > ROOT_STORE.size:
        raise UsageError(f"The roots need {len(store)} bytes, and the Wi-Fi module has {ROOT_STORE.size} for them")
    return store


def _entry(root: Root) -> bytes:
    numbers = root.key.public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        parts = [value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.n, numbers.e)]
        kind, first = _RSA, len(parts[0])
    else:
        parts = [value.to_bytes(_COORDINATE, "big") for value in (numbers.x, numbers.y)]
        kind, first = _ELLIPTIC, P256
    dates = (_DATE.pack(*date.astimezone(timezone.utc).timetuple()[:6]) for date in (root.not_before, root.not_after))
    entry = _ENTRY.pack(root.name, *dates, kind, first, len(parts[1])) + b"".join(parts)
    return entry.ljust(_padded(len(entry)), bytes([ERASED]))


def _key(kind: int, first: int, material: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    if kind == _RSA:
        modulus, exponent = (int.from_bytes(part, "big") for part in (material[:first], material[first:]))
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if kind != _ELLIPTIC or first != P256 or len(material) != 2 * _COORDINATE:
        raise ValueError("its key is of a kind that the module does not know")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + material)


def _date(field: bytes) -> datetime:
    year, month, day, hour, minute, second = _DATE.unpack(field)
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def _damaged(reason: str) -> ProofError:
    return ProofError(
        "The root certificate store of the Wi-Fi module is not readable",
        f"Read from flash address 0x{ROOT_STORE.address:X}: {reason}.",
        "write the module's firmware anew: the action wincupgrade",
    )
