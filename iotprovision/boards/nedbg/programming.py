"""Programming the MCU of a kit with pymcuprog: one session an image, and proof by reading back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from iotprovision.boards.nedbg.script_session import ScriptSession
from iotprovision.boards.nedbg.target_session import DirectSession, TargetSession
from iotprovision.errors import ProofError
from iotprovision.firmware.cache import FirmwareCache
from iotprovision.firmware.hex_image import HexImage, Segment
from iotprovision.firmware.mcu import FUSES, USER_ROW, Area, Mcu, mcu_by_name
from iotprovision.interrupts import held
from iotprovision.progress import Progress, no_progress

# The most that one read command of the debugger returns.
READ_SIZE = 512
# Bytes between two progress reports while writing; a multiple of every page size.
WRITE_SIZE = 1024


@dataclass(frozen=True)
class Difference:
    """The first place where the MCU holds something else than the image.

    :param area: name of the memory, e.g. ``flash``
    :param address: from the start of that memory
    """

    area: str
    address: int
    expected: int
    found: int

    def __str__(self) -> str:
        return f"{self.area} 0x{self.address:04X}: expected 0x{self.expected:02X}, found 0x{self.found:02X}"


class TargetProgrammer:
    """A programming session: the MCU stands still from the beginning of the ``with`` block to its end, then starts.

    So a serial port that shall see the first line of the firmware is opened inside the block.

    :param serial_number: of the debugger
    :param mcu: name of the MCU, in any letter case
    :param pack: gives the folder of the scripts that such an MCU is programmed with, and is asked only for one that
        needs them; by default they come from the user's cache
    :param packed: as of DirectSession
    :raises AccessError: the kit or its MCU cannot be reached; the session is ended in any case
    """

    def __init__(
        self, serial_number: str, mcu: str, pack: Callable[[], Path] | None = None, packed: bool = True
    ) -> None:
        self.serial_number = serial_number
        self.mcu = mcu.lower()
        self._pack = pack
        self._packed = packed
        self._session: TargetSession | None = None

    def __enter__(self) -> TargetProgrammer:
        if mcu_by_name(self.mcu).programmed_with_scripts:
            pack = (self._pack or script_pack(os.environ, self.mcu))()
            self._session = ScriptSession(self.serial_number, self.mcu, pack)
        else:
            self._session = DirectSession(self.serial_number, self.mcu, packed=self._packed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        session, self._session = self._session, None
        if session is not None:
            session.abandon()

    def close(self) -> None:
        """End the session: the MCU starts. Nothing happens when it was ended before.

        :raises AccessError: the debugger did not take part in ending it
        """
        session, self._session = self._session, None
        if session is not None:
            session.end()

    @property
    def _open_session(self) -> TargetSession:
        assert self._session is not None, "only inside the 'with' block"
        return self._session

    def first_difference(self, image: HexImage, progress: Progress = no_progress) -> Difference | None:
        """Compare the MCU with the image; reading stops at the first difference.

        :param progress: called with bytes done and bytes in all
        :raises AccessError: the kit cannot be reached
        """
        done = 0
        for segment in image.segments:
            for chunk in segment.chunks(READ_SIZE):
                difference = _compare(chunk, self._read(chunk), image.mcu)
                if difference:
                    return difference
                done += len(chunk.data)
                progress(done, image.size)
        return None

    def read(self, area: Area, offset: int, size: int, progress: Progress = no_progress) -> bytes:
        """Read a memory of the MCU.

        :param offset: from the start of that memory
        :raises AccessError: the kit cannot be reached
        """
        data = bytearray()
        while len(data) < size:
            part = Segment(area, offset + len(data), bytes(min(READ_SIZE, size - len(data))))
            data += self._read(part)
            progress(len(data), size)
        return bytes(data)

    def program(self, image: HexImage, progress: Progress = no_progress) -> None:
        """Erase the chip and write the image; EEPROM and user row keep what the erase leaves, fuses that are right too.

        Of a user row with settings of the MCU, the bits that are the factory's keep their value.

        :param progress: called with bytes done and bytes in all
        :raises AccessError: the kit cannot be reached
        """
        self._open_session.erase()
        done = 0
        for segment in image.segments:
            for chunk in segment.chunks(WRITE_SIZE):
                self._write(chunk, image.mcu)
                done += len(chunk.data)
                progress(done, image.size)

    def verify(self, image: HexImage, progress: Progress = no_progress) -> None:
        """Read the image back.

        :raises ProofError: something else was read; names the first difference
        :raises AccessError: the kit cannot be reached
        """
        difference = self.first_difference(image, progress)
        if difference:
            raise ProofError(
                f"What was programmed into the MCU of kit {self.serial_number} does not read back",
                str(difference),
                "run the command again; when it happens again, try another USB cable or port.",
            )

    def _read(self, chunk: Segment) -> bytes:
        unit = chunk.area.unit
        before, behind = chunk.offset % unit, -chunk.end % unit
        size = before + len(chunk.data) + behind
        data = self._open_session.read(chunk.area.name, chunk.offset - before, size)
        return data[before : size - behind]

    def _write(self, chunk: Segment, mcu: Mcu) -> None:
        if chunk.area.name == USER_ROW and mcu.user_row_bits:
            self._write_user_row(chunk, mcu.user_row_bits)
            return
        parts: Iterator[Segment] = iter([chunk])
        if chunk.area.name == FUSES:
            now = self._read(chunk)
            parts = (fuse for fuse in chunk.chunks(1) if fuse.data[0] != now[fuse.offset - chunk.offset])
        for part in parts:
            self._open_session.write(part.area.name, part.offset, part.data)

    def _write_user_row(self, chunk: Segment, bits: Mapping[int, int]) -> None:
        """A write can only clear bits, so the row is erased where one has to be set; as seldom as can be."""
        area = chunk.area
        now = self._read(Segment(area, 0, bytes(area.size)))
        wanted = bytearray(now)
        for index, value in enumerate(chunk.data, start=chunk.offset):
            mask = bits.get(index, 0xFF)
            wanted[index] = now[index] & ~mask | value & mask
        with held():  # one piece: an interrupt between erase and write would lose the row
            if any(new & ~old for new, old in zip(wanted, now, strict=True)):
                self._open_session.erase(USER_ROW)
                now = b"\xff" * area.size
            for start in range(0, area.size, area.unit):
                end = start + area.unit
                if wanted[start:end] != now[start:end]:
                    self._open_session.write(USER_ROW, start, bytes(wanted[start:end]))


def script_pack(environment: Mapping[str, str], mcu: str) -> Callable[[], Path]:
    """What gives the folder of the scripts that an MCU is programmed with: fetched where it is not there, and checked.

    :param environment: variables of the process, which decide where it is kept
    """
    cache = FirmwareCache(environment)
    return lambda: cache.scripts_for(mcu)


def _compare(chunk: Segment, found: bytes, mcu: Mcu) -> Difference | None:
    if found == chunk.data:
        return None
    for index, expected in enumerate(chunk.data):
        address = chunk.offset + index
        if (found[index] ^ expected) & _bits_that_count(chunk.area, address, mcu):
            return Difference(chunk.area.name, address, expected, found[index])
    return None


def _bits_that_count(area: Area, address: int, mcu: Mcu) -> int:
    if area.name == FUSES and mcu.fuse_bits:
        # Reserved fuses read as the silicon likes; nobody can write them.
        return 0xFF if address in mcu.fuse_bits else 0
    if area.name == USER_ROW:
        return mcu.user_row_bits.get(address, 0xFF)
    return 0xFF


def reset_target(serial_number: str, mcu: str, pack: Callable[[], Path] | None = None, packed: bool = True) -> None:
    """Let the MCU start anew.

    :param pack: as of TargetProgrammer
    :param packed: as of TargetProgrammer
    :raises AccessError: the kit or its MCU cannot be reached
    """
    with TargetProgrammer(serial_number, mcu, pack, packed):
        pass
