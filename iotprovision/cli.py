# PYTHON_ARGCOMPLETE_OK
"""The command line: every option and action. Nothing else reads arguments.

Imports only what ``--help`` needs; the rest is imported when a run begins.
"""

from __future__ import annotations

import argparse
import os
import sys

from iotprovision import __version__
from iotprovision.environment import SETTING_PREFIX, Environment
from iotprovision.errors import ExitCode, ProvisioningError, UsageError

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ACTIONS = ("all", "dbgupgrade", "certs", "wincupgrade", "provision", "links", "application", "none")
NEWER_ACTIONS = {"account": "certs", "debuggerupgrade": "dbgupgrade"}
CLOUDS = ("google", "aws", "azure")
METHODS = ("sandbox", "mar", "jitr", "custom")
LEVELS = ("fatal", "error", "warning", "info", "debug")
SIMULATED_KITS = ("avr-iot-wa", "avr-iot-wg", "avr-iot-wa@emulated", "avr-iot-wg@emulated")

FALLBACK_WIDTH = 100

EPILOG = """\
examples:
  iotprovision --simulate -c aws -m jitr   a simulated kit and a local cloud: no board, no account
  iotprovision -c aws -m jitr              the connected kit, the account of your AWS profile
  iotprovision -c aws -m jitr --dry-run    say what that would do, and change nothing
"""


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)


def _help_format(prog: str) -> argparse.HelpFormatter:
    # argparse would ask shutil for the width, which loads every compression that Python knows.
    try:
        width = os.get_terminal_size(1).columns
    except OSError:
        width = 0
    return argparse.RawDescriptionHelpFormatter(prog, width=(width or FALLBACK_WIDTH) - 2)


def build_parser() -> argparse.ArgumentParser:
    """The parser, with every option that works and no other: first those of the vendor's tool, then ours."""
    parser = argparse.ArgumentParser(
        prog="iotprovision",
        description="Makes a Microchip IoT kit a trusted device of a cloud account, and proves it.",
        epilog=EPILOG,
        formatter_class=_help_format,
        allow_abbrev=False,
    )
    actions = parser.add_argument(
        "actions",
        nargs="*",
        default=[],
        metavar="ACTION",
        help=f"action(s) to perform: {', '.join(ACTIONS)} (default: all)",
    )
    # For shell completion: argparse may not check the choices itself, because of --simulate with an action behind it.
    setattr(actions, "completer", lambda **_: (*ACTIONS, *NEWER_ACTIONS))  # noqa: B010 - no attribute that argparse knows
    _add_known_options(parser)
    _add_own_options(parser.add_argument_group("more options"))
    _add_newer_spellings(parser.add_argument_group("spellings of the vendor's newer tool"))
    return parser


def _add_known_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--cloud-provider",
        choices=CLOUDS,
        default="aws",
        help="cloud provider to provision for (default: aws); google is for what is left: Google shut its Cloud IoT "
        "Core down in August 2023",
    )
    parser.add_argument(
        "-A",
        "--archive",
        type=_path,
        metavar="ARCHIVE",
        help="firmware archive for the debugger on the kit (default: the vendor's, the newest this version knows)",
    )
    parser.add_argument(
        "-m",
        "--provision-method",
        choices=METHODS,
        help="provisioning method: sandbox (the vendor's account, no account of your own is needed), mar "
        "(multi-account registration: this tool registers each device in your own account), jitr (just-in-time "
        "registration: devices register themselves there; custom is the same) (default: sandbox); google and azure "
        "take none",
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
        type=_path,
        metavar="FILE",
        help="provisioning firmware hex file (default: the vendor's)",
    )
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="provision even where it is already done: new device certificate, everything on the kit written again, "
        "what somebody else changed in the account overwritten; the CA is kept",
    )
    parser.add_argument(
        "-app",
        "--application-firmware",
        type=_path,
        metavar="FILE",
        help="application hex file (default: the vendor's demo for the cloud)",
    )
    parser.add_argument(
        "-ssid",
        "--ssid",
        "--wifi-ssid",
        dest="wifi_ssid",
        metavar="SSID",
        help="name of the Wi-Fi network to connect to",
    )
    parser.add_argument(
        "-psk",
        "--psk",
        "--wifi-psk",
        dest="wifi_psk",
        metavar="PASSPHRASE",
        help="passphrase of the Wi-Fi network; others on this machine can see it, --psk-file is safer",
    )
    parser.add_argument(
        "-auth",
        "--auth",
        "--wifi-auth",
        dest="wifi_auth",
        choices=("open", "wpa-psk", "wep", "ieee802.1x"),
        default="wpa-psk",
        help="Wi-Fi authentication (default: wpa-psk)",
    )
    parser.add_argument(
        "-w",
        "--wincupgrade",
        action="store_true",
        help="upgrade the firmware of the Wi-Fi module to the vendor's latest, about two minutes; calibration, "
        "certificates, thing name and saved Wi-Fi stay; the same as the action wincupgrade",
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
    parser.add_argument(
        "-l",
        "--logging",
        choices=LEVELS,
        default="warning",
        help="least severity of log messages shown (default: warning); the log file always has all",
    )
    parser.add_argument("-V", "--version", action="version", version=f"iotprovision {__version__}")


def _add_own_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--simulate",
        nargs="?",
        const=SIMULATED_KITS[0],
        metavar="KIT",
        help=f"work on a simulated kit and a local cloud: {', '.join(SIMULATED_KITS)} (default: {SIMULATED_KITS[0]})",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="say what a run would do; write nothing, not even firmware"
    )
    group.add_argument(
        "--no-lock",
        action="store_true",
        help="leave slots 10 to 12 of the secure element unlocked (locking cannot be undone)",
    )
    group.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, and nothing else there"
    )
    group.add_argument(
        "--wifi-module-firmware",
        type=_path,
        metavar="FILE",
        help="1 MiB image for -w (default: the vendor's)",
    )
    group.add_argument(
        "--psk-file", type=_path, metavar="FILE", help="file whose first line is the passphrase of the Wi-Fi network"
    )
    group.add_argument(
        "--id-scope",
        metavar="0neXXXXXXXX",
        help="ID scope of your Azure Device Provisioning Service, written to the kit for the vendor's Azure demos",
    )
    group.add_argument(
        "--encrypt-keys", action="store_true", help="encrypt new CA keys; asks for a passphrase if none is given"
    )
    group.add_argument(
        "--ca-passphrase-file",
        type=_path,
        metavar="FILE",
        help="file whose first line is the passphrase of the CA keys",
    )


def _add_newer_spellings(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--org", metavar="NAME", help="organisation in the certificates")
    group.add_argument("--rcn", metavar="NAME", help="common name of a new root CA")
    group.add_argument("--scn", metavar="NAME", help="common name of a new signer CA")
    group.add_argument("--fdev", action="store_true", help="issue a new device certificate")
    group.add_argument(
        "--fca", action="store_true", help="make a new root CA and signer CA; the old ones are kept aside"
    )
    group.add_argument("--faws", action="store_true", help="deploy the parts in the AWS account anew")
    group.add_argument(
        "--fwinc", action="store_true", help="the same as -w, and compare the whole firmware of the Wi-Fi module"
    )
    group.add_argument(
        "--sprov", action="store_true", help="the MCU holds the provisioning firmware already: do not program it"
    )
    group.add_argument("-v", dest="logging", choices=LEVELS, default=argparse.SUPPRESS, help="the same as -l")


def parse(arguments: Sequence[str], environment: Environment) -> argparse.Namespace:
    """Read the command line, over the environment, over the settings file.

    :raises UsageError: a combination that makes no sense, or a setting that is none
    """
    parser = build_parser()
    parser.parse_args(arguments)  # --help and mistakes first: they need no settings
    settings_file = environment.store_folder / "config.yaml"
    if settings_file.exists() or any(name.startswith(SETTING_PREFIX) for name in environment.variables):
        from iotprovision.settings import apply_environment, apply_file

        apply_file(parser, settings_file)
        apply_environment(parser, environment.variables)
    options = parser.parse_args(arguments)
    _settle_simulated_kit(options)
    _settle_actions(options)
    _settle_archive(options, parser)
    _settle_cloud(options, parser)
    return options


def _settle_simulated_kit(options: argparse.Namespace) -> None:
    # ``--simulate certs`` reads as a kit called "certs": argparse cannot know better.
    if options.simulate in (*ACTIONS, *NEWER_ACTIONS):
        options.actions.insert(0, options.simulate)
        options.simulate = SIMULATED_KITS[0]


def _settle_actions(options: argparse.Namespace) -> None:
    options.actions = [NEWER_ACTIONS.get(action, action) for action in options.actions]
    unknown = [action for action in options.actions if action not in ACTIONS]
    if unknown:
        raise UsageError(f"Unknown action {unknown[0]!r}.", hint=f"Actions are: {', '.join(ACTIONS)}.")
    if "none" in options.actions and len(options.actions) > 1:
        raise UsageError("The action none goes with no other action.")
    if not options.actions or "all" in options.actions:
        options.actions = ["dbgupgrade", "certs", "provision", "links", "application"]
    if options.wincupgrade or options.fwinc:
        options.actions = sorted({*options.actions, "wincupgrade"} - {"none"}, key=ACTIONS.index)
    if options.wifi_module_firmware is not None and "wincupgrade" not in options.actions:
        raise UsageError("Firmware for the Wi-Fi module was given, and its upgrade was not asked for.", hint="Add -w.")
    if (options.wifi_psk or options.psk_file) and options.wifi_ssid is None:
        raise UsageError("A Wi-Fi passphrase was given without a network.", hint="Name the network with -ssid.")
    if options.wifi_ssid is not None and "application" not in options.actions:
        raise UsageError(
            "Wi-Fi is set through the demo application, and the action application is not among those asked for.",
            hint="Add the action application.",
        )


def _settle_archive(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if options.archive is None or "dbgupgrade" in options.actions:
        return
    if str(options.archive) != str(parser.get_default("archive")):
        raise UsageError(
            "Firmware for the debugger was given, and the action dbgupgrade is not among those asked for.",
            hint="Add the action dbgupgrade.",
        )
    options.archive = None


def _settle_cloud(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Options of one cloud are refused with another, but for what is merely a setting for all runs."""
    cloud, method = options.cloud_provider, options.provision_method
    if cloud == "aws":
        options.provision_method = method or "sandbox"
    elif method in (None, "custom", parser.get_default("provision_method")):
        options.provision_method = "custom"
    else:
        raise UsageError(
            f"The method {method} is one of AWS.",
            f"There is one way only to provision for {cloud.capitalize()}.",
            f"iotprovision -c {cloud}",
        )
    if options.id_scope is None:
        return
    if cloud != "azure" or "provision" not in options.actions:
        if options.id_scope != parser.get_default("id_scope"):
            raise UsageError(
                "An ID scope was given, and nothing that writes it was asked for.",
                "It is written to the kit by the action provision for Azure.",
                f"iotprovision -c azure provision --id-scope {options.id_scope}",
            )
        options.id_scope = None


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run the command.

    :returns: the exit code, see :class:`iotprovision.errors.ExitCode`
    """
    environment = environment or Environment()
    if "_ARGCOMPLETE" in environment.variables:  # a shell asks how a word may go on
        import argcomplete

        argcomplete.autocomplete(build_parser())
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
