"""A signer that was replaced while a device of the old one exists: the kit gets a new certificate, and connects."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from support.running import run_tool

from iotprovision.cloud.aws.account import Account
from iotprovision.simulator.cloud.aws import LocalCloud

JITR = ("--simulate", "-c", "aws", "-m", "jitr", "--json")


def test_jitr_after_the_signer_was_replaced(tmp_path: Path) -> None:
    first = run_tool(tmp_path, *JITR)
    assert first.code == 0, first.err
    store = tmp_path / "simulator" / "certificates"
    (file,) = store.glob("*/device.crt")
    old = x509.load_pem_x509_certificate(file.read_bytes())
    for name in ("signer-ca.key", "signer-ca.csr", "signer-ca.crt", "signer-ca-verification.crt"):
        (store / name).rename(tmp_path / name)
    second = run_tool(tmp_path, *JITR)
    assert second.code == 0, second.err
    new = x509.load_pem_x509_certificate(file.read_bytes())
    assert new != old
    assert new.public_key() == old.public_key()
    accepted = [attempt["accepted"] for attempt in second.document["first_connection"]["attempts"]]
    assert (accepted[0], accepted[-1]) == (False, True), "the new certificate registers itself"
    with LocalCloud(tmp_path / "simulator" / "cloud") as cloud:
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        signers = list(account.pages("iot", "ListCACertificates", "certificates"))
        assert len(signers) == 2, "devices of the old signer go on working"
    third = run_tool(tmp_path, *JITR)
    assert third.document["account"]["writes"] == []
