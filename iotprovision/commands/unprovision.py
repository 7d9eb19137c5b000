"""Take a kit out of your account."""

from __future__ import annotations

from iotprovision.errors import ExitCode
from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.methods.method import Method
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

SHARED = (
    "cloud",
    "method",
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


OPTIONS = (
    Option(
        "erase_credentials",
        ("--erase-credentials",),
        "then erase certificates, thing name and endpoint from the kit too; they are saved first",
        is_flag=True,
    ),
    Option("agreed", ("--yes",), "remove without asking", is_flag=True),
    Option(
        "force",
        ("-f", "--force"),
        "detach a certificate of the kit from other things too; remove an Azure device with another certificate",
        is_flag=True,
    ),
)


class Request(Frozen):
    """What is asked of this command alone."""

    erase_credentials: bool = False
    agreed: bool = False


def writes(job: Job, request: Request) -> bool:
    """Whether it may change anything."""
    return not job.dry_run


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """The account first, then the kit: what the kit holds tells which certificates are its."""
    from iotprovision.runs.board_session import KitRun, now
    from iotprovision.steps.aws_removal import ModemEmptied, WifiModuleEmptied

    method = _method(job)
    method.check_removal(job)
    if not job.dry_run:
        bench.require_agreement("The kit would be taken out of its account.", request.agreed)
    bench.open()
    with KitRun(job, bench, reporter, "unprovision") as work:
        removal = method.removal(
            job, bench, work, lambda question: bench.confirmed(question, request.agreed), job.force
        )
        steps = list(removal.steps)
        if request.erase_credentials:
            emptied = WifiModuleEmptied if work.kit.kit.has_wifi else ModemEmptied
            steps.append(emptied(work.target, work.files, now))
        try:
            work.execute(steps)
        finally:
            reporter.add(removal.section, removal.done())
        if method.stays_on_kit and not request.erase_credentials and not job.dry_run:
            reporter.notice(method.stays_on_kit)
    return ExitCode.OK


def _method(job: Job) -> Method:
    """The one that was named; else, of the methods of the cloud, one that takes a kit out of an account."""
    from iotprovision.methods import default, named, of_cloud

    able = [method for method in of_cloud(job.cloud or default().cloud) if method.removes_devices]
    return able[0] if able and job.method is None else named(job.cloud, job.method)
