"""The registry of methods: this folder. A module in it is one cloud and one way of registration, its ``METHOD``."""

from __future__ import annotations

import functools
import os
from importlib import import_module

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.methods.method import Method

NO_METHODS = frozenset({"__init__", "aws", "method", "plan", "work"})
"""Modules of the folder that are none: what methods have in common."""


@functools.cache
def methods() -> tuple[Method, ...]:
    """All methods there are, by the names of their modules."""
    files = (name.partition(".") for name in sorted(os.listdir(__path__[0])))  # noqa: PTH208 - pathlib costs too much
    modules = dict.fromkeys(stem for stem, _, suffix in files if suffix.startswith("py") and stem not in NO_METHODS)
    return tuple(import_module(f"{__name__}.{stem}").METHOD for stem in modules)


def clouds() -> tuple[str, ...]:
    """All clouds there are, as they are typed."""
    return tuple(dict.fromkeys(method.cloud for method in methods()))


def of_cloud(cloud: str) -> tuple[Method, ...]:
    """The methods of a cloud."""
    return tuple(method for method in methods() if method.cloud == cloud)


def default(cloud: str | None = None) -> Method:
    """The method that is meant where none is named.

    :param cloud: that is meant; None where none is named either
    """
    of_all = methods() if cloud is None else of_cloud(cloud)
    return next((method for method in of_all if method.is_default), of_all[0])


def find(cloud: str | None, name: str) -> Method | None:
    """The method of that name, or other name; None where the cloud has none.

    :param cloud: None for the one that is meant where none is named
    """
    of_all = of_cloud(cloud or default().cloud)
    return next((method for method in of_all if name in (method.name, *method.other_names)), None)


def named(cloud: str | None, name: str | None) -> Method:
    """The method of a job.

    :param name: None for the one that is meant where none is named
    """
    method = default(cloud) if name is None else find(cloud, name)
    assert method is not None, f"no method {name} of {cloud}"
    return method


def by_link(code: str) -> Method | None:
    """A method whose page a kit's drive leads to, by the word that ``kits.yaml`` has for the page."""
    return next((method for method in methods() if method.link_code == code), None)


def words_for(method: Method) -> str:
    """What names it on a command line."""
    return f"-c {method.cloud}" + (f" -m {method.name}" if len(of_cloud(method.cloud)) > 1 else "")
