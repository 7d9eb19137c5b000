"""What a kit is provisioned for, as far as its debugger, the store and the history tell: its MCU goes on running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from iotprovision.boards.board import Board, Page
from iotprovision.boards.found import FoundKit
from iotprovision.errors import ProvisioningError
from iotprovision.findings import Finding, State
from iotprovision.inspection.looks import Look, different, missing, seen, unknown
from iotprovision.methods import by_link
from iotprovision.pki.certificates import date_fault, issue_fault, p256_key, thing_name
from iotprovision.pki.device_files import DeviceFiles, FactoryCertificateFiles
from iotprovision.runs.history import changes_of, kits_of
from iotprovision.steps.kept_names import AZURE_DEVICE_ID_FILE, kept_chip_serial_number
from iotprovision.store.folder import Store

# The title of the step in steps/programs.py, which would bring all that programs an MCU with it.
APPLICATION_STEP = "Application"
APPLICATION = "Application"


@dataclass(frozen=True)
class KitStatus:
    """What is known of one kit.

    :param link: the cloud that the page on its drive leads to, as in ``kits.yaml``; empty where it is not known
    :param device: how that page names the device, hex digits; empty where it names none
    :param certificate: of the device, from the store; None where there is none
    """

    kit: FoundKit
    link: str
    device: str
    certificate: x509.Certificate | None
    looks: tuple[Look, ...]

    @property
    def thing(self) -> str:
        """Thing name of the device: that of its certificate, else what the page on the kit's drive says."""
        method = by_link(self.link)
        return thing_of(self.certificate) or (self.device if method and method.page_names_thing else "")


def kit_status(
    board: Board, files: Store, signer: x509.Certificate | None, past: Sequence[Mapping[str, Any]], now: datetime
) -> KitStatus:
    """Look at one kit; nothing is programmed, stopped or written.

    :param files: of the kit, in the store
    :param signer: that of the store; None where there is none
    :param past: records of runs, oldest first
    """
    kit = board.kit
    link, device, looks = _links(board.page) if board.page else ("", "", [])
    certificate = DeviceFiles(files).certificate()
    looks += _device(files, certificate, signer, link, device, now)
    looks += _application(kit, past)
    return KitStatus(kit, link, device, certificate, tuple(looks))


def thing_of(certificate: x509.Certificate | None) -> str:
    """The thing name that a device certificate stands for; empty where it stands for none."""
    key = p256_key(certificate) if certificate else None
    return thing_name(key) if key else ""


def fault_of(certificate: x509.Certificate, signer: x509.Certificate | None, now: datetime) -> str:
    """What is wrong with a device certificate; empty where nothing is.

    :param signer: that of the store; None where there is none
    """
    fault = date_fault(certificate, now) or (issue_fault(certificate, signer) if signer else None)
    return fault or ("" if signer else "has a signer that is not in the store")


def _links(page: Page) -> tuple[str, str, list[Look]]:
    subject = "Page on the kit's drive"
    try:
        leads_to = page.read()
    except ProvisioningError as error:
        return "", "", [unknown(subject, error)]
    code, device = leads_to.click_me_type, leads_to.device
    link = page.name_of(code)
    if not link:
        return "", device, [different(subject, f"leads to a place with code 0x{code:02X}, which is not known")]
    method = by_link(link)
    place = method.page if method else link
    return link, device, [seen(subject, f"leads to {place}" + (f", as {device}" if device else ""))]


def _device(
    files: Store,
    certificate: x509.Certificate | None,
    signer: x509.Certificate | None,
    link: str,
    device: str,
    now: datetime,
) -> list[Look]:
    """What the store has of the kit, and whether the kit's page names the same device."""
    looks = []
    subject = "Device certificate in the store"
    thing = thing_of(certificate)
    if certificate is None:
        looks.append(missing(subject, "none"))
    elif fault := fault_of(certificate, signer, now):
        looks.append(different(subject, f"for thing {thing}: {fault}"))
    else:
        looks.append(seen(subject, f"for thing {thing}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}"))
    factory = FactoryCertificateFiles(files).certificates()
    if factory:
        looks.append(seen("Factory certificates in the store", f"for thing {thing_of(factory.device)}"))
    if azure := files.read(AZURE_DEVICE_ID_FILE):
        looks.append(seen("Device id for Azure", azure.decode("ascii", "replace")))
    chip = kept_chip_serial_number(files)
    if chip:
        looks.append(seen("Serial number of the secure element", f"{chip}, as it was kept"))
    method = by_link(link)
    expected = method.device_on_page(files) if method else ""
    if expected and device != expected:
        looks.append(different("Device that the page names", device or "none", expected))
    return looks


def _application(kit: FoundKit, past: Sequence[Mapping[str, Any]]) -> list[Look]:
    """The last program that this tool put into the MCU. Others may have come after it, so it is only what was done."""
    for record in reversed(past):
        if kit.serial_number not in kits_of(record):
            continue
        for entry in changes_of(record):
            if entry.get("step") == APPLICATION_STEP:
                found = f"{entry.get('done')} on {str(record.get('time'))[:10]}; not read now"
                return [Look(APPLICATION, Finding(State.UNKNOWN, found))]
    return []
