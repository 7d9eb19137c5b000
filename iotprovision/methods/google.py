"""Google: the kit's identity and its links. The service that the kits connected to was shut down in August 2023."""

from __future__ import annotations

from iotprovision.methods.method import Facts
from iotprovision.methods.work import AccountWork, KitWork
from iotprovision.steps.identity import Identity, NoCertificates
from iotprovision.steps.kept_names import CHIP_SERIAL_NUMBER_FILE, NameKept, kept_chip_serial_number
from iotprovision.steps.links import Link
from iotprovision.steps.step import Step

FACTS = Facts(
    makes_certificate=False,
    locks_slots=False,
    connects_to_simulator=False,
    notice="Google shut Cloud IoT Core down in August 2023: no kit can connect to it any more. What still works: the "
    "serial number of the secure element is read and kept, the kit's drive leads to its page, and the demo runs with "
    "its Wi-Fi and its console.",
)


def certs(account: AccountWork) -> list[Step]:
    """None: Google never knew certificates of these kits, only the public keys of their secure elements."""
    return []


def identity(account: AccountWork, work: KitWork) -> Identity:
    return NoCertificates()


def credentials(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    """Nothing is written to the chips: the key in the secure element is all that the kit brings."""
    return [
        NameKept(
            work.files,
            CHIP_SERIAL_NUMBER_FILE,
            "Serial number of the secure element",
            lambda: work.chip.serial_number.hex().upper(),
        )
    ]


def registration(account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
    return []


def link(work: KitWork, identity: Identity) -> Link:
    return Link("google", lambda: kept_chip_serial_number(work.files), "serial number of the secure element")


def account_proofs(account: AccountWork, identity: Identity | None, connects: bool) -> list[Step]:
    return []


def outlook(account: AccountWork, work: KitWork) -> str:
    return ""
