"""What the chips of a board hold, read through the provisioning firmware."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from iotprovision.boards.board import Board
from iotprovision.boards.memory import HeldCredentials, together
from iotprovision.boards.program import Program
from iotprovision.findings import Finding, State
from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.inspection.kit_status import APPLICATION, fault_of, thing_of
from iotprovision.inspection.looks import Look, different, missing, seen
from iotprovision.pki.certificates import p256_key
from iotprovision.steps.step import Progress, Step


@dataclass(frozen=True)
class ChipContents:
    """What the chips hold.

    :param serial_number: of the secure element, 9 bytes
    :param public_key: X ‖ Y of the key in its slot 0, 64 bytes
    :param held: of the credentials of a device; a kit with a modem keeps no certificate of its signer
    :param firmware: of the module that connects the kit, empty where it does not tell
    :param application: what the MCU held, in words
    """

    serial_number: bytes
    public_key: bytes
    held: HeldCredentials
    firmware: str
    application: str = ""

    def looks(self, signer: x509.Certificate | None, now: datetime) -> list[Look]:
        """The same, judged.

        :param signer: that of the store; None where there is none
        """
        looks = [seen(APPLICATION, self.application)] if self.application else []
        looks += [seen("Secure element", f"serial number {self.serial_number.hex().upper()}")]
        looks += [seen("Firmware of the Wi-Fi module", self.firmware)] if self.firmware else []
        looks.append(self._device(signer, now))
        if self.held.signer is not None and signer is not None and self.held.signer != signer:
            looks.append(different("Signer on the kit", "another one than in the store"))
        subject, wanted = "Thing name on the kit", thing_of(self.held.device)
        if not self.held.thing_name:
            looks.append(missing(subject, "none"))
        elif wanted and self.held.thing_name != wanted:
            looks.append(different(subject, self.held.thing_name, wanted))
        else:
            looks.append(seen(subject, self.held.thing_name))
        subject = "Endpoint on the kit"
        looks.append(seen(subject, self.held.endpoint) if self.held.endpoint else missing(subject, "none"))
        return looks

    def _device(self, signer: x509.Certificate | None, now: datetime) -> Look:
        subject = "Device certificate on the kit"
        if self.held.damaged:
            return different(subject, self.held.damaged)
        if self.held.device is None:
            return missing(subject, "none")
        key, thing = p256_key(self.held.device), thing_of(self.held.device)
        if key is None or coordinates(key) != self.public_key:
            return different(subject, f"for thing {thing}: for another key than the one in the secure element")
        if fault := fault_of(self.held.device, signer, now):
            return different(subject, f"for thing {thing}: {fault}")
        return seen(subject, f"for thing {thing}, its key is the secure element's")


class ChipsRead(Step):
    """What the chips hold is known. Nothing is changed, so there is nothing to apply."""

    title = "Chips read"
    action = "status"
    proof = "the firmware answered OK to each command"
    would = "read them"
    needs = Program.PROVISIONING

    def __init__(self, board: Board) -> None:
        self._board = board
        self.contents: ChipContents | None = None

    def check(self, progress: Progress) -> Finding:
        board = self._board
        firmware = board.wifi_module.firmware_version() if board.wifi_module else ""
        serial_number, public_key = board.key.serial_number, board.key.public_key
        held = together(memory.held() for memory in board.credentials)
        self.contents = ChipContents(serial_number, public_key, held, firmware)
        return Finding(State.IN_PLACE, f"secure element {serial_number.hex().upper()}")

    def apply(self, progress: Progress) -> str:
        raise AssertionError("what was read is in place")
