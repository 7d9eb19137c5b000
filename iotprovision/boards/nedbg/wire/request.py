"""One line to the provisioning firmware, and what its refusal means (docs/serial-protocol.md)."""

from __future__ import annotations

from collections.abc import Sequence

from iotprovision.boards.nedbg.wire import status_codes
from iotprovision.errors import ChipRefusedError

# The firmware's line buffer holds 128 characters. With 127 characters before it a CR LF is one too many: the CR ends
# the line and the LF is then answered with an overrun of its own.
LONGEST_REQUEST = 126
LONGEST_BLOB = 1024


def request_line(name: str, arguments: Sequence[int], blob: str | None) -> str:
    """The request line. Numbers are plain decimal: the firmware takes a leading zero for octal, and its erase command
    takes text for sector 0."""
    numbers = list(arguments)
    if blob is not None:
        # A length of zero leaves the firmware waiting for a character it then refuses.
        if not 1 <= len(blob) <= LONGEST_BLOB:
            raise ValueError(f"a blob has 1 to {LONGEST_BLOB} characters, not {len(blob)}")
        numbers.append(len(blob))
    if any(number < 0 for number in numbers):
        raise ValueError(f"negative number among {numbers}")
    request = name + ("=" if numbers else "") + ",".join(f"{number:d}" for number in numbers)
    if len(request) > LONGEST_REQUEST:
        raise ValueError(f"the request has more than {LONGEST_REQUEST} characters")
    return request


def refused(what: str, request: str, status: int) -> ChipRefusedError:
    return ChipRefusedError(
        f"Could not {what}",
        f"{status_codes.source(status)} answered {request}: {status_codes.words(status)}.",
        status_codes.hint(status),
        status,
    )
