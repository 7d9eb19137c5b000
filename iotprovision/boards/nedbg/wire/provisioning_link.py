"""The provisioning firmware on the serial port: its commands as functions (protocol V2, docs/serial-protocol.md)."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence

from iotprovision.boards.nedbg.wire.banner import About, Banner
from iotprovision.boards.nedbg.wire.request import refused, request_line
from iotprovision.boards.nedbg.wire.response import ResponseReader
from iotprovision.boards.serial_port import SerialLine, shown
from iotprovision.errors import SerialLinkError
from iotprovision.formats.ecc608_zones import (
    OTP_SIZE,
    PUBLIC_KEY_SIZE,
    SERIAL_NUMBER_SIZE,
    SIGNATURE_SIZE,
    SLOTS,
    slot_size,
)
from iotprovision.formats.winc_flash import PAGE, SECTOR, SIZE, FlashArea
from iotprovision.progress import Progress

_log = logging.getLogger(__name__)

BAUD_RATE = 115200

# READY comes 0.4 s after a reset, and 9.6 s after it where the firmware of the Wi-Fi module does not start. PIC boards
# wait half a second more and a slow host adds its own delay.
READY_TIMEOUT = 20.0
# Making a public key takes 0.14 s, a signature 0.2 s, the Wi-Fi module's change to download mode 0.35 s; each may
# be retried inside the firmware, which has no time-out of its own.
COMMAND_TIMEOUT = 10.0
# The answer to a ping takes 4 ms. A second covers the end of a command that is still running.
PING_TIMEOUT = 1.0
SYNCHRONISE_ATTEMPTS = 4
# Between two bytes of one answer the firmware pauses far less than this.
QUIET = 0.05
DRAIN_LIMIT = 1.0
# A microcontroller stopped in the middle of a transfer leaves the secure element awake for this long; until it sleeps
# the firmware boots without its Wi-Fi module.
RESET_AGAIN_AFTER = 1.5

# Ends a line that somebody left half typed, and makes sure that it is refused: a lone line end would execute what there
# is of it, and half of "erase sector 20480" is "erase sector 2048". No command accepts X as one more argument.
SPOIL_LINE = b",X\r\n"
# A whole answer to a ping that repeats something else than hexadecimal digits, as tokens are.
_WRONG_PONG = re.compile(rb"MC\+PONG=(?![0-9A-F]+\r\n).*?\r\nOK\r\n", re.DOTALL)

LEAVE_BRIDGE = b"\x04"
# The firmware answers at once; the modem may be in the middle of 8 KiB, which take 0.7 s.
LEAVE_BRIDGE_TIMEOUT = 3.0

# Characters of text that stand for one byte.
HEX_DIGITS = 2

# The secure element is written in words of so many bytes.
SLOT_WORD = 4


class ProvisioningLink:
    """A conversation with the provisioning firmware: one request at a time, each answered before the next is sent.

    The link synchronises itself before the first command and after one that went wrong. When an exception of any kind
    (Ctrl-C too) left a blob unfinished, ``needs_target_reset`` is true and every command is refused until the target
    was reset: nothing else makes the firmware leave that state, and what it would be sent next would be written.

    Every command raises :class:`ChipRefusedError` when the firmware answers with an error (its ``status`` is the
    code; ``wire.status.is_transient`` tells whether another try may help) and :class:`SerialLinkError` when the answer
    does not come or makes no sense. A number out of range is a ``ValueError`` and nothing is sent.

    :param line: the open port, 115200 baud
    :param owned: areas of the Wi-Fi module's flash that may be erased and written; anything else is a ``ValueError``
    :param random: ``random(n)`` gives n random bytes
    :param owned_slots: slots of the secure element that may be written; anything else is a ``ValueError``
    """

    def __init__(
        self,
        line: SerialLine,
        owned: Sequence[FlashArea] = (),
        random: Callable[[int], bytes] = secrets.token_bytes,
        owned_slots: Collection[int] = (),
    ) -> None:
        self._line = line
        self._owned = owned
        self._owned_slots = owned_slots
        self._random = random
        self._reader = ResponseReader(line)
        self._in_step = False
        self._ping_is_right = True
        self.needs_target_reset = False

    # --- the link itself

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> Banner:
        """Wait for the line READY that ends every start of the firmware; nothing needs to be sent before or after.

        Where the banner lacks its middle part (``banner.about`` is None) the firmware has not reached the Wi-Fi module:
        reset the target again after ``RESET_AGAIN_AFTER`` seconds.

        :raises SerialLinkError: no READY in time
        """
        self._in_step = False
        lines = self._reader.read_until_ready(timeout)
        self._in_step = True
        self.needs_target_reset = False
        return Banner.parse(lines)

    def synchronise(self) -> None:
        """Make sure that the provisioning firmware answers and that the next answer is that of the next command.

        Only for a target that is not inside a blob; after a run that may have been killed there, reset the target and
        use :meth:`wait_ready`.

        :raises SerialLinkError: no attempt was answered
        """
        self._refuse_unfinished_blob()
        received = bytearray()
        for attempt in range(SYNCHRONISE_ATTEMPTS):
            self._line.write(SPOIL_LINE)
            received += self._reader.discard(QUIET, DRAIN_LIMIT)
            token = self._random(4).hex().upper()
            timeout = PING_TIMEOUT * (attempt + 1)
            if self._ping_is_right:
                self._line.write(f"MC+PING={token}\r\n".encode())
                if self._reader.find_pong(token, timeout):
                    self._in_step = True
                    return
                received += self._reader.received
            # The firmware of the AVR-IoT Cellular answers every ping with the same bytes of its program.
            wrong = not self._ping_is_right or _WRONG_PONG.search(self._reader.received)
            if wrong and self._echoes(token, timeout):
                self._in_step, self._ping_is_right = True, False
                return
            received += self._reader.received
        raise SerialLinkError(
            f"The kit's provisioning firmware does not answer on {self._line.name}",
            shown(bytes(received)),
            "close other programs that use the port; unplug the kit, plug it in and run the command again",
        )

    def _echoes(self, token: str, timeout: float) -> bool:
        """Whether the firmware sends a blob back that it is sent to test the link."""
        what = "test the link"
        self._reader.discard(QUIET, DRAIN_LIMIT)
        self.needs_target_reset = True  # from here on the firmware may wait for a blob
        self._line.write(f"MC+BLOBTEST={len(token)}\r\n".encode())
        answer = self._reader.read_answer(what, self._line.clock() + timeout, prompt=True)
        if not answer.is_prompt:
            # An error is the answer to this; an OK may be a late one to something else.
            self.needs_target_reset = not answer.status
            self._refuse_unfinished_blob()
            return False
        self._line.write(token.encode() + b"\r\n")
        answer = self._reader.read_answer(what, self._line.clock() + COMMAND_TIMEOUT)
        self.needs_target_reset = False
        return not answer.status and answer.lines == [token.encode()]

    def reset(self, timeout: float = READY_TIMEOUT) -> Banner:
        """Have the firmware reset its microcontroller, and wait until it is ready again."""
        self._prepare()
        self._in_step = False
        self._line.write(b"MC+RESET\r\n")
        return self.wait_ready(timeout)

    # --- about the kit

    def about(self) -> About:
        """Name and versions. Takes the Wi-Fi module out of download mode (0.35 s).

        :raises ChipRefusedError: the Wi-Fi module does not answer
        """
        lines = self._command("ask for the versions", "MC+ABOUT")
        about = About.parse([line.decode("ascii", "replace") for line in lines])
        if about is None:
            raise SerialLinkError("The answer to MC+ABOUT makes no sense", shown(b"\n".join(lines)))
        return about

    # --- secure element

    def secure_element_serial(self) -> bytes:
        """The 9 bytes of the serial number."""
        return self._hex("read the serial number of the secure element", "MC+ECC+SERIAL", expected=SERIAL_NUMBER_SIZE)

    def public_key(self, slot: int = 0) -> bytes:
        """X and Y, 64 bytes, of the private key in a slot (computed by the chip: that key never leaves it)."""
        return self._hex(
            f"compute the public key of slot {slot}", "MC+ECC+GENPUBKEY", _slot(slot), expected=PUBLIC_KEY_SIZE
        )

    def sign_digest(self, digest: bytes) -> bytes:
        """R and S, 64 bytes, over a SHA-256 digest, with the private key in slot 0."""
        if len(digest) != 32:
            raise ValueError(f"a SHA-256 digest has 32 bytes, not {len(digest)}")
        # The first argument must be there and is not used by the firmware.
        what = "sign with the key of slot 0"
        return self._hex(what, "MC+ECC+SIGNDIGEST", len(digest), blob=digest, expected=SIGNATURE_SIZE)

    def read_slot(self, slot: int, size: int | None = None) -> bytes:
        """The first ``size`` bytes of a slot, all of it by default (36, 416 or 72 bytes).

        Slots that hold secrets are refused by the chip.
        """
        whole = slot_size(_slot(slot))
        if size is not None and not 1 <= size <= whole:
            raise ValueError(f"slot {slot} has {whole} bytes, {size} cannot be read")
        arguments = (slot,) if size is None else (slot, size)
        what = f"read slot {slot} of the secure element"
        return self._hex(what, "MC+ECC+READ", *arguments, expected=whole if size is None else size)

    def read_otp(self, size: int = OTP_SIZE) -> bytes:
        """The first ``size`` bytes of the one-time-programmable zone, all 64 by default."""
        if not 1 <= size <= OTP_SIZE:
            raise ValueError(f"the one-time-programmable zone has {OTP_SIZE} bytes, {size} cannot be read")
        what = "read the one-time-programmable zone of the secure element"
        return self._hex(what, "MC+ECC+OTP+READ", size, expected=size)

    def write_slot(self, slot: int, data: bytes) -> None:
        """Write the first bytes of an owned slot, a multiple of 4; what lies behind stays. OK is no proof: read back.

        A slot that was locked, or that its configuration protects, is refused by the chip.
        """
        whole = slot_size(_slot(slot))
        if slot not in self._owned_slots:
            raise ValueError(f"slot {slot} is none that this run may change")
        if not 1 <= len(data) <= whole or len(data) % SLOT_WORD:
            raise ValueError(f"slot {slot} takes {SLOT_WORD} to {whole} bytes in words of {SLOT_WORD}, not {len(data)}")
        self._command(f"write slot {slot} of the secure element", "MC+ECC+WRITEBLOB", slot, len(data), blob=data)

    def lock_slot(self, slot: int) -> None:
        """Lock a slot for good: nothing can undo it. Locking a locked slot changes nothing and is no error."""
        self._command(f"lock slot {slot} of the secure element", "MC+ECC+LOCK", _slot(slot))

    # --- Wi-Fi module

    def winc_read(self, address: int, length: int) -> bytes:
        """1 to 256 bytes of the Wi-Fi module's flash."""
        if not 1 <= length <= PAGE:
            raise ValueError(f"1 to {PAGE} bytes can be read at once, not {length}")
        _check_range(address, length)
        what = f"read the flash of the Wi-Fi module at 0x{address:05X}"
        return self._hex(what, "MC+WINC+READ", address, length, expected=length)

    def winc_read_range(self, address: int, length: int, progress: Progress | None = None) -> bytes:
        """Any number of bytes of the Wi-Fi module's flash, in commands of 256 at most.

        :param progress: called with bytes done and bytes in all after each command
        """
        _check_range(address, length)
        data = bytearray()
        while len(data) < length:
            data += self.winc_read(address + len(data), min(PAGE, length - len(data)))
            if progress:
                progress(len(data), length)
        return bytes(data)

    def winc_erase_sector(self, address: int) -> None:
        """Erase the 4096 bytes of a sector of an owned area. OK is no proof: read back."""
        if address % SECTOR:
            raise ValueError(f"0x{address:X} is not the beginning of a sector")
        self._check_owned(address, SECTOR)
        self._command(f"erase the sector 0x{address:05X} of the Wi-Fi module", "MC+WINC+ERASE", address)

    def winc_write(self, address: int, data: bytes) -> None:
        """Program 1 to 256 bytes of one page of an owned area, which must be erased. OK is no proof: read back."""
        if address % PAGE:
            raise ValueError(f"0x{address:X} is not the beginning of a page")
        if not 1 <= len(data) <= PAGE:
            raise ValueError(f"1 to {PAGE} bytes can be written at once, not {len(data)}")
        self._check_owned(address, len(data))
        what = f"write the flash of the Wi-Fi module at 0x{address:05X}"
        self._command(what, "MC+WINC+WRITEBLOB", address, len(data), blob=data)

    def _check_owned(self, address: int, length: int) -> None:
        _check_range(address, length)
        if not any(area.holds(address, length) for area in self._owned):
            raise ValueError(f"0x{address:X} to 0x{address + length - 1:X} is in no area this run may change")

    # --- modem

    @contextlib.contextmanager
    def bridge(self) -> Iterator[SerialLine]:
        """What is sent goes to the modem, until the block ends in whatever way.

        :raises SerialLinkError: the firmware does not come back; only a reset of the target then ends the bridge
        """
        self._refuse_unfinished_blob()
        self._prepare()
        self._in_step = False
        self.needs_target_reset = True
        # No line feed: it would be the first byte that the modem gets.
        self._line.write(b"MC+BRIDGEMODE\r")
        what = "open the bridge to the modem"
        answer = self._reader.read_answer(what, self._line.clock() + COMMAND_TIMEOUT)
        if answer.status:
            self.needs_target_reset = False
            raise refused(what, "MC+BRIDGEMODE", answer.status)
        # The modem may have spoken already; nothing was asked of it yet.
        self._reader.forget()
        try:
            yield self._line
        except BaseException:
            # What went wrong is told; a target that does not come back is reset by whoever owns it.
            with contextlib.suppress(SerialLinkError):
                self._leave_bridge()
            raise
        self._leave_bridge()

    def _leave_bridge(self) -> None:
        """Whatever the modem still says comes before the OK of the firmware, which is the last thing sent."""
        self._line.drain(QUIET, DRAIN_LIMIT)
        self._line.write(LEAVE_BRIDGE)
        received = bytearray()
        deadline = self._line.clock() + LEAVE_BRIDGE_TIMEOUT
        while not received.endswith(b"OK\r\n"):
            data = self._line.read_some(deadline - self._line.clock()) if self._line.clock() < deadline else b""
            if not data:
                raise SerialLinkError(
                    f"The kit did not come back from the bridge to its modem on {self._line.name}",
                    shown(bytes(received)),
                    "unplug the kit, plug it in and run the command again",
                )
            received += data
        self.needs_target_reset = False

    # --- one exchange

    def _hex(self, what: str, name: str, *arguments: int, blob: bytes | None = None, expected: int) -> bytes:
        lines = self._command(what, name, *arguments, blob=blob)
        try:
            (text,) = lines
            data = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            data = b""
        if len(data) != expected or len(text) != expected * HEX_DIGITS:
            raise SerialLinkError(
                f"Could not {what}: the answer is not {expected} bytes of hex digits", shown(b"\r\n".join(lines))
            )
        return data

    def _command(self, what: str, name: str, *arguments: int, blob: bytes | None = None) -> list[bytes]:
        """Send one command and return the lines of data of its answer.

        :param what: what the command does, to complete the sentence "Could not …"
        """
        text = blob.hex().upper() if blob is not None else None
        request = request_line(name, arguments, text)
        self._prepare()
        _log.debug("%s", request)
        self._in_step = False
        self.needs_target_reset = text is not None
        self._line.write(request.encode("ascii") + b"\r\n")
        deadline = self._line.clock() + COMMAND_TIMEOUT
        answer = self._reader.read_answer(what, deadline, prompt=text is not None)
        if text is not None and answer.is_prompt:
            self._line.write(text.encode("ascii") + b"\r\n")
            answer = self._reader.read_answer(what, self._line.clock() + COMMAND_TIMEOUT)
        self._in_step = True
        self.needs_target_reset = False
        if answer.status:
            raise refused(what, request, answer.status)
        return answer.lines

    def _prepare(self) -> None:
        self._refuse_unfinished_blob()
        if not self._in_step:
            self.synchronise()
        stray = self._reader.take_stray()
        if stray:
            self._in_step = False
            raise SerialLinkError(
                f"The kit sent something unasked on {self._line.name}",
                shown(stray),
                "run the command again; if it stays like this the kit resets itself: try another cable or port",
            )

    def _refuse_unfinished_blob(self) -> None:
        if self.needs_target_reset:
            raise SerialLinkError(
                "The kit still waits for the rest of a transfer that was broken off",
                "Anything sent now would be taken as data and written, or go to the modem.",
                "reset the kit, or unplug it and plug it in again",
            )


def _slot(slot: int) -> int:
    if slot not in SLOTS:
        raise ValueError(f"the secure element has slots {SLOTS[0]} to {SLOTS[-1]}, not {slot}")
    return slot


def _check_range(address: int, length: int) -> None:
    if address < 0 or length < 1 or address + length > SIZE:
        raise ValueError(f"0x{address:X}, {length} bytes, is not in the flash of the Wi-Fi module")
