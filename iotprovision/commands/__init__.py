"""The commands: a module of this folder is one, and ``command_line/command.py`` says what it has.

The modules import nothing heavy at their top: their options are asked for by ``--help`` too. The one that does actions
is the exception: ``--help`` knows its words without it.
"""

from __future__ import annotations

from importlib import import_module

from iotprovision.command_line.command import Commands

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from iotprovision.command_line.command import Command
    from iotprovision.environment import Environment
    from iotprovision.errors import ExitCode
    from iotprovision.frozen import Frozen
    from iotprovision.runs.job import Job

COMMANDS = Commands(__name__, __path__[0])


def perform(job: Job, request: Frozen, environment: Environment) -> ExitCode:
    """Do what was asked for; nothing raised here reaches the caller."""
    from iotprovision.runs.bench import bench_for
    from iotprovision.runs.recorded_run import recorded

    command: Command = import_module(f"{__name__}.{job.command}")
    return recorded(
        job,
        environment,
        command.writes(job, request),
        lambda reporter, resources: command.perform(
            job, request, bench_for(job, environment, reporter, resources), reporter
        ),
    )
