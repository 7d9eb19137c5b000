"""The vendor's scripts that program a PIC: fetched, kept, and never used when a byte of them differs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.firmware_images import firmware_cache
from support.running import kit_folder, meters, run_tool

from iotprovision.errors import AccessError, ExitCode, ProofError, UsageError
from iotprovision.firmware.cache import FirmwareCache

MCU = "pic24fj128ga705"
KIT = "pic-iot-wa"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A cache of the test's own, with all images and the pack in it, and no network to fetch anything anew."""
    firmware_cache().scripts_for(MCU)
    shutil.copytree(firmware_cache().folder, tmp_path / "cache" / "firmware")
    return {
        "IOTPROVISION_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
    }


@pytest.fixture
def cache(variables: dict[str, str]) -> FirmwareCache:
    return FirmwareCache({**os.environ, **variables})


def test_the_index_names_every_file_with_its_hash(cache: FirmwareCache) -> None:
    pack, folder = cache.index.pack("PIC24FJ128GA705"), cache.scripts_for(MCU)
    assert pack is not None
    assert pack.wheel.name == "pykitcommander"
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    assert set(files) == set(pack.files)
    assert {f"{MCU}pds.py", "common/debugprovider.py", "common/gen4engineinterface.py"} <= set(files)
    for name, file in files.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == pack.files[name]


def test_an_mcu_without_scripts_has_none(cache: FirmwareCache) -> None:
    assert cache.index.pack("atmega4808") is None
    with pytest.raises(UsageError, match="no scripts"):
        cache.scripts_for("atmega4808")


def change(folder: Path) -> str:
    file = folder / "common" / "gen4engineinterface.py"
    file.write_bytes(file.read_bytes() + b"\n")
    return "common/gen4engineinterface.py: has other content"


def remove(folder: Path) -> str:
    (folder / "common" / "icspio.py").unlink()
    return "common/icspio.py: is missing"


def add(folder: Path) -> str:
    (folder / "logging.py").write_text("raise SystemExit\n")
    return "logging.py: does not belong to it"


@pytest.mark.parametrize("damage", [change, remove, add])
def test_a_pack_that_differs_in_anything_is_thrown_away(cache: FirmwareCache, damage: Callable[[Path], str]) -> None:
    folder = cache.scripts_for(MCU)
    said = damage(folder)
    with pytest.raises(ProofError) as raised:
        cache.scripts_for(MCU)
    assert said in raised.value.why
    assert "It was not used." in raised.value.why
    assert not folder.exists(), "the next run fetches it anew"
    with pytest.raises(AccessError, match="Cannot fetch pykitcommander"):
        cache.scripts_for(MCU)


def test_compiled_files_are_removed_and_never_used(cache: FirmwareCache) -> None:
    compiled = cache.scripts_for(MCU) / "common" / "__pycache__"
    compiled.mkdir()
    (compiled / "picdevice.cpython-311.pyc").write_bytes(b"anything")
    assert cache.scripts_for(MCU).is_dir()
    assert not compiled.exists()


def test_a_run_with_an_altered_pack_leaves_the_kit_alone(tmp_path: Path, variables: dict[str, str]) -> None:
    change(FirmwareCache({**os.environ, **variables}).scripts_for(MCU))
    outcome = run_tool(tmp_path / "home", "--simulate", KIT, "-c", "aws", "-m", "mar", variables=variables)
    assert outcome.code == ExitCode.PROOF
    assert "script pack that programs the pic24fj128ga705" in outcome.err
    check_untouched(tmp_path / "home")


def test_a_run_without_pack_and_network_leaves_the_kit_alone(tmp_path: Path, variables: dict[str, str]) -> None:
    shutil.rmtree(FirmwareCache({**os.environ, **variables}).scripts_for(MCU))
    outcome = run_tool(tmp_path / "home", "--simulate", KIT, "-c", "aws", "-m", "mar", variables=variables)
    assert outcome.code == ExitCode.ACCESS
    assert "Cannot fetch pykitcommander" in outcome.err
    assert "iotprovision-firmware" in outcome.err
    check_untouched(tmp_path / "home")


def check_untouched(home: Path) -> None:
    counted = meters(home, KIT)
    names = ("target_flash_erases", "register_writes", "winc_sector_erases", "debugger_reboots")
    assert [counted[name] for name in names] == [0] * len(names)
    assert set((kit_folder(home, KIT) / "flash.bin").read_bytes()[::4]) == {0xFF}
