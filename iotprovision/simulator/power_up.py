"""The first power-up of a simulated board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CloudAddress:
    """Where a simulated board finds the cloud: it never asks DNS, so it can never reach a real one.

    :param ports: host name, or ``*.suffix``, to the port on 127.0.0.1
    :param certificate_authority_file: PEM of the authority that the server's certificate must come from
    """

    ports: Mapping[str, int]
    certificate_authority_file: str
