# PYTHON_ARGCOMPLETE_OK
"""The command: reads the command line and runs it. Nothing else reads arguments.

Imports only what ``--help`` needs; the rest is imported when a run begins.
"""

from __future__ import annotations

import os
import sys

from iotprovision.command_line.options import (
    ACTIONS,
    COMMANDS,
    KITS_WITH_RADIO,
    NEWER_ACTIONS,
    SIMULATED_KITS,
    build_parser,
)
from iotprovision.commands import command_parser
from iotprovision.environment import SETTING_PREFIX, Environment
from iotprovision.errors import ExitCode, ProvisioningError, UsageError

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

AZURE_SERVICES = ("azure_dps", "azure_central")


def parse(arguments: Sequence[str], environment: Environment) -> argparse.Namespace:
    """Read the command line, over the environment, over the settings file.

    :raises UsageError: a combination that makes no sense, or a setting that is none
    """
    parser = build_parser()
    command, arguments = _command_among(arguments, parser)
    # --help and mistakes come first; and without the settings it shows what was typed.
    typed = (command_parser(command, parser) if command else parser).parse_args(arguments)
    settings_file = environment.store_folder / "config.yaml"
    if os.path.lexists(settings_file) or any(name.startswith(SETTING_PREFIX) for name in environment.variables):
        from iotprovision.command_line.settings_file import apply_environment, apply_file

        apply_file(parser, settings_file)
        apply_environment(parser, environment.variables)
    if command:
        # The settings are those of the actions; a command takes over what it has in common with them.
        options = command_parser(command, parser).parse_args(arguments)
        options.command = command
        _refuse_others(options)
        _settle_service(options, typed)
        return options
    options = parser.parse_args(arguments)
    options.command = None
    _settle_simulated_kit(options, parser)
    _settle_actions(options)
    _settle_wifi(options, parser)
    _settle_archive(options, parser)
    _settle_cloud(options, parser)
    _prefer_typed_service(options, typed)
    return options


def _command_among(arguments: Sequence[str], parser: argparse.ArgumentParser) -> tuple[str | None, Sequence[str]]:
    """The first word that names a command and is not the value of an option; the arguments without it."""
    take_a_value = {option for action in parser._actions if action.nargs is None for option in action.option_strings}
    before = ""
    for index, word in enumerate(arguments):
        if word in COMMANDS and before not in take_a_value:
            return word, [*arguments[:index], *arguments[index + 1 :]]
        before = word
    return None, arguments


def _refuse_others(options: argparse.Namespace) -> None:
    words = [*options.others, *([options.simulate] if options.simulate in (*ACTIONS, *NEWER_ACTIONS) else [])]
    if not words:
        return
    if words[0] in (*ACTIONS, *NEWER_ACTIONS, *COMMANDS):
        raise UsageError(
            f"{options.command} stands alone: it goes with no action and no other command",
            f"{words[0]} was asked for too.",
            f"iotprovision {options.command}, and then iotprovision {words[0]}",
        )
    raise UsageError(f"{options.command} takes no word {words[0]!r}", hint=f"iotprovision {options.command} --help")


def _settle_service(options: argparse.Namespace, typed: argparse.Namespace) -> None:
    """An Azure service that is named to a command that works with another cloud is a mistake, not of no use."""
    for name in AZURE_SERVICES:
        if getattr(typed, name, None) is not None and options.cloud_provider != "azure":
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} names a service of Azure, and this run is for {options.cloud_provider}",
                "Nothing was done in either.",
                f"iotprovision {options.command} -c azure {option} NAME",
            )
    _prefer_typed_service(options, typed)


def _prefer_typed_service(options: argparse.Namespace, typed: argparse.Namespace) -> None:
    """The service that was typed is the one that is meant, whichever the settings name."""
    if any(getattr(typed, name, None) is not None for name in AZURE_SERVICES):
        for name in AZURE_SERVICES:
            if getattr(typed, name) is None:
                setattr(options, name, None)


def _settle_simulated_kit(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    # ``--simulate certs`` reads as a kit called "certs": argparse cannot know better.
    if options.simulate in (*ACTIONS, *NEWER_ACTIONS):
        options.actions.insert(0, options.simulate)
        options.simulate = SIMULATED_KITS[0]
    if not (options.simulate or "").lower().startswith(KITS_WITH_RADIO):
        if options.simulated_access_point != parser.get_default("simulated_access_point"):
            raise UsageError(
                "A simulated access point was given, and no emulated kit that could join it.",
                f"Programs use a radio on {' and '.join(KITS_WITH_RADIO)} only.",
                "iotprovision --simulate avr-iot-wa@emulated",
            )
        options.simulated_access_point = None


def _settle_actions(options: argparse.Namespace) -> None:
    options.actions = [NEWER_ACTIONS.get(action, action) for action in options.actions]
    unknown = [action for action in options.actions if action not in ACTIONS]
    if unknown:
        raise UsageError(f"Unknown action {unknown[0]!r}", hint=f"one of {', '.join(ACTIONS)}")
    if "none" in options.actions and len(options.actions) > 1:
        raise UsageError("The action none goes with no other action.")
    if not options.actions or "all" in options.actions:
        options.actions = ["dbgupgrade", "certs", "provision", "links", "application"]
    if options.wincupgrade or options.fwinc:
        options.actions = sorted({*options.actions, "wincupgrade"} - {"none"}, key=ACTIONS.index)


def _settle_wifi(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """What is of no use in this run is refused where it was typed, and left out where it is a setting for all runs."""

    def typed(name: str) -> bool:
        value = getattr(options, name)
        return value is not None and str(value) != str(parser.get_default(name))

    if "wincupgrade" not in options.actions:
        if typed("wifi_module_firmware"):
            raise UsageError(
                "Firmware for the Wi-Fi module was given, and its upgrade was not asked for.", hint="Add -w."
            )
        options.wifi_module_firmware = None
    if options.wifi_ssid is None and (typed("wifi_psk") or typed("psk_file")):
        raise UsageError("A Wi-Fi passphrase was given without a network.", hint="Name the network with -ssid.")
    if "application" not in options.actions:
        if typed("wifi_ssid"):
            raise UsageError(
                "Wi-Fi is set through the demo application, and the action application is not among those asked for.",
                hint="Add the action application.",
            )
        options.wifi_ssid = None
    if typed("wifi_psk") and not typed("psk_file"):
        options.psk_file = None  # from the settings file, over which the command line wins
    options.wifi_psk_can_be_seen = typed("wifi_psk") and options.psk_file is None


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
    if cloud == "azure" and "provision" in options.actions:
        return
    for name in AZURE_SERVICES:
        value = getattr(options, name)
        if value is not None and value != parser.get_default(name):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} was given, and nothing that enrols a kit in Azure was asked for.",
                "It is enrolled by the action provision for Azure.",
                f"iotprovision -c azure provision --{option} NAME",  # not what was typed: it may have a key in it
            )
        setattr(options, name, None)
    if options.id_scope is not None:
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
    if options.command:
        from iotprovision.commands import perform

        return int(perform(options, environment))
    from iotprovision.commands.provision import run_command

    return int(run_command(options, environment))
