"""What the chips of a kit hold, read through the provisioning firmware; the application is put back behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from iotprovision.boards.found import FoundKit
from iotprovision.boards.nedbg.board import Target
from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import ProofError
from iotprovision.findings import Finding, State
from iotprovision.formats import client_store
from iotprovision.formats.device_credentials import ENDPOINT_SIZE, STORE_HEAD, THING_NAME_SIZE, text_at
from iotprovision.formats.ecc608_zones import PROVISIONING_DATA_SLOT, coordinates
from iotprovision.formats.item_list import Item, parse
from iotprovision.formats.winc_flash import ENDPOINT, THING_NAME
from iotprovision.inspection.kit_status import APPLICATION, fault_of, thing_of
from iotprovision.inspection.looks import Look, different, missing, seen
from iotprovision.methods.work import Firmware
from iotprovision.pki.certificates import p256_key
from iotprovision.pki.reading import from_der
from iotprovision.runs.board_session import put_application_back
from iotprovision.runs.report import Reporter
from iotprovision.steps.credentials import ProvisioningFirmware
from iotprovision.steps.identity import Chip, running_link
from iotprovision.steps.kept_application import ApplicationKept, ApplicationPutBack
from iotprovision.steps.modem_credentials import certificate_in_modem
from iotprovision.steps.step import Progress, Record, Rules, Step, run
from iotprovision.store.folder import Store


@dataclass(frozen=True)
class ChipContents:
    """What the chips hold.

    :param serial_number: of the secure element, 9 bytes
    :param public_key: X ‖ Y of the key in its slot 0, 64 bytes
    :param device: certificate of the device; None where there is none, or nothing that can be read
    :param signer: certificate of its signer; a kit with a modem keeps none
    :param firmware: of the module that connects the kit, empty where it does not tell
    :param application: what the MCU held, in words
    """

    serial_number: bytes
    public_key: bytes
    device: x509.Certificate | None
    signer: x509.Certificate | None
    damaged: str
    thing_name: str
    endpoint: str
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
        if self.signer is not None and signer is not None and self.signer != signer:
            looks.append(different("Signer on the kit", "another one than in the store"))
        subject, wanted = "Thing name on the kit", thing_of(self.device)
        if not self.thing_name:
            looks.append(missing(subject, "none"))
        elif wanted and self.thing_name != wanted:
            looks.append(different(subject, self.thing_name, wanted))
        else:
            looks.append(seen(subject, self.thing_name))
        subject = "Endpoint on the kit"
        looks.append(seen(subject, self.endpoint) if self.endpoint else missing(subject, "none"))
        return looks

    def _device(self, signer: x509.Certificate | None, now: datetime) -> Look:
        subject = "Device certificate on the kit"
        if self.damaged:
            return different(subject, self.damaged)
        if self.device is None:
            return missing(subject, "none")
        key, thing = p256_key(self.device), thing_of(self.device)
        if key is None or coordinates(key) != self.public_key:
            return different(subject, f"for thing {thing}: for another key than the one in the secure element")
        if fault := fault_of(self.device, signer, now):
            return different(subject, f"for thing {thing}: {fault}")
        return seen(subject, f"for thing {thing}, its key is the secure element's")


class ChipsRead(Step):
    """What the chips hold is known. Nothing is changed, so there is nothing to apply."""

    title = "Chips read"
    action = "status"
    proof = "the firmware answered OK to each command"
    would = "read them"

    def __init__(self, target: Target) -> None:
        self._target = target
        self.contents: ChipContents | None = None

    def check(self, progress: Progress) -> Finding:
        link = running_link(self._target)
        read = _of_wifi_module if self._target.kit.kit.has_wifi else _of_modem
        self.contents = read(link, Chip(self._target))
        return Finding(State.IN_PLACE, f"secure element {self.contents.serial_number.hex().upper()}")

    def apply(self, progress: Progress) -> str:
        raise AssertionError("what was read is in place")


def read_chips(
    kit: FoundKit,
    files: Store,
    firmware: Firmware,
    target: Target,
    kept: ApplicationKept,
    reporter: Reporter,
) -> ChipContents:
    """Put the provisioning firmware into the MCU, read the chips, put the application back, proved.

    :param firmware: the provisioning firmware
    :param kept: keeps the application that the MCU holds
    :raises ProvisioningError: something did not answer; the application is put back in any case that allows it
    """
    reading = ChipsRead(target)
    put_back = ApplicationPutBack(target, kept)
    firmware_in = ProvisioningFirmware(target, firmware.load, firmware.name)
    records: dict[str, Record] = {}
    try:
        for record in run([kept, firmware_in, reading], Rules(), reporter):
            records[record.title] = record
    except BaseException:
        if kept.title in records:
            put_application_back(put_back, kept, reporter)
        raise
    for _ in run([put_back], Rules(), reporter):
        pass  # the reporter has said it
    if kept.image is None and records[firmware_in.title].changed:
        reporter.notice(f"The kit {kit.serial_number} held no application; it now holds {firmware.name}")
    assert reading.contents is not None, "a step that has run has looked"
    return replace(reading.contents, application=records[kept.title].found)


def _of_wifi_module(link: ProvisioningLink, chip: Chip) -> ChipContents:
    about = link.about()
    device, signer, damaged = _certificates(
        lambda: link.winc_read(STORE_HEAD.address, STORE_HEAD.size),
        lambda length: link.winc_read_range(STORE_HEAD.address, length),
    )
    return ChipContents(
        chip.serial_number,
        chip.public_key,
        device,
        signer,
        damaged,
        text_at(link.winc_read(THING_NAME.address, THING_NAME_SIZE)) or "",
        text_at(link.winc_read(ENDPOINT.address, ENDPOINT_SIZE)) or "",
        about.winc_firmware or "",
    )


def _certificates(
    read_head: Callable[[], bytes], read: Callable[[int], bytes]
) -> tuple[x509.Certificate | None, x509.Certificate | None, str]:
    """Device and signer from the store of the Wi-Fi module, and what is wrong with it."""
    head = read_head()
    if client_store.is_blank(head):
        return None, None, ""
    try:
        stored = client_store.parse(read(client_store.used_length(head))).certificates
        certificates = [from_der(certificate) for certificate in stored[:2]]
    except (ProofError, ValueError) as error:
        return None, None, f"the certificate store cannot be read: {getattr(error, 'what', error)}"
    device, signer = (*certificates, None, None)[:2]
    return device, signer, ""


def _of_modem(link: ProvisioningLink, chip: Chip) -> ChipContents:
    items = parse(link.read_slot(PROVISIONING_DATA_SLOT))
    return ChipContents(
        chip.serial_number,
        chip.public_key,
        certificate_in_modem(link),
        None,
        "",
        items.get(Item.AWS_THING_NAME) or "",
        items.get(Item.AWS_ENDPOINT) or "",
        "",
    )
