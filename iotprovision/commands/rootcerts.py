"""Which servers the Wi-Fi module trusts."""

from __future__ import annotations

from iotprovision.errors import ExitCode, UsageError
from iotprovision.frozen import Frozen
from iotprovision.option import Option, path

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    from pathlib import Path

    from iotprovision.boards.memory import RootMemory
    from iotprovision.firmware.cache import FirmwareCache
    from iotprovision.runs.bench import Bench
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter
    from iotprovision.steps.root_certificates import WantedRoots
    from iotprovision.store.folder import Store

SHARED = ("serial_number", "port", "kit", "dry_run", "no_packed_reports")
EXAMPLES = """\
  iotprovision rootcerts --irc my-roots    the module trusts the roots in this folder, and no others
  iotprovision rootcerts --rrc backup      ... those that it trusted before
  iotprovision rootcerts --rrc factory     ... those that come with its firmware
"""
BACKUP, FACTORY = "backup", "factory"
FACTORY_JOB = "wifi-module-root-certificates"


GROUP = "options of rootcerts, one of which is needed"
OPTIONS = (
    Option(
        "install",
        ("--irc", "--install-root-certificates"),
        "install the root certificates in the files of a folder, PEM or DER, in place of those in the module",
        metavar="FOLDER",
        convert=path,
        group=GROUP,
        alternatives="root certificates",
    ),
    Option(
        "restore",
        ("--rrc", "--restore-root-certificates"),
        "put root certificates back: those that the last --irc replaced, those of the module's firmware, or those of "
        "the backup with this number",
        metavar="backup|factory|NUMBER",
        group=GROUP,
        alternatives="root certificates",
    ),
    Option(
        "force",
        ("-f", "--force"),
        "take a backup that the list does not know, and write also where the roots are there already",
        is_flag=True,
    ),
)


class Request(Frozen):
    """What is asked of this command alone."""

    install: Path | None = None
    restore: str | None = None


def writes(job: Job, request: Request) -> bool:
    """Whether it may change anything."""
    return not job.dry_run


def perform(job: Job, request: Request, bench: Bench, reporter: Reporter) -> ExitCode:
    """Read what is wanted first, then find the kit and write it."""
    from iotprovision.runs.board_session import BoardSession, find_board, now
    from iotprovision.steps.root_certificates import RootCertificates

    if request.install is None and request.restore is None:
        raise UsageError(
            "rootcerts needs to know which root certificates",
            hint="--irc FOLDER installs those in a folder, --rrc backup or --rrc factory puts others back",
        )
    number = _number(request.restore)
    installed = None if request.install is None else _from_folder(request.install)
    bench.open(needs_account=False)
    kit = find_board(job, bench, reporter)
    with BoardSession(job, bench, reporter, kit, "rootcerts") as session:
        memory = session.board.root_store
        if memory is None:
            raise UsageError(
                f"{kit.name} has no Wi-Fi module, and its modem another store",
                "The authorities that its modem trusts are written by the action provision. Nothing was changed.",
            )
        wanted = installed or _restored(request, number, job.force, bench.cache(), session.files, memory, reporter)
        for name in wanted.expired(now()):
            reporter.warning(f"a root certificate has expired: {name}")
        session.execute([RootCertificates(memory, wanted, session.keeper(wanted.saved_by))])
    return ExitCode.OK


def _number(given: str | None) -> int | None:
    if given is None or given in (BACKUP, FACTORY):
        return None
    if not (given.isascii() and given.isdigit()):
        raise UsageError(f"--rrc takes {BACKUP}, {FACTORY} or the number of a backup, not {given!r}")
    return int(given)


def _from_folder(folder: Path) -> WantedRoots:
    from iotprovision.formats.root_store import build
    from iotprovision.pki.root_folder import read_roots
    from iotprovision.steps.root_certificates import WantedRoots

    roots = read_roots(folder)
    build(roots)  # that they fit is known before a kit is looked for
    return WantedRoots(tuple(roots), f"from {folder}", names=roots)


def _restored(
    request: Request,
    number: int | None,
    force: bool,
    cache: FirmwareCache,
    files: Store,
    memory: RootMemory,
    reporter: Reporter,
) -> WantedRoots:
    from iotprovision.formats.root_store import parse
    from iotprovision.steps.root_certificates import RESTORED_BY, WantedRoots, backup_of_roots

    if request.restore != FACTORY:
        return backup_of_roots(files, memory.kind, number, force, reporter.warning)
    image = next(image for image in cache.index.images if FACTORY_JOB in image.jobs)
    return WantedRoots(parse(cache.path(image).read_bytes()), "the vendor's", RESTORED_BY)
