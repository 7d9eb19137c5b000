"""What making a fresh kit a device needs at least: HID transactions and UART bytes (docs/kits.md says how).

Everything is computed from the sizes of the images, from what the chips hold afterwards, and from the protocols;
nothing is taken from a run of the tool.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

import yaml

from iotprovision.boards.catalogue import KitDescription
from iotprovision.firmware.cache import FirmwareCache
from iotprovision.firmware.hex_image import HexImage
from iotprovision.firmware.mcu import FLASH, FUSES, USER_ROW
from iotprovision.formats.modem_memory import PROFILE

LIMIT = 1.25
# A report carries 60 bytes of a command, or of an answer; each report is a transaction.
REPORT = 60
# Who the kit is 13, its registers 16; of the registers two parts written and read back; a restart 2; boot mode 17, and
# who the kit is afterwards.
AROUND = 13 + 16 + 2 * 2 + 2 + 17 + 13
READ = 512


class Part(NamedTuple):
    """What is written or read together, and what it takes."""

    size: int
    transactions: int

    def of(self, size: int) -> int:
        return ceil(size / self.size) * self.transactions


@dataclass(frozen=True)
class Interface:
    """How a family of MCUs is programmed.

    :param session: transactions to open and close one
    :param erase: transactions of a chip erase
    """

    session: int
    erase: int
    write: Part
    read: Part

    def image(self, image: HexImage) -> int:
        """One image, programmed and read back."""
        count = self.session + self.erase
        for segment in image.segments:
            if segment.area.name == FLASH:
                count += self.write.of(len(segment.data)) + self.read.of(len(segment.data))
            elif segment.area.name in (FUSES, USER_ROW):
                count += 2 * _answered(len(segment.data), 17)
        return count


def _answered(size: int, head: int) -> int:
    """A command of so many bytes behind its head, and its short answer."""
    return (size + head) // REPORT + 2


def _asked(size: int) -> int:
    """A short command, and an answer of so many bytes behind three of its head."""
    return 1 + ceil((size + 3) / REPORT)


def _by_pages(page: int, session: int, erase: int) -> Interface:
    return Interface(session, erase, Part(page, _answered(page, 17)), Part(READ, _asked(READ)))


# CMSIS-DAP: a block transfer brings 14 words. The address counts up by itself, but not from one KiB into the next.
_BLOCK = 56
_KIBIBYTE = Part(1024, ceil(1024 / _BLOCK) + 1)
INTERFACES: Mapping[str, Callable[[int], Interface]] = {
    "avr8x": lambda page: _by_pages(page, 38, 2),
    "PIC24": lambda page: _by_pages(page, 56, 4),
    "CORTEX-M0PLUS": lambda _: Interface(42, 2, _KIBIBYTE, _KIBIBYTE),
}


@dataclass(frozen=True)
class Floor:
    """The least that a first run needs.

    :param transactions: of HID
    :param uart: bytes, both ways
    """

    transactions: int
    uart: int

    def faults(self, meters: Mapping[str, int]) -> list[str]:
        """Which figures of a run are above their limit, in words."""
        pairs = [
            ("HID transactions", meters["hid_transactions"], self.transactions),
            ("UART bytes", uart_bytes(meters), self.uart),
        ]
        return [
            f"{measured} {unit}, {LIMIT} times {least} are allowed"
            for unit, measured, least in pairs
            if measured > LIMIT * least
        ]


def uart_bytes(meters: Mapping[str, int]) -> int:
    return meters["uart_bytes_to_kit"] + meters["uart_bytes_from_kit"]


def floor(kit: KitDescription, method: str, folder: Path, with_application: bool) -> Floor:
    """The floor of a first run.

    :param method: ``sandbox``, ``jitr`` or ``mar``
    :param folder: of the simulated kit after the run: its chips tell how much had to be brought
    """
    images = [_image(kit, "iotprovision")] + ([_image(kit, "demo-aws")] if with_application else [])
    interface = INTERFACES[images[0].mcu.architecture](images[0].mcu.flash.page_size)
    return Floor(AROUND + sum(map(interface.image, images)), sum(_conversation(kit, method, folder)))


def _image(kit: KitDescription, job: str) -> HexImage:
    return HexImage.load(FirmwareCache(os.environ).path(kit.image(job)), kit.mcu)


# --- the serial port: each number is the bytes of an exchange, both ways


def _exchange(request: str, answer: int = 0, blob: int = 0) -> int:
    """A request and its line end; the blob behind its prompt; the data, and OK. Data and blob are hex digits."""
    sent = len(request) + 2 + (2 * blob + 2 + len("\r\n>") if blob else 0)
    return sent + (2 + 2 * answer if answer else 0) + len("\r\nOK\r\n")


def _modem(command: str, answer: int = 0, blob: int = 0) -> int:
    return len(command) + 1 + (blob + len("\r\n> ") if blob else 0) + (2 + answer if answer else 0) + len("\r\nOK\r\n")


# The lines of a start up to READY; those of the kits differ by a few letters.
START = 190


def _conversation(kit: KitDescription, method: str, folder: Path) -> Iterator[int]:
    yield START
    yield _exchange("MC+ECC+SERIAL", 9)
    yield _exchange("MC+ECC+GENPUBKEY=0", 64)
    if method == "sandbox":
        yield _exchange("MC+ECC+OTP+READ=8", 8)
        yield from (_exchange(f"MC+ECC+READ={slot}", 72) for slot in (10, 11, 12))
    else:
        yield _exchange("MC+ECC+SIGNDIGEST=32,64", 64, 32)
    yield from _wifi_module((folder / "winc.bin").read_bytes()) if kit.has_wifi else _cellular(folder)


def _wifi_module(flash: bytes) -> Iterator[int]:
    """Heads of the three places, so that nothing is overwritten unseen; two sectors; slots 10 to 12 locked."""
    yield from (_exchange(f"MC+WINC+READ={address},{size}", size) for address, size in _HEADS)
    yield from (_exchange(f"MC+WINC+ERASE={sector}") for sector in (0x5000, 0x6000))
    for page in range(0x5000, 0x7000, 256):
        size = len(flash[page : page + 256].rstrip(b"\xff"))
        if size:
            yield _exchange(f"MC+WINC+WRITEBLOB={page},{size},{2 * size}", blob=size)
            yield _exchange(f"MC+WINC+READ={page},{size}", size)
    yield from (_exchange(f"MC+ECC+LOCK={slot}") for slot in (10, 11, 12))


_HEADS = ((0x5000, 16), (0x6E00, 1), (0x6F00, 1))


def _cellular(folder: Path) -> Iterator[int]:
    """Slot 8 as it was, what it holds, and that again; two slots and the profile of the modem likewise."""
    slot = bytes.fromhex(yaml.safe_load((folder / "ecc608.yaml").read_text(encoding="utf-8"))["slots"][8])
    size = ceil(len(slot.rstrip(b"\0")) / 4) * 4
    yield _exchange("MC+ECC+READ=8", 416)
    yield _exchange(f"MC+ECC+WRITEBLOB=8,{size},{2 * size}", blob=size)
    yield _exchange(f"MC+ECC+READ=8,{size}", size)
    yield _exchange("MC+BRIDGEMODE") + 1 + len("\r\nOK\r\n")
    yield from map(_modem, ("AT", "AT+CMEE=2", f"AT+SQNSPCFG={PROFILE}", "AT+SQNSPCFG?"))
    yield _modem("AT+SQNSPCFG?", len(f"+SQNSPCFG: {PROFILE}"))
    modem = yaml.safe_load((folder / "modem.yaml").read_text(encoding="utf-8"))
    for number, text in modem["memory"]["certificate"].items():
        size = len(text)
        yield _modem(f'AT+SQNSNVR="certificate",{number}')
        yield _modem(f'AT+SQNSNVW="certificate",{number},{size}', blob=size)
        yield _modem(f'AT+SQNSNVR="certificate",{number}', size)


def table(rows: Sequence[tuple[str, str, Mapping[str, int], Floor]]) -> str:
    """Kit, method, meters of the run and its floor, as a table in Markdown."""
    lines = [
        "| kit | method | HID needed | measured | ratio | UART needed | measured | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kit, method, meters, least in rows:
        measured, uart = meters["hid_transactions"], uart_bytes(meters)
        cells = [kit, method, f"{least.transactions:,}", f"{measured:,}"]
        cells += [f"{measured / least.transactions:.2f}", f"{least.uart:,}", f"{uart:,}", f"{uart / least.uart:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
