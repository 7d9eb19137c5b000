"""The certificate folder on a real file system."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.key_opens import counted_opens

from iotprovision.errors import LockedError, StoreError, UsageError
from iotprovision.store.folder import Store

posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")
not_root = pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def loose_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_looking_into_a_store_that_is_not_there_makes_nothing(tmp_path):
    store = Store(tmp_path / "certificates")
    assert store.read("root-ca.crt") is None
    assert store.read_secret("root-ca.key") is None
    assert store.for_kit("MCHP1").read("device.crt") is None
    assert store.kits() == []
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.usefixtures("loose_umask")
def test_folders_and_files_are_the_owners_alone(tmp_path):
    store = Store(tmp_path / "a" / "certificates")
    kit = store.for_kit("MCHP3261021800001234")
    kit.write("device.crt", b"certificate")
    store.write_secret("root-ca.key", b"key")
    assert mode(store.folder) == mode(kit.folder) == 0o700
    assert mode(store.path("root-ca.key")) == mode(kit.path("device.crt")) == 0o600
    assert store.read_secret("root-ca.key") == b"key"


def test_files_that_belong_together_are_read_between_writes(tmp_path):
    store = Store(tmp_path / "store")
    assert store.read_together(lambda: store.read("one")) is None
    assert not store.folder.exists(), "looking makes nothing"
    store.write("one", b"1")
    store.write("two", b"1")
    assert store.read_together(lambda: (store.read("one"), store.read("two"))) == (b"1", b"1")
    assert not store.has(".lock")

    written = []

    def look():
        first = store.read("one")
        if not written:  # another run, at the worst moment
            written.append(True)
            with Store(store.folder).lock():
                store.write("one", b"2")
                store.write("two", b"2")
        return first, store.read("two")

    assert store.read_together(look) == (b"2", b"2")
    with Store(store.folder).lock(), pytest.raises(LockedError):
        store.read_together(lambda: store.read("one"))


def test_what_fails_while_others_write_is_tried_again(tmp_path):
    store = Store(tmp_path / "store")
    store.write("one", b"1")
    tries = []

    def look():
        tries.append(True)
        if len(tries) == 1:
            with Store(store.folder).lock():
                store.write("two", b"2")
            raise StoreError("half of it")
        return "whole"

    assert store.read_together(look) == "whole"
    with pytest.raises(StoreError, match="damaged"):
        store.read_together(_damaged)


def _damaged():
    raise StoreError("damaged")


@posix
def test_a_key_is_looked_at_without_being_opened(tmp_path):
    store = Store(tmp_path / "store")
    assert store.secret_size("some.key") is None
    store.write_secret("some.key", b"12345")
    with counted_opens({"some.key"}) as opens:
        assert store.secret_size("some.key") == 5
    assert not opens
    store.path("some.key").chmod(0o640)
    with pytest.raises(StoreError, match="read or changed by others"):
        store.secret_size("some.key")


@posix
@pytest.mark.usefixtures("loose_umask")
def test_a_key_is_the_owners_alone_from_the_first_byte(tmp_path, monkeypatch):
    store = Store(tmp_path / "certificates")
    seen = []
    real = os.fsync

    def spy(handle):
        facts = os.fstat(handle)
        if stat.S_ISREG(facts.st_mode):
            seen.append((stat.S_IMODE(facts.st_mode), facts.st_size, store.path("root-ca.key").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)
    store.write_secret("root-ca.key", b"key")
    assert seen == [(0o600, 3, False)], "flushed with its final mode, before the name exists"


@posix
def test_an_own_folder_that_others_can_read_is_closed(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    folder.chmod(0o755)
    Store(folder).prepare()
    assert mode(folder) == 0o700


@posix
def test_a_folder_that_everybody_shares_is_refused_and_left_as_it_is(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(StoreError, match="other purposes"):
        Store(folder).write("a", b"")
    assert mode(folder) == 0o1777
    assert list(folder.iterdir()) == []


@posix
def test_a_home_folder_is_no_store(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StoreError, match="IOTPROVISION_HOME"):
        Store(tmp_path).prepare()
    assert mode(tmp_path) == 0o755


@posix
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_key_that_others_can_read_or_change_is_refused(tmp_path, bits):
    store = Store(tmp_path / "certificates")
    store.write_secret("root-ca.key", b"secret content")
    store.path("root-ca.key").chmod(bits)
    with pytest.raises(StoreError) as caught:
        store.read_secret("root-ca.key")
    assert f"chmod 600 {store.path('root-ca.key')}" in str(caught.value)
    assert "secret content" not in str(caught.value)


def test_a_key_is_never_overwritten(tmp_path):
    store = Store(tmp_path / "certificates")
    store.write_secret("root-ca.key", b"first")
    with pytest.raises(StoreError, match="already"):
        store.write_secret("root-ca.key", b"second")
    assert store.read_secret("root-ca.key") == b"first"
    assert [path.name for path in store.folder.iterdir()] == ["root-ca.key"]


@posix
def test_a_key_is_not_overwritten_on_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError("not supported")

    monkeypatch.setattr(os, "link", no_links)
    store = Store(tmp_path / "certificates")
    store.write_secret("root-ca.key", b"first")
    with pytest.raises(StoreError, match="already"):
        store.write_secret("root-ca.key", b"second")
    assert store.read_secret("root-ca.key") == b"first"


def test_a_file_is_replaced_as_a_whole(tmp_path):
    store = Store(tmp_path / "certificates")
    store.write("device.crt", b"long old content")
    store.write("device.crt", b"new")
    assert store.read("device.crt") == b"new"
    assert [path.name for path in store.folder.iterdir()] == ["device.crt"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    store = Store(tmp_path / "certificates")
    store.write("device.crt", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.write("device.crt", b"new")
    with pytest.raises(StoreError, match="No space left"):
        store.write_secret("root-ca.key", b"new")
    assert store.read("device.crt") == b"old"
    assert [path.name for path in store.folder.iterdir()] == ["device.crt"]


@posix
@not_root
def test_a_store_that_is_not_writable(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            Store(tmp_path / "certificates").prepare()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that not even root may write to")
def test_a_store_on_a_file_system_that_takes_nothing():
    for folder in (Path("/proc/certificates"), Path("/proc/self")):
        with pytest.raises(StoreError) as caught:
            Store(folder).write_secret("root-ca.key", b"key")
        assert "IOTPROVISION_HOME" in caught.value.hint


def test_a_store_below_a_file_or_that_is_one(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "certificates"):
        with pytest.raises(StoreError) as caught:
            Store(folder).prepare()
        assert caught.value.hint
        assert Store(folder).read("root-ca.crt") is None


def test_a_folder_in_the_place_of_a_file(tmp_path):
    store = Store(tmp_path)
    (tmp_path / "root-ca.crt").mkdir()
    with pytest.raises(StoreError):
        store.read("root-ca.crt")
    with pytest.raises(StoreError):
        store.read_secret("root-ca.crt")
    with pytest.raises(StoreError):
        store.write("root-ca.crt", b"")


@pytest.mark.parametrize(
    "serial_number",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "C:x", "a b", ".hidden", "x" * 65, "a\0b", "a\n", "é"],
)
def test_a_serial_number_that_is_no_folder_name(tmp_path, serial_number):
    with pytest.raises(UsageError):
        Store(tmp_path).for_kit(serial_number)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b"])
def test_a_name_that_is_a_path_is_a_bug(tmp_path, name):
    with pytest.raises(ValueError, match="not a file name"):
        Store(tmp_path).path(name)


def test_kits_are_listed(tmp_path):
    store = Store(tmp_path / "certificates")
    for serial_number in ("MCHP2", "MCHP1"):
        store.for_kit(serial_number).write("device.crt", serial_number.encode())
    store.write("root-ca.crt", b"")
    assert [kit.read("device.crt") for kit in store.kits()] == [b"MCHP1", b"MCHP2"]


def test_another_run_is_kept_out_until_the_first_has_ended(tmp_path):
    store = Store(tmp_path / "certificates")
    other = (
        "import sys; from pathlib import Path; from iotprovision.store.folder import Store\n"
        "from iotprovision.errors import LockedError\n"
        "try:\n"
        "    with Store(Path(sys.argv[1])).lock(): print('free')\n"
        "except LockedError: print('locked')\n"
    )

    def try_elsewhere() -> str:
        command = [sys.executable, "-c", other, str(store.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with store.lock():
        assert try_elsewhere() == "locked"
        with pytest.raises(LockedError) as caught, Store(store.folder).lock():
            pass
        assert caught.value.exit_code == 11
    assert try_elsewhere() == "free"


def test_a_name_that_cannot_be_looked_for_is_no_fault_of_the_program(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("root-ca.crt", b"here")
    assert (store.has("root-ca.crt"), store.has("root-ca.key")) == (True, False)
    with pytest.raises(StoreError, match="look for"):
        store.has("x" * 300)
