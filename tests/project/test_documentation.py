"""Every command line of the tool that the pages show is run, as it stands there, on a simulated kit and account."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support.certificate_chain import Signer
from support.firmware_images import image_path
from support.simulated import kits_on_the_bus

from iotprovision.simulator.cloud.aws import LocalCloud

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?(iotprovision(?:-firmware)?(?: .*)?)$")
INLINE = re.compile(r"`(iotprovision(?:-firmware)? [^`]*)`")
# Stands for something of the reader's own, or for what comes before or behind.
# One asks a person and changes the system.
NO_COMMAND = re.compile(r"\[|…|\.\.\.|HOST:PORT|--from-wheel|--install-udev-rule|COMMAND")
PROFILES = ("my-profile", "work", "factory", "lab", "mine")
PROGRAM_TIMEOUT = 120.0


def command_lines(page: Path) -> Iterator[str]:
    """The command lines of a page: whole lines of its blocks, and those in its sentences; none out of a program."""
    fenced = program = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fenced, program = not fenced, line.strip() == "```python"
            continue
        if program:
            continue
        match = COMMAND.match(line) if fenced or line.startswith("    ") else None
        found = [match[1]] if match else [] if fenced else INLINE.findall(line)
        for text in found:
            command = re.split(r"\s+#|\s+\|", text)[0].strip()
            if not NO_COMMAND.search(command):
                yield command


ALL = list(dict.fromkeys(command for page in PAGES for command in command_lines(page)))


@dataclass(frozen=True)
class Place:
    """A folder in which a reader could stand: with a kit on the bus, an AWS configuration and a file or two."""

    folder: Path
    bus: Path
    variables: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command)
        programs = {
            "iotprovision": "iotprovision",
            "iotprovision-firmware": "iotprovision.command_line.firmware_command",
        }
        program = [sys.executable, "-m", programs[words[0]], *words[1:]]
        if "--simulate" not in words:
            program = [sys.executable, "-m", "iotprovision.simulator", "run", "--state", str(self.bus), "--", *program]
        return subprocess.run(
            program,
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("reader")
    for name in ("FILE", "my-program.hex"):
        shutil.copy(image_path("avr-iot-aws-demo"), folder / name)
    shutil.copy(image_path("nedbg-1.30.35"), folder / "nedbg_fw.zip")
    (folder / "passphrase.txt").write_text("correct horse\n")
    (folder / "my-roots").mkdir()
    (folder / "my-roots" / "own.pem").write_bytes(Signer().certificate.public_bytes(Encoding.PEM))
    bus = folder / "bus"
    with LocalCloud(folder / "cloud") as cloud, kits_on_the_bus(bus):
        default = cloud.config_file.read_text(encoding="utf-8").split("[")[1].split("]")[1]
        config = folder / "aws-config"
        sections = ["[default]", *(f"[profile {name}]" for name in PROFILES)]
        config.write_text("\n".join(section + default for section in sections), encoding="utf-8")
        variables = {
            "IOTPROVISION_HOME": str(folder / "store"),
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        }
        here = Place(folder, bus, variables)
        # Pages speak to a reader who has provisioned the kit once.
        done = here.run("iotprovision -c aws -m jitr --no-lock")
        assert done.returncode == 0, done.stderr
        yield here


def test_the_pages_have_commands() -> None:
    assert "iotprovision -c aws -m jitr" in ALL
    assert len(ALL) > 10


def marked(command: str) -> Any:
    """Commands that run the vendor's firmware in an emulator are among the emulated tests."""
    emulated = pytest.mark.skipif(importlib.util.find_spec("yasimavr") is None, reason="yasimavr is not installed")
    return pytest.param(command, marks=[pytest.mark.emulated, emulated] if "@emulated" in command else [])


@pytest.mark.parametrize("command", [marked(command) for command in ALL])
def test_command_line_of_a_page(command: str, place: Place) -> None:
    done = place.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
