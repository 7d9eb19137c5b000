"""What a board is to everything above this room: who it is, its parts, and the programs that can run on it.

A part that a board lacks is None, or missing among several. Whoever needs it makes no step, or refuses by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

from cryptography import x509

from iotprovision.boards.found import FoundKit
from iotprovision.boards.memory import CredentialMemory, Memory, RootMemory
from iotprovision.boards.program import Program
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.hex_image import HexImage
from iotprovision.formats.ecc608_zones import Kind
from iotprovision.formats.factory_certificates import FactoryCertificates, FactoryRoot
from iotprovision.progress import Progress


class DeviceKey(Protocol):
    """The key that a board proves itself with. It never leaves the board."""

    @property
    def known_serial_number(self) -> bytes | None:
        """Of the chip that holds it; None as long as nobody asked for it."""

    @property
    def serial_number(self) -> bytes:
        """:raises CannotKnowError: the board does not run what could tell, as in a dry run"""

    @property
    def name(self) -> str:
        """What the device is called in its certificate (common name)."""

    @property
    def public_key(self) -> bytes:
        """X ‖ Y of a key on P-256, 64 bytes."""

    def sign(self, digest: bytes) -> bytes:
        """R ‖ S over a SHA-256 digest, 64 bytes."""

    def request(self, organization: str) -> x509.CertificateSigningRequest:
        """A certificate request that is signed with the key.

        :raises ProofError: the signature does not verify
        """


class FactoryIdentity(Protocol):
    """What the factory made of a secure element, and can be rebuilt from it."""

    def factory_kind(self) -> Kind:
        """:raises ProofError: a chip whose certificates cannot be rebuilt"""

    def factory_certificates(self, roots: Mapping[Kind, FactoryRoot]) -> FactoryCertificates:
        """:raises ProofError: they do not verify"""


class LockableSlots(Protocol):
    """Places that are locked for good once their content was proved; nothing tells whether they are."""

    @property
    def called(self) -> str: ...

    def lock(self) -> None: ...


class Difference(Protocol):
    """The first place where a processor holds something else than an image."""

    @property
    def area(self) -> str: ...

    @property
    def address(self) -> int: ...

    @property
    def expected(self) -> int: ...

    @property
    def found(self) -> int: ...


class Programmer(Protocol):
    """The memories of a processor that stands still.

    :ivar mcu: its name
    """

    @property
    def mcu(self) -> str: ...

    def first_difference(self, image: HexImage, progress: Progress) -> Difference | None: ...

    def read(self, area: str, offset: int, size: int, progress: Progress = ...) -> bytes: ...

    def program(self, image: HexImage, progress: Progress) -> None: ...


class Debugger(Protocol):
    """The debugger on a board, with firmware of its own."""

    @property
    def version(self) -> str:
        """Of its firmware, when it was last asked."""

    @property
    def lowest_voltage(self) -> float:
        """Volts that the processor needs at least."""

    def supply_voltage(self) -> float:
        """What it measures at the processor, in volts."""

    def ask_again(self) -> None: ...

    def upgrade(self, archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> None: ...

    def restart(self) -> None:
        """The board restarts with it; returns when both are back."""


class PageLink(Protocol):
    """Where a page leads to: its code, and how it names the device (hex digits, empty for not at all)."""

    @property
    def click_me_type(self) -> int: ...

    @property
    def device(self) -> str: ...


class Page(Protocol):
    """The page on the drive of a board, which leads to a cloud.

    :ivar names: the pages that it can lead to
    :ivar kind: how backups of what it is kept in are called
    """

    @property
    def needs(self) -> Program: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def kit_name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def check(self) -> None: ...

    def read(self) -> PageLink: ...

    def name_of(self, code: int) -> str: ...

    def differences(self, page: str, device: str | None) -> Mapping[str, tuple[object, object]]: ...

    def write(self, page: str, device: str | None, keep: Callable[[bytes], None]) -> list[str]: ...


class TalkingConsole(Protocol):
    """A console that is open."""

    def wait_ready(self) -> None: ...

    def set_wifi(self, network: WifiNetwork) -> None: ...

    def heard(self, text: str, timeout: float) -> bool: ...


class Console(Protocol):
    """The console of the application that runs."""

    def check(self, network: WifiNetwork) -> Sequence[str]:
        """What it takes and may well not work.

        :raises UsageError: it cannot take this network
        """

    def open(self) -> AbstractContextManager[TalkingConsole]: ...


class ModuleVersion(Protocol):
    """What a Wi-Fi module says about its firmware."""

    @property
    def firmware(self) -> str: ...


class ModuleBridge(Protocol):
    """The way to the whole flash of a Wi-Fi module, through a program of its own on the board."""

    @property
    def needs_target_reset(self) -> bool: ...

    def version(self) -> ModuleVersion: ...

    def read_sector(self, address: int) -> bytes: ...

    def read_back_sector(self, address: int) -> bytes: ...

    def erase_sector(self, address: int) -> None: ...

    def write_sector(self, address: int, data: bytes) -> None: ...


class WifiModule(Protocol):
    """A Wi-Fi module whose firmware can be changed."""

    def bridge(self) -> ModuleBridge:
        """:raises CannotKnowError: the bridge does not run, as in a dry run"""

    def start_bridge_anew(self) -> None: ...

    def firmware_version(self) -> str:
        """What its firmware says, asked through the provisioning firmware; empty where it does not tell."""


class Board(Protocol):
    """One board on the desk; a context manager that leaves it running what it holds.

    :ivar programmer: of its processor
    :ivar factory: None where the factory left nothing from which an identity can be rebuilt
    :ivar credentials: where it keeps what makes it a device, in the order in which they are written
    :ivar memories: all that keeps something, in the order in which backups are put back
    :ivar application_data: where applications look for what their cloud needs beside certificates and names
    """

    @property
    def programmer(self) -> Programmer: ...

    @property
    def key(self) -> DeviceKey: ...

    @property
    def factory(self) -> FactoryIdentity | None: ...

    @property
    def slots(self) -> LockableSlots | None: ...

    @property
    def credentials(self) -> Sequence[CredentialMemory]: ...

    @property
    def memories(self) -> Sequence[Memory]: ...

    @property
    def root_store(self) -> RootMemory | None: ...

    @property
    def application_data(self) -> Memory | None: ...

    @property
    def page(self) -> Page | None: ...

    @property
    def debugger(self) -> Debugger: ...

    @property
    def console(self) -> Console | None: ...

    @property
    def wifi_module(self) -> WifiModule | None: ...

    @property
    def kit(self) -> FoundKit:
        """What it is, as it was when it was last found."""

    @property
    def has_wifi(self) -> bool: ...

    def bring(self, program: Program) -> None:
        """Let the board run this. What it holds has to be that program already.

        :raises SerialLinkError: the program does not answer
        """

    def check_mcu(self) -> None:
        """Make sure that the processor can be programmed, and is the one of the board. It stands still then.

        :raises AccessError: it has no power, is locked, or is another one
        """

    def check_port(self) -> None:
        """Make sure that the serial port can be opened, before anything is done that needs it later.

        :raises SerialLinkError, AccessError: it cannot
        """

    def check_network(self, network: WifiNetwork, demo_of: str) -> Sequence[str]:
        """Make sure that a Wi-Fi network can be told, before anything is done.

        :param demo_of: the cloud whose demo the board will hold; empty for another application
        :returns: what is accepted and may well not work
        :raises UsageError: it cannot
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
