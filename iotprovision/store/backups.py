"""What runs saved before they overwrote it on a kit, and a list that tells what is whole and whose it is.

A backup is a file in the kit's folder, named by what it holds and when it was saved. ``backups.json`` beside it has,
for each, the serial number of the kit, the SHA-256 of the content and which command saved it: the files themselves
say nothing of that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iotprovision.errors import StoreError
from iotprovision.store.folder import Store

LIST_FILE = "backups.json"
TIME_FORMAT = "%Y%m%dT%H%M%S%f"
_DAMAGED = f"{LIST_FILE}.damaged-"
RESTORING = frozenset({"restore", "rootcerts --rrc"})
"""Who saves what a restore is about to replace. That is kept too, but a next restore does not take it by itself: it
would only undo the first one."""

_NAME = re.compile(r"(?P<kind>[a-z0-9-]+?)-(?P<time>\d{8}T\d{12})\.[a-z]+")


@dataclass(frozen=True)
class Backup:
    """One file.

    :param kind: the file name up to the time, like ``board-config``
    :param time: when it was saved (UTC): it is the state up to then
    :param saved_by: the command; empty where the list does not know the file
    """

    name: str
    kind: str
    time: datetime
    kit: str
    sha256: str
    saved_by: str

    @property
    def is_listed(self) -> bool:
        return bool(self.sha256)

    @property
    def number(self) -> int:
        """What a person chooses it by, 0 where it has none."""
        digits = self.kind.rpartition("-")[2]
        return int(digits) if digits.isdigit() else 0

    @property
    def shown_time(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} UTC"


def file_name(kind: str, time: datetime, ending: str) -> str:
    """``winc-05000-20261122T143321018926.bin``"""
    return f"{kind}-{time:{TIME_FORMAT}}.{ending}"


def save(files: Store, name: str, content: bytes, saved_by: str) -> None:
    """Keep a backup and list it.

    A list that is damaged is put aside, not overwritten: a person may be able to read it.

    :param files: the kit's folder, which the run has locked
    :raises StoreError: there is one of this name already, or the folder cannot be written
    """
    if files.has(name):
        raise StoreError(
            f"There is a backup {files.path(name)} already",
            "Backups are never overwritten.",
            "look at this computer's clock",
        )
    files.write(name, content)
    damaged = files.read(LIST_FILE)
    if damaged and _parsed(damaged) is None:
        match = _NAME.fullmatch(name)
        assert match is not None, "every backup is named by file_name()"
        files.write(f"{_DAMAGED}{match['time']}", damaged)
    entry = {"kit": files.folder.name, "sha256": hashlib.sha256(content).hexdigest(), "saved_by": saved_by}
    files.write(LIST_FILE, json.dumps({**_listed(files), name: entry}, indent=1).encode())


def find(files: Store, *kinds: str) -> list[Backup]:
    """The backups of some kinds that are in the kit's folder, the newest first; also those that the list does not know.

    :param kinds: beginnings of names; a kind may have a number behind it
    """
    listed = _listed(files)
    found = []
    for name in files.names("*-*T*.*"):
        match = _NAME.fullmatch(name)
        if match is None or not any(re.fullmatch(rf"{re.escape(kind)}(-\d{{3,}})?", match["kind"]) for kind in kinds):
            continue
        try:
            time = datetime.strptime(match["time"], TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:  # digits that are no time: no run named it so
            continue
        entry = listed.get(name, {})
        values = (str(entry.get(key, "")) for key in ("kit", "sha256", "saved_by"))
        found.append(Backup(name, match["kind"], time, *values))
    return sorted(found, key=lambda backup: (backup.time, backup.name), reverse=True)


def next_kind(files: Store, kind: str) -> str:
    """What the next backup of a numbered kind is called: with the number behind the highest that there is."""
    return f"{kind}-{max((backup.number for backup in find(files, kind)), default=0) + 1:03}"


def saved_before(files: Store, kind: str, content: bytes, saved_by: str) -> Backup | None:
    """The backup that holds this content already, so that it need not be saved once more.

    What was overwritten last must be the newest backup: only the newest counts, but for a restore, whose own do not.
    """
    candidates = [backup for backup in find(files, kind) if backup.kit == files.folder.name]
    if saved_by not in RESTORING:
        candidates = [backup for backup in candidates if backup.saved_by not in RESTORING][:1]
    digest = hashlib.sha256(content).hexdigest()
    return next(
        (same for same in candidates if same.sha256 == digest and files.read(same.name) == content),
        None,
    )


def read(files: Store, backup: Backup, as_it_is: bool) -> bytes:
    """The content of a backup.

    :param as_it_is: take also one that the list does not know
    :raises StoreError: it is gone or damaged, it is another kit's, or it is not listed
    """
    path = files.path(backup.name)
    content = files.read(backup.name)
    if content is None:
        raise StoreError(f"The backup {path} is gone")
    if not backup.is_listed:
        if not as_it_is:
            raise StoreError(
                f"Nothing tells whose backup {path} is, nor whether it is whole",
                f"It is not in {LIST_FILE}: an earlier version saved it, or it was copied there.",
                "name another date, or take it as it is with --force",
            )
        return content
    if backup.kit != files.folder.name:
        raise StoreError(
            f"The backup {path} is of another kit",
            f"It was saved from the kit {backup.kit}; this one is {files.folder.name}.",
            "restore that kit with it",
        )
    if hashlib.sha256(content).hexdigest() != backup.sha256:
        raise StoreError(
            f"The backup {path} is damaged",
            "It is not what was saved: its SHA-256 is another one.",
            "name another date",
        )
    return content


def damaged_lists(files: Store) -> list[str]:
    """The names of lists that are damaged: those that were put aside, and the present one."""
    content = files.read(LIST_FILE)
    present = [LIST_FILE] if content and _parsed(content) is None else []
    return files.names(f"{_DAMAGED}*") + present


def _listed(files: Store) -> Mapping[str, Mapping[str, Any]]:
    """What the list says. One that is damaged knows nothing, so that its files are taken only on demand."""
    return _parsed(files.read(LIST_FILE) or b"{}") or {}


def _parsed(content: bytes) -> Mapping[str, Mapping[str, Any]] | None:
    """A list's entries; None where it is damaged."""
    try:
        entries = json.loads(content)
    except ValueError:
        return None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return None
    return entries
