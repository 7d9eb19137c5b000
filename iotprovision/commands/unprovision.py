"""Take a kit out of your account."""

from __future__ import annotations

import functools

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
    from iotprovision.methods.work import AccountWork, DeviceWork
    from iotprovision.pki.authority import Authority
    from iotprovision.pki.names import Names
    from iotprovision.runs.board_session import BoardSession, find_board
    from iotprovision.steps.stored import Emptied

    method = _method(job)
    method.check_removal(job.method_options)
    if not job.dry_run:
        bench.require_agreement("The kit would be taken out of its account.", request.agreed)
    bench.open()
    kit = find_board(job, bench, reporter)
    authority = Authority(bench.store, Names())
    account = AccountWork(authority, bench.account, False, job.forced, bench.azure(), job.method_options)
    with BoardSession(job, bench, reporter, kit, "unprovision") as session:
        device = DeviceWork(session.board, session.files, session.keeper, bench.factory_roots())
        confirm = functools.partial(bench.confirmed, agreed=request.agreed)
        steps = method.removal(account, device, confirm, job.force)
        if request.erase_credentials:
            for memory in session.board.credentials:
                _, in_the, place = memory.called.rpartition(" in the ")
                title = f"Credentials out of {'the ' if in_the else ''}{place}"
                steps.append(Emptied(memory, session.keeper(), title))
        try:
            session.execute(steps)
        finally:
            for section, done in account.done().items():
                reporter.add(section, done)
    if method.stays_on_kit and not request.erase_credentials and not job.dry_run:
        reporter.notice(method.stays_on_kit)
    return ExitCode.OK


def _method(job: Job) -> Method:
    """The one that was named; else, of the methods of the cloud, one that takes a kit out of an account."""
    from iotprovision.methods import default, named, of_cloud

    able = [method for method in of_cloud(job.cloud or default().cloud) if method.removes_devices]
    return able[0] if able and job.method is None else named(job.cloud, job.method)
