"""The MCU of one kit: the image in its flash, and the conversation with what runs."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from iotprovision.boards.found import FoundKit
from iotprovision.boards.nedbg.debugger_upgrade import upgrade_debugger
from iotprovision.boards.nedbg.detection import find_again
from iotprovision.boards.nedbg.programming import Difference, TargetProgrammer, reset_target
from iotprovision.boards.nedbg.reboot import reboot_debugger
from iotprovision.boards.nedbg.wire.console import BAUD_RATE as CONSOLE_BAUD_RATE
from iotprovision.boards.nedbg.wire.console import Console, console_kind
from iotprovision.boards.nedbg.wire.provisioning_link import BAUD_RATE, RESET_AGAIN_AFTER, ProvisioningLink
from iotprovision.boards.nedbg.wire.winc_bridge import BAUD_RATE as BRIDGE_BAUD_RATE
from iotprovision.boards.nedbg.wire.winc_bridge import WincBridge
from iotprovision.boards.serial_port import SerialLine, open_port
from iotprovision.boards.upgrade_turn import UpgradeTurn
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ProvisioningError, SerialLinkError
from iotprovision.firmware.debugger_archive import DebuggerArchive
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import mcu_by_name
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT
from iotprovision.formats.winc_flash import CLIENT_AREA, FlashArea
from iotprovision.progress import Progress, no_progress

log = logging.getLogger(__name__)

# A port vanishes while a debugger starts anew, and some systems probe every new port for a modem.
PORT_WAIT = 10.0
# Long enough for a port that another run is just closing; a person waits for this one.
PROBE_WAIT = 2.0


class Target:
    """Programs the MCU and talks to it; a context manager that leaves the MCU running and the port closed.

    Programming and comparing happen in one session as long as nothing starts the MCU in between.

    :param sleep: waits for so many seconds
    :param pack: gives the folder of the scripts that the MCU is programmed with, where it is one that needs them
    :param given_port: serial port that was chosen; without it the kit's own is used, and found again when it may have
        another name
    :param owned: the areas of the Wi-Fi module's flash that may be written by way of the provisioning firmware
    :param packed: as of TargetProgrammer
    """

    def __init__(
        self,
        kit: FoundKit,
        sleep: Callable[[float], None] = time.sleep,
        given_port: str | None = None,
        pack: Callable[[], Path] | None = None,
        owned: tuple[FlashArea, ...] = (CLIENT_AREA,),
        packed: bool = True,
    ) -> None:
        self._kit = kit
        self._pack = pack
        self._packed = packed
        self._given_port = given_port
        self._owned = owned
        self._sleep = sleep
        self._programmer: TargetProgrammer | None = None
        self._line: SerialLine | None = None
        self.provisioning: ProvisioningLink | None = None
        """The conversation with the provisioning firmware, while it runs."""
        self.bridge: WincBridge | None = None
        """The conversation with the bridge to the Wi-Fi module, while it runs."""

    def __enter__(self) -> Target:
        return self

    @property
    def kit(self) -> FoundKit:
        """The kit as it was when it was last found."""
        return self._kit

    def refresh(self) -> None:
        """Find the kit again: its port and the version of its debugger may be others.

        :raises KitNotFoundError, AccessError: as in find_again()
        """
        self._kit = find_again(self._kit, self._given_port)

    def __exit__(self, *_: object) -> None:
        """Start the MCU if it stands still; bring it out of an unfinished blob or frame."""
        talking = self.provisioning or self.bridge
        unfinished = talking is not None and talking.needs_target_reset
        with contextlib.suppress(ProvisioningError):
            self._hang_up()
        with contextlib.suppress(ProvisioningError):
            if self._programmer is not None:
                self.start()
            elif unfinished:
                self._reset()

    def check_mcu(self) -> None:
        """Make sure that the MCU can be programmed, and is the one of the kit. Stops the MCU.

        :raises AccessError: it has no power, is locked, or is another one
        """
        self._session()

    def check_port(self) -> None:
        """Make sure that the serial port can be opened, before anything is done that needs it later.

        :raises SerialLinkError: it is absent, or held by another program
        :raises AccessError: this user may not open it
        """
        if self._line is None:
            open_port(self._port(), BAUD_RATE, wait=PROBE_WAIT).close()

    def check_network(self, network: WifiNetwork) -> None:
        """Make sure that the console of the kit's demo can take a Wi-Fi network, before anything is done.

        :raises UsageError: it cannot
        """
        console_kind(self._kit.kit.console).wifi_line(network)

    def first_difference(self, image: HexImage, progress: Progress) -> Difference | None:
        """The first place where flash or fuses hold something else than the image. Stops the MCU."""
        return self._session().first_difference(image, progress)

    def read(self, area: str, offset: int, size: int, progress: Progress = no_progress) -> bytes:
        """Read a memory of the MCU, by its name. Stops the MCU."""
        return self._session().read(mcu_by_name(self._kit.mcu).areas[area], offset, size, progress)

    def program(self, image: HexImage, progress: Progress) -> None:
        """Erase the MCU and write the image. Stops the MCU."""
        self._session().program(image, progress)

    def start(self) -> None:
        """Let the MCU run what is in its flash."""
        self._hang_up()
        self._release()

    def free_debugger(self) -> None:
        """End a programming session, so that something else can be asked of the debugger. A conversation goes on."""
        self._release()

    def start_provisioning(self) -> None:
        """Let the MCU run the provisioning firmware, and wait until it takes commands.

        :raises SerialLinkError: it does not answer
        """
        self._hang_up()
        # The port is opened while the MCU still stands, so that the line READY is not missed.
        self._line = open_port(self._port(), BAUD_RATE, wait=PORT_WAIT)
        link = ProvisioningLink(self._line, owned=self._owned, owned_slots=(PROVISIONING_DATA_SLOT,))
        if self._programmer is not None:
            self._release()
        else:
            self._reset()
        if link.wait_ready().about is None:
            log.info("the firmware did not reach the Wi-Fi module; resetting it once more")
            self._sleep(RESET_AGAIN_AFTER)
            link.reset()
        self.provisioning = link

    def start_bridge(self) -> None:
        """Let the MCU run the bridge to the Wi-Fi module, and wait until it answers; resets one that runs.

        :raises SerialLinkError: it does not answer
        :raises ChipRefusedError: it cannot reach the module
        """
        self._hang_up()
        self._line = open_port(self._port(), BRIDGE_BAUD_RATE, wait=PORT_WAIT)
        if self._programmer is not None:
            self._release()
        else:
            self._reset()
        bridge = WincBridge(self._line, self._sleep)
        bridge.wait_ready()
        self.bridge = bridge

    @contextlib.contextmanager
    def console(self) -> Iterator[Console]:
        """The console of the demo application, which must be what runs."""
        self._hang_up()
        with open_port(self._port(), CONSOLE_BAUD_RATE, wait=PORT_WAIT) as line:
            yield console_kind(self._kit.kit.console)(line)

    def reboot_debugger(self) -> None:
        """Restart the debugger, and with it the MCU; return when the kit is back."""
        self._hang_up()
        if self._programmer is not None:
            self._release()
        reboot_debugger(self._kit.serial_number)

    def upgrade_debugger(self, archive: DebuggerArchive, turn: UpgradeTurn, progress: Progress) -> None:
        """Put other firmware into the debugger; return when the kit is back. The MCU restarts."""
        self._hang_up()
        if self._programmer is not None:
            self._release()
        upgrade_debugger(self._kit.serial_number, archive, turn, progress)
        self.refresh()

    def _session(self) -> TargetProgrammer:
        if self._programmer is None:
            self._hang_up()
            programmer = TargetProgrammer(self._kit.serial_number, self._kit.mcu, self._pack, self._packed)
            self._programmer = programmer.__enter__()
        return self._programmer

    def _reset(self) -> None:
        reset_target(self._kit.serial_number, self._kit.mcu, self._pack, self._packed)

    def _release(self) -> None:
        programmer, self._programmer = self._programmer, None
        if programmer is not None:
            programmer.close()

    def _hang_up(self) -> None:
        self.provisioning = self.bridge = None
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _port(self) -> str:
        if self._kit.port is None:
            raise SerialLinkError(
                f"The kit {self._kit.serial_number} shows no serial port",
                "It is looked for by the serial number of the debugger.",
                "name the port with -P; on Linux, look whether /dev/ttyACM* appears when the kit is plugged in",
            )
        return self._kit.port
