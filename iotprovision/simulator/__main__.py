"""``python -m iotprovision.simulator``: serve simulated kits, run programs on their bus, reset them."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from iotprovision.errors import ExitCode, ProvisioningError, UsageError
from iotprovision.simulator.kit.catalogue import DEFAULT, EMULATED
from iotprovision.simulator.kit.kinds import KINDS, SimulatedKitName


def _parser() -> argparse.ArgumentParser:
    kits = ", ".join(KINDS)
    parser = argparse.ArgumentParser(
        prog="python -m iotprovision.simulator",
        description="Kits with no hardware: served to any Python program that works with real ones.",
        epilog=f"Kits: {kits}; each with {EMULATED} for an emulated microcontroller, #2, #3 ... for more of a kind.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    state = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    state.add_argument(
        "--state",
        metavar="DIR",
        type=Path,
        help="folder of the kits (default: simulator/ in $IOTPROVISION_HOME or ~/.microchip-iot)",
    )

    serve = actions.add_parser(
        "serve",
        parents=[state],
        allow_abbrev=False,
        help="put kits on the bus until stopped (Ctrl-C or SIGTERM); prints one JSON line a kit",
    )
    serve.add_argument("kit", nargs="*", metavar="KIT", help=f"default: {DEFAULT}")
    serve.add_argument("--debugger", metavar="VERSION", help="firmware of the debugger, e.g. 1.22.73")
    serve.add_argument(
        "--while-input-is-open",
        action="store_true",
        help="stop also when standard input ends: the kits then never outlive the program that started them",
    )

    run = actions.add_parser(
        "run",
        parents=[state],
        allow_abbrev=False,
        help="run a Python program, of whatever environment, on the bus of the kits that are served",
    )
    run.add_argument("command", nargs="*", metavar="-- COMMAND", help="the program and its arguments")

    reset = actions.add_parser(
        "reset", parents=[state], allow_abbrev=False, help="make kits factory-fresh; not while they are served"
    )
    reset.add_argument("kit", nargs="*", metavar="KIT", help="default: all in the folder")
    reset.add_argument("--debugger", metavar="VERSION", help="firmware of the debugger")
    reset.add_argument(
        "--secure-element",
        choices=("mah1h", "mah4i"),
        help="kind of its factory certificates (default: mah1h on the WG, mah4i on the WA)",
    )
    reset.add_argument(
        "--wifi-module",
        metavar="VERSION",
        help="firmware in the flash of the Wi-Fi module, e.g. 19.7.6 (default: none, and it works like 19.7.7)",
    )
    return parser


def _serve(arguments: argparse.Namespace, folder: Path) -> int:
    from iotprovision.simulator.usb.kit_process import serve

    names = _names(arguments.kit or [DEFAULT])
    serve(names, folder, sys.stdout, _version(arguments), arguments.while_input_is_open)
    return ExitCode.OK


def _run(arguments: argparse.Namespace, folder: Path) -> int:
    from iotprovision.simulator.usb.host import bus_environment, served_kits

    served_kits(folder)
    environment = {**os.environ, **bus_environment(folder)}
    try:
        if os.name == "posix":
            os.execvpe(arguments.command[0], arguments.command, environment)  # noqa: S606 - running it is the purpose
        process = subprocess.Popen(arguments.command, env=environment)  # noqa: S603 - running it is the purpose
    except OSError as error:
        raise UsageError(f"Cannot run {arguments.command[0]}", str(error)) from error
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the program got it too and ends as it likes


def _reset(arguments: argparse.Namespace, folder: Path) -> int:
    from iotprovision.formats.ecc608_zones import Kind
    from iotprovision.simulator.kit.state import kits_in, reset

    version = _version(arguments)
    secure_element = Kind[arguments.secure_element.upper()] if arguments.secure_element else None
    for name in _names(arguments.kit) if arguments.kit else kits_in(folder):
        flash = _wifi_module_flash(arguments.wifi_module, name) if arguments.wifi_module else None
        state = reset(folder, name, version, secure_element, flash)
        print(f"{name.text}: factory-fresh, serial number {state.board.serial_number}")
    return ExitCode.OK


def _wifi_module_flash(version: str, name: SimulatedKitName) -> bytes:
    from iotprovision.firmware.cache import FirmwareCache

    cache = FirmwareCache(os.environ)
    images = {
        image.version: image
        for image in cache.index.for_kit(name.kind.register_name)
        if any(job.startswith("wifi-module-firmware") for job in image.jobs)
    }
    if version not in images:
        known = ", ".join(sorted(str(known) for known in images))
        raise UsageError(f"There is no firmware {version} for the Wi-Fi module of {name.text}", hint=f"one of {known}")
    return cache.path(images[version]).read_bytes()


def _names(texts: Sequence[str]) -> list[SimulatedKitName]:
    names = [SimulatedKitName.parse(text) for text in texts]
    if len({name.text for name in names}) != len(names):
        raise UsageError("A kit is named twice", hint="number them: avr-iot-wa avr-iot-wa#2")
    return names


def _version(arguments: argparse.Namespace) -> str | None:
    from iotprovision.simulator.usb.host import check_version

    return check_version(arguments.debugger) if arguments.debugger else None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    texts = list(sys.argv[1:] if arguments is None else arguments)
    split = texts.index("--") if "--" in texts else len(texts)
    parser = _parser()
    chosen = parser.parse_args(texts[:split])
    if chosen.action == "run":
        chosen.command += texts[split + 1 :]
        if not chosen.command:
            parser.error("run needs a program: run -- COMMAND ...")
    elif split < len(texts):
        parser.error("-- is for run")
    from iotprovision.simulator.kit.state import default_folder

    try:
        folder: Path = chosen.state or default_folder()
        return {"serve": _serve, "run": _run, "reset": _reset}[chosen.action](chosen, folder)
    except ProvisioningError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
