"""The debugger on a simulated kit, as a computer sees it: HID, serial port, drive, boot mode."""
