"""Provisioning firmware of kits for cellular networks, modelled: no Wi-Fi module, but a bridge to the modem.

1.1.8 of the AVR-IoT Cellular Mini and 0.3.1 of the AVR-IoT Cellular; both were executed in the emulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from iotprovision.simulator.board.board import Board
from iotprovision.simulator.models.chip_drivers import SecureElementDriver, WifiModuleDriver
from iotprovision.simulator.models.provisioning_commands import (
    ARGUMENT_VALUE,
    HANDLER_VERSION,
    Command,
    CommandError,
    ProvisioningCommands,
    check_count,
)
from iotprovision.simulator.models.provisioning_editions import CELLULAR_MINI, Edition
from iotprovision.simulator.models.provisioning_firmware import ProvisioningFirmware

LEAVE_BRIDGE = 0x04


class CellularCommands(ProvisioningCommands):
    """The commands of this firmware; ``bridge`` is what ``MC+BRIDGEMODE`` switched on."""

    def __init__(
        self, secure_element: SecureElementDriver, wifi_module: WifiModuleDriver, edition: Edition = CELLULAR_MINI
    ) -> None:
        super().__init__(secure_element, wifi_module, edition)
        own = {command.name: command for command in self.table if not command.name.startswith(b"MC+WINC")}
        own[b"MC+BRIDGEMODE"] = Command(b"MC+BRIDGEMODE", False, self._bridge_mode)
        first = (b"MC+ABOUT", b"MC+BLOBTEST", b"MC+PING")
        self.table = tuple(own[name] for name in (*first, *sorted(own.keys() - set(first))))
        self.bridge = False
        self.bridge_is_permanent = False
        self.program = b""
        """Program memory of the MCU."""

    def _about(self, _arguments: list[bytes], _blob_length: int) -> int:
        lines = (
            self._edition.product,
            b"FW " + self._edition.version,
            b"Command handler " + HANDLER_VERSION.encode(),
            b"for the " + self._edition.board,
        )
        return self._text(b"".join(line + b"\r\n" for line in lines))

    def _ping(self, arguments: list[bytes], _blob_length: int) -> int:
        place = self._edition.misread_ping
        if place is None:
            return super()._ping(arguments, _blob_length)
        # Firmware 0.3.1 hands a pointer of 16 bits to a printf that takes one of 24, and the third byte is what
        # happens to lie behind it.
        check_count(arguments, 1)
        return self._text(b"MC+PONG=" + self.program[place:].split(b"\0")[0])

    def _version(self, arguments: list[bytes], blob_length: int) -> int:
        if arguments == [b"WINC"]:
            raise CommandError(ARGUMENT_VALUE)
        return super()._version(arguments, blob_length)

    def _bridge_mode(self, arguments: list[bytes], _blob_length: int) -> int:
        check_count(arguments, 0, 1)
        if arguments not in ([], [b"PERMANENT"]):
            raise CommandError(ARGUMENT_VALUE)
        self.bridge, self.bridge_is_permanent = True, bool(arguments)
        return 0


class CellularProvisioningFirmware(ProvisioningFirmware):
    """The firmware on the MCU of a board with a modem."""

    commands = CellularCommands

    def __init__(self, board: Board, edition: Edition = CELLULAR_MINI) -> None:
        assert board.modem is not None, "the board has a modem"
        self._modem = board.modem
        self._program = bytes(board.flash)
        super().__init__(board.secure_element, board.wifi_module, edition)

    def _clear(self) -> None:
        super()._clear()
        self._own_commands.program = self._program

    def start(self) -> bytes:
        if self._edition.resets_modem:
            self._modem.power_up()
        return super().start()

    def take(self, character: int) -> Iterator[tuple[bytes, float]]:
        """While the bridge stands, all is the modem's, also the line feed behind the command that asked for it."""
        if self._own_commands.bridge:
            if character == LEAVE_BRIDGE and not self._own_commands.bridge_is_permanent:
                self._own_commands.bridge = False
                yield b"OK\r\n", 0
            else:
                yield self._modem.receive(bytes([character])), 0
            return
        yield from super().take(character)
        if self._own_commands.bridge:
            yield self._modem.listen(), 0

    @property
    def _own_commands(self) -> CellularCommands:
        return cast(CellularCommands, self._commands)
