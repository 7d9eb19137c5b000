"""The board registers in the debugger of a kit: all of them as a memory, and those behind the page on its drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from iotprovision.boards.memory import Difference, Memory
from iotprovision.boards.nedbg import registers
from iotprovision.boards.nedbg.link_registers import PageLink, read_page_link
from iotprovision.boards.program import Program
from iotprovision.progress import Progress, no_progress


class BoardRegisters(Memory):
    """All 512 bytes.

    :param serial_number: of the debugger
    """

    part = "registers"
    kind = "board-config"
    called = "board registers"
    needs = Program.ANY
    is_read_when_board_starts = True

    def __init__(self, serial_number: str) -> None:
        self._serial_number = serial_number

    def read(self, progress: Progress = no_progress) -> bytes:
        return registers.read_block(self._serial_number)

    def difference(self, wanted: bytes, progress: Progress, exact: bool) -> Difference | None:
        count = sum(one != other for one, other in zip(self.read(), wanted, strict=False))
        return Difference(f"{count} bytes are others") if count else None

    def write(self, content: bytes, progress: Progress) -> str:
        registers.restore(self._serial_number, content)
        return self.shown(content)

    def is_blank(self, content: bytes) -> bool:
        """Never: without them nothing tells which board it is."""
        return False

    def blank(self) -> bytes:
        raise AssertionError("nobody empties the registers of a board")

    def check(self, content: bytes, source: str) -> None:
        registers.check_saved(self._serial_number, content)


class Page:
    """The page on the drive of a kit (CLICK-ME.HTM), which leads to a cloud and may name the device.

    :param kit_name: for messages
    :param kit_is_said: nobody but a person said which kit it is
    :param codes: what the register that chooses the page holds for each page
    """

    needs = Program.ANY
    kind = BoardRegisters.kind

    def __init__(self, serial_number: str, kit_name: str, kit_is_said: bool, codes: Mapping[str, int]) -> None:
        self._serial_number = serial_number
        self._codes = codes
        self._kit_is_said = kit_is_said
        self.kit_name = kit_name
        self.names = tuple(codes)

    def check(self) -> None:
        """Make sure that there are registers, before anything is done. Kits that said their name have read them.

        :raises AccessError: the debugger does not tell them
        """
        if self._kit_is_said:
            registers.read(self._serial_number, ["KITNAME"])

    def read(self) -> PageLink:
        """Where it leads to; the debugger is asked."""
        return read_page_link(self._serial_number)

    def name_of(self, code: int) -> str:
        """The page with this code; empty for one that is not known."""
        return next((name for name, known in self._codes.items() if known == code), "")

    def differences(self, page: str, device: str | None) -> Mapping[str, tuple[object, object]]:
        """The registers that are not as they shall be, each with what it holds and what it shall.

        :param device: what the page is told about the kit, hex digits; None leaves what the board holds
        """
        return registers.differences(self._serial_number, self._wanted(page, device).registers)

    def write(self, page: str, device: str | None, keep: Callable[[bytes], None]) -> list[str]:
        """Make it lead there.

        :param keep: is given all registers as they were, before anything is written
        :returns: the registers that were written
        """
        written = registers.write(self._serial_number, self._wanted(page, device).registers, keep)
        return list(written.changed)

    def _wanted(self, page: str, device: str | None) -> registers.LinkRegisters:
        code = self._codes[page]
        return registers.LinkRegisters(code) if device is None else registers.LinkRegisters.for_device(code, device)
