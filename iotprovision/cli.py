# PYTHON_ARGCOMPLETE_OK
"""The command: reads what was said and does it.

Imports only what ``--help`` needs; the rest is imported when a run begins.
"""

from __future__ import annotations

import sys

from iotprovision.command_line.parsing import completed, parse
from iotprovision.commands import COMMANDS, perform
from iotprovision.environment import Environment

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run the command.

    :returns: the exit code, see :class:`iotprovision.errors.ExitCode`
    """
    environment = environment or Environment()
    if "_ARGCOMPLETE" in environment.variables:  # a shell asks how a word may go on
        import argcomplete

        argcomplete.autocomplete(completed(environment.variables.get("COMP_LINE", ""), COMMANDS))
    try:
        job, request = parse(sys.argv[1:] if arguments is None else arguments, environment, COMMANDS)
    except SystemExit as stop:
        return int(stop.code or 0)
    except (Exception, KeyboardInterrupt) as error:
        from iotprovision.errors import ExitCode, ProvisioningError

        if isinstance(error, KeyboardInterrupt):
            return int(ExitCode.INTERRUPTED)
        if not isinstance(error, ProvisioningError):
            raise
        print(error, file=environment.err)
        return int(error.exit_code)
    return int(perform(job, request, environment))
