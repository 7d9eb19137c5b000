"""What a kit needs in the flash of its Wi-Fi module: certificates, and for AWS a thing name and an endpoint.

All of them share two sectors of 4096 bytes, so that none can be changed without erasing and writing all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats import client_store
from iotprovision.formats.winc_flash import CLIENT_AREA, CLIENT_STORE, ENDPOINT, ERASED, THING_NAME, FlashArea

# What the demos read. They take a thing name for absent when its 41st byte is erased.
ENDPOINT_SIZE = 52
THING_NAME_SIZE = 41
# How much of each place tells whether and how far it is in use.
STORE_HEAD = FlashArea(CLIENT_STORE.address, client_store.HEAD.size)
ENDPOINT_HEAD = FlashArea(ENDPOINT.address, 1)
THING_NAME_HEAD = FlashArea(THING_NAME.address, 1)

HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
# What AWS IoT allows in the name of a thing.
THING_NAME_RULE = re.compile(r"[A-Za-z0-9:_-]+")


@dataclass(frozen=True)
class DeviceCredentials:
    """The credentials of one device.

    :param device: its certificate, DER
    :param signer: the certificate of the authority that signed it, DER
    :param thing_name: at most 40 characters; None where the cloud's demo reads none: its place is then erased
    :param endpoint: host name of the account's message broker, at most 51 characters; None likewise
    :raises UsageError: something does not fit into its place or breaks a rule
    """

    device: bytes
    signer: bytes
    thing_name: str | None = None
    endpoint: str | None = None
    _areas: tuple[tuple[FlashArea, bytes], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        store = client_store.build(self.device, self.signer)
        areas = (
            (FlashArea(CLIENT_STORE.address, len(store)), store),
            _area(ENDPOINT.address, ENDPOINT_SIZE, self.endpoint, _endpoint),
            _area(THING_NAME.address, THING_NAME_SIZE, self.thing_name, _thing_name),
        )
        object.__setattr__(self, "_areas", areas)

    def image(self) -> bytes:
        """Both sectors as they are to be in the end, 8192 bytes."""
        image = bytearray([ERASED]) * CLIENT_AREA.size
        for area, content in self._areas:
            start = area.address - CLIENT_AREA.address
            image[start : start + area.size] = content
        return bytes(image)


def _area(address: int, size: int, text: str | None, encode: Callable[[str], bytes]) -> tuple[FlashArea, bytes]:
    """A place for a text of so many bytes at most, with the text, or erased so that nothing old is read there."""
    content = bytes([ERASED]) * size if text is None else encode(text)
    return FlashArea(address, len(content)), content


def _thing_name(name: str) -> bytes:
    if not THING_NAME_RULE.fullmatch(name) or len(name) >= THING_NAME_SIZE:
        raise UsageError(
            f"The thing name {name!r} does not fit",
            f"The demo reads {THING_NAME_SIZE - 1} characters at most; AWS takes letters, digits, ':', '_', '-'.",
            "use a shorter name",
        )
    return name.encode("ascii").ljust(THING_NAME_SIZE, b"\0")


def _endpoint(host: str) -> bytes:
    if not HOST_NAME.fullmatch(host) or len(host) >= ENDPOINT_SIZE:
        raise UsageError(
            f"The endpoint {host!r} does not fit",
            f"The demo reads a host name of at most {ENDPOINT_SIZE - 1} characters.",
            "check the endpoint of the account (iot:Data-ATS): host name only, no scheme and no port",
        )
    return host.encode("ascii") + b"\0"


def areas_read(image: bytes) -> list[FlashArea]:
    """The stretches of both sectors that somebody reads, for an image that :class:`DeviceCredentials` made.

    :param image: 8192 bytes
    """
    endpoint = image[ENDPOINT.address - CLIENT_AREA.address :][:ENDPOINT_SIZE]
    return [
        FlashArea(CLIENT_STORE.address, client_store.used_length(image)),
        FlashArea(ENDPOINT.address, endpoint.find(b"\0") + 1 or ENDPOINT_SIZE),
        FlashArea(THING_NAME.address, THING_NAME_SIZE),
    ]


def areas_in_use(store_head: bytes, endpoint_head: bytes, thing_name_head: bytes) -> list[FlashArea]:
    """Which parts of the two sectors hold anything, judged by the first bytes of each place.

    A store that is not readable counts as in use to its end.

    :param store_head: the bytes of :data:`STORE_HEAD`
    :param endpoint_head: the byte of :data:`ENDPOINT_HEAD`
    :param thing_name_head: the byte of :data:`THING_NAME_HEAD`
    """
    try:
        length = client_store.used_length(store_head)
    except ProofError:
        length = CLIENT_STORE.size
    areas = [FlashArea(CLIENT_STORE.address, length)] if length else []
    if not client_store.is_blank(endpoint_head):
        areas.append(FlashArea(ENDPOINT.address, ENDPOINT_SIZE))
    if not client_store.is_blank(thing_name_head):
        areas.append(FlashArea(THING_NAME.address, THING_NAME_SIZE))
    return areas


def text_at(data: bytes) -> str | None:
    """The text of an endpoint or a thing name as the demos read it, None where the place is erased or not readable."""
    if not data or data[0] == ERASED:
        return None
    text = data.split(b"\0", 1)[0]
    return text.decode("ascii") if text.isascii() else None
