"""The command ``unprovision``: the opposite of provisioning, for one kit."""

from __future__ import annotations

import functools

from iotprovision.errors import ExitCode, UsageError

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from iotprovision.runs.bench import Workplace
    from iotprovision.runs.board_session import KitRun
    from iotprovision.runs.report import Reporter
    from iotprovision.steps.step import Step

SHARED = (
    "cloud_provider",
    "provision_method",
    "aws_profile",
    "azure_dps",
    "azure_central",
    "serial_number",
    "port",
    "kit",
    "dry_run",
    "no_packed_reports",
)
EXAMPLES = """\
  iotprovision unprovision                 take the connected kit out of your AWS account, after asking
  iotprovision unprovision --dry-run       say what would be removed
  iotprovision unprovision --erase-credentials --yes
                                           ... and its credentials out of the kit, without asking
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of its own."""
    group = parser.add_argument_group("options of unprovision")
    group.add_argument(
        "--erase-credentials",
        action="store_true",
        help="then erase certificates, thing name and endpoint from the kit too; they are saved first",
    )
    group.add_argument("--yes", action="store_true", help="remove without asking")

    group.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="detach a certificate of the kit from other things too; remove an Azure device with another certificate",
    )


def writes(options: argparse.Namespace) -> bool:
    """Whether it may change anything."""
    return not options.dry_run


def perform(options: argparse.Namespace, place: Workplace, reporter: Reporter) -> ExitCode:
    """The account first, then the kit: what the kit holds tells which certificates are its."""
    from iotprovision.runs.board_session import KitRun

    _check_method(options)
    if not options.dry_run:
        place.require_agreement("The kit would be taken out of its account.", options.yes)
    place.open()
    with KitRun(options, place, reporter, "unprovision") as work:
        steps, tell = _steps(options, place, work)
        try:
            work.execute(steps)
        finally:
            tell(reporter)
        if options.cloud_provider == "aws" and not options.erase_credentials and not options.dry_run:
            reporter.notice(
                "The kit still holds its credentials. An account with just-in-time registration takes it back at its "
                "next connection; --erase-credentials erases them."
            )
    return ExitCode.OK


def _check_method(options: argparse.Namespace) -> None:
    if options.cloud_provider == "google":
        raise UsageError("There is nothing to take a kit out of: Google shut Cloud IoT Core down in August 2023")
    named = options.azure_dps is not None or options.azure_central is not None
    if options.cloud_provider == "azure" and not named:
        raise UsageError(
            "Which Azure service the kit shall be taken out of was not said",
            hint="name it with --azure-dps NAME or --azure-central NAME",
        )
    if options.provision_method == "sandbox" and options.cloud_provider == "aws":
        raise UsageError(
            "A kit cannot be taken out of the sandbox",
            "The account is the vendor's. It knows the certificates that the factory put into the kits, and only the "
            "vendor can change that.",
            "iotprovision unprovision takes it out of your own account, whether -m was jitr or mar",
        )


def _steps(
    options: argparse.Namespace, place: Workplace, work: KitRun
) -> tuple[list[Step], Callable[[Reporter], None]]:
    """The steps, and what puts into the document what they did in the account."""
    from iotprovision.pki.device_files import DeviceFiles
    from iotprovision.runs.board_session import account_data, azure_data, now
    from iotprovision.steps.aws_removal import DeviceRemovedFromAccount, ModemEmptied, WifiModuleEmptied
    from iotprovision.steps.azure import EnrolmentRemoved

    def confirm(question: str) -> bool:
        return place.confirmed(question, options.yes)

    steps: list[Step]
    if azure := place.azure() if options.cloud_provider == "azure" else None:
        files = DeviceFiles(work.files)
        steps = [EnrolmentRemoved(azure, work.target, work.chip, files, confirm, options.force)]
        key, data = "azure", functools.partial(azure_data, azure)
    else:
        account = place.account()
        steps = [DeviceRemovedFromAccount(account, work.target, work.chip, work.files, confirm, options.force)]
        key, data = "account", functools.partial(account_data, account)
    if options.erase_credentials:
        emptied = WifiModuleEmptied if work.kit.kit.has_wifi else ModemEmptied
        steps.append(emptied(work.target, work.files, now))
    return steps, lambda reporter: reporter.add(key, data())
