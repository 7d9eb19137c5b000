"""The debugger on a kit: opening it, and turning the vendor libraries' errors into ours."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydebuggerconfig.pydebuggerconfig_errors import (
    PydebuggerconfigBlankVersionError,
    PydebuggerconfigError,
    PydebuggerconfigToolConnectionError,
)
from pyedbglib.hidtransport import cyhidapi
from pyedbglib.hidtransport.hidtransportfactory import hid_transport
from pyedbglib.hidtransport.toolinfo import TOOL_SHORTNAME_TO_USB_PRODUCT_STRING
from pyedbglib.protocols.avrcmsisdap import AvrCommandError
from pyedbglib.protocols.configprotocol import ConfigProtocolResponseError
from pyedbglib.protocols.jtagice3protocol import Jtagice3ResponseError
from pyedbglib.pyedbglib_errors import PyedbglibError
from pymcuprog.pymcuprog_errors import (
    PymcuprogDeviceLockedError,
    PymcuprogError,
    PymcuprogSessionError,
    PymcuprogTargetVoltageError,
    PymcuprogToolConnectionError,
)
from serial.tools import list_ports

from iotprovision.errors import AccessError, KitNotFoundError, ProvisioningError
from iotprovision.interrupts import held

VENDOR_ID = 0x03EB
PRODUCT_ID = 0x2175
UPGRADE_PRODUCT_ID = 0x2FC0
PRODUCT = "nEDBG"
SHORT_NAME = "nedbg"
CMSIS_DAP = "CMSIS-DAP"
OTHER_PRODUCTS = tuple(name for tool, name in TOOL_SHORTNAME_TO_USB_PRODUCT_STRING.items() if tool != SHORT_NAME)

# AVR8 generic protocol, failure codes of the debugger (pyedbglib avr8protocol)
NO_TARGET_POWER = 0x22

UDEV_RULES = "\n".join(
    f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{VENDOR_ID:04x}", ATTR{{idProduct}}=="{product:04x}", '
    'MODE="0660", GROUP="plugdev", TAG+="uaccess"'
    for product in (PRODUCT_ID, UPGRADE_PRODUCT_ID)
)

# Their failures come as exceptions and as log lines; without a log the lines would go to the terminal.
for _library in ("pyedbglib", "pymcuprog", "pydebuggerconfig", "pydebuggerupgrade"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


def list_debuggers() -> list[dict[str, Any]]:
    """What USB says about each nEDBG: ``serial_number``, ``product_string``, ``path``.

    One that may not be opened is in the list too; on Linux its strings are empty.
    """
    found = []
    for entry in cyhidapi.hid.enumerate():
        product = entry.get("product_string") or ""
        is_ours = entry.get("vendor_id") == VENDOR_ID and entry.get("product_id") == PRODUCT_ID
        if is_ours and (not product or product.lower().startswith(PRODUCT.lower())):
            found.append({**entry, "product_string": product, "serial_number": entry.get("serial_number") or ""})
    return found


def list_other_probes() -> list[str]:
    """Debuggers that no kit has, of whatever vendor: product and USB ids, each once."""
    found = []
    for entry in cyhidapi.hid.enumerate():
        product = (entry.get("product_string") or "").strip()
        if product.startswith(PRODUCT) or not product.startswith(OTHER_PRODUCTS) and CMSIS_DAP not in product.upper():
            continue
        found.append(f"{product} ({entry.get('vendor_id', 0):04x}:{entry.get('product_id', 0):04x})")
    return sorted(set(found))


def serial_port(serial_number: str) -> str | None:
    """The serial port that belongs to a debugger; None where the system shows none."""
    for port in list_ports.comports():
        if (port.serial_number or "").lower() == serial_number.lower():
            return str(port.device)
    return None


@contextmanager
def connection(serial_number: str) -> Iterator[Any]:
    """A pyedbglib HID transport to one debugger, disconnected at the end.

    :raises AccessError: the debugger is not there or may not be opened
    """
    with vendor_errors(serial_number):
        transport = hid_transport()
        try:
            connected = transport.connect(serial_number=serial_number, product=SHORT_NAME)
        except OSError as error:
            raise not_openable(serial_number, str(error)) from error
        if not connected:
            raise not_openable(serial_number)
    try:
        yield transport
    finally:
        with vendor_errors(serial_number):
            transport.disconnect()


@contextmanager
def vendor_errors(serial_number: str) -> Iterator[None]:
    """Run calls of the vendor libraries: their errors become ours, and Ctrl-C waits until they are done.

    An exchange with the debugger that is cut in the middle would leave an answer behind that the next one takes for
    its own.
    """
    try:
        with held():
            yield
    except ProvisioningError:
        raise
    except (PymcuprogToolConnectionError, PydebuggerconfigToolConnectionError) as error:
        raise not_openable(serial_number, str(error)) from error
    except PymcuprogDeviceLockedError as error:
        raise AccessError(
            f"The MCU of kit {serial_number} is locked: it lets nobody read or program it",
            "Unlocking erases all it holds: the application and its EEPROM. Nothing has been erased.",
            f"pymcuprog erase --chip-erase-locked-device -t {SHORT_NAME} -s {serial_number}",
        ) from error
    except PymcuprogSessionError as error:
        raise other_mcu(serial_number, str(error)) from error
    except PymcuprogTargetVoltageError as error:
        raise _no_power(serial_number) from error
    except Jtagice3ResponseError as error:
        raise _refused_by_debugger(serial_number, error) from error
    except PydebuggerconfigBlankVersionError as error:
        raise AccessError(
            f"The board configuration of kit {serial_number} is blank, so the debugger does not know its board",
            str(error),
            "write the vendor's configuration of this board with pydebuggerconfig.",
        ) from error
    except (PydebuggerconfigError, ConfigProtocolResponseError) as error:
        raise AccessError(f"The board configuration of kit {serial_number} cannot be used", str(error)) from error
    except AvrCommandError as error:
        raise AccessError(
            f"The debugger of kit {serial_number} does not answer as it should",
            str(error),
            "close other programs that use the kit (an IDE, a data visualizer), plug the kit in again.",
        ) from error
    except (OSError, PyedbglibError) as error:
        raise AccessError(
            f"The connection to the debugger of kit {serial_number} broke",
            str(error),
            "check the USB cable, plug the kit in again, run the command again: it goes on where this one ended.",
        ) from error
    except PymcuprogError as error:
        raise AccessError(f"The MCU of kit {serial_number} cannot be programmed", str(error)) from error


def not_openable(serial_number: str, reason: str = "") -> ProvisioningError:
    """Why a debugger could not be opened, told from what USB says now."""
    numbers = [entry["serial_number"].lower() for entry in list_debuggers()]
    if serial_number and serial_number.lower() not in numbers and "" not in numbers:
        return KitNotFoundError(
            f"Kit {serial_number} is not connected", hint="check the USB cable, plug the kit in again."
        )
    why = f"USB {VENDOR_ID:04x}:{PRODUCT_ID:04x}" + (f": {reason}" if reason else "")
    hint = "close other programs that use the kit (an IDE, a data visualizer), plug the kit in again."
    if sys.platform.startswith("linux"):
        why += "\nLinux lets only root use this debugger until a udev rule allows it"
        rules = (
            "iotprovision doctor --install-udev-rule, then plug the kit in again\n"
            "or put these lines into /etc/udev/rules.d/70-microchip-kits.rules, run 'sudo udevadm control --reload' "
            f"and plug the kit in again:\n{UDEV_RULES}"
        )
        # Without the right to open it, Linux does not show its serial number either.
        why += "; or another program has it open." if serial_number else "."
        hint = f"{hint}\nWhere that does not help, {rules}" if serial_number else rules
    return AccessError(f"The kit {serial_number or '(serial number not readable)'} cannot be opened", why, hint)


def other_mcu(serial_number: str, reason: str) -> AccessError:
    """What is at the programming pins is not the MCU that the kit has."""
    return AccessError(
        f"The debugger of kit {serial_number} does not meet the MCU it expects",
        f"{reason}\nNothing was written to it.",
        "check that nothing else is connected to the programming pins, and that the kit is the one that was named.",
    )


def _no_power(serial_number: str) -> AccessError:
    return AccessError(
        f"The MCU of kit {serial_number} has no power",
        "The debugger measures no voltage at the MCU.",
        "check the jumpers or straps that feed the MCU, and a battery where the kit runs from one.",
    )


def _refused_by_debugger(serial_number: str, error: Any) -> AccessError:
    if error.code == NO_TARGET_POWER:
        return _no_power(serial_number)
    return AccessError(
        f"The debugger of kit {serial_number} refused a command (code 0x{error.code:02X})",
        str(error),
        "plug the kit in again.",
    )
