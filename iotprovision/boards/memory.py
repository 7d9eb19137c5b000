"""A memory of a board: what keeps bytes without power and can be read back.

Whatever it is, one step writes, empties and restores it (``steps/stored.py``). So a new memory is a class with what is
listed here, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from cryptography import x509

from iotprovision.boards.program import Program
from iotprovision.errors import StoreError
from iotprovision.findings import State
from iotprovision.formats.root_store import Root
from iotprovision.progress import Progress, no_progress


@dataclass(frozen=True)
class Difference:
    """Where a memory is not as wanted, for a person.

    :param state: MISSING where nothing is there, else DIFFERENT
    :param expected: empty where the step that asks says it better
    """

    found: str
    expected: str = ""
    state: State = State.DIFFERENT


class Memory(ABC):
    """One memory.

    :cvar part: how the command line names it
    :cvar kind: how its backups are called; what begins with it belongs to it
    :cvar called: what a person calls it, to be continued in a sentence
    :cvar ending: of the files of its backups
    :cvar needs: what must run on the board while it is read or written
    :cvar is_numbered: whether a person chooses a backup by a number in its name
    :cvar is_read_when_board_starts: whether the board takes notice of what is written only when it is started anew
    """

    part: ClassVar[str]
    kind: ClassVar[str]
    called: ClassVar[str]
    ending: ClassVar[str] = "bin"
    needs: ClassVar[Program] = Program.PROVISIONING
    is_numbered: ClassVar[bool] = False
    is_read_when_board_starts: ClassVar[bool] = False
    remedy: ClassVar[str] = ""
    """What to try where the chip refuses to be written."""

    @abstractmethod
    def read(self, progress: Progress = no_progress) -> bytes:
        """What is there, as a backup keeps it: whatever is not in use may be left out."""

    @abstractmethod
    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        """The first place where it is not as wanted, None where it is. Reads no more than it must.

        :param exact: whether what is blank in ``wanted`` must be blank here too
        """

    @abstractmethod
    def write(self, content: bytes, progress: Progress) -> str:
        """Erase and write. No proof: what was written is read back by whoever calls this.

        :returns: what was written, to be continued in a sentence
        :raises ChipRefusedError: the chip refuses it
        """

    @abstractmethod
    def is_blank(self, content: bytes) -> bool:
        """Whether there is nothing in a content that anybody would miss."""

    @abstractmethod
    def blank(self) -> bytes:
        """What is wanted of a memory that shall hold nothing of a device."""

    def shown(self, content: bytes) -> str:
        """A content in words."""
        return f"{len(content)} bytes"

    def allow_writing(self) -> None:  # noqa: B027 - most memories need no leave
        """This run may write it. A memory that shares a chip with others is written only after this."""

    def check(self, content: bytes, source: str) -> None:  # noqa: B027 - not every content has a form
        """Whether a content from elsewhere could be written and used here; changes nothing.

        :param source: where it comes from, for a person
        :raises StoreError: it could not
        """

    def why_broken(self, content: bytes) -> str:
        """Why a content of the right size is of no use, as after a write that was broken off; empty where it is."""
        return ""

    def device_certificate(self, content: bytes) -> x509.Certificate | None:
        """The certificate of a device in a content; None where there is none, or none in such a memory."""
        return None


@dataclass(frozen=True)
class Credentials:
    """What makes a board a device of a cloud, whatever the board.

    :param thing_name: None where the applications of the cloud read none
    :param endpoint: host name of the account's message broker; None likewise
    """

    device: x509.Certificate
    signer: x509.Certificate
    thing_name: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True)
class HeldCredentials:
    """What of them a board holds; empty or None where it holds nothing, or nothing that can be read.

    :param damaged: why the certificates cannot be read, in words
    """

    device: x509.Certificate | None = None
    signer: x509.Certificate | None = None
    thing_name: str = ""
    endpoint: str = ""
    damaged: str = ""


def together(parts: Iterable[HeldCredentials]) -> HeldCredentials:
    """What several memories hold of the credentials of one device."""
    held = list(parts)
    return HeldCredentials(
        next((each.device for each in held if each.device), None),
        next((each.signer for each in held if each.signer), None),
        next((each.thing_name for each in held if each.thing_name), ""),
        next((each.endpoint for each in held if each.endpoint), ""),
        next((each.damaged for each in held if each.damaged), ""),
    )


class CredentialMemory(Memory):
    """A memory with a part of the credentials of a device."""

    @abstractmethod
    def content(self, credentials: Credentials) -> bytes:
        """What the memory shall hold of these credentials.

        :raises UsageError, ProofError: they do not fit
        """

    @abstractmethod
    def held(self) -> HeldCredentials:
        """What it holds of a device's credentials."""

    def held_certificate(self) -> x509.Certificate | None:
        """The certificate of the device alone."""
        return self.held().device

    def title(self, has_names: bool) -> str:
        """What a person calls what is written.

        :param has_names: whether a thing name and an endpoint are part of it
        """
        return self.called[0].upper() + self.called[1:]

    def check_endpoint(self, endpoint: str | None) -> None:  # noqa: B027 - not every memory keeps one
        """Before anything is done: whether this endpoint can be kept.

        :param endpoint: None where the cloud's applications read none
        :raises UsageError: it cannot
        """


class RootMemory(Memory):
    """A memory with the authorities whose servers the board trusts.

    :ivar names: what a person calls a root, where that is not known from the root itself
    """

    def __init__(self) -> None:
        self.names: dict[Root, str] = {}


def check_size(content: bytes, size: int, source: str, place: str) -> None:
    """:raises StoreError: the content is not as large as the place"""
    if len(content) != size:
        raise StoreError(
            f"The backup {source} is damaged",
            f"It has {len(content)} bytes, and {place} has {size}.",
            "name another date",
        )


def first_other(found: bytes, wanted: bytes) -> int:
    """The offset of the first byte that is another one."""
    return next(index for index, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other)


Content = Callable[[], bytes | None]
"""Gives what a memory shall hold; None as long as it is not known."""
