"""The certificate profiles, judged by OpenSSL and by a linter for RFC 5280."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pkilint import loader
from pkilint.pkix import certificate as pkix
from pkilint.pkix import extension, name
from pkilint.validation import ValidationFindingSeverity

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats.ecc608_zones import Kind, coordinates
from iotprovision.formats.factory_certificates import rebuild
from iotprovision.pki import certificates
from iotprovision.pki.device_request import device_request
from iotprovision.pki.names import Names
from iotprovision.pki.signers.key_files import KeyInMemory
from iotprovision.simulator.kit.factory import factory_root, new_identity

NOW = datetime(2026, 7, 14, 15, 9, 26, 535897, tzinfo=UTC)
CODE = "0123456789abcdef" * 4
SERIAL = bytes.fromhex("01232B4E0931D16901")
NAMES = Names("Pfannkuchen & Söhne GmbH", "Wurzel", "Unterzeichner")


@dataclass
class Chain:
    """Everything that an authority and a device of it need."""

    root_key: KeyInMemory
    root: x509.Certificate
    signer_key: KeyInMemory
    signer: x509.Certificate
    device_key: ec.EllipticCurvePrivateKey
    device: x509.Certificate
    verification: x509.Certificate

    def all(self) -> dict[str, x509.Certificate]:
        return {"root": self.root, "signer": self.signer, "device": self.device, "verification": self.verification}


def chain(now: datetime = NOW, names: Names = NAMES) -> Chain:
    root_key, signer_key, device_key = KeyInMemory.new(), KeyInMemory.new(), ec.generate_private_key(ec.SECP256R1())
    root = certificates.root_certificate(root_key, names, now)
    subject = certificates.distinguished_name(names.organization, names.signer_common_name)
    signer = certificates.signer_certificate(certificates.signer_request(signer_key, subject), root, root_key, now)
    device = certificates.device_certificate(
        device_key.public_key(),
        common_name=f"sn{SERIAL.hex().upper()}",
        organization=names.organization,
        signer=signer,
        signer_key=signer_key,
        now=now,
    )
    verification = certificates.verification_certificate(CODE, signer, signer_key, now)
    return Chain(root_key, root, signer_key, signer, device_key, device, verification)


@pytest.fixture(scope="module")
def good() -> Chain:
    return chain()


def findings(certificate: x509.Certificate) -> list[str]:
    """What the linter says of a certificate, but for mere remarks."""
    linter = pkix.create_pkix_certificate_validator_container(
        pkix.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            pkix.create_issuer_validator_container([]),
            pkix.create_validity_validator_container(),
            pkix.create_subject_validator_container([]),
            pkix.create_extensions_validator_container([]),
            pkix.create_spki_validator_container([]),
        ],
    )
    document = loader.load_certificate(certificate.public_bytes(Encoding.DER), "certificate")
    return [
        f"{description.finding.severity.name} {description.finding.code} {description.message}"
        for result in linter.validate(document.root)
        for description in result.finding_descriptions
        if description.finding.severity <= ValidationFindingSeverity.NOTICE
    ]


@pytest.mark.parametrize("which", ["root", "signer", "device", "verification"])
def test_the_linter_finds_nothing(good, which):
    assert findings(good.all()[which]) == []


@pytest.mark.parametrize(
    ("kind", "device", "signer"),
    [
        (Kind.MAH1H, ["WARNING pkix.certificate_skid_end_entity_missing"], []),
        (Kind.MAH4I, ["ERROR pkix.wrong_time_useful_type"], ["ERROR pkix.wrong_time_useful_type"]),
    ],
)
def test_the_linter_finds_no_more_in_factory_certificates_than_the_factory_signed(tmp_path, kind, device, signer):
    """Their templates are the vendor's: no key identifier in the one kind, GeneralizedTime before 2050 in the other."""
    chip = new_identity(tmp_path, kind)
    slots = [chip.slots[slot] for slot in (10, 11, 12)]
    public_key = coordinates(chip.private_key.public_key())
    pair = rebuild(chip.serial_number, public_key, *slots, factory_root(tmp_path, kind))
    for certificate, expected in ((pair.device, device), (pair.signer, signer)):
        assert [" ".join(finding.split()[:2]) for finding in findings(certificate)] == expected


def test_the_linter_would_find_what_the_vendors_tool_left_out():
    """A root without key usage, as the vendor's tool makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    assert findings(builder.sign(key, hashes.SHA256()))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
@pytest.mark.parametrize("now", [NOW, datetime(2024, 2, 29, 23, 59, tzinfo=UTC)])
def test_openssl_accepts_the_chain(tmp_path, now):
    for title, certificate in chain(now).all().items():
        (tmp_path / title).write_bytes(certificate.public_bytes(Encoding.PEM))
    for leaf in ("device", "verification"):
        command = ["openssl", "verify", "-x509_strict", "-attime", str(int(now.timestamp()))]
        command += ["-CAfile", "root", "-untrusted", "signer", leaf]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def extensions(certificate: x509.Certificate) -> dict[str, bool]:
    return {extension.oid._name: extension.critical for extension in certificate.extensions}


def usages(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return {name for name in (*names, "key_cert_sign", "crl_sign") if getattr(usage, name)}


def test_extensions(good):
    authority = {"basicConstraints": True, "keyUsage": True, "subjectKeyIdentifier": False}
    assert extensions(good.root) == authority
    for certificate in (good.signer, good.device, good.verification):
        assert extensions(certificate) == {**authority, "authorityKeyIdentifier": False}
    constraints = [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in good.all().values()]
    assert [(value.ca, value.path_length) for value in constraints] == [
        (True, None),
        (True, 0),
        (False, None),
        (False, None),
    ]
    assert usages(good.root) == usages(good.signer) == {"key_cert_sign", "crl_sign"}
    assert usages(good.device) == {"digital_signature"}


def test_names(good):
    organization = "O=Pfannkuchen & Söhne GmbH"
    assert good.root.subject == good.root.issuer == good.signer.issuer
    assert good.signer.subject == good.device.issuer == good.verification.issuer
    assert good.root.subject.rfc4514_string() == f"CN=Wurzel,{organization}"
    assert good.signer.subject.rfc4514_string() == f"CN=Unterzeichner,{organization}"
    assert good.device.subject.rfc4514_string() == f"CN=sn01232B4E0931D16901,{organization}"
    assert good.verification.subject.rfc4514_string() == f"CN={CODE}"
    assert good.verification.public_key() == good.signer.public_key()


def test_dates(good):
    hour = datetime(2026, 7, 14, 15, tzinfo=UTC)
    assert {certificate.not_valid_before_utc for certificate in good.all().values()} == {hour}
    assert good.root.not_valid_after_utc == hour.replace(year=2051)
    assert good.signer.not_valid_after_utc == hour.replace(year=2036)
    # RFC 5280, 4.1.2.5: what stands for no well-defined end.
    assert good.device.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert b"\x18\x0f99991231235959Z" in good.device.public_bytes(Encoding.DER)
    assert good.verification.not_valid_after_utc == NOW.replace(microsecond=0) + timedelta(days=1)


def test_a_leap_day():
    leap = chain(datetime(2028, 2, 29, 12, tzinfo=UTC))
    assert leap.root.not_valid_after_utc == datetime(2053, 2, 28, 12, tzinfo=UTC)
    assert leap.signer.not_valid_after_utc == datetime(2038, 2, 28, 12, tzinfo=UTC)
    assert leap.device.not_valid_before_utc == datetime(2028, 2, 29, 12, tzinfo=UTC)


def test_a_clock_of_another_time_zone_means_the_same_moment():
    east = timezone(timedelta(hours=5, minutes=45))
    assert chain(NOW.astimezone(east)).signer.not_valid_before_utc == datetime(2026, 7, 14, 15, tzinfo=UTC)


def test_nobody_is_valid_before_the_issuer_nor_the_signer_after_the_root(good):
    subject = certificates.distinguished_name("x", "y")
    request = certificates.signer_request(good.signer_key, subject)
    early, late = NOW - timedelta(days=9), NOW + timedelta(days=20 * 365)
    signer = certificates.signer_certificate(request, good.root, good.root_key, early)
    assert signer.not_valid_before_utc == good.root.not_valid_before_utc
    signer = certificates.signer_certificate(request, good.root, good.root_key, late)
    assert signer.not_valid_after_utc == good.root.not_valid_after_utc


def test_serial_numbers_are_positive_short_and_never_the_same(good):
    seen = set()
    for _ in range(50):
        certificate = certificates.device_certificate(
            good.device_key.public_key(),
            common_name="sn",
            organization="x",
            signer=good.signer,
            signer_key=good.signer_key,
            now=NOW,
        )
        seen.add(certificate.serial_number)
    assert len(seen) == 50, "for the same key in the same hour"
    seen |= {certificate.serial_number for certificate in good.all().values()}
    assert len(seen) == 54
    assert all(0 < number.bit_length() <= 20 * 8 - 1 for number in seen)


def test_certificates_are_small(good):
    longest = chain(names=Names("ä" * 64, "r" * 64, "s" * 64))
    assert len(good.device.public_bytes(Encoding.DER) + good.signer.public_bytes(Encoding.DER)) < 1024
    assert len(longest.device.public_bytes(Encoding.DER) + longest.signer.public_bytes(Encoding.DER)) < 2048


def test_the_thing_name_is_the_key_identifier(good):
    identifier = good.device.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert certificates.thing_name(good.device_key.public_key()) == identifier.hex()
    # SHA-1 over the uncompressed point of the generator of P-256, worked out with sha1sum.
    point = (
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(point))
    assert certificates.thing_name(key) == "b467a3999eb5efa671de0032f08a9c9e5efda0e1"


def test_a_chain_that_holds(good):
    certificates.verify_chain(good.device, good.signer, good.root, NOW)


def test_chains_that_do_not_hold(good):
    other = chain()
    broken = [
        ("device", "is not signed with", (good.device, other.signer, other.root)),
        ("device", "names another issuer", (good.device, good.root, good.root)),
        ("signer CA", "is not signed with", (good.device, good.signer, other.root)),
        ("signer CA", "names another issuer", (good.device, good.signer, good.signer)),
    ]
    for title, reason, certificates_given in broken:
        with pytest.raises(ProofError) as caught:
            certificates.verify_chain(*certificates_given, NOW)
        assert f"certificate of the {title}" in caught.value.why
        assert reason in caught.value.why


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NOW - timedelta(days=1), "valid only from 2026-07-14 15:00"),
        (NOW.replace(year=2037), "signer CA .* expired on 2036-07-14 15:00"),
    ],
)
def test_a_chain_that_is_not_in_date(good, now, reason):
    with pytest.raises(ProofError) as caught:
        certificates.verify_chain(good.device, good.signer, good.root, now)
    assert all(part in caught.value.why for part in reason.split(" .* "))


def test_a_device_may_not_sign(good):
    below = certificates.device_certificate(
        good.root_key.public_key,
        common_name="sn",
        organization="x",
        signer=good.device,
        signer_key=KeyInMemory(good.device_key),
        now=NOW,
    )
    assert "not one of an authority" in (certificates.issue_fault(below, good.device) or "")


def test_a_request_that_was_changed_is_refused():
    key = ec.generate_private_key(ec.SECP256R1())
    request = certificates.signer_request(KeyInMemory(key), certificates.distinguished_name("org", "name"))
    changed = request.public_bytes(Encoding.DER).replace(b"name", b"evil")
    with pytest.raises(ProofError, match="not signed with"):
        certificates.proved_key(x509.load_der_x509_csr(changed))


@pytest.mark.parametrize(
    "wrong",
    [{"organization": ""}, {"root_common_name": "x" * 65}, {"signer_common_name": " x"}, {"organization": "a\nb"}],
)
def test_names_that_cannot_stand_in_a_certificate(wrong):
    with pytest.raises(UsageError, match="cannot stand"):
        Names(**wrong)


def test_root_and_signer_need_different_names():
    with pytest.raises(UsageError, match="both called"):
        Names(root_common_name="x", signer_common_name="x")


def chip(key: ec.EllipticCurvePrivateKey):
    """Signs as the secure element does: a digest in, R and S out."""

    def sign(digest: bytes) -> bytes:
        assert len(digest) == 32
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def test_a_request_signed_in_the_chip(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    request = device_request(coordinates(key.public_key()), SERIAL, "Müller AG", chip(key))
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert request.subject.rfc4514_string() == "CN=sn01232B4E0931D16901,O=Müller AG"
    if shutil.which("openssl"):
        (tmp_path / "csr").write_bytes(request.public_bytes(Encoding.PEM))
        command = ["openssl", "req", "-in", "csr", "-verify", "-noout"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)


def test_a_chip_whose_signature_is_wrong_or_malformed():
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    point = coordinates(key.public_key())
    for sign in (chip(other), lambda _: bytes(64), lambda _: b"\xff" * 64, lambda _: b"", lambda _: bytes(63)):
        with pytest.raises(ProofError, match="signature"):
            device_request(point, SERIAL, "x", sign)


def test_a_chip_whose_key_or_serial_number_is_malformed():
    key = ec.generate_private_key(ec.SECP256R1())
    point = coordinates(key.public_key())
    for wrong in (bytes(64), b"\xff" * 64, point[:-1], b"", point + b"\0", point[:-1] + bytes([point[-1] ^ 1])):
        with pytest.raises(ProofError, match="P-256"):
            device_request(wrong, SERIAL, "x", chip(key))
    with pytest.raises(ProofError, match="serial number"):
        device_request(point, SERIAL[:-1], "x", chip(key))
