"""Google: the kit's identity and its links. The service that the kits connected to was shut down in August 2023."""

from __future__ import annotations

from iotprovision.methods.method import Method

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Mapping

    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.steps.identity import Identity
    from iotprovision.steps.links import Link
    from iotprovision.steps.step import Step
    from iotprovision.store.folder import Store


class Google(Method):
    """What is left of Google Cloud IoT Core."""

    cloud = "google"
    shown = "Google"
    help = "for what is left: Google shut its Cloud IoT Core down in August 2023"
    writes_certificates = False
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

    def identity(self, account: AccountWork, device: DeviceWork) -> Identity:
        from iotprovision.steps.identity import NoCertificates

        return NoCertificates()

    def device_steps(self, account: AccountWork, device: DeviceWork, identity: Identity) -> list[Step]:
        """Nothing is written to the chips: the key in the secure element is all that the kit brings."""
        from iotprovision.boards.program import Program
        from iotprovision.steps.kept_names import CHIP_SERIAL_NUMBER_FILE, NameKept

        called, key = "Serial number of the secure element", device.board.key
        return [
            NameKept(
                device.files,
                CHIP_SERIAL_NUMBER_FILE,
                called,
                lambda: key.serial_number.hex().upper(),
                Program.PROVISIONING,
            )
        ]

    def link(self, device: DeviceWork, identity: Identity) -> Link:
        from iotprovision.steps.kept_names import kept_chip_serial_number
        from iotprovision.steps.links import Link

        return Link(
            self.link_code, lambda: kept_chip_serial_number(device.files), "serial number of the secure element"
        )

    def device_on_page(self, files: Store) -> str:
        """The serial number of the secure element."""
        from iotprovision.steps.kept_names import kept_chip_serial_number

        return (kept_chip_serial_number(files) or "").lower()

    def check_removal(self, options: Mapping[str, str | None]) -> None:
        """Nobody could."""
        from iotprovision.errors import UsageError

        raise UsageError("There is nothing to take a kit out of: Google shut Cloud IoT Core down in August 2023")


METHOD = Google()
