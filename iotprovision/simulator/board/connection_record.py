"""What a simulated Wi-Fi module saw of the connections that the program on the MCU made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from iotprovision.simulator.board.mqtt_traffic import MqttTraffic

if TYPE_CHECKING:
    from iotprovision.simulator.board.surroundings import Attempt


@dataclass
class ConnectionRecord:
    """Written by the module while it works, read by whoever wants to know.

    :ivar asked_for: the network that the host named last; empty while the module joined only what it had saved
    :ivar ssid: the network that was joined last
    :ivar refused_joins: why a network was not joined, each time
    :ivar endpoint: the host name that was asked for last
    :ivar attempts: the connections to the cloud
    :ivar certificate: the device certificate that was shown, DER
    :ivar signer: the certificate that was shown with it, DER
    :ivar traffic: MQTT on the connection that is under way or was the last
    """

    CLOSED: ClassVar[str] = "the server closed the connection without an answer"
    """The reason that a device gets which registers itself: it may well be accepted the next time."""

    asked_for: str = ""
    ssid: str = ""
    refused_joins: list[str] = field(default_factory=list)
    endpoint: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    certificate: bytes = b""
    signer: bytes = b""
    traffic: MqttTraffic = field(default_factory=MqttTraffic)

    def asked(self, ssid: str) -> None:
        """The host named a network: what came before was another connection."""
        self.asked_for, self.ssid, self.endpoint = ssid, "", ""
        self.refused_joins, self.attempts, self.traffic = [], [], MqttTraffic()

    def refused(self, reason: str) -> None:
        """A connection to the cloud did not come about, or was not accepted."""
        self.attempts.append({"accepted": False, "reason": reason})

    def accepted(self) -> None:
        """The cloud accepted a connection."""
        self.attempts.append({"accepted": True, "reason": ""})

    @property
    def is_accepted(self) -> bool:
        """Whether the last attempt was accepted."""
        return bool(self.attempts) and self.attempts[-1]["accepted"]
