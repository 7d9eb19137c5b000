"""A folder of root certificates, as a person keeps them: one or several a file, PEM or DER."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from iotprovision.errors import UsageError
from iotprovision.formats.root_store import Root, root_of
from iotprovision.pki.reading import all_from_pem, from_der

LARGEST_FILE = 1 << 20
"""Bytes; a file of certificates beyond that cannot fit into the Wi-Fi module by far."""


def read_roots(folder: Path) -> Mapping[Root, str]:
    """The roots in the files of a folder, in the order of the file names, each with what a person calls it.

    Folders inside it, and files whose names begin with a dot, are passed over.

    :raises UsageError: it is no folder or holds no file, or a file is not readable, no certificate, or one that the
        Wi-Fi module cannot use; names the file
    """
    try:
        files = sorted(
            (path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")),
            key=lambda path: (path.name.lower(), path.name),
        )
    except OSError as error:
        raise UsageError(f"The folder of root certificates {folder} cannot be read", str(error.strerror)) from error
    if not files:
        raise UsageError(
            f"The folder {folder} holds no files",
            "The Wi-Fi module would trust no server any more. Nothing was changed.",
            "put the root certificates of your servers there, PEM or DER",
        )
    roots: dict[Root, str] = {}
    for path in files:
        for certificate in _certificates(path):
            try:
                roots.setdefault(root_of(certificate), _name(certificate, path))
            except UsageError as error:
                raise UsageError(
                    f"{path} cannot be used: {error.what}", error.why, "take it out of the folder"
                ) from error
    return roots


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("it is too large for one")
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            # Some old roots have the serial number 0, which the library complains about.
            if b"-----BEGIN" in data:
                return all_from_pem(data)
            return [from_der(data)]
    except OSError as error:
        raise UsageError(f"The file {path} cannot be read", str(error.strerror)) from error
    except ValueError as error:
        raise UsageError(
            f"{path} is no certificate",
            "Each file of the folder must be one, or several one behind the other, PEM or DER. Nothing was changed.",
            "take it out of the folder",
        ) from error


def _name(certificate: x509.Certificate, path: Path) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        values = certificate.subject.get_attributes_for_oid(kind)
        if values:
            return str(values[0].value)
    return path.name
