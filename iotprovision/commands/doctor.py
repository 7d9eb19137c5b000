"""The command ``doctor``: why a kit or an account cannot be used."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse

    from iotprovision.errors import ExitCode
    from iotprovision.runs.bench import Workplace
    from iotprovision.runs.report import Reporter

SHARED = ("provision_method", "aws_profile", "port", "serial_number", "kit")
EXAMPLES = """\
  iotprovision doctor                      kits, ports, store, firmware, clock, and the AWS account if there is one
  iotprovision doctor -m jitr -a work      with what just-in-time registration needs in the account of a profile
  iotprovision doctor --install-udev-rule  let users of this computer open kits (Linux), after asking
  iotprovision doctor --json               the same for a script
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of its own."""
    group = parser.add_argument_group("options of doctor")
    group.add_argument(
        "--install-udev-rule",
        action="store_true",
        help="put the udev rule in place that lets users open kits (Linux); asks first, and uses sudo where it must",
    )
    group.add_argument("--yes", action="store_true", help="do not ask before the udev rule is put in place")


def writes(options: argparse.Namespace) -> bool:
    """Nothing of the store's, the kit's or the account's."""
    return False


def perform(options: argparse.Namespace, place: Workplace, reporter: Reporter) -> ExitCode:
    """Look at everything; with its option, put the udev rule in place first."""
    from iotprovision.errors import UsageError
    from iotprovision.inspection.doctor import Doctor
    from iotprovision.inspection.udev_rule import UdevRules

    rules = UdevRules.of_this_computer()
    if options.install_udev_rule:
        if rules is None:
            raise UsageError("Only Linux has udev rules", "This system lets users open kits without one.")
        if not place.confirmed(rules.commands(), options.yes):
            raise UsageError("The udev rule was not put in place", "It was not agreed to.")
        reporter.notice(rules.install())
    elif options.yes:
        raise UsageError("--yes was given, and nothing is asked", hint="iotprovision doctor --install-udev-rule --yes")
    named_profile = options.aws_profile != "default"
    rules = None if place.is_simulated else rules
    return Doctor(place, reporter, options.provision_method, named_profile, rules).show(options.port)
