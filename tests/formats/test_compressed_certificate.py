"""Factory certificates of the secure element, rebuilt from a sample that the chip's vendor made."""

import hashlib
import random
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from iotprovision.errors import ProofError
from iotprovision.formats.compressed_certificate import CompressedCertificate, encode_dates
from iotprovision.formats.ecc608_zones import Kind, coordinates, padded_public_key, unpadded_public_key
from iotprovision.formats.factory_certificates import VENDOR_ROOTS, compress, rebuild, signer_body

# A chip of the kind MAH4I as read out: its factory certificates end at the vendor's root.
SERIAL = bytes.fromhex("01232B4E0931D16901")
PUBLIC_KEY = bytes.fromhex(
    "212af7087361dfa9f3ebe24ecc031c9d6776d94c7e9dc6cc85e14a8cf818a82a"
    "71ee2c5a84b909a5be7ae00afc8412f34fa7d10e2fa608510816a0053275af05"
)
SLOT_10 = bytes.fromhex(
    "8048d46465dcb02cb965064d1b42ebcb077abbab914a424237a932d295b898bb"
    "e551bb2d44fa532445ca90680929c42492125a6844abe6273d09233e54acb68ea326dc2c1000a000"
)
SLOT_11 = bytes.fromhex(
    "00000000edda3f8c7f607c847b4c931a0ea674ae0216d2d78a87e4ffc02cf3fe7ab61331"
    "00000000c5bf5e5c5a6ecc6c96bfe5b22de9b483f67ffa84db1d1998eb5937b38d87ecac"
)
SLOT_12 = bytes.fromhex(
    "e0b3b99955c70f1b715549c319d379bf0d65547adfac2d4995328c9e6d191890"
    "9cf5f240f7094ccd5e6e1e03072b6a3a6a87a3e770e28d4e172f5e7ff336c7df963a9f2c1010a000"
)
OIDS = ExtensionOID


def names(certificate: x509.Certificate) -> tuple[str, str]:
    return tuple(
        name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for name in (certificate.issuer, certificate.subject)
    )


def extensions(certificate: x509.Certificate) -> list[tuple[x509.ObjectIdentifier, bool]]:
    return [(extension.oid, extension.critical) for extension in certificate.extensions]


def test_the_vendors_sample_is_rebuilt():
    sample = rebuild(SERIAL, PUBLIC_KEY, SLOT_10, SLOT_11, SLOT_12)
    device, signer = sample.device, sample.signer
    assert f"{device.serial_number:x}" == "67366af46f640a02e0137a9099cfbf80"
    assert device.not_valid_before_utc == datetime(2020, 6, 9, 22, tzinfo=UTC)
    assert device.not_valid_after_utc == datetime(2048, 6, 9, 22, tzinfo=UTC)
    assert names(device) == ("Crypto Authentication Signer 2C10", "sn01232B4E0931D16901")
    assert names(signer) == ("Crypto Authentication Root CA 002", "Crypto Authentication Signer 2C10")
    assert extensions(device) == [
        (OIDS.BASIC_CONSTRAINTS, True),
        (OIDS.KEY_USAGE, True),
        (OIDS.SUBJECT_KEY_IDENTIFIER, False),
        (OIDS.AUTHORITY_KEY_IDENTIFIER, False),
    ]
    assert extensions(signer) == [
        (OIDS.KEY_USAGE, True),
        (OIDS.BASIC_CONSTRAINTS, True),
        (OIDS.SUBJECT_KEY_IDENTIFIER, False),
        (OIDS.AUTHORITY_KEY_IDENTIFIER, False),
    ]
    device.verify_directly_issued_by(signer)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_vendors_roots_have_the_key_identifiers_that_their_signers_name(kind):
    root = VENDOR_ROOTS[kind]
    assert hashlib.sha1(b"\x04" + root.public_key).digest() == root.key_identifier


@pytest.mark.parametrize("slot", ["10", "11", "12", "public key"])
def test_no_corrupt_byte_goes_unnoticed(slot):
    good = {"public key": PUBLIC_KEY, "10": SLOT_10, "11": SLOT_11, "12": SLOT_12}
    # Bytes 69 and 71 of a compressed certificate stand for nothing in the certificate.
    positions = [at for at in range(len(good[slot])) if slot not in ("10", "12") or at not in (69, 71)]
    for position in positions:
        changed = bytearray(good[slot])
        changed[position] ^= 0x01
        contents = {**good, slot: bytes(changed)}
        with pytest.raises(ProofError):
            rebuild(SERIAL, contents["public key"], contents["10"], contents["11"], contents["12"])


@pytest.mark.parametrize("blank", [bytes(72), b"\xff" * 72, b""])
def test_blank_slots_are_refused_with_a_reason(blank):
    for slots in ((blank, SLOT_11, SLOT_12), (SLOT_10, blank, SLOT_12), (SLOT_10, SLOT_11, blank)):
        with pytest.raises(ProofError) as caught:
            rebuild(SERIAL, PUBLIC_KEY, *slots)
        assert caught.value.why
        assert caught.value.hint


def test_another_chips_serial_number_or_another_kind_is_refused():
    other = SERIAL[:4] + b"\x00" + SERIAL[5:]
    for serial_number in (other, SERIAL[:-1] + b"\xfe", SERIAL[:-1] + b"\xee", SERIAL[:-1], b"\xff" * 9, b""):
        with pytest.raises(ProofError):
            rebuild(serial_number, PUBLIC_KEY, SLOT_10, SLOT_11, SLOT_12)


def test_random_slots_are_refused_and_nothing_else_happens():
    source = random.Random(608)
    for _ in range(300):
        slots = [source.randbytes(72) for _ in range(3)]
        # Every other time the format version and the serial source are right, so that the dates are reached.
        if source.random() < 0.5:
            slots[0] = slots[0][:70] + b"\xa0\x00"
            slots[2] = slots[2][:70] + b"\xa0\x00"
        with pytest.raises(ProofError):
            rebuild(SERIAL, PUBLIC_KEY, slots[0], SLOT_11, slots[2])
        with pytest.raises(ProofError):
            rebuild(SERIAL, PUBLIC_KEY, slots[0], slots[1], slots[2])


@pytest.mark.parametrize(
    ("raw", "begin", "end"),
    [
        ("A326DC", datetime(2020, 6, 9, 22), datetime(2048, 6, 9, 22)),
        ("9456C0", datetime(2018, 8, 21, 22), datetime(9999, 12, 31, 23, 59, 59)),
        # Written out bit by bit: 24 | 0010 | 11101 | 00000 | 00100, and the same without a year that has the day.
        ("C17404", datetime(2024, 2, 29), datetime(2028, 2, 29)),
    ],
)
def test_dates(raw, begin, end):
    begin, end = begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    assert CompressedCertificate(bytes.fromhex(raw), 0).validity() == (begin, end)
    years = 0 if end.year == 9999 else end.year - begin.year
    assert encode_dates(begin, years).hex().upper() == raw


@pytest.mark.parametrize("raw", ["C17401", "A300DC", "FFFFFF", "000000"])
def test_bytes_that_are_not_dates(raw):
    with pytest.raises(ProofError, match="factory certificate"):
        CompressedCertificate(bytes.fromhex(raw), 0).validity()


def test_dates_that_cannot_be_written():
    leap_day = datetime(2024, 2, 29, tzinfo=UTC)
    for begin, years in ((leap_day, 1), (leap_day.replace(year=2032), 4), (leap_day, 32), (leap_day, -4)):
        with pytest.raises(ValueError, match="year|day"):
            encode_dates(begin, years)


def test_serial_number_from_the_serial_number_of_the_chip():
    compressed = CompressedCertificate(bytes.fromhex("A326DC"), 0, serial_source=0xB)
    digest = hashlib.sha256(bytes.fromhex("01232B4E0931D16901 A326DC")).digest()
    expected = bytes([digest[0] & 0x7F | 0x40]) + digest[1:16]
    assert compressed.serial_number(PUBLIC_KEY, SERIAL).to_bytes(16, "big") == expected
    with pytest.raises(ProofError):
        CompressedCertificate(bytes.fromhex("A326DC"), 0, serial_source=0x8).serial_number(PUBLIC_KEY, SERIAL)


@pytest.mark.parametrize(
    ("kind", "name"), [(Kind.MAH1H, "ATECC 1H Signer 00AB"), (Kind.MAH4I, "Crypto Authentication Signer 00AB")]
)
def test_a_small_signer_number_is_written_with_four_digits(kind, name):
    key = ec.generate_private_key(ec.SECP256R1())
    unsigned = CompressedCertificate(encode_dates(datetime(2020, 1, 1), 10), 0xAB)
    assert name.encode() in signer_body(kind, unsigned, coordinates(key.public_key()), VENDOR_ROOTS[kind])


def test_compressing_keeps_every_field():
    key = ec.generate_private_key(ec.SECP256R1())
    for slot in (SLOT_10, SLOT_12):
        assert CompressedCertificate.from_bytes(slot).to_bytes() == slot
    signed = compress(CompressedCertificate.from_bytes(SLOT_12), b"body", key)
    assert CompressedCertificate.from_bytes(signed.to_bytes()) == signed
    assert signed.to_bytes()[64:] == SLOT_12[64:]


def test_padded_public_keys():
    assert padded_public_key(unpadded_public_key(SLOT_11)) == SLOT_11
