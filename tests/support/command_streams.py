"""Random streams of input for the provisioning firmware: valid and malformed commands, split, overlong, blobs misused.

A stream is a list of bursts. Each burst goes out at once, when everything before it has been answered. Behind a line
end come at most seven bytes in the same burst: what happens to more depends on microseconds.
"""

from __future__ import annotations

from random import Random

LINE_ENDS = (b"\r\n", b"\n", b"\r")
NAMES = (
    b"MC+ABOUT MC+BLOBTEST MC+PING MC+ECC+GENPUBKEY MC+ECC+LOCK MC+ECC+OTP+READ MC+ECC+READ MC+ECC+PUBKEY+READ "
    b"MC+ECC+SERIAL MC+ECC+SIGNDIGEST MC+ECC+WRITEBLOB MC+ECC+PUBKEY+WRITE MC+GETLED MC+LISTCOMMANDS MC+SETLED "
    b"MC+VERSION MC+WINC+ERASE MC+WINC+READ MC+WINC+WRITEBLOB"
).split()
WORDS = b"ON OFF WIFI ERROR ALL DATA conn CELL FIRMWARE winc COMMANDHANDLER FOO abc zz 1,,2".split()
NO_LINE_ENDS = bytes(value for value in range(256) if value not in b"\r\n")
ADDRESSES = (0, 1, 255, 4090, 16384, 20480, 20608, 28671, 0x6F00, 1048575, 1048576, 0x1004000, 0x80000000, 2**32 - 1)


def number(random: Random, *likely: int) -> bytes:
    """A number as one may write it: mostly well, now and then badly."""
    value = random.choice(likely) if likely and random.random() < 0.8 else random.randrange(-3, 1100)
    form = random.random()
    if form < 0.55:
        return b"%d" % value
    if form < 0.75:
        return b"%#x" % value
    if form < 0.85:
        return b"0%o" % abs(value)
    return random.choice(
        [b"%dx" % value, b"+%d" % abs(value), b" %d" % value, b"%d " % value, b"", b"0x", b"99999999999"]
    )


def slot(random: Random) -> bytes:
    return number(random, *range(17))


def valid_looking(random: Random) -> tuple[bytes, bytes | None]:
    """A line without its end, and the blob that belongs to it."""
    name = random.choice(NAMES)
    if name == b"MC+WINC+WRITEBLOB":
        size = random.choice((1, 4, 16, 255, 256, 257))
        blob = content(random, 2 * size)
        return b"%s=%s,%s,%d" % (name, number(random, *ADDRESSES), number(random, size), len(blob)), blob
    if name == b"MC+ECC+WRITEBLOB":
        size = random.choice((3, 4, 8, 36, 72, 76, 416))
        blob = content(random, 2 * size)
        return b"%s=%s,%s,%d" % (name, slot(random), number(random, size), len(blob)), blob
    if name == b"MC+ECC+PUBKEY+WRITE":
        blob = content(random, random.choice((128, 128, 126)))
        return b"%s=%s,%d" % (name, slot(random), len(blob)), blob
    if name == b"MC+ECC+SIGNDIGEST":
        blob = content(random, random.choice((64, 64, 63, 62, 1, 576)))
        return b"%s=%s,%d" % (name, number(random, 32), len(blob)), blob
    if name == b"MC+BLOBTEST":
        blob = content(random, random.choice((1, 2, 7, 40, 1024)))
        return b"%s=%s%d" % (name, random.choice((b"", b"1,", b"x,y,")), len(blob)), blob
    if name == b"MC+WINC+READ":
        return b"%s=%s,%s" % (name, number(random, *ADDRESSES), number(random, 1, 4, 16, 255, 256, 257)), None
    if name == b"MC+WINC+ERASE":
        return b"%s=%s" % (name, number(random, *ADDRESSES)), None
    if name in (b"MC+ECC+READ", b"MC+ECC+OTP+READ"):
        return b"%s=%s,%s" % (name, slot(random), number(random, 4, 32, 33, 64, 72, 73, 416, 417)), None
    if name.startswith(b"MC+ECC"):
        return b"%s=%s" % (name, slot(random)), None
    count = random.choice((0, 1, 1, 1, 2, 2, 3))
    return name + b"=" * bool(count) + b",".join(random.choice(WORDS) for _ in range(count)), None


def content(random: Random, size: int) -> bytes:
    """Blob content: mostly hex, now and then anything. A line end stands only near its end."""
    if random.random() < 0.85:
        return bytes(random.choice(b"0123456789abcdefABCDEF") for _ in range(size))
    anything = bytes(random.choice(NO_LINE_ENDS) for _ in range(size))
    if size > 8 and random.random() < 0.5:
        place = size - random.randrange(1, 6)
        return anything[:place] + random.choice((b"\r", b"\n")) + anything[place + 1 :]
    return anything


def damaged(random: Random, line: bytes) -> bytes:
    """A line with something wrong in it."""
    kind = random.randrange(6)
    place = random.randrange(len(line) + 1)
    if kind == 0:
        return line[:place] + line[place + 1 :]
    if kind == 1:
        return line[:place] + bytes([random.choice([0, 4, 9, 27, 61, 44, 127, 128, 255])]) + line[place:]
    if kind == 2:
        return line + b"," + random.choice(WORDS)
    if kind == 3:
        return line.swapcase()
    if kind == 4:
        return line + b",1" * random.randrange(10, 18)
    return bytes(random.choice(NO_LINE_ENDS) for _ in range(random.randrange(1, 20)))


def overlong(random: Random) -> bytes:
    """A line at and around the end of the line buffer (127 characters and the line end)."""
    start = random.choice((b"", b"MC+PING=", b"MC+BLOBTEST=", b"MC+SETLED="))
    size = random.choice((125, 126, 127, 128, 129, 130, 131, 200, 300))
    return start + b"A" * (size - len(start))


def pieces(random: Random, burst: bytes) -> list[bytes]:
    """A burst in one to four bursts."""
    cuts = sorted(random.randrange(len(burst) + 1) for _ in range(random.choice((0, 0, 0, 1, 2, 3))))
    parts = [burst[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(burst)], strict=True)]
    return [part for part in parts if part]


def misused(random: Random, blob: bytes) -> bytes:
    """What is sent instead of a blob and its line end."""
    kind = random.randrange(4)
    if kind == 0:
        return blob + b"!" + b"\r\n"
    if kind == 1:
        return blob[:-1] + b"\r\n"
    if kind == 2:
        return b"\r\n"
    return blob[: len(blob) // 2]


def stream(seed: int, commands: int) -> list[bytes]:
    """So many commands with all that belongs to them; the same for the same seed."""
    random = Random(seed)
    bursts: list[bytes] = []
    for _ in range(commands):
        if random.random() < 0.08:
            bursts += pieces(random, overlong(random) + random.choice(LINE_ENDS))
            continue
        line, blob = valid_looking(random)
        if random.random() < 0.2:
            line = damaged(random, line)
        bursts += pieces(random, line + random.choice(LINE_ENDS))
        if blob is not None:
            sent = blob + random.choice(LINE_ENDS) if random.random() < 0.8 else misused(random, blob)
            bursts += pieces(random, sent)
        if random.random() < 0.1:
            bursts.append(random.choice((b"\r\n", b"\n\n", b"\r", b"x\r\n")))
    return bursts
