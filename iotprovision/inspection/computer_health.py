"""Whether the store, the firmware cache and the clock of this computer are fit; nothing is changed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iotprovision.errors import ProvisioningError, StoreError
from iotprovision.firmware.cache import FirmwareCache
from iotprovision.inspection.diagnosis import Diagnosis, fine, from_error, note, problem
from iotprovision.pki.authority import Authority, AuthorityState
from iotprovision.pki.names import Names
from iotprovision.runs.history import History
from iotprovision.store.folder import OTHERS, Store

# No clock that is right shows a time before this version was made.
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
# AWS refuses signatures that are five minutes off.
MOST_CLOCK_ERROR = timedelta(minutes=5)
CLOCK_CURE = "set the clock, or let the system take the time from the network (timedatectl set-ntp true)"


def check_store(store: Store, history: History) -> Iterator[Diagnosis]:
    """The folder, who may read it, the authority in it, and the record of runs beside it."""
    folder = store.folder
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        yield _not_there_yet(folder)
        return
    except OSError as error:
        reason = error.strerror or str(error)
        yield problem("store-access", f"{folder} cannot be looked at: {reason}", _access_cure(folder.parent))
        return
    if not is_folder or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        reason = "not writable" if is_folder else "no folder"
        yield problem("store-access", f"{folder} is {reason}", _access_cure(folder))
        return
    yield fine("store-access", f"{folder} can be written")
    yield _shared(folder)
    try:
        authority = Authority(store, Names())
        state = authority.look()
        authority.prove_keys()
    except ProvisioningError as error:
        yield from_error("authority", error, "put the files back from a backup")
    else:
        yield _AUTHORITY[state]
    yield _history(history)


def _access_cure(folder: Path) -> str:
    return f"chmod 700 {folder}, as its owner\nor name another folder with IOTPROVISION_HOME"


def _history(history: History) -> Diagnosis:
    try:
        _, bad_lines = history.read()
    except StoreError as error:
        cure = f"where a run with sudo made it: sudo chown $USER {history.path}\nor move it away: it is a record only"
        return from_error("history", error, cure)
    if bad_lines:
        numbers = ", ".join(str(line.number) for line in bad_lines)
        return note("history", f"{history.path}: line {numbers} is no record", "nothing: the other lines are read")
    return fine("history", "every line can be read")


_AUTHORITY = {
    AuthorityState.MISSING: fine("authority", "none yet: a run makes it"),
    AuthorityState.UNFINISHED: note(
        "authority", "root CA and signer CA are not complete", "iotprovision -c aws -m jitr certs"
    ),
    AuthorityState.COMPLETE: fine("authority", "root CA and signer CA match and are in date"),
}


def _not_there_yet(folder: Path) -> Diagnosis:
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return fine("store-access", f"{folder} is not there yet: a run makes it")
    return problem(
        "store-access",
        f"{folder} cannot be made: {parent} is not writable",
        "name another folder with IOTPROVISION_HOME",
    )


def _shared(folder: Path) -> Diagnosis:
    """Who else may read the folder and its keys; Windows has other rights, which it hands down from the user's home."""
    if os.name != "posix":
        return fine("store-shared", "rights are those of the user's folder")
    open_files = [
        file for file in [folder, *sorted(folder.glob("*.key")), *sorted(folder.glob("*/*.key"))] if _is_open(file)
    ]
    if not open_files:
        return fine("store-shared", "nobody else can read it")
    names = ", ".join(str(file) for file in open_files)
    return problem(
        "store-shared",
        f"others can read or change {names}",
        "\n".join(f"chmod {700 if file.is_dir() else 600} {file}" for file in open_files)
        + "\na key that somebody may have copied proves nothing any more: move all CA files away and make new ones",
    )


def _is_open(file: Path) -> bool:
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & OTHERS)
    except OSError:  # a link to nothing, or what not even its owner may look at
        return False


def check_firmware(cache: FirmwareCache) -> Iterator[Diagnosis]:
    """The images and scripts that are kept; the others are fetched when they are needed."""
    files = [(cache.place(image), image.sha256) for image in cache.index.images]
    for pack in cache.index.packs:
        files += [(cache.pack_place(pack) / name, sha256) for name, sha256 in pack.files.items()]
    there = [(file, sha256) for file, sha256 in files if file.is_file()]
    damaged = [file for file, sha256 in there if _digest(file) != sha256]
    if damaged:
        yield problem(
            "firmware-content",
            f"not what was fetched: {', '.join(str(file) for file in damaged)}",
            "remove it and run iotprovision-firmware, which fetches it again",
        )
    else:
        yield fine("firmware-content", f"the SHA-256 of {len(there)} files is right")
    if len(there) < len(files):
        yield note(
            "firmware-cache",
            f"{len(files) - len(there)} of {len(files)} files are not in {cache.folder}; "
            "they are fetched with pip when they are needed",
            "iotprovision-firmware, as long as there is a network",
        )
    else:
        yield fine("firmware-cache", f"all {len(files)} files are in {cache.folder}")


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def check_clock(now: datetime, elsewhere: datetime | None) -> Diagnosis:
    """Certificates begin now, and AWS looks at the time of a request.

    :param elsewhere: the time that AWS said at the same moment; None where it was not asked
    """
    if now < EARLIEST:
        return problem("clock", f"it shows {now:%Y-%m-%d %H:%M} UTC, which is over", CLOCK_CURE)
    if elsewhere is None:
        return fine("clock", f"{now:%Y-%m-%d %H:%M} UTC; compared with no other")
    if abs(now - elsewhere) > MOST_CLOCK_ERROR:
        return problem(
            "clock", f"it shows {now:%Y-%m-%d %H:%M} UTC, and AWS {elsewhere:%Y-%m-%d %H:%M} UTC", CLOCK_CURE
        )
    return fine("clock", f"{now:%Y-%m-%d %H:%M} UTC, as AWS says")
