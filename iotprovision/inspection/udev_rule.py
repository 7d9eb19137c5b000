"""The udev rule that lets users open the debugger of a kit, on Linux: whether it is there, and putting it there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iotprovision.boards.finding import UDEV_RULES, USB_PRODUCTS, USB_VENDOR
from iotprovision.errors import AccessError
from iotprovision.inspection.diagnosis import Diagnosis, fine, note, problem

RULE_FILE = "70-microchip-kits.rules"
# Where udev looks, the administrator's folder first.
FOLDERS = (
    Path("/etc/udev/rules.d"),
    Path("/run/udev/rules.d"),
    Path("/usr/lib/udev/rules.d"),
    Path("/lib/udev/rules.d"),
)
CURE = "iotprovision doctor --install-udev-rule, then plug the kit in again"
_VENDOR = re.compile(rf"idVendor\}}?\s*==\s*\"[^\"]*{USB_VENDOR:04x}", re.IGNORECASE)
_PRODUCT = re.compile(r"idProduct\}?\s*==\s*\"([^\"]*)\"", re.IGNORECASE)

_UACCESS = re.compile(r"\bTAG\s*[+:]?=\s*\"uaccess\"")
_MODE = re.compile(r"\bMODE\s*:?=\s*\"([0-7]+)\"")
_OWNER = re.compile(r"\bOWNER\s*:?=\s*\"([^\"]+)\"")
_GROUP = re.compile(r"\bGROUP\s*:?=\s*\"([^\"]+)\"")
_ROOT = ("root", "0")


@dataclass(frozen=True)
class UdevRules:
    """The rules of one computer.

    :param folders: where they are; the first one is where a new one goes
    :param is_root: whether this user needs none
    :param has_udev: whether the computer has udev at all
    """

    folders: Sequence[Path] = FOLDERS
    is_root: bool = False
    has_udev: bool = True

    @classmethod
    def of_this_computer(cls) -> UdevRules | None:
        """None where the system knows no such rules."""
        if not sys.platform.startswith("linux"):
            return None
        has_udev = shutil.which("udevadm") is not None or FOLDERS[0].is_dir()
        return cls(FOLDERS, os.geteuid() == 0, has_udev)

    @property
    def path(self) -> Path:
        """Where the rule of this tool goes."""
        return self.folders[0] / RULE_FILE

    def check(self) -> Diagnosis:
        """Whether kits can be opened by users, in both of their modes."""
        found = {product: self._file_for(product) for product in USB_PRODUCTS}
        if all(found.values()):
            return fine("udev-rule", ", ".join(dict.fromkeys(str(file) for file in found.values())))
        lacking = " and ".join(f"{USB_VENDOR:04x}:{product:04x}" for product, file in found.items() if not file)
        if self.is_root:
            return note("udev-rule", f"none for USB {lacking}; root needs none, other users do", CURE)
        if not self.has_udev:
            return note(
                "udev-rule",
                "this computer has no udev: who may open a kit is decided elsewhere",
                "in a container, pass the device in; the rule belongs on the computer that the kit is plugged into",
            )
        return problem("udev-rule", f"none for USB {lacking}: only root may open such a kit", CURE)

    def install(self) -> str:
        """Put the rule in place and have udev take it, with sudo where that is needed.

        :returns: what was done
        :raises AccessError: it could not be done
        """
        text = UDEV_RULES + "\n"
        folder = self.path.parent
        if os.access(folder, os.W_OK) or (os.access(folder.parent, os.W_OK) and not folder.exists()):
            folder.mkdir(exist_ok=True)
            self.path.write_text(text, encoding="ascii")
            sudo: list[str] = []
        else:
            sudo = self._sudo()
            with tempfile.TemporaryDirectory() as temporary:
                file = Path(temporary) / RULE_FILE
                file.write_text(text, encoding="ascii")
                self._run([*sudo, "install", "-D", "-m", "0644", str(file), str(self.path)])
        if self.has_udev and shutil.which("udevadm"):
            self._run([*sudo, "udevadm", "control", "--reload"])
        return f"wrote {self.path}; plug the kit in again"

    def commands(self) -> str:
        """What :meth:`install` will do, for the person who is asked."""
        return f"This will be written to {self.path}, and udev told to read it:\n{UDEV_RULES}"

    def _file_for(self, product: int) -> Path | None:
        for folder in self.folders:
            for file in sorted(folder.glob("*.rules")) if folder.is_dir() else []:
                try:
                    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                except OSError:
                    continue
                if any(_is_for(line, product) for line in lines):
                    return file
        return None

    def _sudo(self) -> list[str]:
        sudo = shutil.which("sudo")
        if sudo is None:
            raise AccessError(
                f"{self.path} cannot be written",
                "Only root may write there, and there is no sudo.",
                f"as root, put these lines into {self.path} and run 'udevadm control --reload':\n{UDEV_RULES}",
            )
        return [sudo]

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - words of our own
        if done.returncode:
            raise AccessError(
                f"{' '.join(command)} ended with code {done.returncode}",
                "It asks for a password at the terminal where it needs one.",
                f"as root, put these lines into {self.path} and run 'udevadm control --reload':\n{UDEV_RULES}",
            )


def _is_for(line: str, product: int) -> bool:
    """Whether a line of a rules file lets somebody open this device."""
    if line.lstrip().startswith("#") or not _VENDOR.search(line) or not _opens(line):
        return False
    named = _PRODUCT.search(line)
    return named is None or f"{product:04x}" in named[1].lower() or "*" in named[1]


def _opens(line: str) -> bool:
    """Whether a rule lets somebody but root read and write the device."""
    if _UACCESS.search(line):
        return True
    owner, group = (bool(named and named[1] not in _ROOT) for named in (_OWNER.search(line), _GROUP.search(line)))
    mode = _MODE.search(line)
    if mode is None:  # udev then lets owner and group read and write
        return owner or group
    bits = int(mode[1], 8)
    return any(bits & wanted == wanted for wanted, is_let in ((0o600, owner), (0o060, group), (0o006, True)) if is_let)
