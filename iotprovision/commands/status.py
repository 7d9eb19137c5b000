"""The kits that are connected, and what each is provisioned for."""

from __future__ import annotations

from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.errors import ExitCode
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

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
    """Look at all that is connected."""
    from iotprovision.inspection.status import Status

    return Status(bench, reporter, job.port).show(request.deep, request.account)
