"""What a simulated kit keeps when its process ends: a folder of plain files.

``flash.bin``, ``eeprom.bin``, ``fuses.bin``, ``user-row.bin`` of the MCU, ``board-config.bin`` and
``debugger-flash.bin`` of the debugger, ``winc.bin`` of a Wi-Fi module or ``modem.yaml`` of a modem, ``ecc608.yaml``
(with the private keys), ``meters.json``, ``kit.yaml``, and the files of the debugger's drive in ``drive/``. Each file
is replaced as a whole, so a killed process leaves the former or the new content.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from iotprovision.environment import Environment
from iotprovision.errors import LockedError, ProvisioningError, StoreError, UsageError
from iotprovision.formats.ecc608_zones import Kind
from iotprovision.simulator.board.board import Board
from iotprovision.simulator.chips.ecc608 import Ecc608
from iotprovision.simulator.chips.sequans import Sequans
from iotprovision.simulator.chips.winc1510 import Winc1510
from iotprovision.simulator.conditions.meters import Meters
from iotprovision.simulator.debugger import debugger_flash
from iotprovision.simulator.debugger.board_config import ConfigurationFlash, factory_configuration
from iotprovision.simulator.kit.factory import new_identity
from iotprovision.simulator.kit.kinds import SimulatedKitName

FACTORY_DEBUGGER_VERSION = "1.22.73"
SERIAL_NUMBER_PREFIX = "MCHP3261"
SERIAL_NUMBER_DIGITS = 12
CONNECTION_FILE = "connection.json"
MODEM_FILE = "modem.yaml"
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError)


def default_folder() -> Path:
    """Where simulated kits live when nothing else is said: ``simulator`` in the store."""
    return Environment().store_folder / "simulator"


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one that only its owner may read."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def exclusive(state_folder: Path, name: SimulatedKitName) -> Iterator[None]:
    """Hold a kit, so that no other process serves or resets it; freed by the system when this process dies.

    :raises LockedError: another process holds it
    :raises StoreError: the folder cannot be written
    """
    prepare_folder(state_folder)
    lock = FileLock(state_folder / f".{name.text}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedError(
            f"The simulated kit {name.text} is being served by another process",
            f"its folder is {state_folder / name.text}",
            "stop that process, or use another folder (--state)",
        ) from None
    except (OSError, NotImplementedError) as error:  # a file system without locks
        raise _not_writable(state_folder, error) from error
    try:
        yield
    finally:
        lock.release()


def kits_in(state_folder: Path) -> list[SimulatedKitName]:
    """The kits that have a state in the folder, served or not."""
    found = []
    for path in sorted(state_folder.glob("*")):
        with suppress(UsageError):
            found.append(SimulatedKitName.parse(path.name))
    return found


def prepare_folder(state_folder: Path) -> None:
    """Make the folder of all simulated kits, for its owner only.

    :raises StoreError: it cannot be made or written
    """
    try:
        state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=state_folder):
            pass  # the lock library takes a folder that nobody may write to for one that is busy
    except OSError as error:
        raise _not_writable(state_folder, error) from error


def _not_writable(state_folder: Path, error: Exception) -> StoreError:
    return StoreError(f"Cannot write to the folder {state_folder}", str(error), "choose another one (--state DIR)")


@dataclass(frozen=True)
class Change:
    """A file that has to be written: its name, its value in memory, and that as bytes."""

    file: str
    value: Any
    data: bytes


@dataclass
class KitState:
    """A kit's folder in memory. Make one with :meth:`load_or_create`."""

    name: SimulatedKitName
    folder: Path
    board: Board
    registers: ConfigurationFlash
    debugger_flash: bytearray
    usb_port: int

    def __post_init__(self) -> None:
        self._saved: dict[str, Any] = {}

    @property
    def debugger_version(self) -> str:
        """Of the firmware in the flash of the debugger, whole or not."""
        return debugger_flash.version(self.debugger_flash)

    @classmethod
    def load_or_create(
        cls,
        state_folder: Path,
        name: SimulatedKitName,
        debugger_version: str | None = None,
        secure_element: Kind | None = None,
    ) -> KitState:
        """The kit as it was left, or a factory-fresh one.

        :param debugger_version: firmware of the debugger of a fresh kit; a kit that exists already gets it too
        :param secure_element: kind of the secure element of a fresh kit, where it is not the usual one
        :raises StoreError: the folder is damaged or cannot be written
        """
        folder = state_folder / name.text
        prepare_folder(state_folder)
        if not folder.exists():
            try:
                cls._create(state_folder, name, debugger_version or FACTORY_DEBUGGER_VERSION, secure_element)
            except OSError as error:
                raise _not_writable(state_folder, error) from error
        state = cls._load(folder, name)
        if debugger_version:
            state.debugger_flash = debugger_flash.stand_in(debugger_version)
        return state

    @classmethod
    def _create(
        cls, state_folder: Path, name: SimulatedKitName, debugger_version: str, secure_element: Kind | None
    ) -> None:
        kind, part = name.kind, name.kind.part
        digits = "".join(secrets.choice("0123456789") for _ in range(SERIAL_NUMBER_DIGITS))
        serial_number = SERIAL_NUMBER_PREFIX + digits
        board = Board(
            kit_name=kind.register_name,
            microcontroller=part.name,
            flash=bytearray(part.erased_flash),
            eeprom=bytearray(b"\xff" * part.eeprom_size),
            fuses=bytearray(part.factory_fuses),
            user_row=bytearray(part.factory_user_row),
            secure_element=new_identity(state_folder, secure_element or kind.secure_element).secure_element(),
            wifi_module=Winc1510(),
            lock_bits=int.from_bytes(part.unlocked, "little"),
            serial_number=serial_number,
            modem=Sequans() if kind.has_modem else None,
            secure_element_address=kind.secure_element_address,
        )
        registers = factory_configuration(
            kind.board_file, kind.device_file, serial_number, kind.register_name, part.name
        )
        fresh = Path(tempfile.mkdtemp(dir=state_folder, prefix=f".{name.text}."))
        try:
            firmware = debugger_flash.stand_in(debugger_version)
            state = cls(name, fresh, board, registers, firmware, _free_usb_port(state_folder))
            state.save()
            fresh.replace(state_folder / name.text)  # a kit is there as a whole or not at all
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    @classmethod
    def _load(cls, folder: Path, name: SimulatedKitName) -> KitState:
        part = name.kind.part
        reading = ""

        def content(file: str, size: int) -> bytearray:
            nonlocal reading
            reading = file
            data = bytearray((folder / file).read_bytes())
            if len(data) != size:
                raise ValueError(f"it has {len(data)} bytes, not {size}")
            return data

        try:
            reading = "kit.yaml"
            kit = yaml.safe_load((folder / reading).read_text(encoding="utf-8"))
            serial_number = str(kit["serial_number"])
            lock_bits, usb_port = int(kit["lock_bits"]), int(kit["usb_port"])
            reading = "ecc608.yaml"
            secure_element = Ecc608.from_state(yaml.safe_load((folder / reading).read_text(encoding="utf-8")))
            reading = "meters.json"
            meters = Meters.from_dict(json.loads((folder / reading).read_text(encoding="utf-8")))
            registers = ConfigurationFlash(content("board-config.bin", 0x1000))
            firmware = content("debugger-flash.bin", debugger_flash.SIZE)
            modem = None
            if name.kind.has_modem:
                reading = MODEM_FILE
                modem = Sequans.from_state(yaml.safe_load((folder / reading).read_text(encoding="utf-8")))
            wifi_module = Winc1510() if modem else Winc1510(content("winc.bin", 1 << 20))
            board = Board(
                kit_name=name.kind.register_name,
                microcontroller=part.name,
                flash=content("flash.bin", part.flash_size),
                eeprom=content("eeprom.bin", part.eeprom_size),
                fuses=content("fuses.bin", len(part.factory_fuses)),
                user_row=content("user-row.bin", len(part.factory_user_row)),
                secure_element=secure_element,
                wifi_module=wifi_module,
                lock_bits=lock_bits,
                serial_number=serial_number,
                secure_element_address=name.kind.secure_element_address,
                meters=meters,
                modem=modem,
            )
        except (*_DAMAGE, ProvisioningError) as error:
            raise StoreError(
                f"The state of the simulated kit {name.text} is damaged",
                f"{folder / reading}: {error}",
                f"python -m iotprovision.simulator reset {name.text} --state {folder.parent}\n"
                "makes it factory-fresh: it gets a new serial number and new keys",
            ) from error
        for chip in (board.secure_element, board.wifi_module):
            chip.meters, chip.faults = board.meters, board.faults
        if board.modem:
            board.modem.meters, board.modem.faults = board.meters, board.faults
        state = cls(name, folder, board, registers, firmware, usb_port)
        state._saved = {file: value for file, value, _ in state._contents()}
        return state

    def _contents(self) -> Iterator[tuple[str, Any, Callable[[Any], bytes]]]:
        board = self.board
        yield "flash.bin", bytes(board.flash), bytes
        yield "eeprom.bin", bytes(board.eeprom), bytes
        yield "fuses.bin", bytes(board.fuses), bytes
        yield "user-row.bin", bytes(board.user_row), bytes
        if board.modem:
            yield MODEM_FILE, board.modem.state(), _yaml
        else:
            yield "winc.bin", bytes(board.wifi_module.flash), bytes
        yield "board-config.bin", bytes(self.registers.content), bytes
        yield "debugger-flash.bin", bytes(self.debugger_flash), bytes
        yield "ecc608.yaml", board.secure_element.state(), _yaml
        yield "meters.json", board.meters.as_dict(), _json
        kit = {
            "kit": self.name.text,
            "name": board.kit_name,
            "microcontroller": board.microcontroller,
            "serial_number": board.serial_number,
            "debugger_version": self.debugger_version,
            "lock_bits": board.lock_bits,
            "usb_port": self.usb_port,
        }
        yield "kit.yaml", kit, _yaml

    def changes(self) -> list[Change]:
        """What differs from what was saved last: a moment's picture."""
        return [
            Change(file, value, encode(value))
            for file, value, encode in self._contents()
            if self._saved.get(file) != value
        ]

    def write(self, changes: list[Change]) -> None:
        """Write what :meth:`changes` gave.

        :raises StoreError: the folder cannot be written
        """
        for change in changes:
            try:
                write_private(self.folder / change.file, change.data)
            except OSError as error:
                raise StoreError(
                    f"Cannot save the simulated kit {self.name.text} in {self.folder}", str(error)
                ) from error
            self._saved[change.file] = change.value

    def save(self) -> None:
        """Write what has changed.

        :raises StoreError: the folder cannot be written
        """
        self.write(self.changes())


def _free_usb_port(state_folder: Path) -> int:
    taken = set()
    for name in kits_in(state_folder):
        with suppress(*_DAMAGE):
            taken.add(yaml.safe_load((state_folder / name.text / "kit.yaml").read_text(encoding="utf-8"))["usb_port"])
    return next(port for port in range(1, len(taken) + 2) if port not in taken)


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False).encode("utf-8")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode("utf-8")


def reset(
    state_folder: Path,
    name: SimulatedKitName,
    debugger_version: str | None = None,
    secure_element: Kind | None = None,
    wifi_module_flash: bytes | None = None,
) -> KitState:
    """Throw a kit's state away and make a factory-fresh one: new serial numbers, new keys.

    :param secure_element: its kind, where it is not the usual one of such a kit
    :param wifi_module_flash: what the flash of the Wi-Fi module holds, 1 MiB; erased by default
    :raises LockedError: the kit is being served
    :raises StoreError: the folder cannot be written
    """
    with exclusive(state_folder, name):
        folder = state_folder / name.text
        try:
            if folder.is_dir():
                shutil.rmtree(folder)
            else:
                folder.unlink(missing_ok=True)
        except OSError as error:
            raise _not_writable(state_folder, error) from error
        state = KitState.load_or_create(state_folder, name, debugger_version, secure_element)
        if wifi_module_flash is not None:
            state.board.wifi_module.flash[:] = wifi_module_flash
            state.save()
        return state
