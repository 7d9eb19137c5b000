"""What an earlier run saved before it overwrote it, put back where it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from iotprovision.boards.board import DeviceKey
from iotprovision.boards.memory import Memory
from iotprovision.errors import StoreError
from iotprovision.formats.ecc608_zones import coordinates
from iotprovision.pki.certificates import p256_key
from iotprovision.steps.stored import Keeper, Stored


def restored(memory: Memory, load: Callable[[], bytes], path: Path, keeper: Keeper, key: DeviceKey) -> Stored:
    """The memory holds what a backup does.

    :param load: reads and judges the backup; called before anything on the board is changed
    :param path: of the backup
    :param key: of the board: certificates for another one are refused
    """
    content = cache(load)

    def fits(wanted: bytes) -> None:
        certificate = memory.device_certificate(wanted)
        if certificate is None:
            return
        its_key = p256_key(certificate)
        if its_key is None or coordinates(its_key) != key.public_key:
            raise StoreError(
                f"The backup {path} is of another kit, or of another secure element",
                "The device certificate in it is not for the key in this one: no server would let the kit in. "
                f"Nothing was written to the {memory.called.rpartition(' in the ')[2]}.",
                "name another date, or provision the kit again",
            )

    return Stored(
        memory,
        content,
        keeper,
        title=f"{memory.called[0].upper()}{memory.called[1:]} from the backup",
        source=path.name,
        exact=True,
        prepare=lambda: memory.check(content(), str(path)),
        fits=fits,
        remedy="restore the other parts: --only names them",
    )
