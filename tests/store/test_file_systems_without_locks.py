"""A file system without locks: an error to act on, wherever a lock is needed."""

from __future__ import annotations

import errno
from pathlib import Path

import filelock
import pytest

from iotprovision.boards.nedbg.debugger_upgrade import finish_upgrade
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.errors import AccessError, ProvisioningError, StoreError
from iotprovision.firmware.cache import FirmwareCache
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.runs.history import History
from iotprovision.store.folder import Store

fcntl = pytest.importorskip("fcntl", reason="Windows has no such file systems")


@pytest.fixture(params=["told by the system", "told by the lock library"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said on such a file system: a number of the system's, or what filelock 3 makes of another number."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    def not_implemented(*_: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock; use SoftFileLock instead")

    if "system" in request.param:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    else:
        monkeypatch.setattr(filelock.FileLock, "_acquire", not_implemented)


def refused(error: pytest.ExceptionInfo[ProvisioningError], variable: str) -> None:
    assert variable in error.value.hint
    assert "lock" in str(error.value)


@pytest.mark.usefixtures("without_locks")
def test_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised, Store(tmp_path / "store").lock():
        pytest.fail("locked")
    refused(raised, "IOTPROVISION_HOME")


@pytest.mark.usefixtures("without_locks")
def test_the_history(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="history") as raised:
        History(tmp_path).add({"time": "2026-01-02T03:04:05+00:00"})
    assert raised.value.why


@pytest.mark.usefixtures("without_locks")
def test_the_firmware_images(tmp_path: Path) -> None:
    cache = FirmwareCache({"IOTPROVISION_CACHE": str(tmp_path)})
    with pytest.raises(AccessError) as raised:
        cache.fetch(next(iter(cache.index.wheels.values())))
    refused(raised, "IOTPROVISION_CACHE")


@pytest.mark.usefixtures("without_locks")
def test_an_upgrade_of_a_debugger(tmp_path: Path) -> None:
    archive = DebuggerArchive.__new__(DebuggerArchive)  # it is not looked at before the lock is held
    with pytest.raises(AccessError) as raised:
        finish_upgrade(archive, UpgradeTurn(tmp_path / "upgrade.lock"), lambda done, total: None)
    refused(raised, "IOTPROVISION_CACHE")


@pytest.mark.usefixtures("without_locks")
def test_the_store_can_still_be_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / ".lock").touch()
    (tmp_path / "one").write_bytes(b"1")
    assert store.read_together(lambda: store.read("one")) == b"1"
