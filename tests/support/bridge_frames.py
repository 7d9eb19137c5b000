"""Frames for the bridge to the Wi-Fi module: well formed and badly formed ones, one at a time."""

from __future__ import annotations

from random import Random

PAGE, SECTOR = 256, 4096
ADDRESSES = (0, 0x100, 0x180, 0x1000, 0x4F80, 0x5000, 0x5010, 0xFF000, 0xFFF80, 0x100100)
# More than the 24 bits that a flash knows; what becomes of a write there depends on the frame before it.
BEYOND = (0x1005000, 0x0B000100)


def frame(command: int, address: int = 0, payload: bytes = b"", end: int = 0xBB) -> bytes:
    """A request, after docs/winc-upgrade.md."""
    return bytes([0xAA, command, len(payload) // PAGE]) + address.to_bytes(4, "little") + payload + bytes([end])


def random_frame(random: Random) -> bytes:
    """What a host could send, sometimes behind bytes that are no frame."""
    command = random.choice((0, 1, 1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 0xAA, 0xFF))
    known = ADDRESSES if command in (3, 4) else ADDRESSES + BEYOND
    address = random.choice(known) if random.random() < 0.9 else PAGE * random.randrange(1 << 16)
    pages = {3: 1, 4: random.choice((1, 2, 3, 16))}.get(command, 0)
    if random.random() < 0.2:
        pages = random.choice((0, 1, 2, 16))
    payload = random.randbytes(PAGE) * pages if random.random() < 0.5 else random.randbytes(PAGE * pages)
    end = 0xBB if random.random() < 0.9 else random.randrange(256)
    before = bytes(random.choice((0x00, 0x0D, 0xBB, 0xFF)) for _ in range(random.choice((0, 0, 0, 1, 3))))
    return before + frame(command, address, payload, end)
