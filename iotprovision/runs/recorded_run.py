"""What is around every run: messages, log, history, exit code; nothing escapes."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from iotprovision import interrupts
from iotprovision.environment import Environment
from iotprovision.errors import ExitCode, InterruptedRunError, ProvisioningError, StoreError
from iotprovision.runs.bench import state_folder
from iotprovision.runs.history import History, record_of
from iotprovision.runs.job import Job
from iotprovision.runs.log_file import set_up_log
from iotprovision.runs.report import Reporter
from iotprovision.store.folder import Store

FULL_OR_READ_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

Work = Callable[[Reporter, contextlib.ExitStack], ExitCode]


def recorded(job: Job, environment: Environment, writes: bool, work: Work) -> ExitCode:
    """Do the work; nothing raised there reaches the caller.

    :param writes: whether the work may change anything; without it not even a log is kept
    :param work: is given what shows its events, and what closes all that it opens; gives the exit code
    """
    reporter = Reporter(environment.out, environment.err, environment.variables, job.json)
    log_file: Path | None = None
    history: History | None = None
    began = _now()
    try:
        interrupts.treat_termination_as_interrupt()
        folder = state_folder(job, environment)
        if writes:
            for part in dict.fromkeys((environment.store_folder, folder)):
                Store(part).prepare()
        log_file = set_up_log(folder if writes else None, job.logging, environment.err)
        if writes:
            history = History(folder)
        with contextlib.ExitStack() as resources:
            code = work(reporter, resources)
    except ProvisioningError as error:
        code = error.exit_code
        reporter.failed(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        reporter.failed(
            InterruptedRunError(
                "Interrupted",
                "Steps that were reported are done; the others are not.",
                "the same command goes on from there",
            )
        )
    except Exception as error:  # noqa: BLE001 - the last net: a traceback helps nobody at a terminal
        if isinstance(error, OSError) and error.errno in FULL_OR_READ_ONLY:
            code = ExitCode.STORE
            reporter.failed(StoreError(f"Cannot write: {error.strerror}", str(error.filename or ""), "make room there"))
        else:
            code = ExitCode.BUG
            reporter.bug(error, log_file)
    if history is not None:
        try:  # whatever happens to the record: what was done is done all the same
            with interrupts.held():
                history.add(record_of(job, reporter.records, reporter.document, code, began, _now()))
        except StoreError as error:
            reporter.warning(str(error))
        except Exception as error:  # noqa: BLE001 - nothing escapes
            reporter.warning(f"The run could not be added to the history: {type(error).__name__}: {error}")
    return reporter.end(code)


def _now() -> datetime:
    return datetime.now(UTC)
