"""The TLS client certificate store in the flash of the WINC1510: the certificates that the module shows to a server.

Little endian; addresses are those of the flash. ::

    0    8      magic
    8    4      number of files, at most 8
    12   4      address of the first byte behind the last file
    16   8 x 56 directory: name, 48 bytes; size, 4; address, 4; entries that are not used are all 0xFF
    464  4      a checksum that neither the vendor's tools nor the module's firmware use, 0xFF
    468         the files, back to back

The files are the certificates (DER) and behind them ``ECDSA.lst``, which names each of them in 48 bytes.
A name ends at its first NUL, for the module's firmware and the vendor's tools alike; who wrote it decides what pads it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography import x509

from iotprovision.errors import ProofError, UsageError
from iotprovision.formats.winc_flash import CLIENT_STORE, ERASED

MAGIC = bytes.fromhex("ABFE185B70C34692")
HEAD = struct.Struct("<8sII")
ENTRY = struct.Struct("<48sII")
NAME_SIZE = 48
MAX_FILES = 8
DIRECTORY_END = HEAD.size + MAX_FILES * ENTRY.size
FILES_START = DIRECTORY_END + 4
LIST_NAME = "ECDSA.lst"


@dataclass(frozen=True)
class StoredFile:
    """One file of the store."""

    name: str
    content: bytes


@dataclass(frozen=True)
class ClientStore:
    """What a store holds, whatever its padding: two stores that are equal are the same to the module."""

    files: tuple[StoredFile, ...]

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The certificates (DER) in the order of the list, the device's first."""
        by_name = {file.name: file.content for file in self.files}
        return tuple(by_name[name] for name in self.listed_names)

    @property
    def listed_names(self) -> tuple[str, ...]:
        """The names in ``ECDSA.lst``."""
        for file in self.files:
            if file.name == LIST_NAME:
                return tuple(_name(record) for record in _records(file.content))
        return ()


def build(device: bytes, signer: bytes) -> bytes:
    """The store with a device certificate and its signer, from its first byte to the end of the last file.

    :param device: DER
    :param signer: DER
    :raises UsageError: they do not fit
    """
    certificates = [StoredFile(certificate_name(certificate), certificate) for certificate in (device, signer)]
    names = {file.name for file in certificates}
    if len(names) < len(certificates) or max(map(len, names)) >= NAME_SIZE:
        raise UsageError(
            "The certificates cannot be told apart in the Wi-Fi module",
            "It calls them by their serial numbers, which must differ and have at most 21 bytes.",
            "make a new signer CA",
        )
    files = [*certificates, StoredFile(LIST_NAME, _list([file.name for file in certificates]))]
    directory = b""
    address = CLIENT_STORE.address + FILES_START
    for file in files:
        directory += ENTRY.pack(file.name.encode("ascii"), len(file.content), address)
        address += len(file.content)
    if address > CLIENT_STORE.end:
        raise UsageError(
            f"The certificates do not fit into the Wi-Fi module: {address - CLIENT_STORE.address} bytes",
            f"Its store has {CLIENT_STORE.size} bytes before the endpoint and the thing name.",
            "use shorter names for the organisation and the authorities",
        )
    head = HEAD.pack(MAGIC, len(files), address)
    return (head + directory).ljust(FILES_START, bytes([ERASED])) + b"".join(file.content for file in files)


def certificate_name(certificate: bytes) -> str:
    """What the store calls a certificate (DER): ``CERT_`` and its serial number in upper-case hexadecimal digits."""
    return f"CERT_{x509.load_der_x509_certificate(certificate).serial_number:X}"


def is_blank(head: bytes) -> bool:
    """Whether the flash from the start of the store is erased."""
    return all(byte == ERASED for byte in head)


def used_length(head: bytes) -> int:
    """The bytes of the store that are in use, 0 for an erased one.

    :param head: at least the first 16 bytes of the store
    :raises ProofError: they are neither erased nor the start of a store
    """
    if len(head) < HEAD.size:
        raise ValueError(f"the head of a store has {HEAD.size} bytes")
    if is_blank(head[: HEAD.size]):
        return 0
    magic, count, end = HEAD.unpack_from(head)
    if magic != MAGIC:
        raise _garbage("it does not start with the magic number")
    if count > MAX_FILES:
        raise _garbage(f"it counts {count} files, {MAX_FILES} is the most")
    if not CLIENT_STORE.address + FILES_START <= end <= CLIENT_STORE.end:
        raise _garbage(f"it ends at 0x{end:X}, outside the area of the store")
    return int(end - CLIENT_STORE.address)


def parse(data: bytes) -> ClientStore:
    """What is in the store. Erased flash is a store without files.

    :param data: the flash from the start of the store on, at least to the end of the last file
    :raises ProofError: it is not a store, or not a whole one; says which rule is broken
    """
    if is_blank(data):
        return ClientStore(())
    if len(data) < FILES_START:
        raise _garbage("it is shorter than its directory")
    length = used_length(data)
    if length > len(data):
        raise _garbage(f"it is cut off: {len(data)} of {length} bytes")
    _, count, _ = HEAD.unpack_from(data)
    files: list[StoredFile] = []
    for number in range(count):
        name_field, size, address = ENTRY.unpack_from(data, HEAD.size + number * ENTRY.size)
        start = address - CLIENT_STORE.address
        if start < FILES_START or start + size > length:
            raise _garbage(f"file {number} lies outside it")
        name, content = _name(name_field), data[start : start + size]
        if name == LIST_NAME:
            content = _list([_name(record) for record in _records(content)])  # however it was padded
        files.append(StoredFile(name, content))
    store = ClientStore(tuple(files))
    known = {file.name for file in files}
    if len(known) != len(files):
        raise _garbage("two files have the same name")
    for name in store.listed_names:
        if name not in known:
            raise _garbage(f"the list names {name!r}, which is not there")
    return store


def _list(names: list[str]) -> bytes:
    return b"".join(name.encode("ascii").ljust(NAME_SIZE, b"\0") for name in names)


def _records(content: bytes) -> list[bytes]:
    if len(content) % NAME_SIZE:
        raise _garbage("its list is cut off")
    return [content[start : start + NAME_SIZE] for start in range(0, len(content), NAME_SIZE)]


def _name(field: bytes) -> str:
    text = field.split(b"\0", 1)[0]
    if not text or len(text) == NAME_SIZE or not text.isascii() or not text.decode("ascii").isprintable():
        raise _garbage("a file name is not readable")
    return text.decode("ascii")


def _garbage(reason: str) -> ProofError:
    return ProofError(
        "The certificate store of the Wi-Fi module is not readable",
        f"Read from flash address 0x{CLIENT_STORE.address:X}: {reason}.",
        "provision the kit again",
    )
