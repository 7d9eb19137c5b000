"""The action ``wincupgrade``: firmware of the Wi-Fi module, written through a bridge on the MCU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property

from iotprovision.boards.board import ModuleBridge, WifiModule
from iotprovision.boards.program import Program
from iotprovision.errors import ChipRefusedError, ProofError, SerialLinkError
from iotprovision.findings import Finding, State
from iotprovision.formats.winc_flash import ERASED, PAGE, SECTOR, SIZE
from iotprovision.formats.winc_image import (
    COMMIT_SECTOR,
    COMMIT_SECTORS,
    KEPT_AREAS,
    WincImage,
    control_section_version,
    is_blank,
    kept_area,
    writing_order,
)
from iotprovision.steps.step import About, Progress, Step
from iotprovision.store import backups
from iotprovision.store.folder import Store

log = logging.getLogger(__name__)

ACTION = "wincupgrade"
KIND = "winc-firmware"
ATTEMPTS = 2
"""How often a sector is written before it counts as bad. A disturbed line looks the same: frames have no checksum."""


class WifiModuleFirmware(Step):
    """The Wi-Fi module runs a firmware.

    Whether it does already is asked cheaply. The boot sector and the control section have to be those of the image,
    and the module has to start and name the version. That is trusted because an upgrade writes those two sectors last,
    when all others have been read back; before anything else it erases the control section, so that one which was
    broken off anywhere is never taken for complete. A module damaged by something else is put right with ``--force``,
    which compares everything.

    An upgrade reads each sector of the firmware once, to find those that differ and to save them; erases and writes
    just these; and reads each of these back. The others need no second look: they were equal in the same run, and
    nothing was sent that names them. So every byte of the firmware has been compared after the last write to it. Then
    the module starts and tells its version.

    :param load: reads and judges the image; called before anything on the kit is changed
    :param files: where the firmware that is overwritten is saved
    :param clock: the time, with its time zone
    :param thorough: whether the first check compares everything too
    :param newer_will_do: whether firmware that is newer than the image is left alone
    """

    title = "Firmware of the Wi-Fi module"
    action = ACTION
    about = About.KIT
    proof = "boot sector and control section compared; the module started and told its version"
    full_proof = "every sector compared with the image; the module started and told its version"
    would = "save what differs, erase and write it"
    forced_by = frozenset({"force", "fwinc"})
    needs = Program.BRIDGE

    def __init__(
        self,
        module: WifiModule,
        load: Callable[[], WincImage],
        files: Store,
        clock: Callable[[], datetime],
        thorough: bool = False,
        newer_will_do: bool = True,
    ) -> None:
        self._newer_will_do = newer_will_do
        self._module = module
        self._load = load
        self._files = files
        self._clock = clock
        self._thorough = thorough
        if thorough:
            self.proof = self.full_proof
        self._content: dict[int, bytes] = {}
        """What each sector holds, as far as it was read since it was written last."""

    def prepare(self) -> None:
        _ = self._image

    @cached_property
    def _image(self) -> WincImage:
        return self._load()

    # --- is it in place

    def check(self, progress: Progress) -> Finding:
        wanted = self._image.version.firmware
        self._read(self._image.sectors() if self._thorough else COMMIT_SECTORS, progress)
        if len(self._content) == len(self._image.sectors()):
            self.proof = self.full_proof
        differ = self._different()
        found = control_section_version(self._content[COMMIT_SECTOR])
        if found is None:
            return Finding(State.MISSING, "no firmware that it could start", wanted)
        newer = self._newer_will_do and found.numbers > self._image.version.numbers
        if newer and self._running_version() == found.firmware:
            return Finding(State.IN_PLACE, f"{found.firmware}, newer than {wanted}")
        if differ:
            return Finding(State.DIFFERENT, self._described(found.firmware, differ), wanted)
        runs = self._running_version()
        if runs != wanted:
            return Finding(State.DIFFERENT, f"firmware that {'says ' + runs if runs else 'does not start'}", wanted)
        return Finding(State.IN_PLACE, wanted)

    def _described(self, version: str, differ: Sequence[int]) -> str:
        same = version == self._image.version.firmware
        return f"{version}, different from 0x{differ[0]:05X} on" if same else version

    def _different(self) -> list[int]:
        """The sectors that are known to hold something else than they shall."""
        return [address for address, found in self._content.items() if found != self._image.wanted(address, found)]

    def _running_version(self) -> str | None:
        """What the module says when it starts; None when it does not."""
        try:
            return self._bridge.version().firmware
        except ChipRefusedError:
            if self._bridge.needs_target_reset:
                raise  # it was no answer to this question: the bridge does not reach the module
            return None
        except SerialLinkError as error:
            log.info("the Wi-Fi module did not tell its version: %s", error)
            self._module.start_bridge_anew()
            return None

    # --- make it so

    def apply(self, progress: Progress) -> str:
        looked_at = self._image.sectors()
        self._read(looked_at, progress)
        differ = self._different()
        if not differ:
            return f"compared {len(looked_at)} sectors, nothing differs"
        wanted = {address: self._image.wanted(address, self._content[address]) for address in differ}
        if COMMIT_SECTOR not in wanted:
            wanted[COMMIT_SECTOR] = self._image.sector(COMMIT_SECTOR)
        saved = self._save()
        self._erase(COMMIT_SECTOR)
        done, total = 0, len(wanted) * SECTOR
        for address in writing_order(wanted):
            self._write(address, wanted[address])
            done += SECTOR
            progress(done, total)
        sectors = "1 sector" if len(differ) == 1 else f"{len(differ)} sectors"
        return f"{saved}wrote {sectors}; kept {self._kept()}"

    def _read(self, addresses: Sequence[int], progress: Progress) -> None:
        for number, address in enumerate(addresses, 1):
            if address not in self._content:
                self._content[address] = self._bridge.read_sector(address)
            progress(number * SECTOR, len(addresses) * SECTOR)

    def _save(self) -> str:
        """Keep what was read, as an image that has nothing for the sectors that were not.

        :returns: a half sentence for the report, empty where there was nothing
        """
        if all(is_blank(found) for found in self._content.values()):
            return ""
        image = bytearray([ERASED]) * SIZE
        for address, found in self._content.items():
            image[address : address + SECTOR] = found
        name = backups.file_name(KIND, self._clock(), "bin")
        backups.save(self._files, name, bytes(image), ACTION)
        return f"saved the old one as {name}, "

    def _erase(self, address: int) -> None:
        if not is_blank(self._content[address]):
            # What the sector holds is unknown from here on until it is read again.
            del self._content[address]
            self._bridge.erase_sector(address)
            self._content[address] = bytes([ERASED]) * SECTOR

    def _write(self, address: int, data: bytes) -> None:
        used = -(-len(data.rstrip(bytes([ERASED]))) // PAGE) * PAGE
        for _ in range(ATTEMPTS):
            self._erase(address)
            if used:
                self._bridge.write_sector(address, data[:used])
            self._content[address] = self._bridge.read_back_sector(address)
            if self._content[address] == data:
                return
            log.info("sector 0x%05X of the Wi-Fi module does not hold what was written", address)
        raise ProofError(
            f"The Wi-Fi module does not keep what is written to it at 0x{address:05X}",
            f"It was written {ATTEMPTS} times and read back with another content.\n"
            "A module that does not answer at all looks the same: the bridge does not tell.",
            "unplug the kit for some seconds, plug it in and run the command again, it goes on from here",
        )

    def _kept(self) -> str:
        """What of the module's own was met and left, for a person."""
        kept = dict(KEPT_AREAS)
        for address, found in self._content.items():
            area = kept_area(address)
            if area is not None and found == self._image.sector(address):
                kept.pop(area, None)
        return ", ".join(kept.values())

    @property
    def _bridge(self) -> ModuleBridge:
        return self._module.bridge()
