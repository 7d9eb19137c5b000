"""The command ``status``: what is connected, and what it is provisioned for."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse

    from iotprovision.errors import ExitCode
    from iotprovision.runs.bench import Workplace
    from iotprovision.runs.report import Reporter

SHARED = ("aws_profile", "port", "serial_number", "kit", "no_packed_reports")
EXAMPLES = """\
  iotprovision status                      the kits that are connected; the applications on them go on running
  iotprovision status --account            compared with the AWS account of the default profile
  iotprovision status --deep -s 4321       read from the chips of one kit; its application is put back
  iotprovision status --json               the same for a script
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of its own."""
    group = parser.add_argument_group("options of status")
    group.add_argument(
        "--deep",
        action="store_true",
        help="read the chips too: the MCU gets the provisioning firmware for some seconds, and then back what it held",
    )
    group.add_argument(
        "--account",
        action="store_true",
        help="compare with the AWS account of the profile; nothing is changed there",
    )


def writes(options: argparse.Namespace) -> bool:
    """To read the chips, the MCU is programmed."""
    return bool(options.deep)


def perform(options: argparse.Namespace, place: Workplace, reporter: Reporter) -> ExitCode:
    """Look at all that is connected."""
    from iotprovision.inspection.status import Status

    return Status(place, reporter, options.port).show(options.deep, options.account)
