"""What the modem of a kit for cellular networks keeps (Sequans Monarch 2, AT command reference; vendor's tools)."""

from __future__ import annotations

import re

from iotprovision.errors import ProofError

CERTIFICATE, PRIVATE_KEY = "certificate", "privatekey"
CERTIFICATE_LIMIT, PRIVATE_KEY_LIMIT = 8192, 2048
SLOTS = range(20)
# The maker of the modem keeps these for itself.
RESERVED_SLOTS = frozenset({0, 1, 2, 3, 4, 7, 8, 9, 10})
DEVICE_CERTIFICATE_SLOT = 18
SERVER_AUTHORITIES_SLOT = 19

PROFILE_NUMBER = 1
# TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256, the server's certificate is validated, authorities and device certificate by
# their slots, private key 0 outside of the modem: in the secure element, which signs when the application asks it to.
PROFILE = f'1,2,"0xc02b",1,{SERVER_AUTHORITIES_SLOT},{DEVICE_CERTIFICATE_SLOT},0,"","",1'

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
# A whole line of PEM; one that is longer is none.
_LINE = 76


def certificate_data(pem: bytes, what: str) -> bytes:
    """PEM as the modem wants it: lines end with LF alone, the last one too.

    :param what: whose certificate, for the message
    :raises ProofError: it does not fit a slot
    """
    data = b"".join(line.strip() + b"\n" for line in pem.strip().splitlines())
    if len(data) > CERTIFICATE_LIMIT:
        raise ProofError(
            f"The certificates {what} are too large for the modem: {len(data)} bytes",
            f"A slot of the modem holds {CERTIFICATE_LIMIT} bytes. Nothing was written.",
            "use fewer certificates, or shorter names in them",
        )
    return data


def certificates_in(lines: list[bytes]) -> bytes:
    """The certificates in lines that the modem sent, as they were written; empty where there is none.

    What is no line of PEM is left out: the modem may say something else at any time.
    """
    data = bytearray()
    inside = False
    for line in lines:
        if line == _BEGIN:
            inside = True
        elif not inside or not (line == _END or (len(line) <= _LINE and _BASE64.fullmatch(line))):
            continue
        data += line + b"\n"
        inside = line != _END
    return bytes(data)


def profile_fields(text: str) -> list[str]:
    """The fields of a security profile without quotes, in lower case; those that are empty at the end are left out."""
    fields = [field.strip().strip('"').lower() for field in text.split(",")]
    while fields and not fields[-1]:
        fields.pop()
    return fields
