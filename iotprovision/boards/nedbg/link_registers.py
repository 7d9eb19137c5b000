"""The registers behind the page on a kit's drive, read in the few exchanges that they need.

:mod:`.registers` reads and writes any register by the vendor's specifications, which take half a second to load. These
have the same place in every version that has them (docs/debugger.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from pyedbglib.protocols.configprotocol import CONFIG_CHUNK_SIZE, USER_CONFIG_BASE_TAG, ConfigProtocol

from iotprovision.boards.nedbg.debugger import connection, vendor_errors

CLICK_ME_TYPE = 0x00C
KEY2_LEN = 0x105
KEY2 = 0x148
KEY2_SIZE = 32


@dataclass(frozen=True)
class PageLink:
    """Where the page on the drive leads to.

    :param click_me_type: code of the cloud, from the kit's description
    :param device: what the page is told about the kit, hex digits; empty where it is told nothing
    """

    click_me_type: int
    device: str


def read_page_link(serial_number: str) -> PageLink:
    """Ask the debugger.

    :raises AccessError: it may not be opened or does not answer
    """
    with connection(serial_number) as transport, vendor_errors(serial_number):
        configuration = ConfigProtocol(transport)
        parts: dict[int, bytes] = {}

        def content(offset: int, size: int) -> bytes:
            start = offset - offset % CONFIG_CHUNK_SIZE
            for part in range(start, offset + size, CONFIG_CHUNK_SIZE):
                if part not in parts:
                    parts[part] = bytes(configuration.get_config(USER_CONFIG_BASE_TAG + part, CONFIG_CHUNK_SIZE))
            together = b"".join(parts[part] for part in range(start, offset + size, CONFIG_CHUNK_SIZE))
            return together[offset - start : offset - start + size]

        length = content(KEY2_LEN, 1)[0]
        # Registers that were never written are erased: a length that is none.
        device = content(KEY2, length) if 0 < length <= KEY2_SIZE else b""
        return PageLink(content(CLICK_ME_TYPE, 1)[0], device.hex())
