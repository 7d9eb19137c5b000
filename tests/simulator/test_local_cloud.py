"""The local cloud: its process, its ports, and what it keeps."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.certificate_chain import Signer

from iotprovision.cloud.aws.account import Account
from iotprovision.cloud.aws.jitr_stack import JitrStack
from iotprovision.cloud.aws.signer_registration import SignerRegistration
from iotprovision.errors import CloudError, LockedError, StoreError
from iotprovision.simulator.cloud.aws import LocalCloud

OWNER = """
import sys, time
from pathlib import Path
from iotprovision.cloud.aws.account import Account
from iotprovision.simulator.cloud.aws import LocalCloud
with LocalCloud(Path(sys.argv[1])) as cloud:
    Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file).call("iot", "CreateThing", thingName="kept")
    print(cloud.mqtt_port, flush=True)
    time.sleep(60)
"""


def account_of(cloud: LocalCloud) -> Account:
    return Account(endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


def wait_until_closed(port: int) -> None:
    deadline = time.monotonic() + 20
    while listens(port):
        assert time.monotonic() < deadline, "the cloud is still there"
        time.sleep(0.05)


def test_what_was_made_is_there_after_a_restart(tmp_path: Path) -> None:
    signer = Signer()
    with LocalCloud(tmp_path) as cloud:
        account = account_of(cloud)
        JitrStack(account).apply()
        SignerRegistration(account, signer.certificate, signer.verification).apply()
        first = account.identity()["Account"], account.iot_endpoint()
        authority = cloud.certificate_authority_file.read_text()
    with LocalCloud(tmp_path) as cloud:
        account = account_of(cloud)
        assert (account.identity()["Account"], account.iot_endpoint()) == first
        assert cloud.certificate_authority_file.read_text() == authority
        assert JitrStack(account).state().in_place
        assert SignerRegistration(account, signer.certificate, signer.verification).state().in_place
        assert account.writes == []


def test_nothing_listens_beyond_loopback_and_nothing_after_the_end(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as cloud:
        ports = (cloud.mqtt_port, int(cloud.endpoint_url.rpartition(":")[2]))
        assert all(listens(port) for port in ports)
        # A socket bound to every interface would answer at any address of the loopback network too.
        assert not any(listens(port, "127.0.0.2") for port in ports)
    assert not any(listens(port) for port in ports)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_the_credentials_are_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    with LocalCloud(folder) as cloud:
        assert cloud.config_file.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_profile_that_was_asked_for_exists(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, "my work") as cloud:
        account = Account("my work", endpoint_url=cloud.endpoint_url, config_file=cloud.config_file)
        assert account.identity()["Account"] == account_of(cloud).identity()["Account"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are for POSIX")
@pytest.mark.parametrize("to_group, number", [(True, signal.SIGINT), (False, signal.SIGKILL), (False, signal.SIGTERM)])
def test_it_saves_and_ends_however_its_owner_ends(tmp_path: Path, to_group: bool, number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        (os.killpg if to_group else os.kill)(owner.pid, number)
        owner.wait(30)
    finally:
        owner.kill()
    wait_until_closed(port)
    with LocalCloud(tmp_path) as cloud:
        assert account_of(cloud).call("iot", "DescribeThing", thingName="kept")["thingName"] == "kept"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with LocalCloud(tmp_path) as first:
        second = LocalCloud(tmp_path, patience=0)
        with pytest.raises(LockedError, match="Another run"):
            second.start()
        assert account_of(first).identity()


def test_without_ministack_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ministack", None)
    with pytest.raises(CloudError) as raised:
        LocalCloud(tmp_path).start()
    assert 'pip install "iotprovision[simulator]"' in str(raised.value)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cloud").write_text("")
    with pytest.raises(StoreError, match="cannot use"):
        LocalCloud(tmp_path / "cloud").start()


def test_a_process_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path)
    (tmp_path / "cloud.lock").mkdir()
    with pytest.raises(CloudError) as raised:
        cloud.start()
    assert str(cloud.log_file) in str(raised.value)
