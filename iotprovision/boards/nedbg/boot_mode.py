"""Debuggers that are in boot mode: they wait for firmware and show nothing but USB 03eb:2fc0.

All of them look alike, for the boot loader has no serial number.
"""

from __future__ import annotations

import contextlib
import errno

import libusb_package
import usb.backend.libusb1
import usb.core

from iotprovision.boards.nedbg.debugger import UPGRADE_PRODUCT_ID, VENDOR_ID, list_debuggers
from iotprovision.errors import AccessError, KitNotFoundError, LockedError

BOOT_MODE_WHY = (
    f"USB {VENDOR_ID:04x}:{UPGRADE_PRODUCT_ID:04x}: an upgrade of its debugger's firmware did not come to its end. "
    "Nothing else on it is lost."
)
FINISH_HINT = "iotprovision dbgupgrade finishes the upgrade"


def prepare_usb() -> None:
    """Make sure that pyusb, which pydebuggerupgrade works with, finds a libusb.

    Without one pydebuggerupgrade would end the process.

    :raises AccessError: there is none
    """
    try:
        usb.core.find()
    except usb.core.NoBackendError:
        # pyusb keeps the first backend it has found for all later calls.
        if usb.backend.libusb1.get_backend(find_library=libusb_package.find_library) is None:
            raise AccessError(
                "The USB library libusb cannot be loaded",
                "It is needed to upgrade the firmware of the debugger, and comes with the package libusb-package.",
                "install libusb-1.0 with the package manager of the system",
            ) from None


def kits_in_boot_mode() -> int:
    """How many debuggers are in boot mode.

    :raises AccessError: there is no libusb, or it cannot look
    """
    prepare_usb()
    try:
        return len(list(usb.core.find(find_all=True, idVendor=VENDOR_ID, idProduct=UPGRADE_PRODUCT_ID)))
    except usb.core.USBError as error:
        raise AccessError("USB cannot be searched for kits in boot mode", str(error)) from error


def is_openable() -> bool:
    """Whether the kit in boot mode may be opened. Linux gives access some milliseconds after a device has appeared."""
    for device in usb.core.find(find_all=True, idVendor=VENDOR_ID, idProduct=UPGRADE_PRODUCT_ID):
        try:
            device.set_configuration()
        except usb.core.USBError as error:
            return bool(error.errno != errno.EACCES)
    return True


def kits_seen_in_boot_mode() -> int:
    """The same; 0 where it cannot be known."""
    with contextlib.suppress(AccessError):
        return kits_in_boot_mode()
    return 0


def needs_finishing() -> bool:
    """Whether the one kit that is connected is in boot mode.

    Beside others it is not touched: it has no serial number, so nobody can have named it.
    """
    return kits_seen_in_boot_mode() == 1 and not list_debuggers()


def in_boot_mode() -> KitNotFoundError:
    """What is said of a kit in boot mode that is not to be finished now."""
    return KitNotFoundError("A kit is in boot mode", BOOT_MODE_WHY, FINISH_HINT)


def in_upgrade(serial_number: str) -> LockedError:
    """What is said of a kit whose debugger another run is upgrading.

    :param serial_number: empty where it is not known
    """
    return LockedError(
        f"Another run is upgrading the debugger of {f'kit {serial_number}' if serial_number else 'a kit'}",
        "The kit is in boot mode until its new firmware is written.",
        "wait until the other run has ended, and leave the kit plugged in",
    )


def several_in_boot_mode(count: int) -> KitNotFoundError:
    """Kits in boot mode cannot be told apart."""
    return KitNotFoundError(
        f"{count} kits are in boot mode",
        f"{BOOT_MODE_WHY}\nWithout serial numbers they cannot be told apart.",
        f"connect one of them at a time: {FINISH_HINT}",
    )
