"""Private keys of the authority are opened to sign, once; and a key that cannot sign is found before that matters."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.key_opens import counted_opens
from support.running import Outcome, run_tool, snapshot

from iotprovision.cloud.aws.account import Account
from iotprovision.errors import ExitCode
from iotprovision.inspection.computer_health import check_store
from iotprovision.inspection.diagnosis import Diagnosis, Verdict
from iotprovision.pki.authority import Authority
from iotprovision.pki.names import Names
from iotprovision.runs.history import History
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.store.folder import Store

JITR = ("--simulate", "-c", "aws", "-m", "jitr", "--json")
KEYS = ("root-ca.key", "signer-ca.key")
PASSPHRASE = {"IOTPROVISION_CA_PASSPHRASE": "open sesame"}


def counted(home: Path, *arguments: str, variables: dict[str, str] | None = None) -> tuple[Outcome, Counter[str]]:
    with counted_opens(KEYS) as opens:
        outcome = run_tool(home, *arguments, variables=variables)
    return outcome, opens


def authority_proof(outcome: Outcome) -> str:
    (step,) = [step for step in outcome.document["steps"] if step["title"] == "Root CA and signer CA"]
    return str(step["proof"])


def store(home: Path) -> Path:
    return home / "simulator" / "certificates"


def put_another_key(home: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (store(home) / name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@contextlib.contextmanager
def untouched(home: Path) -> Iterator[None]:
    """Neither store nor kit are other ones afterwards, nor is the account, which keeps its state beside them."""
    before, account = snapshot(home), cloud_state(home)
    yield
    assert snapshot(home) == before
    assert cloud_state(home) == account


def cloud_state(home: Path) -> tuple[int, int]:
    """How many signers and policies the account has."""
    with LocalCloud(home / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        signers = account.pages("iot", "ListCACertificates", "certificates")
        policies = account.pages("iot", "ListPolicies", "policies")
        return len(list(signers)), len(list(policies))


def test_the_counter_hears_every_way_to_open(tmp_path: Path) -> None:
    file = tmp_path / "root-ca.key"
    with counted_opens(KEYS) as opens:
        file.write_text("")
        file.read_bytes()
        os.close(os.open(file, os.O_RDONLY))
        with open(str(file)):  # noqa: PTH123 - one of the ways
            pass
        file.stat()
        file.exists()
    assert opens == {"root-ca.key": 4}


@pytest.mark.parametrize("variables", [{}, PASSPHRASE], ids=["plain", "encrypted"])
def test_a_fresh_run_opens_each_key_once(tmp_path: Path, variables: dict[str, str]) -> None:
    outcome, opens = counted(tmp_path, *JITR, variables=variables)
    assert outcome.code == 0, outcome.err
    assert all(opens[name] <= 1 for name in KEYS), opens
    assert "keys match" in authority_proof(outcome), "what was made is read back"


def test_runs_that_sign_nothing_open_none_and_others_what_they_need(tmp_path: Path) -> None:
    assert run_tool(tmp_path, *JITR).code == 0
    second, opens = counted(tmp_path, *JITR)
    assert second.code == 0, second.err
    assert second.document["account"]["writes"] == []
    assert not opens
    assert "were not opened" in authority_proof(second)

    for arguments in (("--dry-run",), ("--verify", "certs", "provision")):
        outcome, opens = counted(tmp_path, *JITR, *arguments)
        assert (outcome.code, dict(opens)) == (0, {}), outcome.err

    with_new_certificate, opens = counted(tmp_path, *JITR, "--fdev")
    assert with_new_certificate.code == 0, with_new_certificate.err
    assert opens == {"signer-ca.key": 1}
    assert "root-ca.key was not opened" in authority_proof(with_new_certificate)

    # A run that signs nothing has no need of a key, so one that is none does not stop it.
    put_another_key(tmp_path, "signer-ca.key")
    assert run_tool(tmp_path, *JITR).code == 0
    with untouched(tmp_path):
        refused = run_tool(tmp_path, *JITR, "--fdev")
        assert (refused.code, "signer-ca.key" in refused.err) == (ExitCode.STORE, True)


def test_a_key_that_cannot_sign_is_found_before_anything_is_written(tmp_path: Path) -> None:
    # An authority that no account knows, and a kit without a certificate: the run would sign for both.
    assert run_tool(tmp_path, "--simulate", "-c", "azure", "certs").code == 0
    assert run_tool(tmp_path, *JITR, "--dry-run").code == 0
    key = store(tmp_path) / "signer-ca.key"
    before = cloud_state(tmp_path)
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for damage in (foreign, foreign[:100], b"", None):
        if damage is None:
            key.unlink()
        else:
            key.write_bytes(damage)
        files = snapshot(tmp_path)
        outcome = run_tool(tmp_path, *JITR)
        assert (outcome.code, key.name in outcome.err) == (ExitCode.STORE, True), damage
        assert snapshot(tmp_path) == files
    assert cloud_state(tmp_path) == before


def test_doctor_opens_the_keys_to_judge_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    own = Store(tmp_path)
    Authority(own, Names()).create()

    def judgement() -> Diagnosis:
        (found,) = [each for each in check_store(own, History(tmp_path)) if each.check == "authority"]
        return found

    assert judgement().verdict is Verdict.FINE
    other = tmp_path / "other"
    Authority(Store(other), Names()).create()
    (tmp_path / "signer-ca.key").write_bytes((other / "signer-ca.key").read_bytes())
    assert (judgement().verdict, "signer-ca.key" in judgement().found) == (Verdict.PROBLEM, True)


def test_finishing_an_authority_needs_a_root_key_that_fits(tmp_path: Path) -> None:
    assert run_tool(tmp_path, "--simulate", "-c", "azure", "certs").code == 0
    for name in ("signer-ca.key", "signer-ca.csr", "signer-ca.crt"):
        (store(tmp_path) / name).unlink()
    put_another_key(tmp_path, "root-ca.key")
    with untouched(tmp_path):
        outcome = run_tool(tmp_path, *JITR)
    assert (outcome.code, "root-ca.key" in outcome.err) == (ExitCode.STORE, True)
