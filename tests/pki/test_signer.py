"""Certificates need a public key and a signature: the private key may lie where this program cannot look."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key

from iotprovision.pki import certificates
from iotprovision.pki.names import Names
from iotprovision.pki.signer import signing_key
from iotprovision.pki.signers.key_files import KeyInMemory

NOW = datetime(2026, 7, 14, 15, 9, tzinfo=timezone.utc)
NAMES = Names("Example AG", "Example Root", "Example Signer 0001")


class KeyOfAnotherProgram:
    """A key that only OpenSSL's command ever sees, as that of a token or of a service that signs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(file))
        public_key = load_pem_public_key(self._run("pkey", "-in", str(file), "-pubout"))
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        self.public_key = public_key

    def sign(self, digest: bytes) -> bytes:
        digest_file = self._file.with_suffix(".digest")
        digest_file.write_bytes(digest)
        return self._run("pkeyutl", "-sign", "-inkey", str(self._file), "-in", str(digest_file))

    @staticmethod
    def _run(*arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_a_whole_chain_of_keys_that_this_program_never_sees(tmp_path: Path) -> None:
    root_key, signer_key = (KeyOfAnotherProgram(tmp_path / name) for name in ("root", "signer"))
    root = certificates.root_certificate(root_key, NAMES, NOW)
    subject = certificates.distinguished_name("Example AG", "Example Signer 0001")
    request = certificates.signer_request(signer_key, subject)
    signer = certificates.signer_certificate(request, root, root_key, NOW)
    device = certificates.device_certificate(
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        common_name="sn01232B4E0931D16901",
        organization="Example AG",
        signer=signer,
        signer_key=signer_key,
        now=NOW,
    )
    verification = certificates.verification_certificate("0123abcd", signer, signer_key, NOW)
    files = {"root.pem": root, "signer.pem": signer, "device.pem": device, "verification.pem": verification}
    for name, certificate in files.items():
        (tmp_path / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    for name in ("device.pem", "verification.pem"):
        command = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", "root.pem"]
        done = subprocess.run(
            [*command, "-untrusted", "signer.pem", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.stdout == f"{name}: OK\n", done.stderr


def test_a_signature_of_another_key_is_found() -> None:
    key, other = KeyInMemory.new(), KeyInMemory.new()

    class Mistaken:
        public_key = key.public_key

        @staticmethod
        def sign(digest: bytes) -> bytes:
            return other.sign(digest)

    root = certificates.root_certificate(Mistaken(), NAMES, NOW)
    assert "not signed with" in (certificates.issue_fault(root, root) or "")


def test_a_signer_gives_its_private_key_to_nobody() -> None:
    key = signing_key(KeyInMemory.new())
    for act in (
        key.private_numbers,
        lambda: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        lambda: key.exchange(ec.ECDH(), key.public_key()),
        lambda: key.sign(b"", ec.ECDSA(hashes.SHA384())),
    ):
        with pytest.raises(NotImplementedError):
            act()


def test_a_signature_of_another_hash_is_never_made_in_silence() -> None:
    with pytest.raises(NotImplementedError):
        x509.CertificateSigningRequestBuilder(x509.Name([])).sign(signing_key(KeyInMemory.new()), hashes.SHA512())
