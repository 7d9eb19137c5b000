"""The command line: every option and action. Nothing else reads arguments.

Imports only what ``--help`` needs; the rest is imported when a run begins.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from iotprovision import __version__
from iotprovision.errors import ExitCode, ProvisioningError, UsageError

ACTIONS = ("all", "certs", "provision", "links", "application", "none")
METHODS = ("jitr", "custom")
SIMULATED_KITS = ("avr-iot-wa", "avr-iot-wg", "avr-iot-wa@emulated", "avr-iot-wg@emulated")
HOME_VARIABLE = "IOTPROVISION_HOME"
PASSPHRASE_VARIABLE = "IOTPROVISION_CA_PASSPHRASE"  # noqa: S105 - the name of a variable

EPILOG = """\
examples:
  iotprovision --simulate -c aws -m jitr   a simulated kit and a local cloud: no board, no account
  iotprovision -c aws -m jitr              the connected kit, the account of your AWS profile
  iotprovision -c aws -m jitr --dry-run    say what that would do, and change nothing
"""


class Environment:
    """What a run takes from the process it lives in; tests hand in their own."""

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        variables: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> None:
        self.out = out if out is not None else sys.stdout
        self.err = err if err is not None else sys.stderr
        self.variables = os.environ if variables is None else variables
        self._home = home

    @property
    def store_folder(self) -> Path:
        """The certificate folder: IOTPROVISION_HOME, else ``.microchip-iot`` under the user's home."""
        if moved := self.variables.get(HOME_VARIABLE):
            return Path(moved).expanduser()
        return (self._home or Path.home()) / ".microchip-iot"

    def ask_secret(self, prompt: str) -> str:
        """Ask at the terminal, without echo.

        :raises UsageError: there is no terminal to ask at
        """
        if not sys.stdin or not sys.stdin.isatty():
            raise UsageError(
                "A passphrase is needed, and there is no terminal to ask at.",
                hint=f"Give it in the variable {PASSPHRASE_VARIABLE} or with --ca-passphrase-file FILE.",
            )
        import getpass

        return getpass.getpass(prompt, stream=self.err)


def build_parser() -> argparse.ArgumentParser:
    """The parser, with every option that works and no other."""
    parser = argparse.ArgumentParser(
        prog="iotprovision",
        description="Makes a Microchip IoT kit a trusted device of a cloud account, and proves it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "actions",
        nargs="*",
        default=[],
        metavar="ACTION",
        help=f"action(s) to perform: {', '.join(ACTIONS)} (default: all)",
    )
    parser.add_argument(
        "-c", "--cloud-provider", choices=("aws",), default="aws", help="cloud provider to provision for (default: aws)"
    )
    parser.add_argument(
        "-m",
        "--provision-method",
        choices=METHODS,
        help="provisioning method: jitr (just-in-time registration in your own account; custom is the same)",
    )
    parser.add_argument("-a", "--aws-profile", default="default", help="AWS profile name (default: default)")
    parser.add_argument(
        "-P",
        "--port",
        help="serial port of the kit: a device, socket://HOST:PORT or rfc2217://HOST:PORT (default: found by its USB "
        "serial number)",
    )
    parser.add_argument(
        "-p",
        "--provision-firmware",
        type=Path,
        metavar="FILE",
        help="provisioning firmware hex file (default: the vendor's)",
    )
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="provision even where it is already done: new device certificate, everything on the kit written again; "
        "the CA is kept",
    )
    parser.add_argument(
        "-app",
        "--application-firmware",
        type=Path,
        metavar="FILE",
        help="application hex file (default: the vendor's demo for the cloud)",
    )
    parser.add_argument("-ssid", "--wifi-ssid", metavar="SSID", help="name of the Wi-Fi network to connect to")
    parser.add_argument("-psk", "--wifi-psk", metavar="PASSPHRASE", default="", help="passphrase of the Wi-Fi network")
    parser.add_argument(
        "-auth",
        "--wifi-auth",
        choices=("open", "wpa-psk", "wep", "ieee802.1x"),
        default="wpa-psk",
        help="Wi-Fi authentication (default: wpa-psk)",
    )
    parser.add_argument(
        "-s",
        "--serial-number",
        metavar="SUFFIX",
        help="USB serial number of the kit, or the end of it that tells it apart",
    )
    parser.add_argument(
        "--verify", action="store_true", help="when all is done, prove the whole once more from the kit and the account"
    )
    parser.add_argument("--org", metavar="NAME", help="organisation in the certificates")
    parser.add_argument("--rcn", metavar="NAME", help="common name of a new root CA")
    parser.add_argument("--scn", metavar="NAME", help="common name of a new signer CA")
    parser.add_argument(
        "--encrypt-keys", action="store_true", help="encrypt new CA keys; asks for a passphrase if none is given"
    )
    parser.add_argument(
        "--ca-passphrase-file", type=Path, metavar="FILE", help="file whose first line is the passphrase of the CA keys"
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="leave slots 10 to 12 of the secure element unlocked (locking cannot be undone)",
    )
    parser.add_argument(
        "--simulate",
        nargs="?",
        const=SIMULATED_KITS[0],
        metavar="KIT",
        help=f"work on a simulated kit and a local cloud: {', '.join(SIMULATED_KITS)} (default: {SIMULATED_KITS[0]})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what a run would do; write nothing, not even firmware"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, and nothing else there"
    )
    parser.add_argument(
        "-l",
        "--logging",
        choices=("fatal", "error", "warning", "info", "debug"),
        default="warning",
        help="least severity of log messages shown (default: warning); the log file always has all",
    )
    parser.add_argument("-V", "--version", action="version", version=f"iotprovision {__version__}")
    return parser


def parse(arguments: Sequence[str], environment: Environment) -> argparse.Namespace:
    """Read the command line over the settings file.

    :raises UsageError: a combination that makes no sense
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    settings_file = environment.store_folder / "config.yaml"
    if settings_file.exists():
        from iotprovision.settings import apply_settings

        apply_settings(parser, settings_file)
        options = parser.parse_args(arguments)
    _settle_simulated_kit(options)
    _settle_actions(options)
    return options


def _settle_simulated_kit(options: argparse.Namespace) -> None:
    # ``--simulate certs`` reads as a kit called "certs": argparse cannot know better.
    if options.simulate in ACTIONS:
        options.actions.insert(0, options.simulate)
        options.simulate = SIMULATED_KITS[0]


def _settle_actions(options: argparse.Namespace) -> None:
    unknown = [action for action in options.actions if action not in ACTIONS]
    if unknown:
        raise UsageError(f"Unknown action {unknown[0]!r}.", hint=f"Actions are: {', '.join(ACTIONS)}.")
    if "none" in options.actions and len(options.actions) > 1:
        raise UsageError("The action none goes with no other action.")
    if not options.actions or "all" in options.actions:
        options.actions = ["certs", "provision", "links", "application"]
    if options.provision_method is None and {"certs", "provision", "links"} & set(options.actions):
        raise UsageError(
            "No provisioning method was given.",
            "It decides which account the kit belongs to and what is written to it.",
            "iotprovision -c aws -m jitr",
        )
    if options.wifi_psk and options.wifi_ssid is None:
        raise UsageError("A Wi-Fi passphrase was given without a network.", hint="Name the network with -ssid.")
    if options.wifi_ssid is not None and "application" not in options.actions:
        raise UsageError(
            "Wi-Fi is set through the demo application, and the action application is not among those asked for.",
            hint="Add the action application.",
        )


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run the command.

    :returns: the exit code, see :class:`iotprovision.errors.ExitCode`
    """
    environment = environment or Environment()
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments, environment)
    except ProvisioningError as error:
        print(error, file=environment.err)
        return int(error.exit_code)
    except SystemExit as stop:
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    from iotprovision.app import run_command

    return int(run_command(options, environment))
