"""Puts a Python program on the bus of simulated kits; Python imports this when it finds it on its path.

Standard library only, and nothing is loaded before the program imports one of the modules concerned. The program may
live in another environment, with a ``sitecustomize`` of its own (run as usual) and any packages.
"""

import os
import sys

BUS_FOLDER = "IOTPROVISION_SIMULATOR_BUS"
MODULES = ("pyedbglib.hidtransport.cyhidapi", "serial.tools.list_ports", "usb.core")
HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would cost every program


class _OnFirstUse:
    """Makes way for the real replacement when one of the modules is wanted for the first time."""

    def find_spec(self, name, path, target=None):  # type: ignore[no-untyped-def]
        if name not in MODULES:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        source = os.path.join(os.path.dirname(HERE), "bus.py")  # noqa: PTH118, PTH120
        spec = importlib.util.spec_from_file_location("_simulated_usb_bus", source)
        assert spec is not None
        assert spec.loader is not None
        bus_module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = bus_module
        spec.loader.exec_module(bus_module)
        replacement = bus_module.Replacement(bus_module.Bus(bus_module.Path(os.environ[BUS_FOLDER])))
        replacement.install()
        return replacement.find_spec(name, path, target)


def _run_the_next_sitecustomize() -> None:
    from importlib.machinery import PathFinder

    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        import importlib.util

        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get(BUS_FOLDER):
    sys.meta_path.insert(0, _OnFirstUse())
_run_the_next_sitecustomize()
