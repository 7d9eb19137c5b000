"""The certificate folder: names, modes, atomic writes, locks.

Nothing here knows what the files mean. A file is either whole or absent: it is written under another name, flushed to
the disk and then put in place. Files are readable by their owner alone from the first byte, and the folder likewise.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from iotprovision.errors import LockedError, StoreError, UsageError
from iotprovision.lock_files import is_held

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077
LOCK_NAME = ".lock"
# Whoever asks whether a lock is held is in its way for less than a millisecond.
LOCK_WAIT = 0.5

# A debugger's serial number becomes a folder name, and it comes from outside: no separators, no dots.
SERIAL_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# What a fresh temporary file is called; such a file is what a broken-off write leaves behind, and nothing reads it.
TEMPORARY_PREFIX = ".writing-"

T = TypeVar("T")


class Store:
    """A folder of certificates and keys, and below it one folder a kit.

    Making the object touches nothing; reading from a folder that does not exist finds nothing.
    """

    def __init__(self, folder: Path, parent: Store | None = None) -> None:
        self.folder = folder
        self._parent = parent

    def path(self, name: str) -> Path:
        """Where the file of this name is.

        :raises ValueError: the name is a path
        """
        if Path(name).name != name or name in {"", ".", ".."}:
            raise ValueError(f"not a file name: {name!r}")
        return self.folder / name

    def for_kit(self, serial_number: str) -> Store:
        """The files of one kit, in a folder called as the serial number of its debugger.

        :raises UsageError: the serial number is not fit to be a folder name
        """
        if not SERIAL_NUMBER.fullmatch(serial_number):
            raise UsageError(
                f"The kit's serial number {serial_number!r} cannot name a folder",
                "The files of a kit are kept in a folder named by its USB serial number: letters, digits, '-' and '_'.",
                "unplug the kit and plug it in again; a debugger that still shows no proper serial number is faulty",
            )
        return Store(self.folder / serial_number, self)

    def kits(self) -> list[Store]:
        """The folders of kits that exist, in the order of their names."""
        try:
            names = sorted(entry.name for entry in self.folder.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failure("read", self.folder, error) from error
        return [Store(self.folder / name, self) for name in names if SERIAL_NUMBER.fullmatch(name)]

    def prepare(self) -> None:
        """Make the folder, or make sure that it is writable and nobody else's business.

        :raises StoreError: it cannot be made, is not a folder, is not writable, or is shared with others
        """
        if self._parent is not None:
            self._parent.prepare()
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(FOLDER_MODE)
            facts = self.folder.stat()
        except OSError as error:
            raise self._failure("make", self.folder, error) from error
        if not stat.S_ISDIR(facts.st_mode):
            raise StoreError(
                f"{self.folder} is not a folder",
                "Keys and certificates are kept in a folder.",
                "move the file away, or name another folder with IOTPROVISION_HOME",
            )
        if os.name == "posix":
            self._close_to_others(facts)
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise StoreError(
                f"The folder {self.folder} is not writable",
                "Keys and certificates are written there.",
                f"chmod 700 {self.folder}\nor name another folder with IOTPROVISION_HOME",
            )

    def _close_to_others(self, facts: os.stat_result) -> None:
        shared = facts.st_mode & OTHERS
        if not shared:
            return
        own = facts.st_uid == os.geteuid()
        elsewhere = "name a folder of its own with IOTPROVISION_HOME"
        if facts.st_mode & stat.S_ISVTX or self.folder.resolve() in _folders_of_other_use():
            raise StoreError(
                f"The folder {self.folder} serves other purposes too",
                "It would have to be closed to everybody else, because keys are kept in it.",
                elsewhere,
            )
        if own:
            try:
                self.folder.chmod(FOLDER_MODE)
            except OSError as error:
                raise self._failure("close to others", self.folder, error) from error
        elif shared & 0o022:
            raise StoreError(
                f"The folder {self.folder} can be written by others",
                "It belongs to another user, so it cannot be closed. Whoever writes there can replace keys.",
                f"chmod 700 {self.folder} as its owner, or {elsewhere}",
            )

    def names(self, pattern: str) -> list[str]:
        """The files whose names match a pattern like ``application-*.hex``, sorted."""
        return sorted(path.name for path in self.folder.glob(pattern) if path.is_file())

    def has(self, name: str) -> bool:
        """Whether there is a file of this name.

        :raises StoreError: the folder may not be looked into
        """
        path = self.path(name)
        try:
            return path.exists()
        except OSError as error:
            raise self._failure("look for", path, error) from error

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none.

        :raises StoreError: it exists and cannot be read
        """
        path = self.path(name)
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", path, error) from error

    def read_secret(self, name: str) -> bytes | None:
        """The content of a file that only its owner may read, None where there is none.

        :raises StoreError: it cannot be read, or others can read or change it
        """
        path = self.path(name)
        try:
            with path.open("rb") as file:
                self._check_mode(path, os.fstat(file.fileno()))
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", path, error) from error

    def secret_size(self, name: str) -> int | None:
        """How many bytes a file has that only its owner may read, None where there is none. The file is not opened.

        :raises StoreError: it cannot be looked at, or others can read or change it
        """
        path = self.path(name)
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("look at", path, error) from error
        self._check_mode(path, facts)
        return facts.st_size

    def _check_mode(self, path: Path, facts: os.stat_result) -> None:
        mode = stat.S_IMODE(facts.st_mode)
        if os.name == "posix" and mode & OTHERS:
            raise StoreError(
                f"The key {path} can be read or changed by others",
                f"Its mode is {mode:04o}. A key that others could copy proves nothing any more.",
                f"chmod 600 {path}\nif somebody may have copied it, move all CA files away and make new ones",
            )

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place as a whole, instead of what was there.

        :raises StoreError: the disk is full, the folder not writable, ...
        """
        path = self.path(name)
        temporary = self._written(path, data)
        try:
            temporary.replace(path)
            self._settle()
        except OSError as error:
            raise self._failure("write", path, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def write_secret(self, name: str, data: bytes) -> None:
        """Put a key in place. A key that is there already stays: it is never overwritten.

        :raises StoreError: there is a file of this name, the disk is full, the folder not writable, ...
        """
        path = self.path(name)
        if path.exists():
            raise self._already_there(path)
        temporary = self._written(path, data)
        try:
            # A hard link fails where the name is taken; a rename would silently replace the file.
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise
            except (OSError, NotImplementedError, AttributeError):  # file systems without hard links
                if path.exists():
                    raise FileExistsError(path) from None
                temporary.rename(path)
            self._settle()
        except FileExistsError as error:
            raise self._already_there(path) from error
        except OSError as error:
            raise self._failure("write", path, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file, as far as it is there.

        :raises StoreError: the folder is not writable
        """
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
            self._settle()
        except OSError as error:
            raise self._failure("remove", path, error) from error

    def set_aside(self, names: Sequence[str], folder_name: str) -> None:
        """Move files, as far as they are there, into a new folder inside this one.

        :raises StoreError: the folder is there already, or not writable
        """
        folder = self.path(folder_name)
        try:
            folder.mkdir(FOLDER_MODE)
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self.path(name).rename(folder / name)
            self._settle()
        except OSError as error:
            raise self._failure("move files to", folder, error) from error

    def is_locked(self) -> bool:
        """Whether a run keeps others out of this folder, this run too; nothing is made or written to look."""
        return is_held(self.path(LOCK_NAME))

    @contextlib.contextmanager
    def lock(self, timeout: float = LOCK_WAIT) -> Iterator[None]:
        """Keep every other run out of this folder.

        :param timeout: seconds to wait for the other run
        :raises LockedError: another run still holds it
        """
        self.prepare()
        with self._locked(timeout):
            yield

    def read_together(self, look: Callable[[], T], timeout: float = 0) -> T:
        """What ``look`` reads of several files that belong together, as no other run is changing them.

        Nothing is made: where there is no lock yet, it is enough that nobody has written when the looking is done.

        :param timeout: seconds to wait for a run that is changing them
        :raises LockedError: it still does
        """
        before = self._unlocked_since()
        if before is not None:
            try:
                seen = look()
            except StoreError:
                if self._unlocked_since() == before:
                    raise
            else:
                if self._unlocked_since() == before:
                    return seen
        with contextlib.ExitStack() as resources:
            # Where this user cannot lock, runs that write are refused, so nothing changes under who reads.
            with contextlib.suppress(StoreError):
                resources.enter_context(self._locked(timeout))
            return look()

    def _unlocked_since(self) -> int | None:
        """When files were last put into the folder or taken out of it, None where a run holds the lock or has held it.

        Windows removes the lock when it is released; then the time tells.
        """
        if self.has(LOCK_NAME):
            return None
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

    @contextlib.contextmanager
    def _locked(self, timeout: float) -> Iterator[None]:
        import filelock  # slow to load, and few runs need it

        lock = filelock.FileLock(self.path(LOCK_NAME), timeout=timeout, mode=FILE_MODE)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise LockedError(
                f"Another run is using {self.folder}",
                "Two runs at once would write the same files.",
                "wait until the other run has ended",
            ) from error
        except NotImplementedError as error:
            raise StoreError(
                f"Cannot lock {self.folder}",
                "Its file system has no locks, and two runs at once would write the same files.",
                "name a folder on another file system with IOTPROVISION_HOME",
            ) from error
        except OSError as error:
            raise self._failure("lock", self.folder, error) from error
        try:
            yield
        finally:
            lock.release()

    def _written(self, path: Path, data: bytes) -> Path:
        """A new file beside the path, with the data in it and on the disk."""
        self.prepare()
        temporary = path.with_name(TEMPORARY_PREFIX + secrets.token_hex(8))
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), FILE_MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._failure("write", path, error) from error
            raise
        return temporary

    def _settle(self) -> None:
        """The new name survives a power cut only when the folder itself is on the disk."""
        if os.name == "posix":
            handle = os.open(self.folder, os.O_RDONLY)
            try:
                with contextlib.suppress(OSError):  # some network file systems cannot
                    os.fsync(handle)
            finally:
                os.close(handle)

    def _already_there(self, path: Path) -> StoreError:
        return StoreError(
            f"There is a key {path} already",
            "A key is never overwritten: what was signed with it would be lost.",
            "use it, or move it away and keep it",
        )

    def _failure(self, act: str, path: Path, error: OSError) -> StoreError:
        return StoreError(
            f"Cannot {act} {path}: {error.strerror or error}",
            "Keys, certificates and the state of kits are kept there.",
            "check the owner, the permissions and the free space, or name another folder with IOTPROVISION_HOME",
        )


def _folders_of_other_use() -> set[Path]:
    folders = {Path("/")}
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        folders.add(Path.home().resolve())
    return folders
