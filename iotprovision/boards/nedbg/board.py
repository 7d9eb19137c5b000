"""A kit with an nEDBG: its parts, and its processor brought to the program that a step needs."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from iotprovision.boards.found import FoundKit
from iotprovision.boards.memory import CredentialMemory, Memory
from iotprovision.boards.nedbg.board_registers import BoardRegisters, Page
from iotprovision.boards.nedbg.debugger_upgrade import upgrade_debugger
from iotprovision.boards.nedbg.detection import find_again
from iotprovision.boards.nedbg.modem import ModemCertificates
from iotprovision.boards.nedbg.programming import Difference, TargetProgrammer, reset_target
from iotprovision.boards.nedbg.reboot import reboot_debugger
from iotprovision.boards.nedbg.secure_element import CertificateSlots, DataSlot, NamesInSlot, SecureElement
from iotprovision.boards.nedbg.supply import supply_voltage
from iotprovision.boards.nedbg.target_session import LOWEST_VOLTS
from iotprovision.boards.nedbg.wifi_module import ClientArea, ModuleFlash, RootStore
from iotprovision.boards.nedbg.wire.console import BAUD_RATE as CONSOLE_BAUD_RATE
from iotprovision.boards.nedbg.wire.console import Console as OpenConsole
from iotprovision.boards.nedbg.wire.console import console_kind
from iotprovision.boards.nedbg.wire.provisioning_link import BAUD_RATE, RESET_AGAIN_AFTER, ProvisioningLink
from iotprovision.boards.nedbg.wire.wifi_line import warnings
from iotprovision.boards.nedbg.wire.winc_bridge import BAUD_RATE as BRIDGE_BAUD_RATE
from iotprovision.boards.nedbg.wire.winc_bridge import WincBridge
from iotprovision.boards.program import Program
from iotprovision.boards.serial_port import SerialLine, open_port
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ProvisioningError, SerialLinkError, UsageError
from iotprovision.findings import CannotKnowError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.progress import Progress, no_progress

log = logging.getLogger(__name__)

# A port vanishes while a debugger starts anew, and some systems probe every new port for a modem.
PORT_WAIT = 10.0
# Long enough for a port that another run is just closing; a person waits for this one.
PROBE_WAIT = 2.0

MEMORIES: tuple[type[Memory], ...] = (ClientArea, RootStore, ModemCertificates, DataSlot, BoardRegisters)
"""All that kits of this family keep something in."""


class Microcontroller:
    """The memories of the MCU.

    :param session: the programming session, in which the MCU stands still
    """

    def __init__(self, mcu: str, session: Callable[[], TargetProgrammer]) -> None:
        self.mcu = mcu
        self._session = session

    def first_difference(self, image: HexImage, progress: Progress) -> Difference | None:
        """The first place where flash or fuses hold something else than the image."""
        return self._session().first_difference(image, progress)

    def read(self, area: str, offset: int, size: int, progress: Progress = no_progress) -> bytes:
        """Read a memory of the MCU, by its name."""
        return self._session().read(mcu_by_name(self.mcu).areas[area], offset, size, progress)

    def program(self, image: HexImage, progress: Progress) -> None:
        """Erase the MCU and write the image."""
        self._session().program(image, progress)


class NedbgBoard:
    """A context manager that leaves the MCU running and the port closed.

    Programming and comparing happen in one session as long as nothing starts the MCU in between.

    :param sleep: waits for so many seconds
    :param pack: gives the folder of the scripts that the MCU is programmed with, where it is one that needs them
    :param given_port: serial port that was chosen; without it the kit's own is used, and found again when it may have
        another name
    :param packed: as of TargetProgrammer
    """

    def __init__(
        self,
        kit: FoundKit,
        sleep: Callable[[float], None] = time.sleep,
        given_port: str | None = None,
        pack: Callable[[], Path] | None = None,
        packed: bool = True,
    ) -> None:
        self._kit = kit
        self._pack = pack
        self._packed = packed
        self._given_port = given_port
        self._sleep = sleep
        self._session: TargetProgrammer | None = None
        self._line: SerialLine | None = None
        self._provisioning: ProvisioningLink | None = None
        self._bridge: WincBridge | None = None
        number = kit.serial_number
        self.programmer = Microcontroller(kit.mcu, self._programming_session)
        self.key = self.factory = SecureElement(self.link)
        self.page = Page(number, kit.name, kit.name_given, kit.kit.links)
        self.debugger = NedbgDebugger(self)
        self._module_flash = ModuleFlash(self.link)
        registers = BoardRegisters(number)
        self.credentials: tuple[CredentialMemory, ...]
        self.memories: tuple[Memory, ...]
        self.root_store: RootStore | None
        if self.has_wifi:
            client_area, self.root_store = ClientArea(self._module_flash), RootStore(self._module_flash)
            self.application_data: DataSlot | None = DataSlot(self.key)
            self.credentials = (client_area,)
            self.memories = (client_area, self.root_store, self.application_data, registers)
            self.slots: CertificateSlots | None = CertificateSlots(self.key)
            self.wifi_module: NedbgWifiModule | None = NedbgWifiModule(self)
        else:
            names, modem = NamesInSlot(self.key, kit.name), ModemCertificates(self.link)
            # First the slot, because it alone may be refused for good; in a backup only the modem tells whose it is.
            self.credentials = (names, modem)
            self.memories = (modem, names, registers)
            # The vendor's tool leaves these slots of a kit with a modem open, and nothing on it reads them.
            self.slots = self.root_store = self.application_data = None
            self.wifi_module = None
        self.console = NedbgConsole(self) if kit.kit.has_console else None

    def __enter__(self) -> NedbgBoard:
        return self

    def __exit__(self, *_: object) -> None:
        """Start the MCU if it stands still; bring it out of an unfinished blob or frame."""
        talking = self._provisioning or self._bridge
        unfinished = talking is not None and talking.needs_target_reset
        with contextlib.suppress(ProvisioningError):
            self.hang_up()
        with contextlib.suppress(ProvisioningError):
            if self._session is not None:
                self._release()
            elif unfinished:
                self._reset()

    # --- who it is

    @property
    def kit(self) -> FoundKit:
        """The kit as it was when it was last found."""
        return self._kit

    @property
    def has_wifi(self) -> bool:
        """Whether it connects over Wi-Fi; otherwise over a cellular network."""
        return self._kit.kit.has_wifi

    def find_again(self) -> None:
        """Its port and the version of its debugger may be others.

        :raises KitNotFoundError, AccessError: it is not there any more
        """
        self._kit = find_again(self._kit, self._given_port)

    # --- before anything is done

    def check_mcu(self) -> None:
        """Make sure that the MCU can be programmed, and is the one of the kit. Stops the MCU.

        :raises AccessError: it has no power, is locked, or is another one
        """
        self._programming_session()

    def check_port(self) -> None:
        """Make sure that the serial port can be opened, before anything is done that needs it later.

        :raises SerialLinkError: it is absent, or held by another program
        :raises AccessError: this user may not open it
        """
        if self._line is None:
            open_port(self._port(), BAUD_RATE, wait=PROBE_WAIT).close()

    def check_network(self, network: WifiNetwork, demo_of: str) -> tuple[str, ...]:
        """Make sure that the kit can be told a Wi-Fi network.

        :param demo_of: the cloud whose demo the kit will hold; empty for another application
        :returns: what is accepted and may well not work
        :raises UsageError: it has no Wi-Fi, or the console of what it will hold cannot take the network
        """
        if not self.has_wifi:
            raise UsageError(
                f"{self._kit.name} has no Wi-Fi: it connects over a cellular network",
                "Nothing was changed.",
                "leave out -ssid and the passphrase",
            )
        if demo_of in self._kit.kit.demos_without_network:
            raise UsageError(
                f"The vendor's {demo_of.capitalize()} demo application for {self._kit.name} takes no Wi-Fi network",
                "Its console has no command for it. Nothing was changed.",
                "leave out -ssid and the passphrase",
            )
        return self.console.check(network) if self.console else ()

    # --- what runs

    def bring(self, program: Program) -> None:
        """Let the MCU run this program, which it must hold.

        :raises SerialLinkError: the program does not answer
        :raises ChipRefusedError: the bridge cannot reach the Wi-Fi module
        """
        if program is Program.NONE:
            self._programming_session()
        elif program is Program.ANY:
            self._release()
        elif program is Program.APPLICATION:
            self.hang_up()
            self._release()
        elif program is Program.PROVISIONING and self._provisioning is None:
            self.start_provisioning()
        elif program is Program.BRIDGE and self._bridge is None:
            self.start_bridge()

    def link(self) -> ProvisioningLink:
        """The conversation with the provisioning firmware.

        :raises CannotKnowError: it does not run, because this is a dry run and the MCU holds something else
        """
        if self._provisioning is None:
            raise CannotKnowError("can be read only with the provisioning firmware in the MCU")
        return self._provisioning

    def bridge(self) -> WincBridge:
        """The conversation with the bridge to the Wi-Fi module.

        :raises CannotKnowError: it does not run, because this is a dry run and the MCU holds something else
        """
        if self._bridge is None:
            raise CannotKnowError("can be read only with the bridge in the MCU")
        return self._bridge

    def start_provisioning(self) -> None:
        """Let the MCU run the provisioning firmware, and wait until it takes commands.

        :raises SerialLinkError: it does not answer
        """
        # The port is opened while the MCU still stands, so that the line READY is not missed.
        line = self._start_with_line(BAUD_RATE)
        link = ProvisioningLink(line, owned=self._module_flash.owned, owned_slots=self.key.owned)
        if link.wait_ready().about is None:
            log.info("the firmware did not reach the Wi-Fi module; resetting it once more")
            self._sleep(RESET_AGAIN_AFTER)
            link.reset()
        self._provisioning = link

    def start_bridge(self) -> None:
        """Let the MCU run the bridge to the Wi-Fi module, and wait until it answers; resets one that runs.

        :raises SerialLinkError: it does not answer
        :raises ChipRefusedError: it cannot reach the module
        """
        bridge = WincBridge(self._start_with_line(BRIDGE_BAUD_RATE), self._sleep)
        bridge.wait_ready()
        self._bridge = bridge

    @contextlib.contextmanager
    def open_console(self) -> Iterator[SerialLine]:
        """The port at the speed of the demo's console; the demo must be what runs."""
        self.hang_up()
        with open_port(self._port(), CONSOLE_BAUD_RATE, wait=PORT_WAIT) as line:
            yield line

    def let_run(self) -> None:
        """End whatever holds the MCU or its port, before the debugger itself is restarted."""
        self.hang_up()
        self._release()

    def hang_up(self) -> None:
        """End the conversation with what runs."""
        self._provisioning = self._bridge = None
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _start_with_line(self, baud_rate: int) -> SerialLine:
        self.hang_up()
        self._line = open_port(self._port(), baud_rate, wait=PORT_WAIT)
        if self._session is not None:
            self._release()
        else:
            self._reset()
        return self._line

    def _programming_session(self) -> TargetProgrammer:
        if self._session is None:
            self.hang_up()
            programmer = TargetProgrammer(self._kit.serial_number, self._kit.mcu, self._pack, self._packed)
            self._session = programmer.__enter__()
        return self._session

    def _reset(self) -> None:
        reset_target(self._kit.serial_number, self._kit.mcu, self._pack, self._packed)

    def _release(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _port(self) -> str:
        if self._kit.port is None:
            raise SerialLinkError(
                f"The kit {self._kit.serial_number} shows no serial port",
                "It is looked for by the serial number of the debugger.",
                "name the port with -P; on Linux, look whether /dev/ttyACM* appears when the kit is plugged in",
            )
        return self._kit.port


class NedbgDebugger:
    """The debugger of a kit."""

    def __init__(self, board: NedbgBoard) -> None:
        self._board = board

    @property
    def version(self) -> str:
        """major.minor.build"""
        return self._board.kit.debugger_version

    @property
    def lowest_voltage(self) -> float:
        """Volts that the MCU needs at least."""
        return LOWEST_VOLTS

    def supply_voltage(self) -> float:
        """What it measures at the MCU, in volts; no programming session is needed."""
        return supply_voltage(self._board.kit.serial_number)

    def ask_again(self) -> None:
        """Do not rely on what it said when it was found."""
        self._board.find_again()

    def restart(self) -> None:
        """Restart it, and with it the MCU; return when the kit is back."""
        self._board.let_run()
        reboot_debugger(self._board.kit.serial_number)

    def upgrade(self, archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> None:
        """Put other firmware into it; return when the kit is back. The MCU restarts.

        :param turn: taken while a debugger is in boot mode
        """
        self._board.let_run()
        upgrade_debugger(self._board.kit.serial_number, archive, turn, progress)
        self._board.find_again()


class NedbgConsole:
    """The console of the demo application."""

    def __init__(self, board: NedbgBoard) -> None:
        self._board = board

    def check(self, network: WifiNetwork) -> tuple[str, ...]:
        """What it takes and may well not work.

        :raises UsageError: it cannot take this network
        """
        console_kind(self._board.kit.kit.console).wifi_line(network)
        return warnings(network)

    @contextlib.contextmanager
    def open(self) -> Iterator[OpenConsole]:
        """The demo must be what runs."""
        with self._board.open_console() as line:
            yield console_kind(self._board.kit.kit.console)(line)


class NedbgWifiModule:
    """The firmware of the Wi-Fi module."""

    def __init__(self, board: NedbgBoard) -> None:
        self._board = board

    def bridge(self) -> WincBridge:
        """:raises CannotKnowError: it does not run, because this is a dry run"""
        return self._board.bridge()

    def start_bridge_anew(self) -> None:
        """A bridge that lost the module never answers again."""
        self._board.start_bridge()

    def firmware_version(self) -> str:
        """What the module says, through the provisioning firmware; empty where it does not tell."""
        return self._board.link().about().winc_firmware or ""
