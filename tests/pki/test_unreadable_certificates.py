"""Certificates that the library refuses with errors of its own: each place that reads some says so, or passes over."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from iotprovision.errors import StoreError, UsageError
from iotprovision.formats.root_store import root_of
from iotprovision.pki import certificates
from iotprovision.pki.authority import Authority
from iotprovision.pki.device_files import DeviceFiles, FactoryCertificateFiles
from iotprovision.pki.names import Names
from iotprovision.pki.reading import UNREADABLE, all_from_pem, from_der, from_pem
from iotprovision.pki.root_folder import read_roots
from iotprovision.pki.signers.key_files import KeyInMemory
from iotprovision.store.folder import Store

NAMES = Names("Example", "Root", "Signer")
NOW = datetime(2026, 7, 14, tzinfo=UTC)
VERSION_3 = bytes.fromhex("a003020102")
VERSION_7 = bytes.fromhex("a003020106")
KEY_IDENTIFIER, KEY_USAGE = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d0f")
# SubjectAltName with one ediPartyName, [5] in RFC 5280, 4.2.1.6.
EDI_PARTY = bytes.fromhex("3004a5020500")
P256_CURVE, NO_CURVE = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")


def good() -> x509.Certificate:
    return certificates.root_certificate(KeyInMemory.new(), NAMES, NOW)


def changed(before: bytes, after: bytes) -> bytes:
    der = good().public_bytes(Encoding.DER)
    assert before in der
    return der.replace(before, after)


def with_strange_name() -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), good().subject
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW.replace(year=2036))
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, EDI_PARTY)
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


STRANGE = {
    "version 7": changed(VERSION_3, VERSION_7),
    "doubled extension": changed(KEY_IDENTIFIER, KEY_USAGE),
    "name of an unknown kind": with_strange_name(),
}


@pytest.fixture(params=list(STRANGE))
def strange(request: pytest.FixtureRequest) -> bytes:
    der = STRANGE[request.param]
    with pytest.raises(UNREADABLE) as raised:
        _ = x509.load_der_x509_certificate(der).extensions
    assert not isinstance(raised.value, ValueError), "the library has changed: this is no test any more"
    return der


def as_pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_reading(strange: bytes) -> None:
    for read, data in ((from_der, strange), (from_pem, as_pem(strange)), (all_from_pem, as_pem(strange))):
        with pytest.raises(ValueError, match="."):
            read(data)  # type: ignore[operator]
    whole = good()
    assert from_der(whole.public_bytes(Encoding.DER)) == whole == from_pem(whole.public_bytes(Encoding.PEM))


@pytest.mark.parametrize("kind", [bytes, as_pem])
def test_a_folder_of_roots(strange: bytes, kind: type, tmp_path: Path) -> None:
    (tmp_path / "some.crt").write_bytes(kind(strange))
    with pytest.raises(UsageError, match="some.crt"):
        read_roots(tmp_path)


@pytest.mark.parametrize("name", [name for name in STRANGE if name != "version 7"])
def test_an_entry_of_the_root_store(name: str) -> None:
    with pytest.raises(UsageError, match="damaged"):
        root_of(x509.load_der_x509_certificate(STRANGE[name]))


def test_the_files_of_a_kit(strange: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path / "kit")
    for name in ("device.crt", "device_sandbox.crt", "signer_sandbox.crt"):
        store.write(name, as_pem(strange))
    assert DeviceFiles(store).certificate() is None
    assert FactoryCertificateFiles(store).certificates() is None


def test_the_authority(strange: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    Authority(store, NAMES).create()
    store.write("signer-ca.crt", as_pem(strange))
    with pytest.raises(StoreError, match="signer-ca.crt"):
        Authority(store, NAMES).state()


def test_a_key_on_a_curve_that_nobody_knows() -> None:
    der = changed(P256_CURVE, NO_CURVE)
    assert certificates.p256_key(from_der(der)) is None
    assert certificates.issue_fault(good(), from_der(der))
