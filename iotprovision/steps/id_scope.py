"""The ID scope of an Azure Device Provisioning Service, where the vendor's Azure demos look for it."""

from __future__ import annotations

from iotprovision.boards.memory import Memory
from iotprovision.formats.id_scope import IdScope
from iotprovision.steps.stored import Keeper, Stored


class IdScopeStored(Stored):
    """The ID scope at the beginning of a memory; what lies behind it stays as it was."""

    proof = "read back, the rest as it was"

    def __init__(self, memory: Memory, id_scope: IdScope, keeper: Keeper) -> None:
        super().__init__(
            memory,
            id_scope.stored,
            keeper,
            title=f"{memory.called[0].upper()}{memory.called[1:]} with the ID scope",
            source=id_scope.text,
            remedy=f"leave --id-scope out, and type `idscope {id_scope.text}` at the console of the demo",
        )
