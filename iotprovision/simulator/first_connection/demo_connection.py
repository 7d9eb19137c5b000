"""The vendor's demo application connects: the emulated board does it all by itself, and is watched from outside.

Nothing here speaks for the board. What it did is what its Wi-Fi module saw of it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from iotprovision.formats.device_credentials import ENDPOINT_SIZE
from iotprovision.formats.winc_flash import ENDPOINT
from iotprovision.simulator.board.board import Board, Microcontroller
from iotprovision.simulator.board.connection_record import ConnectionRecord
from iotprovision.simulator.board.mqtt_traffic import MqttTraffic
from iotprovision.simulator.emulators.emulated_mcu import EmulatedMcu
from iotprovision.simulator.first_connection.power_up import PowerUpReport
from iotprovision.simulator.radio.station import saved_connection

# Simulated seconds. After a connection that was not accepted the demo needs up to 14 s for the next one, and the
# registration of a device takes the cloud as long as the machine takes.
ACCEPTANCE_TIMEOUT = 60.0
# The demo passes a network on 2 s after it was told, and 15 s when it has to leave another one first.
JOIN_REQUEST_TIMEOUT = 20.0
# It asks for the address of its endpoint at once, and is here long after the 7 s that it needs from power-up on.
FIRST_TRY_TIMEOUT = 20.0
# After its first message the demo waits a second with its subscription.
SUBSCRIPTION_TIMEOUT = 10.0
REPORT_TIMEOUT = 20.0
LOG_TIME = 0.5
# The demo tries again by itself; one that was refused so often always will be.
REFUSED_JOINS = 2
REFUSED_HANDSHAKES = 3


def demo_joins(board: Board, microcontroller: Microcontroller) -> str | None:
    """Let the board run until the demo, which was just told a network, has joined it, or will not.

    :returns: why it did not, empty when it did; None where the program on this board has no radio
    """
    if not isinstance(microcontroller, EmulatedMcu) or not microcontroller.has_radio:
        return None
    record = board.connections
    if not microcontroller.wait_until(lambda: bool(record.asked_for), JOIN_REQUEST_TIMEOUT):
        return "the demo did not ask its Wi-Fi module to join the network"
    microcontroller.wait_until(lambda: bool(record.ssid or record.refused_joins), JOIN_REQUEST_TIMEOUT)
    if record.ssid:
        return ""
    return record.refused_joins[-1] if record.refused_joins else "the Wi-Fi module did not join the network"


def demo_connects(board: Board, microcontroller: Microcontroller, told: bool) -> PowerUpReport | None:
    """Let the board run until the demo has connected and subscribed, or will not.

    :param told: the demo was just told a Wi-Fi network, and keeps it in RAM until it has joined. Otherwise the board
        is powered up, and the module joins the network that it has saved
    :returns: None where the program on this board has no radio, or knows no network
    """
    if not isinstance(microcontroller, EmulatedMcu) or not microcontroller.has_radio:
        return None
    if not told:
        if saved_connection(board.wifi_module.flash) is None:
            return None
        microcontroller.start()
    record = board.connections
    if microcontroller.wait_until(lambda: bool(record.attempts) or _is_hopeless(record), FIRST_TRY_TIMEOUT):
        microcontroller.wait_until(lambda: record.is_accepted or _is_hopeless(record), ACCEPTANCE_TIMEOUT)
    if record.is_accepted:
        microcontroller.wait_until(
            lambda: bool(record.traffic.subscribed) or not record.is_accepted, SUBSCRIPTION_TIMEOUT
        )
    return _report(board)


def demo_reports(board: Board, microcontroller: Microcontroller, state: dict[str, Any]) -> bool:
    """Let the board run until the demo, told by its shadow, has reported a state, or does not in twenty seconds."""
    assert isinstance(microcontroller, EmulatedMcu)
    traffic = board.connections.traffic
    topic = f"$aws/things/{traffic.client_id}/shadow/update"
    reported = microcontroller.wait_until(
        lambda: bool(traffic.received) and state in _reported(traffic, topic), REPORT_TIMEOUT
    )
    # What it logs of that leaves the UART at 9600 baud.
    microcontroller.wait_until(lambda: False, LOG_TIME)
    return reported


def _reported(traffic: MqttTraffic, shadow: str) -> list[Any]:
    """The states that were sent to a shadow."""
    found = []
    for topic, payload in traffic.published:
        if topic == shadow:
            with suppress(ValueError, KeyError, TypeError):
                found.append(json.loads(payload)["state"]["reported"])
    return found


def _is_hopeless(record: ConnectionRecord) -> bool:
    refusals = [attempt["reason"] for attempt in record.attempts]
    return len(record.refused_joins) >= REFUSED_JOINS or any(
        refusals.count(reason) >= REFUSED_HANDSHAKES and reason != record.CLOSED for reason in refusals
    )


def _report(board: Board) -> PowerUpReport:
    record, traffic = board.connections, board.connections.traffic
    return {
        "endpoint": record.endpoint,
        "client_id": traffic.client_id or "",
        "certificate_id": _digest(record.certificate),
        "signer_id": _digest(record.signer),
        "attempts": list(record.attempts),
        "network": record.ssid,
        "first_topic": traffic.published[0][0] if traffic.published else "",
        "shadow": {},
        "failure": _failure(record, board.wifi_module.flash),
        "hint": "" if record.ssid else "check -ssid and the passphrase; the simulated network is that of --simulate-ap",
    }


def _failure(record: ConnectionRecord, flash: bytearray) -> str:
    """Why the demo did not get to where it is to get to; empty when it did."""
    if record.traffic.client_id == "":
        return "the demo connected with an empty client id: it reads no thing name that is shorter than its place"
    if record.is_accepted:
        return "" if record.traffic.subscribed else "the demo connected, but subscribed to nothing"
    if not record.ssid:
        reason = record.refused_joins[-1] if record.refused_joins else "it does not try to"
        return f"the demo did not join the Wi-Fi network: {reason}"
    if record.attempts:
        return record.attempts[-1]["reason"]
    if b"\0" not in flash[ENDPOINT.address : ENDPOINT.address + ENDPOINT_SIZE]:
        return f"the endpoint in the Wi-Fi module has more than the {ENDPOINT_SIZE - 1} characters that the demo reads"
    return "the demo joined the Wi-Fi network and did not try to reach the cloud"


def _digest(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest() if certificate else ""
