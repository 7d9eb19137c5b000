"""A simulated modem Sequans Monarch 2, as far as provisioning goes: AT commands, and a memory for certificates.

It has no radio. ``state()`` is what it keeps without power. The commands answered are ``AT``, ``ATI``, ``AT+CMEE``,
``AT+SQNSNVW``, ``AT+SQNSNVR`` and ``AT+SQNSPCFG``; others are answered with an error.
"""

from __future__ import annotations

import re
from typing import Any

from iotprovision.formats.modem_memory import CERTIFICATE, CERTIFICATE_LIMIT, PRIVATE_KEY, PRIVATE_KEY_LIMIT, SLOTS
from iotprovision.simulator.conditions.faults import Faults
from iotprovision.simulator.conditions.meters import Meters

FIRMWARE_VERSION = "8.0.5.13"
STARTED = b"\r\n+SYSSTART\r\n"
CHATTER = b"\r\n+CEREG: 2\r\n"
LONGEST_LINE = 1024
PROFILES = range(1, 7)
PROFILE_FIELDS = 10

_LIMITS = {CERTIFICATE: CERTIFICATE_LIMIT, PRIVATE_KEY: PRIVATE_KEY_LIMIT}
_OK = b"\r\nOK\r\n"
_WRITE = re.compile(r'AT\+SQNSNVW="(\w+)",(\d{1,5}),(\d{1,5})', re.IGNORECASE)
_READ = re.compile(r'AT\+SQNSNVR="(\w+)",(\d{1,5})', re.IGNORECASE)
_PROFILE = re.compile(r"AT\+SQNSPCFG=(\d),(.+)", re.IGNORECASE)


class Sequans:
    """The modem. ``memory`` is its content by type and slot, ``profiles`` the security profiles as they were set.

    ``meters`` counts ``modem_writes``, of slots and profiles. ``faults.modem_silent`` makes it answer nothing,
    ``faults.modem_full`` refuse writes, ``faults.modem_chatter`` send what nobody asked for.
    """

    def __init__(self, firmware_version: str = FIRMWARE_VERSION) -> None:
        self.firmware_version = firmware_version
        self.memory: dict[str, dict[int, bytes]] = {CERTIFICATE: {}, PRIVATE_KEY: {}}
        self.profiles: dict[int, str] = {}
        self.meters = Meters()
        self.faults = Faults()
        self._is_new = True
        self.power_up()

    def power_up(self) -> None:
        """Start anew: what it was in the middle of is forgotten. It says so at the next :meth:`listen`."""
        self._is_new = True
        self._line = bytearray()
        self._wanted = 0
        self._data = bytearray()
        self._target: tuple[str, int] = (CERTIFICATE, 0)
        self._verbose = False

    def listen(self) -> bytes:
        """What it says when its serial port is connected for the first time since it started."""
        is_new, self._is_new = self._is_new, False
        return STARTED if is_new and not self.faults.modem_silent else b""

    def state(self) -> dict[str, Any]:
        """What it keeps without power, as plain data."""
        memory = {
            kind: {slot: data.decode("latin-1") for slot, data in sorted(slots.items())}
            for kind, slots in self.memory.items()
        }
        return {"firmware_version": self.firmware_version, "memory": memory, "profiles": dict(self.profiles)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Sequans:
        """A modem with what :meth:`state` gave.

        :raises KeyError, TypeError, ValueError, AttributeError: the state is damaged
        """
        modem = cls(str(state["firmware_version"]))
        for kind, slots in modem.memory.items():
            slots.update({int(slot): text.encode("latin-1") for slot, text in state["memory"][kind].items()})
        modem.profiles.update({int(number): str(text) for number, text in state["profiles"].items()})
        return modem

    def receive(self, data: bytes) -> bytes:
        """What it sends in answer to bytes at its serial port."""
        if self.faults.modem_silent:
            return b""
        output = bytearray()
        for index, byte in enumerate(data):
            if self._wanted:
                taken = data[index : index + 1]
                self._data += taken
                self._wanted -= 1
                if not self._wanted:
                    output += self._chatter() + self._store(bytes(self._data))
            elif byte == ord("\r"):
                line, self._line = bytes(self._line), bytearray()
                if line:
                    output += self._chatter() + self._execute(line.decode("latin-1"))
            elif byte != ord("\n") and len(self._line) < LONGEST_LINE:
                self._line.append(byte)
        return bytes(output)

    def _chatter(self) -> bytes:
        return CHATTER if self.faults.modem_chatter else b""

    def _error(self, text: str) -> bytes:
        return f"\r\n+CME ERROR: {text}\r\n".encode() if self._verbose else b"\r\nERROR\r\n"

    def _execute(self, line: str) -> bytes:
        version = self.firmware_version
        fixed = {
            "AT": "",
            "AT+CMEE=0": "",
            "AT+CMEE=2": "",
            "ATI": f"\r\nGM02S\r\nUE{version}\r\nLR{version}\r\n",
            "AT+SQNSPCFG?": "".join(f"\r\n+SQNSPCFG: {number},{text}\r\n" for number, text in self.profiles.items()),
        }
        if line.upper() not in fixed:
            return self._execute_with_values(line)
        if line.upper().startswith("AT+CMEE"):
            self._verbose = line.endswith("2")
        return fixed[line.upper()].encode() + _OK

    def _execute_with_values(self, line: str) -> bytes:
        if match := _WRITE.fullmatch(line):
            return self._begin_write(match[1].lower(), int(match[2]), int(match[3]))
        if match := _READ.fullmatch(line):
            return self._read(match[1].lower(), int(match[2]))
        if match := _PROFILE.fullmatch(line):
            return self._set_profile(int(match[1]), match[2])
        return self._error("operation not supported")

    def _begin_write(self, kind: str, slot: int, size: int) -> bytes:
        if kind not in _LIMITS or slot not in SLOTS or size > _LIMITS[kind]:
            return self._error("incorrect parameters")
        if not size:
            self.memory[kind].pop(slot, None)
            self.meters.count("modem_writes")
            return _OK
        if self.faults.modem_full:
            return self._error("memory full")
        self._target, self._wanted = (kind, slot), size
        self._data.clear()
        return b"\r\n> "

    def _store(self, data: bytes) -> bytes:
        kind, slot = self._target
        self.memory[kind][slot] = data
        self.meters.count("modem_writes")
        return _OK

    def _read(self, kind: str, slot: int) -> bytes:
        if kind not in _LIMITS or slot not in SLOTS:
            return self._error("incorrect parameters")
        data = self.memory[kind].get(slot)
        if data is None:
            return _OK
        return f'\r\n+SQNSNVR: "{kind}",{slot},{len(data)}\r\n'.encode() + data + _OK

    def _set_profile(self, number: int, text: str) -> bytes:
        if number not in PROFILES or len(text.split(",")) >= PROFILE_FIELDS:
            return self._error("incorrect parameters")
        self.profiles[number] = text
        self.meters.count("modem_writes")
        return _OK
