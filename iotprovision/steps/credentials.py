"""What makes a board a device, in the memories where it keeps that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iotprovision.boards.memory import CredentialMemory, Credentials
from iotprovision.steps.identity import Identity
from iotprovision.steps.step import Step
from iotprovision.steps.stored import Keeper, Stored


class CredentialsOfDevice:
    """They are known as soon as the device has its certificates.

    :param endpoint: of the account; None where the applications of the cloud read neither endpoint nor thing name
    """

    def __init__(self, identity: Identity, endpoint: Callable[[], str] | None) -> None:
        self._identity = identity
        self._endpoint = endpoint

    @property
    def has_names(self) -> bool:
        return self._endpoint is not None

    def endpoint(self) -> str | None:
        """:raises ProvisioningError: the account does not tell"""
        return self._endpoint() if self._endpoint else None

    def get(self) -> Credentials | None:
        """None as long as there is no certificate."""
        device, signer = self._identity.device, self._identity.signer
        if device is None or signer is None:
            return None
        thing_name = self._identity.thing_name if self.has_names else None
        return Credentials(device, signer, thing_name, self.endpoint())


def credentials_stored(
    memories: Sequence[CredentialMemory], credentials: CredentialsOfDevice, keeper: Keeper
) -> list[Step]:
    """A step for each memory, in the order of the board.

    :raises UsageError: a memory cannot do without an endpoint, and there is none
    """
    if not credentials.has_names:
        for memory in memories:
            memory.check_endpoint(None)

    def content(memory: CredentialMemory) -> bytes | None:
        known = credentials.get()
        if known is None:
            return None
        # Nothing is written to one memory while another could never hold its part.
        return {each.kind: each.content(known) for each in memories}[memory.kind]

    def step(memory: CredentialMemory) -> Stored:
        return Stored(
            memory,
            lambda: content(memory),
            keeper,
            title=memory.title(credentials.has_names),
            prepare=lambda: memory.check_endpoint(credentials.endpoint()),
        )

    return [step(memory) for memory in memories]
