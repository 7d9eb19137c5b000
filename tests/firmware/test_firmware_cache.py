"""Fetching firmware images with pip, keeping them, and never using a wrong one."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import yaml

from iotprovision.command_line import firmware_command
from iotprovision.errors import AccessError, ExitCode, ProofError, UsageError
from iotprovision.firmware.cache import FirmwareCache, cache_folder
from iotprovision.firmware.index import FirmwareIndex, load_index

WHEEL = "testimages-1.0-py3-none-any.whl"
IMAGE = b":0400000068696A6B56\n:00000001FF\n"
OTHER_IMAGE = b"another image"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder that pip takes packages from, with one package that holds two images."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("testimages/one.hex", IMAGE)
        archive.writestr("testimages/two.bin", OTHER_IMAGE)
        archive.writestr("testimages-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: testimages\nVersion: 1.0\n")
        archive.writestr(
            "testimages-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("testimages-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def environment(tmp_path: Path, shelf: Path) -> dict[str, str]:
    """Variables with which pip sees the shelf and nothing else."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {
        **inherited,
        "IOTPROVISION_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shelf),
    }


@pytest.fixture
def index(tmp_path: Path, shelf: Path) -> FirmwareIndex:
    return make_index(tmp_path, shelf)


def make_index(folder: Path, shelf: Path, version: str = "1.0", **changed: str) -> FirmwareIndex:
    wheel = (shelf / WHEEL).read_bytes()
    hashes = {"wheel": sha256(wheel), "one": sha256(IMAGE), "two": sha256(OTHER_IMAGE), **changed}
    common = {"kits": ["Test Kit"], "wheel": "testimages", "licence": "MIT"}
    content = {
        "wheels": {
            "testimages": {
                "version": version,
                "file": WHEEL,
                "size": len(wheel),
                "sha256": hashes["wheel"],
                "licence": "MIT",
            }
        },
        "images": [
            {**common, "name": "one", "jobs": ["a"], "file": "testimages/one.hex", "size": 1, "sha256": hashes["one"]},
            {**common, "name": "two", "jobs": ["b"], "file": "testimages/two.bin", "size": 1, "sha256": hashes["two"]},
        ],
    }
    path = folder / "index.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_index(path)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_in(cache: FirmwareCache) -> list[str]:
    return sorted(path.name for path in cache.folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_an_image_is_fetched_and_kept(environment, index, shelf, capfd) -> None:
    fetched = []
    cache = FirmwareCache(environment, index, fetched.append)
    assert not cache.is_present(index.image("one"))
    assert cache.path(index.image("one")).read_bytes() == IMAGE
    (shelf / WHEEL).unlink()
    assert cache.path(index.image("one")).read_bytes() == IMAGE
    assert cache.path(index.image("two")).read_bytes() == OTHER_IMAGE, "the other image of the wheel came with it"
    assert [wheel.requirement for wheel in fetched] == ["testimages==1.0"]
    assert files_in(cache) == ["one.hex", "two.bin"], "no temporary file stays"
    assert capfd.readouterr() == ("", ""), "what pip says is not shown"


def test_a_wheel_with_another_hash_is_not_used(environment, tmp_path, shelf) -> None:
    index = make_index(tmp_path, shelf, wheel="0" * 64)
    cache = FirmwareCache(environment, index)
    with pytest.raises(ProofError) as raised:
        cache.path(index.image("one"))
    assert raised.value.exit_code == ExitCode.PROOF
    assert WHEEL in str(raised.value)
    assert sha256((shelf / WHEEL).read_bytes()) in str(raised.value)
    assert files_in(cache) == []


def test_an_image_with_another_hash_is_not_used(environment, tmp_path, shelf) -> None:
    index = make_index(tmp_path, shelf, one="1" * 64)
    cache = FirmwareCache(environment, index)
    with pytest.raises(ProofError, match=r"one\.hex"):
        cache.path(index.image("one"))
    assert files_in(cache) == []


def test_an_image_that_was_altered_is_refused_and_fetched_anew_next_time(environment, index) -> None:
    cache = FirmwareCache(environment, index)
    path = cache.path(index.image("one"))
    path.write_bytes(IMAGE.replace(b"6", b"7", 1))
    with pytest.raises(ProofError, match=r"one\.hex"):
        cache.path(index.image("one"))
    assert not path.exists()
    assert cache.path(index.image("one")).read_bytes() == IMAGE


def test_no_package_index_names_the_command_for_offline_use(environment, index, shelf) -> None:
    (shelf / WHEEL).unlink()
    with pytest.raises(AccessError) as raised:
        FirmwareCache(environment, index).path(index.image("one"))
    assert raised.value.exit_code == ExitCode.ACCESS
    assert "testimages==1.0" in raised.value.what
    assert "No matching distribution" in raised.value.why
    assert "iotprovision-firmware" in raised.value.hint


def test_no_such_version(environment, tmp_path, shelf) -> None:
    index = make_index(tmp_path, shelf, version="1.1")
    with pytest.raises(AccessError, match=r"testimages==1\.1"):
        FirmwareCache(environment, index).path(index.image("one"))


def test_an_unreachable_package_index_is_told_apart(environment, index) -> None:
    # Port 9 of this machine: nothing listens there.
    unreachable = {**environment, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    del unreachable["PIP_NO_INDEX"], unreachable["PIP_FIND_LINKS"]
    with pytest.raises(AccessError) as raised:
        FirmwareCache(unreachable, index).path(index.image("one"))
    assert "No connection to the package index" in raised.value.why
    assert len(raised.value.why.splitlines()) == 2


def test_a_frozen_program_uses_the_pip_on_the_path(environment, index, monkeypatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    on_path = {**environment, "PATH": str(Path(sys.executable).parent)}
    assert FirmwareCache(on_path, index).path(index.image("one")).read_bytes() == IMAGE


def test_a_machine_without_pip(environment, index, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AccessError, match="Cannot fetch") as raised:
        FirmwareCache({**environment, "PATH": str(tmp_path / "empty")}, index).path(index.image("one"))
    assert "no pip" in raised.value.why
    assert "--from-wheel" in raised.value.hint


def test_a_cache_folder_that_cannot_be_made(environment, index, tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    blocked = {**environment, "IOTPROVISION_CACHE": str(tmp_path / "file")}
    with pytest.raises(AccessError, match="Cannot keep") as raised:
        FirmwareCache(blocked, index).path(index.image("one"))
    assert "IOTPROVISION_CACHE" in raised.value.hint


def test_several_at_once_fetch_once(environment, index) -> None:
    fetched, contents = [], []

    def use() -> None:
        cache = FirmwareCache(environment, index, fetched.append)
        contents.append(cache.path(index.image("one")).read_bytes())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents == [IMAGE] * 4
    assert len(fetched) == 1


def test_a_pip_module_in_the_current_folder_is_not_run(environment, index, tmp_path, monkeypatch) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('wrong pip')")
    monkeypatch.chdir(tmp_path)
    assert FirmwareCache(environment, index).path(index.image("one")).read_bytes() == IMAGE


def test_a_wheel_that_was_brought_is_taken_without_pip(environment, index, shelf, tmp_path) -> None:
    brought = (shelf / WHEEL).rename(tmp_path / WHEEL)
    cache = FirmwareCache(environment, index)
    assert [image.name for image in cache.add_wheel(brought)] == ["one", "two"]
    assert cache.add_wheel(brought) == []
    assert brought.exists()
    assert cache.path(index.image("two")).read_bytes() == OTHER_IMAGE


def test_a_wheel_that_is_not_used_is_refused(environment, index, tmp_path) -> None:
    (tmp_path / "else-1.0-py3-none-any.whl").write_bytes(b"")
    with pytest.raises(UsageError, match="else-1") as raised:
        FirmwareCache(environment, index).add_wheel(tmp_path / "else-1.0-py3-none-any.whl")
    assert WHEEL in raised.value.why


def test_a_missing_wheel_is_refused(environment, index, tmp_path) -> None:
    with pytest.raises(UsageError) as raised:
        FirmwareCache(environment, index).add_wheel(tmp_path / WHEEL)
    assert "no such file" in raised.value.why


def test_a_wrong_wheel_of_the_right_name_is_refused_and_left_alone(environment, index, tmp_path) -> None:
    (tmp_path / WHEEL).write_bytes(b"not the wheel")
    cache = FirmwareCache(environment, index)
    with pytest.raises(ProofError):
        cache.add_wheel(tmp_path / WHEEL)
    assert (tmp_path / WHEEL).read_bytes() == b"not the wheel"
    assert files_in(cache) == []


def test_the_folder_is_the_users_unless_a_variable_says_otherwise(tmp_path) -> None:
    assert cache_folder({"IOTPROVISION_CACHE": str(tmp_path)}) == tmp_path
    assert cache_folder({}).name == "iotprovision" or "iotprovision" in cache_folder({}).parts


class TestCommand:
    """iotprovision-firmware"""

    def test_fetches_everything_of_a_kit_and_then_needs_no_network(self, tmp_path, capsys) -> None:
        environment = {**os.environ, "IOTPROVISION_CACHE": str(tmp_path)}
        assert firmware_command.main(["--kit", "avr-iot wa"], environment) == ExitCode.OK
        assert "8 images ready" in capsys.readouterr().out
        offline = {**environment, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
        assert firmware_command.main([], offline) == ExitCode.OK
        assert "23 images ready" in capsys.readouterr().out

    def test_lists_what_there_is_and_fetches_nothing(self, environment, tmp_path, capsys) -> None:
        assert firmware_command.main(["--list"], environment) == ExitCode.OK
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 + len(load_index().images)
        assert not (tmp_path / "cache").exists()
        (demo,) = [line for line in lines if line.startswith("avr-iot-aws-demo")]
        assert demo.split()[1:5] == ["4.1.2", "demo-aws", "123222", "no"]

    def test_without_a_network_it_ends_with_code_4_and_the_reason(self, environment, capsys) -> None:
        assert firmware_command.main([], environment) == ExitCode.ACCESS
        err = capsys.readouterr().err
        assert "Cannot fetch pykitcommander==2.8.3.18" in err
        assert "Traceback" not in err

    def test_an_unknown_kit_ends_with_code_2(self, environment, capsys) -> None:
        assert firmware_command.main(["--kit", "Toaster"], environment) == ExitCode.USAGE
        assert "AVR-IoT WA" in capsys.readouterr().err

    def test_a_wheel_that_is_none_ends_with_code_2(self, environment, tmp_path, capsys) -> None:
        assert firmware_command.main(["--from-wheel", str(tmp_path / "x.whl")], environment) == ExitCode.USAGE
        assert "pykitcommander-2.8.3.18" in capsys.readouterr().err
