"""Several runs on one store: they share an authority, and none sees half of what another one makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.processes import runs_at_once, scripts_at_once
from support.running import Outcome

from iotprovision.cloud.aws.account import Account
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.names import Names
from iotprovision.simulator.cloud.aws import LocalCloud
from iotprovision.steps.authority import AuthorityInStore
from iotprovision.store.folder import Store

EIGHT = 8
FILES = {"root-ca.key", "signer-ca.key", "signer-ca.csr", "root-ca.crt", "signer-ca.crt"}


def share_one_authority(home: Path, outcomes: list[Outcome]) -> None:
    assert [outcome.code for outcome in outcomes] == [0] * EIGHT, [outcome.err for outcome in outcomes]
    assert {path.name for path in home.iterdir() if "-ca" in path.name} - {"signer-ca-verification.crt"} == FILES
    authority = Authority(Store(home), Names())
    assert authority.state() is AuthorityState.COMPLETE
    authority.prove_keys()


@pytest.mark.slow
def test_eight_runs_on_an_empty_store_make_one_authority(tmp_path: Path) -> None:
    home = tmp_path / "home"
    outcomes = runs_at_once(EIGHT, home, "-c", "azure", "certs", "--json")
    share_one_authority(home, outcomes)
    done = [step["done"] for outcome in outcomes for step in outcome.document["steps"]]
    assert len([each for each in done if each.startswith("made ")]) == 1


def test_eight_runs_register_one_signer(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with LocalCloud(tmp_path / "cloud") as cloud:
        profile = {"AWS_CONFIG_FILE": str(cloud.config_file), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
        outcomes = runs_at_once(EIGHT, home, "-c", "aws", "-m", "jitr", "certs", "--json", variables=profile)
        share_one_authority(home, outcomes)
        account = Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        (registered,) = account.pages("iot", "ListCACertificates", "certificates")
        answer = account.call("iot", "DescribeCACertificate", certificateId=registered["certificateId"])
    in_account = answer["certificateDescription"]["certificatePem"]
    assert in_account.strip() == (home / "signer-ca.crt").read_text().strip()


MEET = """
import sys, time
from pathlib import Path
from iotprovision.errors import StoreError
from iotprovision.pki.authority import Authority
from iotprovision.pki.names import Names
from iotprovision.steps.authority import AuthorityInStore
from iotprovision.store.folder import Store

home = Path(sys.argv[1])
authority = Authority(Store(home), Names())
step = AuthorityInStore(authority)

def quiet(done, total):
    pass
"""

CHECKED_BEFORE_OTHERS_MADE_IT = (
    MEET
    + """
step.prepare()
assert not step.check(quiet).in_place
(home.parent / f"checked {NUMBER}").touch()
while len(list(home.parent.glob("checked *"))) < COUNT:
    time.sleep(0.01)
print(step.apply(quiet))
assert step.check(quiet).in_place
print(authority.signer_key.public_key == authority.signer.public_key(), authority.signer.serial_number)
"""
)


def test_runs_that_all_found_nothing_still_make_one_authority(tmp_path: Path) -> None:
    home = tmp_path / "home"
    scripts = [
        CHECKED_BEFORE_OTHERS_MADE_IT.replace("NUMBER", str(number)).replace("COUNT", str(EIGHT))
        for number in range(EIGHT)
    ]
    outcomes = scripts_at_once(scripts, home)
    share_one_authority(home, outcomes)
    lines = [outcome.out.splitlines() for outcome in outcomes]
    assert sum(done.startswith("made ") for done, _ in lines) == 1
    assert {used for _, used in lines} == {f"True {Authority(Store(home), Names()).signer.serial_number}"}


REPLACES = (
    MEET
    + """
anew = AuthorityInStore(authority, anew=True)
for _ in range(20):
    anew.apply(quiet)
    time.sleep(0.05)
(home.parent / "done").touch()
"""
)
LOOKS = (
    MEET
    + """
seen = set()
while not (home.parent / "done").exists():
    authority = Authority(Store(home), Names())
    assert authority.look().value == "complete"
    authority.signer.verify_directly_issued_by(authority.root)
    seen.add(authority.signer.serial_number)
    try:
        authority.prove_keys()
    except StoreError as error:  # between the two, another one may have come, which is told from damage
        assert "was replaced while this run worked" in error.what, error
print(len(seen))
"""
)


def test_nobody_sees_half_of_an_authority_that_is_being_replaced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    step = AuthorityInStore(Authority(Store(home), Names()))
    step.apply(lambda done, total: None)
    *looked, replaced = scripts_at_once([LOOKS, LOOKS, REPLACES], home)
    assert replaced.code == 0, replaced.err
    for each in looked:
        assert each.code == 0, each.err
        assert int(each.out) > 1, "it looked while authorities came and went"
    assert len(list(home.glob("old-ca-*"))) == 20


def test_a_run_goes_on_with_the_authority_that_another_one_made(tmp_path: Path) -> None:
    first, second = (Authority(Store(tmp_path / "home"), Names()) for _ in range(2))
    steps = [AuthorityInStore(authority) for authority in (first, second)]
    for step in steps:
        step.prepare()
        assert not step.check(lambda done, total: None).in_place
    steps[0].apply(lambda done, total: None)
    made = (tmp_path / "home" / "signer-ca.crt").read_bytes()
    assert "another run" in steps[1].apply(lambda done, total: None)
    assert steps[1].check(lambda done, total: None).in_place
    assert (tmp_path / "home" / "signer-ca.crt").read_bytes() == made
    assert second.signer == first.signer
