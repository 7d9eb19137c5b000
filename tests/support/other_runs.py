"""Other processes that do to kits what runs do: they hold the lock of a kit, or a turn among upgrades."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iotprovision.firmware.cache import images_folder

HOLD_A_KIT = """
import pathlib, sys
from iotprovision.store.folder import Store
folder = pathlib.Path(sys.argv[1])
with Store(folder.parent).for_kit(folder.name).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A program that says a line when it holds what it is to hold, and ends when its input does."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "held"
        try:
            yield other
        finally:
            other.stdin.close()


@contextmanager
def kit_held_by_another(folder: Path) -> Iterator[None]:
    """Another process holds the lock of a kit's folder in the store."""
    with held_by_another(HOLD_A_KIT, folder):
        yield


def with_its_own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the tool use a cache with the same images and no lock: other tests upgrade debuggers on other buses.

    :returns: the folder of the images
    """
    images = images_folder(os.environ)
    own = folder / "cache" / "firmware"
    own.mkdir(parents=True)
    for entry in images.iterdir() if images.is_dir() else ():
        if entry.is_dir():
            (own / entry.name).symlink_to(entry)
    monkeypatch.setenv("IOTPROVISION_CACHE", str(folder / "cache"))
    return own
