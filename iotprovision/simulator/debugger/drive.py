"""The CURIOSITY drive of the debugger: small files generated from the board's registers.

The registers that decide which files there are and where CLICK-ME points to are latched when the debugger starts,
and the host caches what it has read; so the files change when the debugger has been rebooted, not before.
"""

from __future__ import annotations

import base64
from pathlib import Path

from iotprovision.simulator.debugger import board_config
from iotprovision.simulator.debugger.board_config import ConfigurationFlash

REDIRECT_SERVICE = "https://kits.microchip.com/redirect"
NO_CLICK_ME = 0xFF
WITH_CLICK_ME = (1, 3, 4)
WITH_PUBLIC_KEY = (1, 3)
RAW_PUBLIC_KEY = 5
P256_PUBLIC_KEY_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
FILES = ("KIT-INFO.HTM", "KIT-INFO.TXT", "STATUS.TXT", "AUTORUN.INF", "CLICK-ME.HTM", "PUBKEY.TXT")


def _page(location: str) -> str:
    return f'<html><head><meta http-equiv="refresh" content="0; url={REDIRECT_SERVICE}/{location}"/></head></html>\r\n'


def _click_me(registers: ConfigurationFlash) -> str:
    redirect = registers.text(board_config.REDIRECT)
    serial = f"?serial={registers.serial_number}"
    kind = registers.number(board_config.CLICK_ME_TYPE)
    if kind == NO_CLICK_ME:
        return _page(f"3/{redirect}{serial}")
    length = min(registers.number(board_config.KEY2_LEN), board_config.KEY2.size)
    identifier = f"/{registers.value(board_config.KEY2)[:length].hex().upper()}" if length else ""
    return _page(f"2/{redirect}/{kind:02X}{identifier}{serial}")


def _public_key(registers: ConfigurationFlash) -> str:
    key = registers.value(board_config.KEY1)
    if registers.number(board_config.KEY1_TYPE) != RAW_PUBLIC_KEY or registers.number(board_config.KEY1_LEN) != len(
        key
    ):
        return "Unable to retrieve the public key\r\n"
    text = base64.b64encode(P256_PUBLIC_KEY_HEAD + key).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\r\n{text}\r\n-----END PUBLIC KEY-----\r\n"


def drive_files(registers: ConfigurationFlash, debugger_version: str) -> dict[str, str]:
    """The files of the drive, name to content, as a debugger that starts now would make them."""
    files = {
        "KIT-INFO.HTM": _page(f"1/{registers.text(board_config.REDIRECT)}?serial={registers.serial_number}"),
        "KIT-INFO.TXT": f"{registers.text(board_config.KITNAME)}\r\n"
        f"Serial number: {registers.serial_number}\r\n"
        f"Debugger firmware: {debugger_version}\r\n"
        f"Device: {registers.text(board_config.DEVNAME)}\r\n",
        "STATUS.TXT": "",
        "AUTORUN.INF": "[autorun]\r\nicon=AUTORUN.ICO\r\n",
    }
    settings = registers.number(board_config.MSD_SETTINGS)
    if settings in WITH_CLICK_ME:
        files["CLICK-ME.HTM"] = _click_me(registers)
    if settings in WITH_PUBLIC_KEY:
        files["PUBKEY.TXT"] = _public_key(registers)
    return files


def write_drive(folder: Path, registers: ConfigurationFlash, debugger_version: str) -> None:
    """Put the files of the drive into a folder; those that a change of the settings has removed go."""
    folder.mkdir(parents=True, exist_ok=True)
    files = drive_files(registers, debugger_version)
    for name in FILES:
        if name in files:
            (folder / name).write_bytes(files[name].encode("ascii", "replace"))
        else:
            (folder / name).unlink(missing_ok=True)
