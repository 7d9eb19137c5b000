"""Where a kit keeps what makes it a device: this depends on its modem (``kits.yaml``), and on nothing else of it."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from iotprovision.boards.nedbg.wire.provisioning_link import ProvisioningLink
from iotprovision.errors import UsageError
from iotprovision.methods.work import KitWork
from iotprovision.steps.credentials import WifiModuleCredentials, certificate_in_wifi_module
from iotprovision.steps.identity import Identity
from iotprovision.steps.modem_credentials import ModemCredentials, NamesInSlot, certificate_in_modem
from iotprovision.steps.step import Step


def credentials_on_kit(work: KitWork, identity: Identity, endpoint: Callable[[], str] | None) -> list[Step]:
    """Certificates, and with an endpoint the names too.

    :param endpoint: of the account; None where the demo of the cloud reads neither endpoint nor thing name
    :raises UsageError: nothing is known that would make such a kit a device of this cloud
    """
    if work.kit.kit.has_wifi:
        return [WifiModuleCredentials(work.target, identity, endpoint, work.files, work.clock)]
    if endpoint is None:
        raise UsageError(
            f"{work.kit.name} cannot be provisioned for this cloud",
            "No application of the vendor's connects a kit with a modem to it. Nothing was changed.",
            "use -c aws",
        )
    in_modem = ModemCredentials(work.target, identity, work.files, work.clock)
    # First the slot, because it alone may be refused for good.
    return [NamesInSlot(work.target, identity, endpoint, work.files, work.clock, in_modem.wanted), in_modem]


def certificate_on_kit(work: KitWork) -> Callable[[ProvisioningLink], x509.Certificate | None]:
    """What reads the device certificate that the kit has been given before."""
    return certificate_in_wifi_module if work.kit.kit.has_wifi else certificate_in_modem
