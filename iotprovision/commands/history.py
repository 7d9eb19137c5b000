"""What earlier runs did."""

from __future__ import annotations

from iotprovision.errors import ExitCode, UsageError
from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from typing import Any

    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

SHARED = ("serial_number",)
EXAMPLES = """\
  iotprovision history                     the last twenty runs
  iotprovision history -s 4321 --last 0    all runs on the kit whose serial number ends in 4321
  iotprovision history --json              the same for a script, with every step and its proof
"""
SHOWN = 20


OPTIONS = (
    Option(
        "last",
        ("--last",),
        f"how many runs are shown, the latest ones; 0 for all (default: {SHOWN})",
        metavar="NUMBER",
        convert=int,
    ),
)


class Request(Frozen):
    """What is asked of this command alone."""

    last: int = SHOWN


def writes(job: Job, request: Request) -> bool:
    """It only reads."""
    return False


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """Show records, oldest first; lines that are none are named."""
    from iotprovision.runs.history import kits_of

    if request.last < 0:
        raise UsageError(f"--last takes a number of runs, not {request.last}", hint="0 for all")
    suffix = (job.serial_number or "").lower()
    records, bad_lines = bench.history.read()
    chosen = [
        record for record in records if not suffix or any(number.lower().endswith(suffix) for number in kits_of(record))
    ]
    shown = chosen[-request.last :]
    for line in bad_lines:
        reporter.warning(f"line {line.number} of {bench.history.path} was left out: {line.why}")
    reporter.add("file", str(bench.history.path))
    reporter.add("runs", shown)
    reporter.add("unreadable", [{"line": line.number, "why": line.why} for line in bad_lines])
    if not records:
        reporter.notice("No run has been recorded yet")
    elif not chosen:
        reporter.notice(f"No run on a kit whose serial number ends in {job.serial_number} has been recorded")
    elif len(shown) < len(chosen):
        reporter.notice(f"{len(chosen) - len(shown)} earlier runs are not shown; --last 0 shows all")
    reporter.rows(("Time (UTC)", "Kit", "Run", "Result", "Changed"), [_row(record) for record in shown])
    return ExitCode.OK


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    from iotprovision.runs.history import changes_of, kits_of, part_of

    return (
        str(record["time"])[:19].replace("T", " "),
        f"{part_of(record, 'kit').get('name', '')} {', '.join(kits_of(record))}".strip(),
        str(record.get("run", "")),
        str(record.get("result", "")).replace("_", " "),
        "; ".join(str(entry.get("step", "")) for entry in changes_of(record)) or "nothing",
    )
