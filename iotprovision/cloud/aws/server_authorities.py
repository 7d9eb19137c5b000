"""The authorities behind the certificates of AWS IoT's servers (AWS IoT developer guide, "Server authentication").

Amazon Root CA 1 to 4 and Starfield Services Root CA G2, all public: they are the ones that the endpoints of the type
``iot:Data-ATS`` use. The legacy endpoints had another; no kit with a modem is given one of those.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

FILE = "amazon-roots.pem"


@cache
def server_authorities() -> bytes:
    """All of them, PEM."""
    return resources.files("iotprovision.cloud.aws").joinpath(FILE).read_bytes()
