"""What every connected kit is provisioned for: all that ``status`` knows, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509

from iotprovision.boards.finding import connected_kits
from iotprovision.boards.found import OF_OTHER_RUNS, FoundKit, UnreachableKit
from iotprovision.boards.other_runs import busy_kit
from iotprovision.errors import KitNotFoundError, ProvisioningError, StoreError
from iotprovision.findings import State
from iotprovision.inspection.kit_choice import chosen
from iotprovision.inspection.kit_status import APPLICATION, KitStatus, kit_status, thing_of
from iotprovision.inspection.looks import Look, unknown
from iotprovision.pki.authority_files import SIGNER_CERTIFICATE
from iotprovision.pki.reading import from_pem

if TYPE_CHECKING:
    from iotprovision.inspection.account_status import AccountStatus
    from iotprovision.inspection.chips import ChipContents
    from iotprovision.runs.bench import Bench

ReadChips = Callable[[FoundKit], "ChipContents"]


@dataclass(frozen=True)
class LookedAt:
    """One kit.

    :param looks: all that was looked at
    """

    status: KitStatus
    looks: tuple[Look, ...]

    @property
    def title(self) -> str:
        """Which kit it is."""
        kit = self.status.kit
        return (
            f"{kit.name}, serial number {kit.serial_number}, {kit.mcu}, debugger {kit.debugger_version}, "
            f"serial port {kit.port or 'none'}"
        )

    def as_data(self) -> dict[str, Any]:
        """The same for a script."""
        kit = self.status.kit
        return {
            "serial_number": kit.serial_number,
            "name": kit.name,
            "mcu": kit.mcu,
            "debugger_version": kit.debugger_version,
            "port": kit.port,
            "link": self.status.link,
            "device": self.status.device,
            "thing": self.status.thing,
            "is_in_order": all(look.finding.state is not State.DIFFERENT for look in self.looks),
            "looks": [look.as_data() for look in self.looks],
        }


@dataclass(frozen=True)
class NotReached:
    """A kit that could not be looked at."""

    kit: UnreachableKit

    @property
    def title(self) -> str:
        """As far as it is known which kit it is."""
        name, number = self.kit.name or "A kit", self.kit.serial_number or "not readable"
        return f"{name}, serial number {number}, serial port {self.kit.port or 'none'}"

    def as_data(self) -> dict[str, Any]:
        """The same for a script."""
        error = self.kit.reason
        return {
            "serial_number": self.kit.serial_number,
            "name": self.kit.name,
            "port": self.kit.port,
            "obstacle": self.kit.obstacle.name.lower().replace("_", "-"),
            "what": error.what,
            "why": error.why,
            "try": error.hint.splitlines(),
        }


class Status:
    """Looks at all that is connected, and with an account at what that knows of it.

    :param port: serial port of the kit, where it was given
    :param with_account: whether the account is asked
    :ivar warnings: what a person must know beside what was found
    """

    def __init__(self, bench: Bench, port: str | None, with_account: bool) -> None:
        self._bench = bench
        self._port = port
        self._now = datetime.now(UTC)
        self._error: ProvisioningError | None = None
        self.warnings: list[str] = []
        self._signer = self._stored_signer()
        self._account: AccountStatus | None = None
        if with_account:
            from iotprovision.inspection.account_status import AccountStatus

            self._account = AccountStatus(bench.account(), self._signer)

    @property
    def error(self) -> ProvisioningError | None:
        """The first thing that could not be looked at, and why; a kit of another run counts where none is free."""
        return self._error or (self._account.error if self._account else None)

    def in_account(self) -> list[Look]:
        """What all kits of the account share; empty where the account is not asked."""
        return self._account.of_all() if self._account else []

    def boards(self, read_chips: ReadChips | None) -> Iterator[LookedAt | NotReached]:
        """Each kit, as soon as it was looked at.

        :param read_chips: reads what the chips of a kit hold; None where they are not read
        :raises KitNotFoundError: there is none, or none with the serial number that was given
        """
        kits, others = self._chosen()
        past = self._past()
        free = False
        for kit in kits:
            if self._bench.other_runs.use(kit.serial_number):  # it may have begun while others were looked at
                others.append(busy_kit(kit.serial_number, kit.port, kit.name))
                continue
            free = True
            files = self._bench.store.for_kit(kit.serial_number)
            status = kit_status(self._bench.board(kit), files, self._signer, past, self._now)
            looks, contents = list(status.looks), None
            if read_chips:
                try:
                    contents = read_chips(kit)
                except ProvisioningError as error:
                    self._error = self._error or error
                    looks.append(unknown("Chips", error))
                else:
                    looks = [look for look in looks if look.subject != APPLICATION]  # read now, it is known
                    looks += contents.looks(self._signer, self._now)
            if self._account:
                looks += self._in_account(self._account, status, contents)
            yield LookedAt(status, tuple(looks))
        for other in others:
            yield NotReached(other)
        if not free:
            of_others = (other.reason for other in others if other.obstacle in OF_OTHER_RUNS)
            self._error = self._error or next(of_others, None)
        if not kits and not others:
            raise KitNotFoundError(
                "No kit is connected", "No Microchip nEDBG debugger is on USB.", "iotprovision doctor says more"
            )

    def _chosen(self) -> tuple[list[FoundKit], list[UnreachableKit]]:
        connected = connected_kits(self._bench.named_kit, self._bench.other_runs)
        wanted, unreachable = chosen(connected, self._bench.serial_suffix or "", self._port)
        if (connected.kits or connected.unreachable) and not wanted and not unreachable:
            raise KitNotFoundError(
                f"No connected kit has a serial number that ends in {self._bench.serial_suffix}",
                "Connected are:\n" + "\n".join(f"{kit.serial_number}  {kit.name}".rstrip() for kit in connected.all),
                "look at the end of the serial number again.",
            )
        return [replace(kit, port=self._port or kit.port) for kit in wanted], unreachable

    def _past(self) -> list[dict[str, Any]]:
        try:
            return self._bench.history.read()[0]
        except StoreError as error:  # the kits can be looked at all the same
            self.warnings.append(str(error))
            return []

    def _stored_signer(self) -> x509.Certificate | None:
        data = self._bench.store.read(SIGNER_CERTIFICATE)
        try:
            return from_pem(data) if data else None
        except ValueError:
            path = self._bench.store.path(SIGNER_CERTIFICATE)
            self.warnings.append(f"{path} is damaged; iotprovision doctor says more")
            return None

    @staticmethod
    def _in_account(account: AccountStatus, status: KitStatus, contents: ChipContents | None) -> list[Look]:
        """What the kit itself holds is believed before what the store says of it."""
        certificate, thing, endpoint = status.certificate, status.thing, ""
        if contents:
            held, endpoint = contents.held, contents.held.endpoint
            if held.device or held.thing_name:
                certificate, thing = held.device, held.thing_name or thing_of(held.device)
        looks = account.of_device(certificate, thing)
        return looks + (account.endpoint(endpoint) if endpoint else [])
