"""The action ``application``: the demo or the user's own program, and the Wi-Fi network it joins."""

from __future__ import annotations

from collections.abc import Callable

from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.console import WifiNetwork
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.steps.flash import ImageInFlash
from iotprovision.steps.step import About, Progress, Step

ACTION = "application"


class Application(ImageInFlash):
    """The program that the kit runs from now on."""

    title = "Application"
    action = ACTION


class WifiSet(Step):
    """The Wi-Fi network, told to the demo on its console.

    :param join: lets the board join it, where that can be watched. Returns why it did not, empty when it did; None
        where nothing tells, as with a real board: the demo says nothing of it
    """

    title = "Wi-Fi network"
    action = ACTION
    about = About.KIT
    proof = "the demo answered OK: understood, not yet connected"
    would = "send it to the console of the demo"
    unaskable = "the demo does not tell which network it knows"

    def __init__(self, target: Target, network: WifiNetwork, join: Callable[[], str | None]) -> None:
        self._target = target
        self._network = network
        self._join = join

    def prepare(self) -> None:
        self._target.check_network(self._network)
        self._target.check_port()

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        with self._target.console() as console:
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
