"""Multi-account registration on the emulated kit: the vendor's provisioning firmware and demo really run."""

import importlib.util
from pathlib import Path

import pytest
from support.running import run_command

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(
        importlib.util.find_spec("yasimavr") is None, reason="yasimavr is not installed (emulator extra)"
    ),
]

MAR = ("--simulate", "avr-iot-wg@emulated", "-c", "aws", "-m", "mar", "--json")
WIFI = ("-ssid", "lab", "-psk", "correct horse")


def test_mar_on_the_vendors_firmware(tmp_path: Path) -> None:
    first = run_command(tmp_path, *MAR, *WIFI)
    assert first.code == 0, first.err
    connection = first.document["first_connection"]
    assert [attempt["accepted"] for attempt in connection["attempts"]] == [True]
    assert connection["first_topic"] == f"{connection['client_id']}/sensors"
    second = run_command(tmp_path, *MAR, "--verify")
    assert second.code == 0, second.err
    assert second.document["account"]["writes"] == []
    again = second.document["first_connection"]
    assert (again["network"], again["first_topic"]) == ("lab", connection["first_topic"]), "joined what it had saved"
