"""The Wi-Fi network that a board joins."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.boards.board import Console
from iotprovision.boards.program import Program
from iotprovision.boards.wifi_network import WifiNetwork
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.steps.step import Progress, Step

Join = Callable[[], str | None]


class WifiSet(Step):
    """The network, told to the demo on its console.

    :param join: lets the board join it, where that can be watched. Returns why it did not, empty when it did; None
        where nothing tells, as with a real board: the demo says nothing of it
    :param check_port: raises where the port of the console cannot be opened
    """

    title = "Wi-Fi network"
    action = "application"
    proof = "the demo answered OK: understood, not yet connected"
    would = "send it to the console of the demo"
    unaskable = "the demo does not tell which network it knows"
    needs = Program.APPLICATION

    def __init__(self, console: Console, network: WifiNetwork, join: Join, check_port: Callable[[], None]) -> None:
        self._console = console
        self._network = network
        self._join = join
        self._check_port = check_port

    def prepare(self) -> None:
        self._console.check(self._network)
        self._check_port()

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        with self._console.open() as console:
            console.wait_ready()
            console.set_wifi(self._network)
        reason = self._join()
        if reason is None:
            return f"sent {self._network.ssid!r}"
        if reason:
            raise ProofError(
                "The board did not join the Wi-Fi network",
                f"{reason[:1].upper()}{reason[1:]}.",
                "check -ssid and the passphrase; the network that an emulated kit can join is that of --simulate-ap",
            )
        self.proof = "the demo answered OK, and its Wi-Fi module joined the network"
        return f"sent {self._network.ssid!r}, joined"
