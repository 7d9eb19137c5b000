"""The root certificate store of the Wi-Fi module: the vendor's own, and stores built from certificates."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from support.firmware_images import image_path
from support.kit_contents import read_root_store
from support.roots import AMAZON, AMAZON_PEM, root

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats import root_store
from iotprovision.pki.root_folder import read_roots


def key_with_leading_zero() -> ec.EllipticCurvePrivateKey:
    """One whose X and Y, in 32 bytes each, both begin with few bits, and X with a whole byte of zeros."""
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        if key.public_key().public_numbers().x < 1 << 248:
            return key


@pytest.mark.parametrize(("image", "count"), [("winc1500-19.7.7", 10), ("winc1500-19.7.6", 9)])
def test_the_vendors_store_is_read_and_built_again_byte_for_byte(image: str, count: int) -> None:
    sector = image_path(image).read_bytes()[0x4000:0x5000]
    roots = root_store.parse(sector)
    entries = read_root_store(sector)
    assert len(roots) == len(entries) == count
    assert [(each.name_digest.hex(), each.key_type, [each.parameter, each.value]) for each in roots] == [
        (entry["name"], entry["kind"], entry["key"]) for entry in entries
    ]
    assert root_store.build(roots) == sector


def test_a_certificate_becomes_the_entry_that_the_vendor_made_of_it() -> None:
    """Amazon Root CA 3 (P-256) and Starfield Services G2 (RSA) are in the vendor's image, and here as PEM."""
    vendors = root_store.parse(image_path("winc1500-19.7.7").read_bytes()[0x4000:0x5000])
    ours = {root_store.root_of(certificate) for certificate in AMAZON}
    assert {each.name for each in ours & set(vendors)} == {
        "Amazon Root CA 3",
        "Starfield Services Root Certificate Authority - G2",
    }


def test_all_roots_of_the_factory_have_a_name_and_the_expired_one_is_told() -> None:
    roots = root_store.parse(image_path("winc1500-root-certificates").read_bytes())
    assert not [each.name for each in roots if "digest" in each.name]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert [each.name for each in roots if each.has_expired(moment)] == ["Baltimore CyberTrust Root"]


def test_leading_zeros_of_a_coordinate_are_kept() -> None:
    key = key_with_leading_zero()
    sector = root_store.build([root_store.root_of(root("zero", key)), root_store.root_of(AMAZON[0])])
    point = key.public_key().public_numbers()
    first, second = read_root_store(sector)
    assert first["key"][0][0] == 0
    assert [int.from_bytes(part, "big") for part in first["key"]] == [point.x, point.y]
    assert second["kind"] == 1, "the entry behind it is found"


def test_names_and_dates() -> None:
    sector = root_store.build([root_store.root_of(root("Wurzel"))])
    (entry,) = read_root_store(sector)
    assert entry["name"] == hashlib.sha1("PrüfstelleWurzel".encode()).hexdigest()
    assert entry["dates"] == [(2020, 2, 29, 1, 2, 3), (2051, 12, 31, 23, 59, 58)]
    assert len(sector) == 4096
    assert set(sector[20 + 108 :]) == {0xFF}


def test_bytes_that_mean_nothing_make_no_difference() -> None:
    sector = bytearray(root_store.build([root_store.root_of(root("a")), root_store.root_of(root("b"))]))
    before = root_store.parse(sector)
    sector[20 + 27] = sector[20 + 35] = 0x5A  # the byte behind the seconds
    assert root_store.parse(bytes(sector)) == before


def test_what_is_given_twice_is_in_it_once() -> None:
    one = root_store.root_of(AMAZON[0])
    assert root_store.parse(root_store.build([one, one])) == (one,)


def test_the_largest_that_fits_and_one_more() -> None:
    """20 bytes of head and 108 for each P-256 root: 37 fit into 4096 bytes."""
    roots = [root_store.root_of(root(str(number))) for number in range(38)]
    assert len(root_store.parse(root_store.build(roots[:37]))) == 37
    with pytest.raises(UsageError, match="38 root certificates do not fit") as caught:
        root_store.build(roots)
    assert "the first 37 of these would fit" in caught.value.why


@pytest.mark.parametrize(
    ("key", "words"),
    [(ec.generate_private_key(ec.SECP384R1()), "secp384r1"), (ed25519.Ed25519PrivateKey.generate(), "Ed25519")],
)
def test_keys_that_the_module_does_not_know(key: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        root_store.root_of(root("other", key))


def test_who_is_no_authority_is_refused_and_an_old_root_without_extensions_is_not() -> None:
    with pytest.raises(UsageError, match="authority"):
        root_store.root_of(root("a server", authority=False))
    assert root_store.root_of(root("old", authority=None)).key_type == root_store.EC


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sector: b"\0" + sector[1:], "magic number"),
        (lambda sector: sector[:16] + b"\xff\0\0\0" + sector[20:], "date|key|cut off|beyond"),
        (lambda sector: sector[:40], "cut off"),
        (lambda sector: sector[:100], "reaches beyond"),
        (lambda sector: sector[:56] + b"\x07" + sector[57:], "key of entry 0"),
        (lambda sector: sector[:42] + b"\x0d" + sector[43:], "date of entry 0"),
    ],
)
def test_what_is_no_store(change: Any, words: str) -> None:
    sector = root_store.build([root_store.root_of(root("a"))])
    with pytest.raises(ProofError) as caught:
        root_store.parse(change(sector))
    import re

    assert re.search(words, caught.value.why)


def test_an_erased_store_is_empty() -> None:
    assert root_store.parse(b"\xff" * 4096) == ()


# --- folders


def test_a_folder_of_both_forms_and_of_several_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "b.pem").write_bytes(AMAZON_PEM)
    (tmp_path / "A.der").write_bytes(root("first").public_bytes(Encoding.DER))
    (tmp_path / ".DS_Store").write_bytes(b"nothing")
    (tmp_path / "old").mkdir()
    names = list(read_roots(tmp_path).values())
    assert names[0] == "first", "files are taken by name, whatever the case"
    assert len(names) == 1 + len(AMAZON)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\n", "is no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "is no certificate"),
        (b"", "is no certificate"),
        (root("p384", ec.generate_private_key(ec.SECP384R1())).public_bytes(Encoding.PEM), "secp384r1"),
        (root("leaf", authority=False).public_bytes(Encoding.PEM), "authority"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(AMAZON_PEM)
    (tmp_path / "wrong.crt").write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_roots(tmp_path)
    assert "wrong.crt" in caught.value.what


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_roots(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no files"):
        read_roots(tmp_path)


def test_rsa_numbers_are_without_leading_zeros() -> None:
    key = rsa.generate_private_key(public_exponent=3, key_size=1024)
    (entry,) = read_root_store(root_store.build([root_store.root_of(root("rsa", key))]))
    assert [int.from_bytes(part, "big") for part in entry["key"]] == [key.public_key().public_numbers().n, 3]
    assert [len(part) for part in entry["key"]] == [128, 1]
