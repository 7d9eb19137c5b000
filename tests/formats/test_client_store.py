"""The certificate store of the Wi-Fi module and the pages around it."""

import random
import struct
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats import client_store
from iotprovision.formats.client_store import ClientStore, StoredFile
from iotprovision.formats.device_credentials import DeviceCredentials, areas_in_use, areas_read, text_at
from iotprovision.formats.winc_flash import CLIENT_AREA, FlashArea, pages

MAGIC = bytes.fromhex("ABFE185B70C34692")
THING = "0123456789abcdef0123456789abcdef01234567"
ENDPOINT = "abcdefg-ats.iot.eu-west-1.amazonaws.com"
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(serial_number: int, size: int = 0) -> bytes:
    """A certificate with this serial number and, where one is given, of just this size.

    The size is met by the length of a name; a signature whose length varies is made again until it fits.
    """
    now = datetime.now(UTC)
    length = 1
    while True:
        name = x509.Name([x509.NameAttribute(NameOID.STREET_ADDRESS, "x" * length)])
        builder = x509.CertificateBuilder(name, name, KEY.public_key(), serial_number, now, now + timedelta(days=1))
        der = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
        if size in (0, len(der)):
            return der
        length += 1 if len(der) < size - 1 else 0
        if len(der) > size + 2:
            length -= 1


DEVICE = certificate(0x0FFF)
SIGNER = certificate(0xABCDEF)


def test_the_header_of_a_store_as_the_vendors_tool_writes_it():
    device, signer = certificate(0x6B8F1CB7D0A4F9E25C7D3B2A1908F7E6, 445), certificate(0x5A, 461)
    assert (len(device), len(signer)) == (445, 461)
    store = client_store.build(device, signer)
    magic, count, free = struct.unpack_from("<8sII", store)
    assert (magic, count, free) == (MAGIC, 3, 0x55BE)
    entries = [struct.unpack_from("<48sII", store, 16 + 56 * number) for number in range(3)]
    assert entries == [
        (b"CERT_6B8F1CB7D0A4F9E25C7D3B2A1908F7E6".ljust(48, b"\0"), 445, 0x51D4),
        (b"CERT_5A".ljust(48, b"\0"), 461, 0x5391),
        (b"ECDSA.lst".ljust(48, b"\0"), 96, 0x555E),
    ]
    assert store[16 + 3 * 56 : 468] == b"\xff" * (5 * 56 + 4)
    assert store[468 : 468 + 445] == device
    assert store[468 + 445 : -96] == signer
    assert store[-96:] == entries[0][0] + entries[1][0]
    assert len(store) == 0x55BE - 0x5000


def test_what_is_built_is_read_back_with_erased_flash_behind_it():
    store = client_store.build(DEVICE, SIGNER)
    parsed = client_store.parse(store.ljust(7680, b"\xff"))
    assert parsed.certificates == (DEVICE, SIGNER)
    assert parsed.listed_names == ("CERT_FFF", "CERT_ABCDEF")
    assert [file.name for file in parsed.files] == ["CERT_FFF", "CERT_ABCDEF", "ECDSA.lst"]
    assert client_store.used_length(store[:16]) == len(store)


def repadded(store: bytes) -> bytes:
    """The same store as the vendor's older code in the device pads it: one NUL, then 0xFF."""
    data = bytearray(store)
    places = [16 + 56 * number for number in range(3)] + [len(store) - 96, len(store) - 48]
    for place in places:
        name = bytes(data[place : place + 48]).rstrip(b"\0")
        data[place : place + 48] = (name + b"\0").ljust(48, b"\xff")
    return bytes(data)


def test_how_names_are_padded_makes_no_difference():
    store = client_store.build(DEVICE, SIGNER)
    assert repadded(store) != store
    assert client_store.parse(repadded(store)) == client_store.parse(store)


def test_erased_flash_is_a_store_without_files():
    assert client_store.used_length(b"\xff" * 16) == 0
    assert client_store.parse(b"\xff" * 7680) == ClientStore(())
    assert ClientStore(()).certificates == ()


def damaged(at: int, data: bytes) -> bytes:
    store = bytearray(client_store.build(DEVICE, SIGNER))
    store[at : at + len(data)] = data
    return bytes(store)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(7680), "magic"),
        (b"", "erased|shorter"),
        (damaged(0, b"\0"), "magic"),
        (damaged(8, struct.pack("<I", 9)), "9 files"),
        (damaged(8, struct.pack("<I", 4)), "file 3|file name"),
        (damaged(12, struct.pack("<I", 0x5000)), "outside the area"),
        (damaged(12, struct.pack("<I", 0x6E01)), "outside the area"),
        (damaged(12, struct.pack("<I", 0xFFFFFFFF)), "outside the area"),
        (damaged(16, b"\0"), "file name"),
        (damaged(16, b"x" * 48), "file name"),
        (damaged(16, b"\x80"), "file name"),
        (damaged(16, b"CERT_1\0"), "the list names"),
        (damaged(16 + 48, struct.pack("<I", 0xFFFFFFFF)), "file 0"),
        (damaged(16 + 52, struct.pack("<I", 0x4000)), "file 0"),
        (damaged(16 + 52, struct.pack("<I", 0x5000)), "file 0"),
        (damaged(16 + 56, b"CERT_FFF\0"), "same name"),
        (damaged(16 + 2 * 56 + 48, struct.pack("<I", 95)), "list is cut off"),
        (client_store.build(DEVICE, SIGNER)[:-1], "cut off"),
        (client_store.build(DEVICE, SIGNER)[:467], "shorter"),
    ],
)
def test_garbage_is_refused_with_a_reason(data, reason):
    if not data:
        assert client_store.parse(data) == ClientStore(())
        return
    with pytest.raises(ProofError, match="not readable") as caught:
        client_store.parse(data)
    assert any(word in caught.value.why for word in reason.split("|"))


def test_random_bytes_are_read_or_refused_and_nothing_else_happens():
    source = random.Random(1510)
    good = client_store.build(DEVICE, SIGNER)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(5000):
        data = bytearray(good)
        kind = source.randrange(4)
        if kind == 0:
            data = bytearray(source.randbytes(source.randrange(600)))
        elif kind == 1:
            data[8:468] = source.randbytes(460)
        else:
            for _ in range(source.randrange(1, 6)):
                data[source.randrange(468 if kind == 2 else len(data))] = source.randrange(256)
        try:
            parsed = client_store.parse(bytes(data))
            assert all(isinstance(content, bytes) for content in parsed.certificates)
            outcomes["read"] += 1
        except ProofError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100, "both ways are tried"


def test_files_that_are_not_listed_are_kept_but_not_shown():
    listed = StoredFile("ECDSA.lst", b"CERT_1".ljust(48, b"\0"))
    store = ClientStore((StoredFile("CERT_1", b"one"), StoredFile("notes", b"two"), listed))
    assert store.certificates == (b"one",)


def test_too_large_certificates_are_refused():
    with pytest.raises(UsageError, match="do not fit"):
        client_store.build(certificate(1, 6000), certificate(2, 1200))
    # 468 bytes before the files and 96 of the list leave this much for the certificates.
    room = 7680 - 468 - 96
    assert len(client_store.build(certificate(1, 6000), certificate(2, room - 6000))) == 7680
    with pytest.raises(UsageError):
        client_store.build(certificate(1, 6000), certificate(2, room - 5999))


def test_certificates_that_would_have_the_same_name_are_refused():
    with pytest.raises(UsageError, match="told apart"):
        client_store.build(DEVICE, DEVICE)


def flash_after(credentials: DeviceCredentials) -> bytes:
    """NOR flash: erasing sets whole sectors, programming clears bits and wraps inside its page."""
    flash = bytearray(0x100000)
    for sector in CLIENT_AREA.sectors():
        assert sector % 4096 == 0
        flash[sector : sector + 4096] = b"\xff" * 4096
    for address, data in pages(0x5000, credentials.image()).items():
        assert 0 < len(data) <= 256
        for offset, value in enumerate(data):
            flash[(address & ~0xFF) | ((address + offset) & 0xFF)] &= value
    assert not any(flash[:0x5000])
    assert not any(flash[0x7000:])
    return bytes(flash[0x5000:0x7000])


def test_credentials_in_the_flash_are_what_the_demo_and_the_module_read():
    credentials = DeviceCredentials(DEVICE, SIGNER, THING, ENDPOINT)
    flash = flash_after(credentials)
    assert flash == credentials.image()
    assert client_store.parse(flash[:7680]).certificates == (DEVICE, SIGNER)
    # The demo reads 52 bytes of the one and 41 of the other, and wants no erased byte at the end of the latter.
    assert flash[0x1E00 : 0x1E00 + 52].split(b"\0")[0].decode() == ENDPOINT
    assert flash[0x1F00 : 0x1F00 + 41] == THING.encode() + b"\0"
    assert text_at(flash[0x1E00 : 0x1E00 + 52]) == ENDPOINT
    assert text_at(flash[0x1F00 : 0x1F00 + 41]) == THING


def test_without_thing_name_and_endpoint_their_places_are_erased_and_known_to_be():
    credentials = DeviceCredentials(DEVICE, SIGNER)
    flash = flash_after(credentials)
    assert client_store.parse(flash[:7680]).certificates == (DEVICE, SIGNER)
    end = 0x1D4 + len(DEVICE) + len(SIGNER) + 96
    assert set(flash[end:]) == {0xFF}
    # An old thing name or endpoint would be seen by whoever compares these areas.
    compared = areas_read(credentials.image())
    assert compared == [FlashArea(0x5000, end), FlashArea(0x6E00, 52), FlashArea(0x6F00, 41)]


def test_all_that_the_demo_and_the_module_read_is_compared():
    credentials = DeviceCredentials(DEVICE, SIGNER, THING, ENDPOINT)
    used = len(client_store.build(DEVICE, SIGNER))
    assert areas_read(credentials.image()) == [
        FlashArea(0x5000, used),
        FlashArea(0x6E00, len(ENDPOINT) + 1),
        FlashArea(0x6F00, 41),
    ]


@pytest.mark.parametrize("thing", ["x", "a-thing_of:mine", "x" * 40])
@pytest.mark.parametrize("endpoint", ["a", "x" * 51])
def test_short_and_long_names(thing, endpoint):
    flash = flash_after(DeviceCredentials(DEVICE, SIGNER, thing, endpoint))
    assert flash[0x1F28] == 0, "byte 40 of the thing name is not erased"
    assert text_at(flash[0x1F00:0x1F29]) == thing
    assert text_at(flash[0x1E00:0x1E34]) == endpoint


def test_pages_of_erased_bytes_are_not_written():
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now, now + timedelta(days=1))
    erased = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\xff" * 1200)
    device = builder.add_extension(erased, critical=False).sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    credentials = DeviceCredentials(device, SIGNER, THING, ENDPOINT)
    store_pages = [address for address in pages(0x5000, credentials.image()) if address < 0x6E00]
    needed = -(-len(client_store.build(device, SIGNER)) // 256)
    assert needed - 5 <= len(store_pages) < needed - 2
    assert flash_after(credentials) == credentials.image()


@pytest.mark.parametrize("thing", ["", "x" * 41, "with blank", "ü", "a/b", "x\n"])
def test_thing_names_that_do_not_fit(thing):
    with pytest.raises(UsageError, match="thing name"):
        DeviceCredentials(DEVICE, SIGNER, thing, ENDPOINT)


@pytest.mark.parametrize("endpoint", ["", "x" * 52, "https://x", "host:8883", "ü.example", "-x", "x.", "a b", "x\n"])
def test_endpoints_that_do_not_fit(endpoint):
    with pytest.raises(UsageError, match="endpoint"):
        DeviceCredentials(DEVICE, SIGNER, THING, endpoint)


def heads(flash: bytes) -> tuple[bytes, bytes, bytes]:
    return flash[:16], flash[0x1E00:0x1E01], flash[0x1F00:0x1F01]


def test_only_what_is_in_use_has_to_be_read():
    assert areas_in_use(*heads(b"\xff" * 8192)) == []
    credentials = DeviceCredentials(DEVICE, SIGNER, THING, ENDPOINT)
    image = credentials.image()
    areas = areas_in_use(*heads(image))
    saved = bytearray(b"\xff" * CLIENT_AREA.size)
    for area in areas:
        start = area.address - CLIENT_AREA.address
        saved[start : start + area.size] = image[start : start + area.size]
    assert bytes(saved) == image
    assert sum(area.size for area in areas) < 2000
    only_thing = b"\xff" * 0x1F00 + image[0x1F00:]
    assert areas_in_use(*heads(only_thing)) == [FlashArea(0x6F00, 41)]


def test_a_store_that_is_not_readable_counts_as_in_use_to_its_end():
    assert areas_in_use(bytes(16), b"\xff", b"\xff") == [FlashArea(0x5000, 7680)]


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x80abc\0"])
def test_no_text_where_none_can_be_read(data):
    assert text_at(data) is None
