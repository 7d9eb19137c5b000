"""The action ``application``: the demo or the user's own program, and the Wi-Fi network it joins."""

from __future__ import annotations

from iotprovision.actions.flash import ImageInFlash
from iotprovision.findings import Finding, State
from iotprovision.kit.target import Target
from iotprovision.steps import Progress, Step
from iotprovision.wire.console import WifiNetwork

ACTION = "application"


class Application(ImageInFlash):
    """The program that the kit runs from now on."""

    title = "Application"
    action = ACTION


class WifiSet(Step):
    """The Wi-Fi network, told to the demo on its console."""

    title = "Wi-Fi network"
    action = ACTION
    proof = "the demo answered OK: understood, not yet connected"
    would = "send it to the console of the demo"
    unaskable = "the demo does not tell which network it knows"

    def __init__(self, target: Target, network: WifiNetwork) -> None:
        self._target = target
        self._network = network

    def prepare(self) -> None:
        self._target.check_network(self._network)
        self._target.check_port()

    def check(self, progress: Progress) -> Finding:
        return Finding(State.UNKNOWN, self.unaskable)

    def apply(self, progress: Progress) -> str:
        with self._target.console() as console:
            console.wait_ready()
            console.set_wifi(self._network)
        return f"sent {self._network.ssid!r}"
