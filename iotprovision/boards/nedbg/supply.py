"""What feeds the MCU of a kit, as its debugger measures it."""

from __future__ import annotations

from pyedbglib.protocols.housekeepingprotocol import Jtagice3HousekeepingProtocol

from iotprovision.boards.nedbg.debugger import connection, vendor_errors


def supply_voltage(serial_number: str) -> float:
    """What the debugger measures at the MCU, in volts; no programming session is needed.

    :raises AccessError: the debugger cannot be reached
    """
    with connection(serial_number) as transport, vendor_errors(serial_number):
        housekeeping = Jtagice3HousekeepingProtocol(transport)
        housekeeping.start_session()
        try:
            millivolts = housekeeping.get_le16(
                housekeeping.HOUSEKEEPING_CONTEXT_ANALOG, housekeeping.HOUSEKEEPING_ANALOG_VTREF
            )
        finally:
            housekeeping.end_session()
        return float(millivolts) / 1000
