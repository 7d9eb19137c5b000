"""One module a cloud and method: the list of its steps."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from iotprovision.methods.method import Provisioner

_MODULES = {
    ("aws", "sandbox"): "aws_sandbox",
    ("aws", "jitr"): "aws_jitr",
    ("aws", "custom"): "aws_jitr",
    ("aws", "mar"): "aws_mar",
    ("google", "custom"): "google",
    ("azure", "custom"): "azure",
}


def provisioner(cloud: str, method: str) -> Provisioner:
    """The provisioner of a cloud and method; ``custom`` is the vendor's older word for ``jitr``."""
    return cast(Provisioner, import_module(f"{__name__}.{_MODULES[cloud, method]}"))
