"""What the firmware of the simulated WINC1510 does once it runs: Wi-Fi and TLS, asked for over the host interface."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.board.surroundings import Surroundings
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.radio.host_interface import HostInterface
from iotprovision.simulator.radio.sockets import TlsSockets
from iotprovision.simulator.radio.station import WifiStation


class WincFirmware:
    """The running firmware.

    :param set_interrupt: sets the level of the interrupt pin
    :param surroundings: what the radio reaches at the moment; None for nothing
    """

    def __init__(
        self,
        module: Winc1510,
        set_interrupt: Callable[[bool], None],
        surroundings: Callable[[], Surroundings | None],
        record: ConnectionRecord,
    ) -> None:
        self._host = HostInterface(module, set_interrupt)
        self._station = WifiStation(self._host, module.flash, surroundings, record)
        self._sockets = TlsSockets(self._host, module.flash, surroundings, self._station, record)
        self._station.left = self._sockets.drop

    def reset(self) -> None:
        """RESET_N was low."""
        self._host.reset()
        self._station.reset()
        self._sockets.drop()

    def tick(self, now: float) -> None:
        """Simulated time has come to ``now`` seconds."""
        self._sockets.tick()
        self._host.tick(now)
