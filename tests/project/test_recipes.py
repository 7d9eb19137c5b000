"""The recipes of CONTRIBUTING.md, followed to the letter on a copy of the package: each thing that they add works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.running import kit_folder, snapshot

from iotprovision.errors import ExitCode

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "iotprovision"
SECTION = re.compile(r"^## (?P<title>.+)\n(?P<text>(?:(?!^## ).*\n)*)", re.MULTILINE)
BLOCK = re.compile(r"(?P<before>(?:^.+\n)+)\n```(?P<kind>\w+)\n(?P<content>(?:(?!```).*\n)*)```$", re.MULTILINE)
PATH = re.compile(r"(?P<how>[Aa]ppend|[Aa] new file)[^`]*`(?P<path>[^`]*/[^`]+)`")


@dataclass(frozen=True)
class Recipe:
    """What a section says: text for files, and the commands that work then."""

    appended: dict[str, str]
    new: dict[str, str]
    commands: tuple[str, ...]


def recipe(title: str) -> Recipe:
    """Every block of a section either belongs to a file that is named before it, or is of commands."""
    sections = {match["title"]: match["text"] for match in SECTION.finditer((ROOT / "CONTRIBUTING.md").read_text())}
    found = Recipe({}, {}, ())
    for block in BLOCK.finditer(sections[title]):
        if block["kind"] == "sh":
            assert not found.commands, "one block of commands in a recipe"
            found = Recipe(found.appended, found.new, tuple(block["content"].splitlines()))
            continue
        where = PATH.search(block["before"].replace("\n", " "))
        assert where, f"a block of {title} names no file"
        files = found.new if where["how"].lower() == "a new file" else found.appended
        files[where["path"]] = block["content"]
    assert found.new
    assert found.commands
    return found


@dataclass(frozen=True)
class Checkout:
    """A copy of what the recipes change."""

    folder: Path
    home: Path

    def follow(self, steps: Recipe) -> None:
        for name, text in steps.new.items():
            assert not (ROOT / name).exists(), f"{name} is not new"
            (self.folder / name).write_text(text, encoding="utf-8")
        for name, text in steps.appended.items():
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{text}")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        python, *words = shlex.split(command)
        assert python == "python"
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "IOTPROVISION_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def tool(self, arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(f"python -m iotprovision {arguments}")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with all recipes followed: what they add does not get into each other's way."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, folder / "iotprovision", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "firmware", folder / "firmware", ignore=shutil.ignore_patterns("images"))
    for title in ("Add a kit", "Add a command", "Add a cloud or a method"):
        Checkout(folder, folder).follow(recipe(title))
    return folder


@pytest.fixture
def checkout(copied: Path, tmp_path: Path) -> Checkout:
    return Checkout(copied, tmp_path / "home")


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def followed(checkout: Checkout, title: str) -> list[str]:
    """The commands of a recipe are run as they stand; what each put out."""
    output = []
    for command in recipe(title).commands:
        done = checkout.run(command)
        assert done.returncode == ExitCode.OK, done.stdout + done.stderr
        output.append(done.stdout + done.stderr)
    return output


def test_a_kit(checkout: Checkout) -> None:
    provisioned, status = followed(checkout, "Add a kit")
    assert "Found Acme IoT" in provisioned
    assert "Device certificate" in provisioned
    assert "Acme IoT" in status
    assert "an AWS account of your own" in status
    flash = (kit_folder(checkout.home, "acme-iot") / "winc.bin").read_bytes()
    assert re.match(rb"[a-z0-9]+-ats\.iot\.[a-z0-9-]+\.localhost\0", flash[0x6E00:])
    assert "acme-iot," in checkout.tool("--help").stdout
    refused(checkout.tool("--simulate acme-iot -c aws -m jitr"), "made no AWS demo application for Acme IoT")


def test_a_command(checkout: Checkout) -> None:
    """It shares no --dry-run, and what it works with asks for that."""
    greeting, page = followed(checkout, "Add a command")
    assert "Ada greets AVR-IoT WA" in greeting
    assert page.startswith("usage: iotprovision hello")
    assert "--from NAME" in page
    assert "Greet the kit that is connected" in checkout.tool("--help").stdout
    assert "iotprovision greets AVR-IoT WA" in checkout.tool("hello --simulate").stdout
    refused(checkout.tool("hello status"), "hello stands alone")
    refused(checkout.tool("hello --dry-run"), "--dry-run")
    refused(checkout.tool("certs --from Ada"), "--from")


def test_a_cloud(checkout: Checkout) -> None:
    followed(checkout, "Add a cloud or a method")
    flash = (kit_folder(checkout.home) / "winc.bin").read_bytes()
    assert flash[0x6E00:].startswith(b"mqtt.example.org\0")
    page = checkout.tool("--help").stdout
    assert "acme" in page.partition("--cloud-provider ")[2].partition("}")[0].partition("{")[2].split(",")
    assert "--acme-host NAME" in page
    refused(checkout.tool("--simulate -c acme"), "The vendor made no Acme demo application", "iotprovision -c acme ")
    refused(checkout.tool("--simulate -c acme certs links"), "no page for this cloud")
    refused(checkout.tool("-c acme -m jitr"), "The method jitr is one of AWS", "one way only to provision for Acme")
    refused(checkout.tool("-c aws --acme-host mqtt.example.org"), "--acme-host names a host of Acme")


def test_a_cloud_that_cannot_take_a_kit_out_leaves_those_of_others(checkout: Checkout) -> None:
    """The same kit is a device of an AWS account; nothing of it is removed there."""
    assert checkout.tool("--simulate -c aws -m mar certs provision").returncode == ExitCode.OK
    assert checkout.tool("--simulate -c acme certs provision").returncode == ExitCode.OK
    before = snapshot(checkout.home)
    for options in ("", "--acme-host mqtt.example.org", "--erase-credentials"):
        refused(checkout.tool(f"--simulate unprovision -c acme --yes {options}"), "cannot be taken out of Acme")
    assert snapshot(checkout.home) == before
    look = json.loads(checkout.tool("--simulate unprovision --dry-run --json").stdout)
    (removal,) = [step for step in look["steps"] if step["title"] == "Kit out of the account"]
    assert removal["state"] == "different"
    assert "(ACTIVE) with the policy" in removal["found"]
