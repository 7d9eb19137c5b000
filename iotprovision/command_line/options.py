"""Every option and action of the command line: first those of the vendor's tool, then ours."""

from __future__ import annotations

import argparse
import os

from iotprovision import __version__

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from pathlib import Path

ACTIONS = ("all", "dbgupgrade", "certs", "wincupgrade", "provision", "links", "application", "none")
NEWER_ACTIONS = {"account": "certs", "debuggerupgrade": "dbgupgrade"}
COMMANDS = {
    "status": "the kits that are connected, and what each is provisioned for",
    "doctor": "why a kit or an account cannot be used, and what to do about it; changes nothing",
    "history": "what earlier runs did",
    "restore": "put back what earlier runs overwrote on a kit",
    "rootcerts": "which servers the Wi-Fi module trusts",
    "unprovision": "take a kit out of your account",
}
"""What is no action: each stands alone, and has options of its own in a module of ``commands/``."""
CLOUDS = ("google", "aws", "azure")
METHODS = ("sandbox", "mar", "jitr", "custom")
LEVELS = ("fatal", "error", "warning", "info", "debug")
SIMULATED_KITS = (
    "avr-iot-wa",
    "avr-iot-wg",
    "avr-iot-wa@emulated",
    "avr-iot-wg@emulated",
    "avr-iot-cellular-mini",
    "avr-iot-cellular-mini@emulated",
    "avr-iot-cellular",
    "avr-iot-cellular@emulated",
    "pic-iot-wa",
    "pic-iot-wg",
    "sam-iot-wx",
    "sam-iot-wg",
    "sam-iot-wx@emulated",
    "sam-iot-wg@emulated",
)

# Emulated kits whose programs can join a simulated network; the others have none, or no program that would.
KITS_WITH_RADIO = ("avr-iot-wa@emulated", "avr-iot-wg@emulated")

FALLBACK_WIDTH = 100

EPILOG = f"""\
commands, each with options of its own (iotprovision COMMAND --help):
{chr(10).join(f"  {name:<12} {purpose}" for name, purpose in COMMANDS.items())}

examples:
  iotprovision                             the connected kit becomes a device of the vendor's sandbox account
  iotprovision -c aws -m jitr              ... of your own account, that of your AWS profile
  iotprovision -c aws -m jitr --dry-run    say what that would do, and change nothing
  iotprovision --simulate -c aws -m jitr   a simulated kit and a local cloud: no board, no account
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


def parser_called(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser without options, in the way of this program."""
    return argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=_help_format, allow_abbrev=False
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser, with every option that works and no other: first those of the vendor's tool, then ours."""
    parser = parser_called(
        "iotprovision", "Makes a Microchip IoT kit a trusted device of a cloud account, and proves it.", EPILOG
    )
    actions = parser.add_argument(
        "actions",
        nargs="*",
        default=[],
        metavar="ACTION",
        help=f"action(s) to perform: {', '.join(ACTIONS)} (default: all)",
    )
    # For shell completion: argparse may not check the choices itself, because of --simulate with an action behind it.
    setattr(actions, "completer", lambda **_: (*ACTIONS, *NEWER_ACTIONS, *COMMANDS))  # noqa: B010 - no attribute that argparse knows
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
        "--simulate-ap",
        dest="simulated_access_point",
        metavar="SSID:PASSPHRASE",
        help="the Wi-Fi network that an emulated kit can join; SSID: is an open one (default: 'lab:correct horse')",
    )
    group.add_argument(
        "--kit",
        metavar="NAME",
        help="which kit it is, where its board registers are blank or name no known one: as in 'AVR-IoT WA' or "
        "avr-iot-wa; its MCU must be the one of that kit",
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
        "--no-packed-reports",
        action="store_true",
        help="program a SAM-IoT kit with one transfer in a report, as the vendor's library does: takes twice as long",
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
    azure = group.add_mutually_exclusive_group()
    azure.add_argument(
        "--azure-dps",
        metavar="NAME",
        help="with -c azure, enrol the kit in your Azure Device Provisioning Service of this name, as who is logged in "
        "(az login)",
    )
    azure.add_argument(
        "--azure-central",
        metavar="NAME",
        help="with -c azure, enrol the kit in your Azure IoT Central application NAME.azureiotcentral.com",
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
