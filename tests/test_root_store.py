"""The root store of the Wi-Fi module, against the one that the vendor's firmware brings."""

from __future__ import annotations

import hashlib

import pytest
from certificate_chain import Signer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from firmware_images import image_path

from iotprovision.chips import root_store
from iotprovision.chips.root_store import Root
from iotprovision.errors import ProofError

FACTORY = slice(0x4000, 0x5000)


@pytest.fixture(scope="module")
def factory_store() -> bytes:
    return image_path("winc1500-19.7.7").read_bytes()[FACTORY]


def test_the_vendors_store(factory_store: bytes) -> None:
    roots = {root.name: root for root in root_store.parse(factory_store)}
    assert len(roots) == 10
    amazon = roots[hashlib.sha1(b"USAmazonAmazon Root CA 3").digest()]
    assert isinstance(amazon.key, ec.EllipticCurvePublicKey)
    # crt.sh, and Amazon Trust Services: the key of Amazon Root CA 3
    assert amazon.key.public_numbers().x == int("2997a7c6417fc00d9be8011b56c6f252a5ba2db212e8d22ed7fac9c5d8aa6d1f", 16)
    assert (amazon.not_before.year, amazon.not_after.year) == (2015, 2040)
    baltimore = roots[hashlib.sha1(b"IEBaltimoreCyberTrustBaltimore CyberTrust Root").digest()]
    assert isinstance(baltimore.key, rsa.RSAPublicKey)
    assert (baltimore.key.key_size, baltimore.key.public_numbers().e) == (2048, 65537)
    assert baltimore.not_after.strftime("%Y-%m-%d") == "2025-05-12"


def test_built_anew_it_is_the_vendors_but_for_the_byte_that_nobody_sets(factory_store: bytes) -> None:
    built = root_store.build(root_store.parse(factory_store))
    assert len(built) == 2984
    different = [place for place in range(len(built)) if built[place] != factory_store[place]]
    assert len(different) <= 2 * 10, "one byte a date"
    assert root_store.parse(built) == root_store.parse(factory_store)


def test_an_erased_store_has_no_roots() -> None:
    assert root_store.parse(b"\xff" * 4096) == ()


def test_a_coordinate_that_begins_with_zero_keeps_its_length() -> None:
    keys = (ec.derive_private_key(number, ec.SECP256R1()) for number in range(1, 5000))
    key = next(key for key in keys if key.public_key().public_numbers().x < 1 << 248)
    root = Root.of(Signer(key=key).certificate)
    assert root_store.parse(root_store.build([root])) == (root,)


@pytest.mark.parametrize("damage", ["magic", "kind", "cut", "date"])
def test_a_damaged_store_is_said_to_be_damaged(factory_store: bytes, damage: str) -> None:
    store = bytearray(factory_store)
    if damage == "magic":
        store[0] ^= 1
    elif damage == "kind":
        store[20 + 36] = 9
    elif damage == "date":
        store[20 + 22] = 13
    else:
        store = store[:500]
    with pytest.raises(ProofError, match="not readable"):
        root_store.parse(bytes(store))
