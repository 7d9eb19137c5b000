"""Every option of the command line, once: first those of the vendor's tool, then ours.

Options of one cloud alone are declared by its methods, options of one command alone by its module.
"""

from __future__ import annotations

import functools

from iotprovision.methods import clouds, default, methods, of_cloud
from iotprovision.option import Need, Option, path

ACTIONS = ("all", "dbgupgrade", "certs", "wincupgrade", "provision", "links", "application", "none")
EVERYTHING = ("dbgupgrade", "certs", "provision", "links", "application")
"""What ``all`` means."""
NEWER_ACTIONS = {"account": "certs", "debuggerupgrade": "dbgupgrade"}
LEVELS = ("fatal", "error", "warning", "info", "debug")
MORE, NEWER = "more options", "spellings of the vendor's newer tool"
FOR_ALL = ("simulate", "json", "logging")
"""Every command has these."""


@functools.cache
def options() -> tuple[Option, ...]:
    """Those of the command that does actions, which has all but those of the other commands alone."""
    return (*SHARED, *method_options())


def method_options() -> tuple[Option, ...]:
    """Those of one cloud alone."""
    return tuple({option.name: option for method in methods() for option in method.options}.values())


def _help_of_clouds() -> str:
    remarks = [f"; {method.cloud} is {method.help}" for method in methods() if method.help and _is_alone(method.cloud)]
    return f"cloud provider to provision for (default: {default().cloud}){''.join(remarks)}"


def _help_of_methods() -> str:
    ways = [
        f"{method.name} ({method.help}{''.join(f'; {other} is the same' for other in method.other_names)})"
        for method in methods()
        if not _is_alone(method.cloud)
    ]
    alone = " and ".join(cloud for cloud in clouds() if _is_alone(cloud))
    return f"provisioning method: {', '.join(ways)} (default: {default().name}); {alone} take none"


def _is_alone(cloud: str) -> bool:
    return len(of_cloud(cloud)) == 1


def _help_of_simulate() -> str:
    from iotprovision.runs.bench import default_simulated_kit, simulated_kits

    names = ", ".join(simulated_kits())
    return f"work on a simulated kit and a local cloud: {names} (default: {default_simulated_kit()})"


SHARED = (
    Option("cloud", ("-c", "--cloud-provider"), _help_of_clouds, choices=clouds()),
    Option(
        "debugger_archive",
        ("-A", "--archive"),
        "firmware archive for the debugger on the kit (default: the vendor's, the newest this version knows)",
        metavar="ARCHIVE",
        convert=path,
        need=Need(
            "dbgupgrade",
            "Firmware for the debugger was given, and the action dbgupgrade is not among those asked for.",
            "Add the action dbgupgrade.",
        ),
    ),
    Option(
        "method",
        ("-m", "--provision-method"),
        _help_of_methods,
        choices=tuple(dict.fromkeys(name for method in methods() for name in (method.name, *method.other_names))),
    ),
    Option(
        "port",
        ("-P", "--port"),
        "serial port of the kit: a device, socket://HOST:PORT or rfc2217://HOST:PORT (default: found by its USB serial "
        "number)",
        metavar="PORT",
    ),
    Option(
        "provisioning_firmware",
        ("-p", "--provision-firmware"),
        "provisioning firmware hex file (default: the vendor's)",
        metavar="FILE",
        convert=path,
    ),
    Option(
        "force",
        ("-f", "--force"),
        "provision even where it is already done: new device certificate, everything on the kit written again, what "
        "somebody else changed in the account overwritten; the CA is kept",
        is_flag=True,
    ),
    Option(
        "application",
        ("-app", "--application-firmware"),
        "application hex file (default: the vendor's demo for the cloud)",
        metavar="FILE",
        convert=path,
    ),
    Option(
        "wifi_ssid",
        ("-ssid", "--ssid", "--wifi-ssid"),
        "name of the Wi-Fi network to connect to",
        metavar="SSID",
        need=Need(
            "application",
            "Wi-Fi is set through the demo application, and the action application is not among those asked for.",
            "Add the action application.",
        ),
    ),
    Option(
        "wifi_passphrase",
        ("-psk", "--psk", "--wifi-psk"),
        "passphrase of the Wi-Fi network; others on this machine can see it, --psk-file is safer",
        metavar="PASSPHRASE",
    ),
    Option(
        "wifi_authentication",
        ("-auth", "--auth", "--wifi-auth"),
        "Wi-Fi authentication (default: wpa-psk)",
        choices=("open", "wpa-psk", "wep", "ieee802.1x"),
    ),
    Option(
        "wincupgrade",
        ("-w", "--wincupgrade"),
        "upgrade the firmware of the Wi-Fi module to the vendor's latest, about two minutes; calibration, "
        "certificates, thing name and saved Wi-Fi stay; the same as the action wincupgrade",
        is_flag=True,
    ),
    Option(
        "serial_number",
        ("-s", "--serial-number"),
        "USB serial number of the kit, or the end of it that tells it apart",
        metavar="SUFFIX",
    ),
    Option(
        "verify",
        ("--verify",),
        "when all is done, prove the whole once more from the kit and the account",
        is_flag=True,
    ),
    Option(
        "logging",
        ("-l", "-v", "--logging"),
        "least severity of log messages shown (default: warning); the log file always has all",
        choices=LEVELS,
    ),
    Option("simulate", ("--simulate",), _help_of_simulate, metavar="KIT", bare="", group=MORE),
    Option(
        "simulated_access_point",
        ("--simulate-ap",),
        "the Wi-Fi network that an emulated kit can join; SSID: is an open one (default: 'lab:correct horse')",
        metavar="SSID:PASSPHRASE",
        group=MORE,
    ),
    Option(
        "kit",
        ("--kit",),
        "which kit it is, where its board registers are blank or name no known one: as in 'AVR-IoT WA' or avr-iot-wa; "
        "its MCU must be the one of that kit",
        metavar="NAME",
        group=MORE,
    ),
    Option(
        "dry_run", ("--dry-run",), "say what a run would do; write nothing, not even firmware", is_flag=True, group=MORE
    ),
    Option(
        "no_lock",
        ("--no-lock",),
        "leave slots 10 to 12 of the secure element unlocked (locking cannot be undone)",
        is_flag=True,
        group=MORE,
    ),
    Option(
        "no_packed_reports",
        ("--no-packed-reports",),
        "program a SAM-IoT kit with one transfer in a report, as the vendor's library does: takes twice as long",
        is_flag=True,
        group=MORE,
    ),
    Option(
        "json", ("--json",), "one JSON document on standard output, and nothing else there", is_flag=True, group=MORE
    ),
    Option(
        "wifi_module_firmware",
        ("--wifi-module-firmware",),
        "1 MiB image for -w (default: the vendor's)",
        metavar="FILE",
        convert=path,
        group=MORE,
        need=Need(
            "wincupgrade",
            "Firmware for the Wi-Fi module was given, and its upgrade was not asked for.",
            "Add -w.",
        ),
    ),
    Option(
        "wifi_passphrase_file",
        ("--psk-file",),
        "file whose first line is the passphrase of the Wi-Fi network",
        metavar="FILE",
        convert=path,
        group=MORE,
    ),
    Option(
        "encrypt_keys",
        ("--encrypt-keys",),
        "encrypt new CA keys; asks for a passphrase if none is given",
        is_flag=True,
        group=MORE,
    ),
    Option(
        "ca_passphrase_file",
        ("--ca-passphrase-file",),
        "file whose first line is the passphrase of the CA keys",
        metavar="FILE",
        convert=path,
        group=MORE,
    ),
    Option("organization", ("--org",), "organisation in the certificates", metavar="NAME", group=NEWER),
    Option("root_common_name", ("--rcn",), "common name of a new root CA", metavar="NAME", group=NEWER),
    Option("signer_common_name", ("--scn",), "common name of a new signer CA", metavar="NAME", group=NEWER),
    Option("new_device_certificate", ("--fdev",), "issue a new device certificate", is_flag=True, group=NEWER),
    Option(
        "new_authority",
        ("--fca",),
        "make a new root CA and signer CA; the old ones are kept aside",
        is_flag=True,
        group=NEWER,
    ),
    Option("redeploy", ("--faws",), "deploy the parts in the AWS account anew", is_flag=True, group=NEWER),
    Option(
        "compare_wifi_module",
        ("--fwinc",),
        "the same as -w, and compare the whole firmware of the Wi-Fi module",
        is_flag=True,
        group=NEWER,
    ),
    Option(
        "provisioning_firmware_is_there",
        ("--sprov",),
        "the MCU holds the provisioning firmware already: do not program it",
        is_flag=True,
        group=NEWER,
    ),
)
