"""Faults of a simulated kit, switched on from a test or over the control channel of its process.

A field is off at its default. Fields named ``..._after_...`` count down: 0 means "at the next one", 3 means "three
more go well, the fourth fails". A fault that has struck stays off until it is set again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Faults:
    """What goes wrong on this kit.

    Consulted by the debugger and the serial bridge:

    * ``hid_open_denied``: opening the HID fails
    * ``usb_access_denied``: that, and an enumeration shows no strings: Linux without a udev rule
    * ``no_serial_port``: the system lists no serial port that belongs to the kit
    * ``hid_answer_delay``: seconds before each HID answer
    * ``hid_answer_garbage_after_transactions``: that one answer is 64 bytes of 0xA5
    * ``unplug_after_transactions``: the kit leaves the bus and does not come back before it is plugged in again
    * ``power_loss_after_dfu_transfers``: during that control transfer to the boot loader of the debugger the cable is
      pulled; what the transfer erases or writes is done half
    * ``target_locked``: the MCU refuses programming mode until its chip is erased by the erase key
    * ``target_device_id``: what the MCU says its signature or device id is; its own where none is set
    * ``target_unpowered``: the MCU has no supply: nothing of it can be reached, nothing runs
    * ``target_flip_after_writes``: after that flash page write, the lowest bit of the page's first byte is inverted
    * ``uart_drop_after_bytes``: after that many bytes from the kit the serial port is gone for who has it open
    * ``power_loss_after_uart_bytes``: when the kit has received that many bytes the cable is pulled; what has come
      until then arrives
    * ``uart_answer_delay``: seconds that every piece of output of the MCU is held back
    * ``uart_garbage_after_bytes``: that one byte from the kit arrives inverted

    Consulted by the chips and the firmware on the MCU:

    * ``winc_flip_after_writes``: after that WINC flash page write, the lowest bit of the first byte written is inverted
    * ``winc_silent``: the WINC answers nothing (its driver times out)
    * ``modem_silent``: the modem answers nothing
    * ``modem_full``: the modem has no room in its memory for another certificate
    * ``modem_chatter``: the modem puts a line that nobody asked for before each of its answers
    * ``secure_element_refused_slots``: the ECC608 answers "execution error" to every use of these slots
    * ``secure_element_silent``: the ECC608 does not acknowledge on I2C
    """

    hid_open_denied: bool = False
    usb_access_denied: bool = False
    no_serial_port: bool = False
    hid_answer_delay: float = 0.0
    hid_answer_garbage_after_transactions: int | None = None
    unplug_after_transactions: int | None = None
    power_loss_after_dfu_transfers: int | None = None
    target_locked: bool = False
    target_device_id: int | None = None
    target_unpowered: bool = False
    target_flip_after_writes: int | None = None
    uart_drop_after_bytes: int | None = None
    power_loss_after_uart_bytes: int | None = None
    uart_answer_delay: float = 0.0
    uart_garbage_after_bytes: int | None = None
    winc_flip_after_writes: int | None = None
    winc_silent: bool = False
    modem_silent: bool = False
    modem_full: bool = False
    modem_chatter: bool = False
    secure_element_refused_slots: list[int] = field(default_factory=list)
    secure_element_silent: bool = False

    def strikes(self, name: str) -> bool:
        """Count one event of an ``..._after_...`` fault; true for the event that it strikes, then it is off."""
        remaining = getattr(self, name)
        if remaining is None:
            return False
        setattr(self, name, remaining - 1 if remaining > 0 else None)
        return bool(remaining <= 0)

    def update(self, values: dict[str, Any]) -> None:
        """Set some faults by name.

        :raises ValueError: there is no fault of that name
        """
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"no such fault: {', '.join(unknown)}")
        for name, value in values.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Every fault by its name."""
        return asdict(self)
