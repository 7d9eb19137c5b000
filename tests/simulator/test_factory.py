"""The factory of simulated secure elements: what it makes must pass as what the vendor's factory makes."""

import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from iotprovision.errors import ProofError
from iotprovision.formats.ecc608_zones import Kind, coordinates, slot_size
from iotprovision.formats.factory_certificates import VENDOR_ROOTS, FactoryCertificates, rebuild
from iotprovision.simulator.kit.factory import FactoryIdentity, factory_root, new_identity


def rebuilt(identity: FactoryIdentity, folder: Path) -> FactoryCertificates:
    return rebuild(
        identity.serial_number,
        coordinates(identity.private_key.public_key()),
        identity.slots[10],
        identity.slots[11],
        identity.slots[12],
        factory_root(folder, identity.kind),
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_what_the_factory_makes_is_rebuilt_and_proved(tmp_path, kind):
    identity = new_identity(tmp_path, kind)
    certificates = rebuilt(identity, tmp_path)
    assert certificates.device.public_key() == identity.private_key.public_key()
    assert certificates.device.not_valid_after_utc.year == {Kind.MAH1H: 9999, Kind.MAH4I: 2048}[kind]
    authority = certificates.signer.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == VENDOR_ROOTS[kind].key_identifier


@pytest.mark.parametrize("kind", list(Kind))
def test_the_vendors_root_does_not_vouch_for_a_simulated_chip(tmp_path, kind):
    identity = new_identity(tmp_path, kind)
    with pytest.raises(ProofError, match="signer cannot be rebuilt"):
        rebuild(
            identity.serial_number,
            coordinates(identity.private_key.public_key()),
            identity.slots[10],
            identity.slots[11],
            identity.slots[12],
        )


@pytest.mark.parametrize("kind", list(Kind))
def test_the_chip_holds_what_the_data_sheet_says(tmp_path, kind):
    identity = new_identity(tmp_path, kind)
    chip = identity.secure_element()
    assert chip.serial_number[:2] == b"\x01\x23"
    assert chip.serial_number[-1] == {Kind.MAH1H: 0xFE, Kind.MAH4I: 0x01}[kind]
    assert bytes(chip.otp[:8]).hex() == {Kind.MAH1H: "ff" * 8, Kind.MAH4I: "4d4b4d7779685031"}[kind]
    assert [len(content) for content in chip.slots] == [slot_size(slot) for slot in range(16)]
    assert set(chip.slots[8]) == {0xFF}
    assert bytes(chip.slots[11][:4]) == bytes(chip.slots[11][36:40]) == bytes(4)
    assert not any(chip.is_locked(slot) for slot in (10, 11, 12))
    again = replace(identity, slots={slot: bytes(chip.slots[slot]) for slot in (10, 11, 12)})
    assert rebuilt(again, tmp_path).device.public_key() == identity.private_key.public_key()


def test_every_chip_is_another_one_under_the_same_root(tmp_path):
    identities = [new_identity(tmp_path, kind) for kind in [*Kind] * 4]
    assert len({identity.serial_number for identity in identities}) == 8
    assert len({coordinates(identity.private_key.public_key()) for identity in identities}) == 8
    roots = {factory_root(tmp_path, kind).public_key for kind in Kind}
    assert len(roots) == 1
    assert factory_root(tmp_path / "other", Kind.MAH1H).public_key not in roots


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")
def test_the_roots_key_is_the_owners_alone(tmp_path):
    new_identity(tmp_path, Kind.MAH4I)
    (key,) = tmp_path.rglob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
@pytest.mark.parametrize("kind", list(Kind))
def test_openssl_accepts_the_chain_of_a_chip(tmp_path, kind):
    certificates = rebuilt(new_identity(tmp_path, kind), tmp_path)
    (key_file,) = tmp_path.rglob("*.key")
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    root = factory_root(tmp_path, kind)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Microchip Technology Inc"),
            x509.NameAttribute(NameOID.COMMON_NAME, root.common_name),
        ]
    )
    begin, end = datetime(2015, 1, 1, tzinfo=UTC), datetime(2055, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(root.key_identifier), critical=False)
    files = {"root": builder.sign(key, hashes.SHA256()), "signer": certificates.signer, "device": certificates.device}
    for title, certificate in files.items():
        (tmp_path / title).write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-CAfile", "root", "-untrusted", "signer", "device"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
