"""More SWD transfers in a report than pyedbglib puts there, for MCUs that are programmed over CMSIS-DAP.

A CMSIS-DAP report may carry any number of transfers that fit it. pyedbglib uses one report for the address and one for
the data behind it, and does not look whether data arrived.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from pyedbglib.protocols.cmsisdap import CmsisDapSamDebugger
from pyedbglib.pyedbglib_errors import PyedbglibError

_WORD = 4
# Bytes before the words of an answer, and before the words of a block.
_ANSWER_HEAD, _BLOCK_HEAD = 3, 5
# A transfer with a word takes 5 bytes, a word of a block 4. Of the 64 words that pymcuprog has programmed at a stretch
# these go with the address, the others into four full blocks.
_WORDS_WITH_ADDRESS = 8

_SET_ADDRESS = CmsisDapSamDebugger.SWD_AP_TAR | CmsisDapSamDebugger.DAP_TRANSFER_APnDP
_WRITE_DATA = CmsisDapSamDebugger.SWD_AP_DRW | CmsisDapSamDebugger.DAP_TRANSFER_APnDP
_READ_DATA = _WRITE_DATA | CmsisDapSamDebugger.DAP_TRANSFER_RnW


class PackedSamDebugger(CmsisDapSamDebugger):  # type: ignore[misc]
    """Takes the place of the vendor's class: the same methods, the same errors, fewer reports.

    The address that the debug port counts up wraps after 1 KiB, so it is set anew there. Every acknowledge is looked
    at: a fault raises, wherever in a report it was.
    """

    def read_word(self, address: int) -> int:
        """A word from the bus of the MCU: address and data in one report.

        :raises PyedbglibError: the transfer failed
        """
        (word,) = struct.unpack("<I", self._transfer(address, [], 1))
        return int(word)

    def write_word(self, address: int, data: int) -> None:
        """A word to the bus of the MCU.

        :raises PyedbglibError: the transfer failed
        """
        self._transfer(address, [struct.pack("<I", data)])

    def read_block(self, address: int, numbytes: int) -> bytearray:
        """Bytes from the bus of the MCU; a multiple of 4.

        :raises PyedbglibError: a transfer failed
        """
        most = (self.transport.get_report_size() - _ANSWER_HEAD) // _WORD
        result = bytearray()
        for start, size in self._spans(address, numbytes, most * _WORD):
            result += self._transfer(start, [], size // _WORD)
        return result

    def write_block(self, address: int, data: bytes | bytearray) -> None:
        """Bytes to the bus of the MCU; a multiple of 4.

        :raises PyedbglibError: a transfer failed
        """
        most = (self.transport.get_report_size() - _BLOCK_HEAD) // _WORD * _WORD
        done = 0
        for start, size in self._spans(address, len(data), self.TAR_MAX):
            words = [bytes(data[done + place : done + place + _WORD]) for place in range(0, size, _WORD)]
            self._transfer(start, words[:_WORDS_WITH_ADDRESS])
            for place in range(_WORDS_WITH_ADDRESS * _WORD, size, most):
                self._write_on(start + place, bytes(data[done + place : done + min(size, place + most)]))
            done += size

    def _spans(self, address: int, size: int, most: int) -> Iterator[tuple[int, int]]:
        """Addresses and sizes of parts of a range in which the address can be counted up."""
        end = address + size
        while address < end:
            part = min(most, end - address, self.TAR_MAX - address % self.TAR_MAX)
            yield address, part
            address += part

    def _transfer(self, address: int, words: list[bytes], reads: int = 0) -> bytes:
        """Set the address, and write or read words from there on, in one report: what was read."""
        transfers = struct.pack("<BI", _SET_ADDRESS, address) + b"".join(bytes([_WRITE_DATA]) + word for word in words)
        count = 1 + len(words) + reads
        command = bytes([self.ID_DAP_Transfer, 0, count]) + transfers + bytes([_READ_DATA]) * reads
        answer = self._exchange(command)
        self._check(answer[1], count, answer[2], address)
        return answer[_ANSWER_HEAD : _ANSWER_HEAD + _WORD * reads]

    def _write_on(self, address: int, data: bytes) -> None:
        """Words to the address that the debug port has counted up to."""
        count = len(data) // _WORD
        answer = self._exchange(struct.pack("<BBHB", self.ID_DAP_TransferBlock, 0, count, _WRITE_DATA) + data)
        self._check(int.from_bytes(answer[1:3], "little"), count, answer[3], address)

    def _exchange(self, command: bytes) -> bytes:
        answer: Any = self.dap_command_response(bytearray(command))
        self._check_response(command, answer)
        return bytes(answer)

    def _check(self, done: int, count: int, acknowledge: int, address: int) -> None:
        if done != count or acknowledge != self.DAP_TRANSFER_OK:
            raise PyedbglibError(
                f"Transfer {done} of {count} failed (acknowledge 0x{acknowledge:02X}) from address 0x{address:08X} on"
            )
