"""The command ``restore``: what earlier runs saved before they overwrote it, put back where it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509

from iotprovision import interrupts
from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.board import Target
from iotprovision.errors import ChipRefusedError, ProofError, StoreError
from iotprovision.findings import Finding, State
from iotprovision.formats import client_store, root_store
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT, public_key_from_coordinates, slot_size
from iotprovision.formats.winc_flash import CLIENT_AREA, CLIENT_STORE, ERASED, PAGE, ROOT_STORE, FlashArea
from iotprovision.pki.certificates import p256_key
from iotprovision.pki.reading import from_der
from iotprovision.steps.flash import ImageInFlash
from iotprovision.steps.identity import Chip, running_link
from iotprovision.steps.links import KIND as REGISTERS_KIND
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

ACTION = "restore"


class ApplicationRestored(ImageInFlash):
    """The MCU runs what an earlier run had saved."""

    title = "Application from its backup"
    action = ACTION


class FlashAreaRestored(Step):
    """An area of the Wi-Fi module's flash holds what an earlier run had saved.

    :param load: reads and judges the backup; called before anything on the kit is changed
    :param source: the name of the backup, for a person
    :param kind: gives the beginning of the name under which what is there now is saved
    """

    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save what is there, erase it and write the backup"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        area: FlashArea,
        called: str,
        load: Callable[[], bytes],
        source: str,
        files: Store,
        clock: Callable[[], datetime],
        kind: Callable[[], str],
    ) -> None:
        self.title = f"{called} from their backup"
        self._target = target
        self._area = area
        self._load = load
        self._source = source
        self._files = files
        self._clock = clock
        self._kind = kind

    def prepare(self) -> None:
        self._wanted = self._load()
        _check_size(self._files, self._source, self._wanted, self._area.size, "this part of the flash")
        broken = why_broken(self._area, self._wanted)
        if broken:
            raise StoreError(
                f"The backup {self._files.path(self._source)} holds no whole store", broken, "name another date"
            )

    def check(self, progress: Progress) -> Finding:
        found = running_link(self._target).winc_read_range(self._area.address, self._area.size, progress)
        if found == self._wanted:
            return Finding(State.IN_PLACE, f"as in {self._source}")
        at = next(index for index, (one, other) in enumerate(zip(found, self._wanted, strict=True)) if one != other)
        return Finding(State.DIFFERENT, f"other content, from 0x{self._area.address + at:05X} on", self._source)

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        saved = self._save(link.winc_read_range(self._area.address, self._area.size))
        pages = [
            offset
            for offset in range(0, self._area.size, PAGE)
            if not client_store.is_blank(self._wanted[offset : offset + PAGE])
        ]
        with interrupts.held():
            for sector in self._area.sectors():
                link.winc_erase_sector(sector)
            for number, offset in enumerate(pages, 1):
                link.winc_write(self._area.address + offset, self._wanted[offset : offset + PAGE])
                progress(number * PAGE, len(pages) * PAGE)
        return f"{saved}wrote {len(pages) * PAGE} bytes of {self._source}"

    def _save(self, present: bytes) -> str:
        if present.count(ERASED) == len(present):
            return ""
        kind = self._kind()
        same = backups.saved_before(self._files, kind, present, ACTION)
        if same:
            return f"what was there was saved before as {same.name}, "
        name = backups.file_name(kind, self._clock(), "bin")
        backups.save(self._files, name, present, ACTION)
        return f"saved what was there as {name}, "


class CredentialsRestored(FlashAreaRestored):
    """The same for certificates, thing name and endpoint, which are the chip's or nobody's."""

    def __init__(
        self,
        target: Target,
        chip: Chip,
        load: Callable[[], bytes],
        source: str,
        files: Store,
        clock: Callable[[], datetime],
        kind: str,
    ) -> None:
        called = "Certificates, thing name and endpoint in the Wi-Fi module"
        super().__init__(target, CLIENT_AREA, called, load, source, files, clock, lambda: kind)
        self._chip = chip

    def check(self, progress: Progress) -> Finding:
        running_link(self._target)
        certificate = _device_certificate(self._wanted)
        key = None if certificate is None else p256_key(certificate)
        if certificate is not None and (
            key is None or key.public_numbers() != public_key_from_coordinates(self._chip.public_key).public_numbers()
        ):
            raise StoreError(
                f"The backup {self._files.path(self._source)} is of another kit, or of another secure element",
                "The certificate in it is not for the key in this one: no server would let the kit in. "
                "The Wi-Fi module stays as it was.",
                "name another date, or provision the kit again",
            )
        return super().check(progress)


def why_broken(area: FlashArea, content: bytes) -> str:
    """Why this is nothing that the Wi-Fi module could use, as after a write that was broken off; empty where it is."""
    try:
        if area == ROOT_STORE:
            root_store.parse(content)
        elif area == CLIENT_AREA:
            client_store.parse(content[: CLIENT_STORE.size])
    except ProofError as error:
        return error.why
    return ""


def _check_size(files: Store, source: str, content: bytes, size: int, place: str) -> None:
    if len(content) != size:
        raise StoreError(
            f"The backup {files.path(source)} is damaged",
            f"It has {len(content)} bytes, and {place} has {size}.",
            "name another date",
        )


def _device_certificate(area: bytes) -> x509.Certificate | None:
    try:
        return from_der(client_store.parse(area).certificates[0])
    except (ProofError, ValueError, IndexError):
        return None


class RegistersRestored(Step):
    """The board registers hold what an earlier run had saved: all 512 bytes of them."""

    title = "Board registers from their backup"
    action = ACTION
    about = About.KIT
    proof = "registers read back, every byte equal"
    would = "save the registers and write the backup"
    forced_by = frozenset({"force"})

    def __init__(
        self, target: Target, load: Callable[[], bytes], source: str, files: Store, clock: Callable[[], datetime]
    ) -> None:
        self._target = target
        self._kit = target.kit
        self._load = load
        self._source = source
        self._files = files
        self._clock = clock
        self.changed = False
        self.differ: bool | None = None

    def prepare(self) -> None:
        self._wanted = self._load()
        registers.check_saved(self._kit.serial_number, self._wanted)

    def check(self, progress: Progress) -> Finding:
        self._target.free_debugger()
        found = registers.read_block(self._kit.serial_number)
        self.differ = found != self._wanted
        if not self.differ:
            return Finding(State.IN_PLACE, f"as in {self._source}")
        count = sum(one != other for one, other in zip(found, self._wanted, strict=False))
        return Finding(State.DIFFERENT, f"{count} bytes are others", self._source)

    def apply(self, progress: Progress) -> str:
        present = registers.read_block(self._kit.serial_number)
        same = backups.saved_before(self._files, REGISTERS_KIND, present, ACTION)
        name = same.name if same else backups.file_name(REGISTERS_KIND, self._clock(), "bin")
        if not same:
            backups.save(self._files, name, present, ACTION)
        registers.restore(self._kit.serial_number, self._wanted)
        self.changed = True
        return (
            f"{'what was there was saved before' if same else 'saved what was there'} as {name}, wrote {self._source}"
        )


class SlotRestored(Step):
    """The slot of the secure element that applications read holds what an earlier run had saved."""

    title = f"Slot {PROVISIONING_DATA_SLOT} of the secure element from its backup"
    action = ACTION
    about = About.KIT
    proof = "read back, every byte equal"
    would = "save the slot and write the backup"
    forced_by = frozenset({"force"})

    def __init__(
        self,
        target: Target,
        load: Callable[[], bytes],
        source: str,
        files: Store,
        clock: Callable[[], datetime],
        kind: str,
    ) -> None:
        self._target = target
        self._load = load
        self._source = source
        self._files = files
        self._clock = clock
        self._kind = kind

    def prepare(self) -> None:
        self._wanted = self._load()
        _check_size(self._files, self._source, self._wanted, slot_size(PROVISIONING_DATA_SLOT), "the slot")

    def check(self, progress: Progress) -> Finding:
        found = running_link(self._target).read_slot(PROVISIONING_DATA_SLOT)
        if found == self._wanted:
            return Finding(State.IN_PLACE, f"as in {self._source}")
        return Finding(State.DIFFERENT, "other content", self._source)

    def apply(self, progress: Progress) -> str:
        link = running_link(self._target)
        present = link.read_slot(PROVISIONING_DATA_SLOT)
        same = backups.saved_before(self._files, self._kind, present, ACTION)
        name = same.name if same else backups.file_name(self._kind, self._clock(), "bin")
        if not same:
            backups.save(self._files, name, present, ACTION)
        try:
            with interrupts.held():
                link.write_slot(PROVISIONING_DATA_SLOT, self._wanted)
        except ChipRefusedError as error:
            raise ChipRefusedError(
                f"The secure element refuses slot {PROVISIONING_DATA_SLOT}",
                f"{error.why}\nA slot that was locked can never be written again.",
                "restore the other parts: --only names them",
                error.status,
            ) from error
        return (
            f"{'what was there was saved before' if same else 'saved what was there'} as {name}, wrote {self._source}"
        )
