"""The kits that are connected, and what each is provisioned for."""

from __future__ import annotations

import functools

from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Sequence

    from iotprovision.boards.found import FoundKit
    from iotprovision.errors import ExitCode
    from iotprovision.inspection.chips import ChipContents
    from iotprovision.inspection.looks import Look
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

HEADINGS = ("What", "State", "Found")
SHARED = ("aws_profile", "port", "serial_number", "kit", "no_packed_reports")
EXAMPLES = """\
  iotprovision status                      the kits that are connected; the applications on them go on running
  iotprovision status --account            compared with the AWS account of the default profile
  iotprovision status --deep -s 4321       read from the chips of one kit; its application is put back
  iotprovision status --json               the same for a script
"""


OPTIONS = (
    Option(
        "deep",
        ("--deep",),
        "read the chips too: the MCU gets the provisioning firmware for some seconds, and then back what it held",
        is_flag=True,
    ),
    Option(
        "account",
        ("--account",),
        "compare with the AWS account of the profile; nothing is changed there",
        is_flag=True,
    ),
)


class Request(Frozen):
    """What is asked of this command alone."""

    deep: bool = False
    account: bool = False


def writes(job: Job, request: Request) -> bool:
    """To read the chips, the MCU is programmed."""
    return request.deep


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """Look at all that is connected, and show it."""
    from iotprovision.errors import ExitCode
    from iotprovision.inspection.status import LookedAt, Status

    bench.open(needs_account=request.account)
    status = Status(bench, job.port, request.account)
    shared = status.in_account()
    shown = []
    read = functools.partial(_chips, job, bench, reporter) if request.deep else None
    for each in status.boards(read):
        shown.append(each.as_data())
        if isinstance(each, LookedAt):
            reporter.rows(HEADINGS, [_row(look) for look in each.looks], each.title)
            reporter.text("")
        else:
            reporter.text(f"{each.title}\n{each.kit.reason}\n")
    reporter.add("kits", shown)
    if request.account:
        reporter.add("in_account", [look.as_data() for look in shared])
        reporter.rows(HEADINGS, [_row(look) for look in shared], "AWS account")
    for warning in status.warnings:
        reporter.warning(warning)
    if status.error is None:
        return ExitCode.OK
    reporter.failed(status.error)
    return status.error.exit_code


def _chips(job: Job, bench: Bench, reporter: Reporter, kit: FoundKit) -> ChipContents:
    """What the chips of a kit hold; its application is put back, proved."""
    from dataclasses import replace

    from iotprovision.inspection.chips import ChipsRead
    from iotprovision.runs.board_session import BoardSession

    reporter.for_kit(kit.serial_number)
    with BoardSession(job, bench, reporter, kit, "status") as session:
        reading = ChipsRead(session.board)
        session.execute([reading], shown=False)
        contents = reading.contents
        assert contents is not None, "a step that has run has looked"
        if session.left_a_program:
            reporter.notice(f"The kit {kit.serial_number} held no application; it now holds {session.left_a_program}")
        return replace(contents, application=session.application_found)


def _row(look: Look) -> Sequence[str]:
    return (look.subject, "foreign" if look.finding.foreign else look.finding.state.value, look.shown)
