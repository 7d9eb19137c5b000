"""Google: the kit's identity and its links. The service that the kits connected to was shut down in August 2023."""

from __future__ import annotations

from iotprovision.methods.method import Method

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.methods.work import AccountWork, KitWork
    from iotprovision.runs.job import Job
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.links import Link
    from iotprovision.steps.step import Step
    from iotprovision.store.folder import Store


class Google(Method):
    """What is left of Google Cloud IoT Core."""

    cloud = "google"
    shown = "Google"
    help = "for what is left: Google shut its Cloud IoT Core down in August 2023"
    makes_certificate = False
    locks_slots = False
    connects_to_simulator = False
    notice = (
        "Google shut Cloud IoT Core down in August 2023: no kit can connect to it any more. What still works: the "
        "serial number of the secure element is read and kept, the kit's drive leads to its page, and the demo runs "
        "with its Wi-Fi and its console."
    )
    link_code = "google"
    page = "Google, which shut its Cloud IoT Core down"

    def certs(self, account: AccountWork) -> list[Step]:
        """None: Google never knew certificates of these kits, only the public keys of their secure elements."""
        return []

    def identity(self, account: AccountWork, work: KitWork) -> Identity:
        from iotprovision.steps.identity import NoCertificates

        return NoCertificates()

    def credentials(self, account: AccountWork, work: KitWork, identity: Identity) -> list[Step]:
        """Nothing is written to the chips: the key in the secure element is all that the kit brings."""
        from iotprovision.steps.kept_names import CHIP_SERIAL_NUMBER_FILE, NameKept

        return [
            NameKept(
                work.files,
                CHIP_SERIAL_NUMBER_FILE,
                "Serial number of the secure element",
                lambda: work.chip.serial_number.hex().upper(),
            )
        ]

    def link(self, work: KitWork, identity: Identity) -> Link:
        from iotprovision.steps.kept_names import kept_chip_serial_number
        from iotprovision.steps.links import Link

        return Link(self.link_code, lambda: kept_chip_serial_number(work.files), "serial number of the secure element")

    def device_on_page(self, files: Store) -> str:
        """The serial number of the secure element."""
        from iotprovision.steps.kept_names import kept_chip_serial_number

        return (kept_chip_serial_number(files) or "").lower()

    def check_removal(self, job: Job) -> None:
        """Nobody could."""
        from iotprovision.errors import UsageError

        raise UsageError("There is nothing to take a kit out of: Google shut Cloud IoT Core down in August 2023")


METHOD = Google()
