"""The steps that put backups back, in the order of danger: chips, registers, and the application last."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

from iotprovision.boards.memory import Memory
from iotprovision.errors import StoreError, UsageError
from iotprovision.firmware.hex_image import HexImage
from iotprovision.formats.winc_image import WincImage
from iotprovision.runs.board_session import BoardSession
from iotprovision.steps.kept_application import KIND as APPLICATION_KIND
from iotprovision.steps.links import DebuggerRestarted
from iotprovision.steps.programs import ApplicationRestored
from iotprovision.steps.restoring import restored
from iotprovision.steps.step import Step
from iotprovision.steps.wifi_module_firmware import KIND as WIFI_MODULE_KIND
from iotprovision.steps.wifi_module_firmware import WifiModuleFirmware
from iotprovision.store import backups
from iotprovision.store.backups import Backup

COMMAND = "restore"
APPLICATION, WIFI_FIRMWARE = "application", "wifi-firmware"
PROGRAMS = {
    APPLICATION: (APPLICATION_KIND, "the application"),
    WIFI_FIRMWARE: (WIFI_MODULE_KIND, "firmware of the Wi-Fi module"),
}
"""What is no memory of its own and has backups all the same: how they are called, and what a person calls it."""


class Parts:
    """What can be put back, by the names that the command line has for it.

    :param memories: all that boards keep something in, or those of one board
    """

    def __init__(self, memories: Iterable[Memory | type[Memory]]) -> None:
        of_memories = {memory.part: (memory.kind, memory.called) for memory in memories}
        parts = {APPLICATION: PROGRAMS[APPLICATION], **of_memories, WIFI_FIRMWARE: PROGRAMS[WIFI_FIRMWARE]}
        self.names = tuple(parts)
        self.kinds = {part: kind for part, (kind, _) in parts.items()}
        self.called = {part: called for part, (_, called) in parts.items()}

    def of(self, backup: Backup) -> str:
        """The part that a backup is of."""
        return next(part for part, kind in self.kinds.items() if backup.kind.startswith(kind))


def why_passed_over(session: BoardSession, part: str, backup: Backup) -> str:
    """Why a backup is whole and of no use all the same: it is the state after a write that was broken off.

    :returns: empty where it is of use, or where it is to be refused when it is read
    """
    memory = _memory(session, part)
    if memory is None:
        return ""
    try:
        return memory.why_broken(backups.read(session.files, backup, as_it_is=True))
    except StoreError:
        return ""


def restore(session: BoardSession, chosen: Mapping[str, Backup], as_they_are: bool) -> None:
    """Put backups back and prove it.

    :param chosen: by the names that the command line has for the parts
    :param as_they_are: take also backups that nothing tells about
    :raises StoreError: a backup is damaged, or of another kit
    """
    files, board = session.files, session.board
    loads = {part: functools.partial(backups.read, files, backup, as_they_are) for part, backup in chosen.items()}
    for load in loads.values():
        load()  # a backup that is of no use is found before anything is done
    steps: list[Step] = []
    if WIFI_FIRMWARE in chosen:
        steps.append(_wifi_firmware(session, loads[WIFI_FIRMWARE], chosen[WIFI_FIRMWARE].name))
    for memory in board.memories:
        if memory.part in chosen:
            path = files.path(chosen[memory.part].name)
            steps.append(restored(memory, loads[memory.part], path, session.keeper(COMMAND), board.key))
            if memory.is_read_when_board_starts:
                steps.append(DebuggerRestarted(board.debugger, steps[-1]))
    application = None
    if APPLICATION in chosen:
        path, mcu = files.path(chosen[APPLICATION].name), session.kit.mcu
        application = ApplicationRestored(board.programmer, lambda: HexImage.load(path, mcu), path.name)
    session.execute(steps, application)


def _memory(session: BoardSession, part: str) -> Memory | None:
    return next((memory for memory in session.board.memories if memory.part == part), None)


def _wifi_firmware(session: BoardSession, load: Callable[[], bytes], name: str) -> WifiModuleFirmware:
    module, left_out = session.board.wifi_module, session.kit.kit.left_out.get("wincupgrade")
    if module is None or left_out:
        raise UsageError(
            f"This version does not write the firmware of the Wi-Fi module of {session.kit.name}",
            f"{left_out}\nNothing was changed.",
        )
    keeper = session.keeper(COMMAND)
    image = functools.partial(_image, load, name)
    return WifiModuleFirmware(module, image, keeper.files, keeper.clock, thorough=True, newer_will_do=False)


def _image(load: Callable[[], bytes], name: str) -> WincImage:
    return WincImage(load(), name)
