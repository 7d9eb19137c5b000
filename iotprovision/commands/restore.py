"""Put back what earlier runs overwrote on a kit."""

from __future__ import annotations

from iotprovision.errors import ExitCode, StoreError, UsageError
from iotprovision.frozen import Frozen
from iotprovision.option import Option

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iotprovision.runs.bench import Bench
    from iotprovision.runs.board_session import BoardSession
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter
    from iotprovision.runs.restore_plan import Parts
    from iotprovision.store.backups import Backup
    from iotprovision.store.folder import Store

SHARED = ("serial_number", "port", "kit", "dry_run", "no_packed_reports")
EXAMPLES = """\
  iotprovision restore --list              which backups there are
  iotprovision restore                     put back what runs overwrote last
  iotprovision restore --only application --date 2026-11-22
                                           ... of the application only, as it was saved on that day
"""
NEVER_BACK = (
    "locked slots of the secure element: they keep what they held when they were locked",
    "keys that were made anew: a certificate for an earlier key is of no use to the kit, and is refused",
    "what an account was told: the actions certs and provision tell it again",
)
_DATE = r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.?(\d{1,6}))?)?)?(?:Z| UTC)?)?"
"""A day, or a time as far as it is known, as --list, its JSON and the names of the files have it."""


OPTIONS = (
    Option("list", ("--list",), "show the backups, and change nothing", is_flag=True),
    Option(
        "only",
        ("--only",),
        "put only this part back, as --list calls it; may be given several times (default: all that has a backup, but "
        "not the firmware of the Wi-Fi module)",
        metavar="PART",
        choices=lambda: _parts().names,
        is_repeated=True,
    ),
    Option(
        "date",
        ("--date",),
        "the backups that were saved then, such as 2026-11-22 or 2026-11-22T14:33 (UTC); the newest of several "
        "(default: the newest that no restore saved)",
        metavar="DATE",
    ),
    Option(
        "force",
        ("-f", "--force"),
        "take backups that the list does not know, and write also where all is as in the backup",
        is_flag=True,
    ),
)


class Request(Frozen):
    """What is asked of this command alone."""

    list: bool = False
    only: tuple[str, ...] = ()
    date: str | None = None


def writes(job: Job, request: Request) -> bool:
    """Whether it may change anything."""
    return not (job.dry_run or request.list)


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """Choose the backups first; then the kit, its chips first and its application last."""
    date, parts = _digits(request.date), _parts()
    if unknown := [part for part in request.only if part not in parts.names]:
        raise UsageError(f"There is nothing called {unknown[0]!r} to put back", hint=f"one of {', '.join(parts.names)}")
    if request.list:
        return _list(request.only, date, job.serial_number, bench, reporter)
    from iotprovision.runs.board_session import BoardSession, find_board
    from iotprovision.runs.restore_plan import restore

    bench.open(needs_account=False)
    kit = find_board(job, bench, reporter)
    with BoardSession(job, bench, reporter, kit, "restore") as session:
        _tell_damaged_lists(session.files, reporter)
        chosen = _chosen(session, request.only, date, reporter)
        for part, backup in chosen.items():
            reporter.notice(f"Backup of {parts.called[part]}: {backup.name}, saved {backup.shown_time}")
        reporter.add("restored_from", {part: backup.name for part, backup in chosen.items()})
        restore(session, chosen, job.force)
    for text in NEVER_BACK:
        reporter.notice(f"Cannot come back: {text}")
    reporter.add("never_comes_back", list(NEVER_BACK))
    return ExitCode.OK


def _parts() -> Parts:
    from iotprovision.boards.finding import memory_kinds
    from iotprovision.runs.restore_plan import Parts

    return Parts(memory_kinds())


def _tell_damaged_lists(files: Store, reporter: Reporter) -> None:
    from iotprovision.store.backups import damaged_lists

    for name in damaged_lists(files):
        reporter.warning(
            f"{files.path(name)} is a damaged list of backups: those that only it knew are taken with --force alone"
        )


def _chosen(session: BoardSession, only: Sequence[str], date: str, reporter: Reporter) -> Mapping[str, Backup]:
    from iotprovision.runs.restore_plan import why_passed_over
    from iotprovision.store.backups import RESTORING, find

    files, parts = session.files, _parts()
    chosen: dict[str, Backup] = {}
    for part in only or [part for part in parts.names if part not in parts.only_when_named]:
        for backup in find(files, parts.kinds[part]):
            if _is_of(backup, date) and (date or backup.saved_by not in RESTORING):
                reason = why_passed_over(session, part, backup)
                if not reason:
                    chosen[part] = backup
                    break
                reporter.warning(f"{backup.name} is passed over, for it holds no whole store: {reason}")
        else:
            if only:
                raise _missing(files, parts.called[part], parts.kinds[part], date)
    if not chosen:
        raise _missing(files, "anything", "", date)
    return chosen


def _is_of(backup: Backup, date: str) -> bool:
    return f"{backup.time:%Y%m%d%H%M%S%f}".startswith(date)


def _missing(files: Store, called: str, kind: str, date: str) -> StoreError:
    from iotprovision.store.backups import find

    kinds = (kind,) if kind else tuple(_parts().kinds.values())
    times = [f"{backup.shown_time} ({backup.kind})" for backup in find(files, *kinds)]
    when = " of that date" if date else ""
    return StoreError(
        f"There is no backup of {called}{when} of the kit {files.folder.name}",
        "\n".join(["There are backups of:", *times]) if times else f"{files.folder} has none: runs make them.",
        "iotprovision restore --list shows all",
    )


def _digits(date: str | None) -> str:
    """The beginning of a time, digits only."""
    import re
    from datetime import datetime

    if date is None:
        return ""
    match = re.fullmatch(_DATE, date, re.ASCII)
    parts = [part for part in match.groups() if part] if match else []
    try:
        datetime(*map(int, parts))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{date!r} is no date", hint="such as 2026-11-22 or 2026-11-22T14:33:21, as --list shows them"
        ) from error
    return "".join(parts)


def _list(only: Sequence[str], date: str, serial_number: str | None, bench: Bench, reporter: Reporter) -> ExitCode:
    """From the store alone: the kit need not be there."""
    from iotprovision.store.backups import find

    suffix = (serial_number or "").lower()
    kits = [files for files in bench.store.kits() if files.folder.name.lower().endswith(suffix)]
    parts = _parts()
    kinds = [kind for part, kind in parts.kinds.items() if not only or part in only]
    rows, data = [], []
    for files in kits:
        _tell_damaged_lists(files, reporter)
        for backup in find(files, *kinds):
            if not _is_of(backup, date):
                continue
            part = parts.of(backup)
            saved_by = backup.saved_by or "not in the list"
            rows.append((files.folder.name, backup.shown_time, part, saved_by, backup.name))
            data.append(
                {
                    "kit": files.folder.name,
                    "time": f"{backup.time:%Y-%m-%dT%H:%M:%S.%f}Z",
                    "part": part,
                    "saved_by": backup.saved_by or None,
                    "file": str(files.path(backup.name)),
                }
            )
    reporter.add("backups", data)
    if not rows:
        such = " of that part or date" if only or date else ""
        reporter.notice(f"There are no backups{such}: runs make them before they overwrite anything on a kit")
    reporter.rows(("Kit", "Saved", "Part", "Saved by", "File"), rows)
    return ExitCode.OK
