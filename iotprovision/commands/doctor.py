"""Why a kit or an account cannot be used, and what to do about it; changes nothing."""

from __future__ import annotations

from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.errors import ExitCode
    from iotprovision.inspection.diagnosis import Diagnosis
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter

PAGE = "docs/troubleshooting.md"
SHARED = ("method", "aws_profile", "port", "serial_number", "kit")
EXAMPLES = """\
  iotprovision doctor                      kits, ports, store, firmware, clock, and the AWS account if there is one
  iotprovision doctor -m jitr -a work      with what just-in-time registration needs in the account of a profile
  iotprovision doctor --install-udev-rule  let users of this computer open kits (Linux), after asking
  iotprovision doctor --json               the same for a script
"""


OPTIONS = (
    Option(
        "install_udev_rule",
        ("--install-udev-rule",),
        "put the udev rule in place that lets users open kits (Linux); asks first, and uses sudo where it must",
        is_flag=True,
    ),
    Option("agreed", ("--yes",), "do not ask before the udev rule is put in place", is_flag=True),
)


class Request(Frozen):
    """What is asked of this command alone."""

    install_udev_rule: bool = False
    agreed: bool = False


def writes(job: Job, request: Request) -> bool:
    """Nothing of the store's, the kit's or the account's."""
    return False


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """Look at everything; with its option, put the udev rule in place first."""
    from iotprovision.errors import UsageError
    from iotprovision.inspection.diagnosis import Verdict, exit_code
    from iotprovision.inspection.doctor import Doctor
    from iotprovision.inspection.udev_rule import UdevRules
    from iotprovision.methods.aws import PROFILE, profile_of

    rules = UdevRules.of_this_computer()
    if request.install_udev_rule:
        if rules is None:
            raise UsageError("Only Linux has udev rules", "This system lets users open kits without one.")
        if not bench.confirmed(rules.commands(), request.agreed):
            raise UsageError("The udev rule was not put in place", "It was not agreed to.")
        reporter.notice(rules.install())
    elif request.agreed:
        raise UsageError("--yes was given, and nothing is asked", hint="iotprovision doctor --install-udev-rule --yes")
    named_profile = profile_of(job.method_options) != PROFILE.default
    rules = None if bench.is_simulated else rules
    diagnoses = Doctor(bench, job.method, named_profile, rules).diagnoses(job.port)
    reporter.add("findings", [diagnosis.as_data() for diagnosis in diagnoses])
    for diagnosis in diagnoses:
        reporter.text(_shown(diagnosis))
    problems = sum(diagnosis.verdict is Verdict.PROBLEM for diagnosis in diagnoses)
    reporter.notice(
        f"{problems} problem{'s' * (problems != 1)}; {PAGE} has a section for each finding"
        if problems
        else "No problem was found"
    )
    return exit_code(diagnoses)


def _shown(diagnosis: Diagnosis) -> str:
    """Lines, not a table: a cure is to be copied."""
    lines = [f"{diagnosis.verdict.value:<8} {diagnosis.check}: {diagnosis.found}"]
    for number, cure in enumerate(diagnosis.cure.splitlines()):
        lines.append(f"{'':<8} {'Try: ' if number == 0 else '     '}{cure}")
    return "\n".join(lines)
