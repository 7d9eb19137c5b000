"""The command ``rootcerts``: which servers the Wi-Fi module trusts."""

from __future__ import annotations

from iotprovision.errors import ExitCode, UsageError

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import argparse

    from iotprovision.boards.found import FoundKit
    from iotprovision.runs.bench import Workplace
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


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of its own."""
    from pathlib import Path

    group = parser.add_argument_group("options of rootcerts, one of which is needed").add_mutually_exclusive_group()
    group.add_argument(
        "--irc",
        "--install-root-certificates",
        dest="install",
        type=Path,
        metavar="FOLDER",
        help="install the root certificates in the files of a folder, PEM or DER, in place of those in the module",
    )
    group.add_argument(
        "--rrc",
        "--restore-root-certificates",
        dest="restore",
        metavar="backup|factory|NUMBER",
        help="put root certificates back: those that the last --irc replaced, those of the module's firmware, or those "
        "of the backup with this number",
    )

    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="take a backup that the list does not know, and write also where the roots are there already",
    )


def writes(options: argparse.Namespace) -> bool:
    """Whether it may change anything."""
    return not options.dry_run


def perform(options: argparse.Namespace, place: Workplace, reporter: Reporter) -> ExitCode:
    """Read what is wanted first, then find the kit and write it."""
    from iotprovision.formats.winc_flash import ROOT_STORE
    from iotprovision.runs.board_session import KitRun, now
    from iotprovision.steps.root_certificates import RootCertificates

    if options.install is None and options.restore is None:
        raise UsageError(
            "rootcerts needs to know which root certificates",
            hint="--irc FOLDER installs those in a folder, --rrc backup or --rrc factory puts others back",
        )
    number = _number(options.restore)
    installed = None if options.install is None else _from_folder(options)
    place.open(needs_account=False)
    with KitRun(options, place, reporter, "rootcerts", owned=(ROOT_STORE,)) as work:
        _check_wifi(work.kit)
        wanted = installed or _restored(options, number, place, work.files, reporter)
        for name in wanted.expired(now()):
            reporter.warning(f"a root certificate has expired: {name}")
        step = RootCertificates(work.target, lambda: wanted, work.files, now)
        work.execute([step])
    return ExitCode.OK


def _number(given: str | None) -> int | None:
    if given is None or given in (BACKUP, FACTORY):
        return None
    if not (given.isascii() and given.isdigit()):
        raise UsageError(f"--rrc takes {BACKUP}, {FACTORY} or the number of a backup, not {given!r}")
    return int(given)


def _from_folder(options: argparse.Namespace) -> WantedRoots:
    from iotprovision.formats.root_store import build
    from iotprovision.pki.root_folder import read_roots
    from iotprovision.steps.root_certificates import WantedRoots

    roots = read_roots(options.install)
    build(roots)  # that they fit is known before a kit is looked for
    return WantedRoots(tuple(roots), f"from {options.install}", names=roots)


def _restored(
    options: argparse.Namespace, number: int | None, place: Workplace, files: Store, reporter: Reporter
) -> WantedRoots:
    from iotprovision.formats.root_store import parse
    from iotprovision.steps.root_certificates import RESTORED_BY, WantedRoots, backup_of_roots

    if options.restore != FACTORY:
        return backup_of_roots(files, number, options.force, reporter.warning)
    cache = place.cache()
    image = next(image for image in cache.index.images if FACTORY_JOB in image.jobs)
    return WantedRoots(parse(cache.path(image).read_bytes()), "the vendor's", RESTORED_BY)


def _check_wifi(kit: FoundKit) -> None:
    if not kit.kit.has_wifi:
        raise UsageError(
            f"{kit.name} has no Wi-Fi module, and its modem another store",
            "The authorities that its modem trusts are written by the action provision. Nothing was changed.",
        )
