"""Root and signer CA as files: made whole, finished when broken off, never replaced."""

import itertools
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from iotprovision.errors import CloudError, ProofError, StoreError, UsageError
from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.pki import certificates
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.device_files import DeviceFiles
from iotprovision.pki.names import Names
from iotprovision.pki.signer import signing_key
from iotprovision.store.folder import Store

NOW = datetime(2026, 7, 14, 15, 9, tzinfo=UTC)
NAMES = Names("Example AG", "Example Root", "Example Signer 0001")
FILES = ["root-ca.key", "signer-ca.key", "signer-ca.csr", "root-ca.crt", "signer-ca.crt"]
PASSPHRASE = b"correct horse battery staple"
CODE = "0123456789abcdef" * 4


def authority(folder: Path, passphrase: bytes | None = None, now: datetime = NOW, names: Names = NAMES) -> Authority:
    return Authority(Store(folder), names, lambda exists: passphrase, lambda: now)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A complete authority; to be copied, not touched."""
    folder = tmp_path_factory.mktemp("authority") / "store"
    authority(folder).create()
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


NAME = "sn01232B4E0931D16901"


def request(key: ec.EllipticCurvePrivateKey, name: str = NAME) -> x509.CertificateSigningRequest:
    subject = certificates.distinguished_name("whatever", name)
    return x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())


def device_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def organization(certificate: x509.Certificate) -> str:
    return certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value


def test_looking_makes_nothing(tmp_path):
    assert authority(tmp_path / "store").state() is AuthorityState.MISSING
    assert not (tmp_path / "store").exists()


def test_a_new_authority(tmp_path):
    folder = tmp_path / "store"
    authority(folder).create()
    assert sorted(contents(folder)) == sorted(FILES)
    assert authority(folder).state() is AuthorityState.COMPLETE
    read = authority(folder)
    certificates.verify_chain(
        read.issue_device_certificate(request(device_key()), NAME),
        x509.load_pem_x509_certificate((folder / "signer-ca.crt").read_bytes()),
        x509.load_pem_x509_certificate((folder / "root-ca.crt").read_bytes()),
        NOW,
    )
    assert x509.load_pem_x509_csr((folder / "signer-ca.csr").read_bytes()).public_key() == read.signer.public_key()
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_authority_that_is_there_stays(folder):
    before = contents(folder)
    authority(folder, names=Names("Another", "Other Root", "Other Signer")).create()
    assert contents(folder) == before


class BreakingStore(Store):
    """The power goes off when so many files are written."""

    def __init__(self, folder: Path, files: int) -> None:
        super().__init__(folder)
        self.files = files

    def _put(self, write, name: str, data: bytes) -> None:
        if self.files == 0:
            raise KeyboardInterrupt
        self.files -= 1
        write(name, data)

    def write(self, name: str, data: bytes) -> None:
        self._put(super().write, name, data)

    def write_secret(self, name: str, data: bytes) -> None:
        self._put(super().write_secret, name, data)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("files", range(5))
def test_a_set_that_was_broken_off_is_finished(tmp_path, files, passphrase):
    folder = tmp_path / "store"
    broken = Authority(BreakingStore(folder, files), NAMES, lambda exists: passphrase, lambda: NOW)
    with pytest.raises(KeyboardInterrupt):
        broken.create()
    before = contents(folder) if folder.exists() else {}
    assert len(before) == files
    expected = AuthorityState.UNFINISHED if files else AuthorityState.MISSING
    assert authority(folder, passphrase).state() is expected
    authority(folder, passphrase).create()
    assert authority(folder, passphrase).state() is AuthorityState.COMPLETE
    after = contents(folder)
    assert all(after[name] == before[name] for name in before if not name.endswith(".csr")), "nothing was replaced"
    authority(folder, passphrase).issue_device_certificate(request(device_key()), NAME)


# What a run that was broken off leaves, what is left when the signer is taken away to be renewed, and a lost request.
FINISHABLE = [
    {"root-ca.key"},
    {"root-ca.key", "root-ca.crt"},
    {"root-ca.key", "signer-ca.key"},
    {"root-ca.key", "signer-ca.key", "signer-ca.csr"},
    {"root-ca.key", "signer-ca.key", "root-ca.crt"},
    {"root-ca.key", "signer-ca.key", "signer-ca.csr", "root-ca.crt"},
    {"root-ca.key", "signer-ca.key", "root-ca.crt", "signer-ca.crt"},
]
PARTS = [set(part) for size in range(1, 5) for part in itertools.combinations(FILES, size)]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: "+".join(sorted(part)))
def test_every_partial_set_is_finished_or_explained(folder, part):
    for name in set(FILES) - part:
        (folder / name).unlink()
    before = contents(folder)
    if part in FINISHABLE:
        assert authority(folder).state() is AuthorityState.UNFINISHED
        authority(folder).create()
        assert authority(folder).state() is AuthorityState.COMPLETE
        after = contents(folder)
        assert all(after[name] == before[name] for name in before if name != "signer-ca.csr")
        return
    for act in (authority(folder).state, authority(folder).create):
        with pytest.raises(StoreError, match="missing") as caught:
            act()
        assert caught.value.hint
    assert contents(folder) == before


def test_a_signer_that_has_signed_is_not_made_again(folder):
    signer = authority(folder)
    kit = Store(folder).for_kit("MCHP1")
    own = request(device_key())
    DeviceFiles(kit).save(own, signer.issue_device_certificate(own, NAME))
    (folder / "signer-ca.crt").unlink()
    with pytest.raises(StoreError, match="has signed already") as caught:
        authority(folder).create()
    assert "MCHP1" in caught.value.why
    assert not (folder / "signer-ca.crt").exists()


def test_a_signer_that_is_registered_is_not_made_again(folder):
    authority(folder).verification_certificate(CODE)
    for name in ("signer-ca.crt", "signer-ca.csr", "root-ca.crt"):
        (folder / name).unlink()
    with pytest.raises(StoreError, match="has signed already"):
        authority(folder).create()


def test_an_expired_signer_is_replaced_as_the_error_says(folder):
    later = NOW + timedelta(days=11 * 365)
    own = request(device_key())
    old = authority(folder).issue_device_certificate(own, NAME)
    DeviceFiles(Store(folder).for_kit("MCHP1")).save(own, old)
    root = (folder / "root-ca.crt").read_bytes()
    with pytest.raises(StoreError, match="not in date") as caught:
        authority(folder, now=later).state()
    assert "expired on 2036-07-14 15:00" in caught.value.why
    for name in ("signer-ca.key", "signer-ca.csr", "signer-ca.crt"):
        assert name in caught.value.hint
        (folder / name).unlink()
    # Broken off once more on the way, beside a kit that the old signer had signed.
    with pytest.raises(KeyboardInterrupt):
        Authority(BreakingStore(folder, 2), NAMES, clock=lambda: later).create()
    authority(folder, now=later).create()
    renewed = authority(folder, now=later)
    assert renewed.state() is AuthorityState.COMPLETE
    assert (folder / "root-ca.crt").read_bytes() == root
    assert "not signed with" in (renewed.device_certificate_is_current(old, coordinates(own.public_key())) or "")


@pytest.mark.parametrize(
    ("now", "name"), [(NOW.replace(year=2052), "root-ca.crt"), (NOW - timedelta(days=1), "root-ca.crt")]
)
def test_an_authority_that_is_not_in_date(folder, now, name):
    with pytest.raises(StoreError, match=name):
        authority(folder, now=now).state()


@pytest.mark.parametrize("name", FILES)
def test_files_of_two_authorities_are_not_mixed(folder, tmp_path, name):
    authority(tmp_path / "other").create()
    shutil.copy(tmp_path / "other" / name, folder / name)
    before = contents(folder)
    with pytest.raises(StoreError) as caught:
        authority(folder).create()
    assert caught.value.hint
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["root-ca.key", "signer-ca.key"])
def test_an_encrypted_key_of_another_authority_is_found_when_it_is_used(tmp_path, name):
    for folder in ("one", "two"):
        authority(tmp_path / folder, PASSPHRASE).create()
    shutil.copy(tmp_path / "two" / name, tmp_path / "one" / name)
    mixed = authority(tmp_path / "one", PASSPHRASE)
    with pytest.raises(StoreError, match="is not that of"):
        _ = mixed.root_key if name.startswith("root") else mixed.signer_key


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("part", [0, 0.3, 0.9])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_file_that_is_cut_off(tmp_path, name, part, passphrase):
    folder = tmp_path / "store"
    authority(folder, passphrase).create()
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * part)])
    before = contents(folder)
    # What is cut off inside shows only when the key is opened, which merely looking does not do.
    look = authority(folder, passphrase).prove_keys if part and name.endswith(".key") else authority(folder).state
    for act in (look, authority(folder, passphrase).create):
        with pytest.raises(StoreError) as caught:
            act()
        assert name in caught.value.what
        assert caught.value.hint
    assert contents(folder) == before


def test_a_key_of_another_kind(folder):
    key = rsa.generate_private_key(65537, 2048)
    (folder / "signer-ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for act in (authority(folder).prove_keys, authority(folder).create, lambda: authority(folder).signer_key):
        with pytest.raises(StoreError, match="not a P-256 key"):
            act()


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")
@pytest.mark.parametrize("name", ["root-ca.key", "signer-ca.key"])
def test_a_key_that_others_can_read(folder, name):
    (folder / name).chmod(0o644)
    with pytest.raises(StoreError, match="read or changed by others"):
        authority(folder).state()
    with pytest.raises(StoreError, match="read or changed by others"):
        authority(folder).create()


def test_keys_are_encrypted_with_the_passphrase(tmp_path):
    folder = tmp_path / "store"
    authority(folder, PASSPHRASE).create()
    for name, certificate in (("root-ca.key", "root-ca.crt"), ("signer-ca.key", "signer-ca.crt")):
        data = (folder / name).read_bytes()
        assert data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        key = load_pem_private_key(data, PASSPHRASE)
        assert key.public_key() == x509.load_pem_x509_certificate((folder / certificate).read_bytes()).public_key()
    authority(folder, PASSPHRASE).issue_device_certificate(request(device_key()), NAME)


def test_keys_without_passphrase_are_pkcs8(folder):
    assert (folder / "root-ca.key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_wrong_and_missing_passphrases(tmp_path):
    folder = tmp_path / "store"
    authority(folder, PASSPHRASE).create()
    before = contents(folder)
    for wrong, reason in ((b"incorrect donkey", "does not open"), (None, "no passphrase was given"), (b"", "does not")):
        with pytest.raises(StoreError, match=reason) as caught:
            authority(folder, wrong).issue_device_certificate(request(device_key()), NAME)
        error: BaseException | None = caught.value
        while error is not None:
            assert "donkey" not in f"{error} {error!r}"
            error = error.__cause__
    assert contents(folder) == before
    assert authority(folder, b"incorrect donkey").state() is AuthorityState.COMPLETE, "looking needs no passphrase"


@pytest.mark.parametrize("unfit", [b"", b"x" * 1024])
def test_a_passphrase_that_is_not_fit_leaves_nothing_behind(tmp_path, unfit):
    with pytest.raises(UsageError, match="passphrase") as caught:
        authority(tmp_path / "store", unfit).create()
    assert "xxxx" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_the_passphrase_is_asked_for_once_and_only_when_it_is_needed(tmp_path):
    asked = []

    def ask(exists: bool) -> bytes:
        asked.append(exists)
        return PASSPHRASE

    folder = tmp_path / "store"
    Authority(Store(folder), NAMES, ask, lambda: NOW).create()
    assert asked == [False], "for new keys"
    second = Authority(Store(folder), NAMES, ask, lambda: NOW)
    second.state()
    own = request(device_key())
    assert len(asked) == 1
    certificate = second.issue_device_certificate(own, NAME)
    assert second.root_key.public_key == second.root.public_key()
    second.device_certificate_is_current(certificate, coordinates(own.public_key()))
    assert asked == [False, True], "for keys that exist"


def test_a_device_certificate_carries_the_organisation_of_the_signer(folder):
    later = authority(folder, names=Names("Another", "Other Root", "Other Signer"))
    assert organization(later.issue_device_certificate(request(device_key()), NAME)) == "Example AG"


def test_a_request_for_another_name_than_the_device_has(folder):
    for name in ("", "sn", "example.com", NAME.lower(), f"{NAME}2"):
        with pytest.raises(ProofError, match=f"the device is called '{NAME}'"):
            authority(folder).issue_device_certificate(request(device_key(), name), NAME)


def test_a_kept_device_certificate_is_used_only_when_everything_fits(folder, tmp_path):
    own = request(device_key())
    point = coordinates(own.public_key())
    signer = authority(folder)
    certificate = signer.issue_device_certificate(own, NAME)
    assert signer.device_certificate_is_current(certificate, point) is None
    other_key = coordinates(device_key().public_key())
    assert "another key" in (signer.device_certificate_is_current(certificate, other_key) or "")

    authority(tmp_path / "same names").create()
    same_names = authority(tmp_path / "same names")
    assert "not signed with" in (same_names.device_certificate_is_current(certificate, point) or "")
    other_names = authority(tmp_path / "other names", names=Names("a", "b", "c"))
    other_names.create()
    assert "another issuer" in (other_names.device_certificate_is_current(certificate, point) or "")

    early = authority(folder, now=NOW - timedelta(hours=1))
    assert "valid only from" in (early.device_certificate_is_current(certificate, point) or "")
    expired = x509.CertificateBuilder(
        signer.signer.subject, own.subject, own.public_key(), 1, NOW - timedelta(days=2), NOW - timedelta(days=1)
    ).sign(signing_key(signer.signer_key), hashes.SHA256())
    assert "expired" in (signer.device_certificate_is_current(expired, point) or "")


def test_the_verification_certificate_is_kept(folder):
    certificate = authority(folder).verification_certificate(CODE)
    kept = x509.load_pem_x509_certificate((folder / "signer-ca-verification.crt").read_bytes())
    assert kept == certificate
    kept.verify_directly_issued_by(authority(folder).signer)
    assert kept.subject.rfc4514_string() == f"CN={CODE}"


@pytest.mark.parametrize("code", ["", "x" * 65, "a\0b", "a b"])
def test_a_registration_code_that_is_none(folder, code):
    with pytest.raises(CloudError):
        authority(folder).verification_certificate(code)


def test_the_files_of_a_kit(folder):
    files = DeviceFiles(Store(folder).for_kit("MCHP1"))
    assert files.certificate() is None
    own = request(device_key())
    certificate = authority(folder).issue_device_certificate(own, NAME)
    files.save(own, certificate)
    assert files.certificate() == certificate
    assert sorted(contents(folder / "MCHP1")) == ["aws-thing-name.txt", "device.crt", "device.csr"]
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert (folder / "MCHP1" / "aws-thing-name.txt").read_bytes() == identifier.hex().encode()
    (folder / "MCHP1" / "device.crt").write_bytes(b"garbage")
    assert files.certificate() is None
