"""The whole of ``status``: every kit that is connected, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cryptography import x509

from iotprovision.boards.found import OF_OTHER_RUNS, FoundKit, UnreachableKit
from iotprovision.boards.nedbg.detection import detect_kits
from iotprovision.boards.other_runs import busy_kit
from iotprovision.errors import ExitCode, KitNotFoundError, ProvisioningError, StoreError
from iotprovision.findings import State
from iotprovision.inspection.kit_choice import chosen
from iotprovision.inspection.kit_status import APPLICATION, KitStatus, kit_status
from iotprovision.inspection.looks import Look, unknown
from iotprovision.pki.authority import SIGNER_CERTIFICATE
from iotprovision.pki.reading import from_pem
from iotprovision.runs.report import Reporter

if TYPE_CHECKING:
    from iotprovision.inspection.account_status import AccountStatus
    from iotprovision.inspection.chips import ChipContents
    from iotprovision.runs.bench import Workplace

HEADINGS = ("What", "State", "Found")


class Status:
    """Looks and shows.

    :param port: serial port of the kit, where it was given
    """

    def __init__(self, place: Workplace, reporter: Reporter, port: str | None) -> None:
        self._place = place
        self._reporter = reporter
        self._port = port
        self._now = datetime.now(timezone.utc)
        self._error: ProvisioningError | None = None

    def show(self, deep: bool, with_account: bool) -> ExitCode:
        """Show each kit.

        :param deep: whether the chips are read
        :param with_account: whether the account is asked
        :returns: that of the first thing that could not be looked at; a kit of another run counts where none is free
        """
        self._place.open(needs_account=with_account)
        kits, others = self._chosen()
        signer = self._signer()
        past = self._past()
        account = self._account(signer) if with_account else None
        shared = account.of_all() if account else []
        data = []
        free = False
        for kit in kits:
            if self._place.other_runs.use(kit.serial_number):  # it may have begun while others were looked at
                others.append(busy_kit(kit.serial_number, kit.port, kit.name))
                continue
            free = True
            status = kit_status(kit, self._place.store.for_kit(kit.serial_number), signer, past, self._now)
            contents = self._read_chips(kit) if deep else None
            looks = list(status.looks)
            if isinstance(contents, Look):
                looks.append(contents)
                contents = None
            elif contents:
                looks = [look for look in looks if look.subject != APPLICATION]  # read now, it is known
                looks += contents.looks(signer, self._now)
            if account:
                looks += self._in_account(account, status, contents)
            data.append(_shown_kit(status, looks))
            self._reporter.rows(HEADINGS, [_row(look) for look in looks], _title(kit))
            self._reporter.text("")
        for other in others:
            data.append(_shown_other(other))
            self._reporter.text(f"{_title_of_other(other)}\n{other.reason}\n")
        if not free:
            self._error = next((other.reason for other in others if other.obstacle in OF_OTHER_RUNS), None)
        self._reporter.add("kits", data)
        if account:
            self._reporter.add("in_account", [look.as_data() for look in shared])
            self._reporter.rows(HEADINGS, [_row(look) for look in shared], "AWS account")
            self._error = self._error or account.error
        if not data:
            raise KitNotFoundError(
                "No kit is connected", "No Microchip nEDBG debugger is on USB.", "iotprovision doctor says more"
            )
        if self._error is None:
            return ExitCode.OK
        self._reporter.failed(self._error)
        return self._error.exit_code

    def _chosen(self) -> tuple[list[FoundKit], list[UnreachableKit]]:
        connected = detect_kits(self._place.named_kit, self._place.other_runs)
        wanted, unreachable = chosen(connected, self._place.serial_suffix or "", self._port)
        if (connected.kits or connected.unreachable) and not wanted and not unreachable:
            raise KitNotFoundError(
                f"No connected kit has a serial number that ends in {self._place.serial_suffix}",
                "Connected are:\n" + "\n".join(f"{kit.serial_number}  {kit.name}".rstrip() for kit in connected.all),
                "look at the end of the serial number again.",
            )
        return [replace(kit, port=self._port or kit.port) for kit in wanted], unreachable

    def _past(self) -> list[dict[str, Any]]:
        try:
            return self._place.history.read()[0]
        except StoreError as error:  # the kits can be looked at all the same
            self._reporter.warning(str(error))
            return []

    def _signer(self) -> x509.Certificate | None:
        data = self._place.store.read(SIGNER_CERTIFICATE)
        try:
            return from_pem(data) if data else None
        except ValueError:
            self._reporter.warning(
                f"{self._place.store.path(SIGNER_CERTIFICATE)} is damaged; iotprovision doctor says more"
            )
            return None

    def _account(self, signer: x509.Certificate | None) -> AccountStatus:
        from iotprovision.inspection.account_status import AccountStatus

        return AccountStatus(self._place.account(), signer)

    def _in_account(self, account: AccountStatus, status: KitStatus, contents: ChipContents | None) -> list[Look]:
        """What the kit itself holds is believed before what the store says of it."""
        certificate, thing = status.certificate, status.thing
        if contents and (contents.device or contents.thing_name):
            from iotprovision.inspection.kit_status import thing_of

            certificate, thing = contents.device, contents.thing_name or thing_of(contents.device)
        looks = account.of_device(certificate, thing)
        return looks + (account.endpoint(contents.endpoint) if contents and contents.endpoint else [])

    def _read_chips(self, kit: FoundKit) -> ChipContents | Look:
        from iotprovision.firmware.mcu import mcu_by_name
        from iotprovision.inspection.chips import read_chips
        from iotprovision.runs.board_session import prove_mcu
        from iotprovision.steps.kept_application import ApplicationKept

        self._reporter.for_kit(kit.serial_number)
        files = self._place.store.for_kit(kit.serial_number)
        try:
            if mcu_by_name(kit.mcu).programmed_with_scripts:
                self._place.cache().scripts_for(kit.mcu)  # fetched and checked before anything is done
            with files.lock(), self._place.target(kit) as target:
                prove_mcu(target)
                kept = ApplicationKept(
                    target, kit, self._place.known_images(kit), files, lambda: datetime.now(timezone.utc)
                )
                firmware = self._place.firmware(kit, "iotprovision")
                contents = read_chips(kit, files, firmware, target, kept, self._reporter)
                self._reporter.add("chip", {"serial_number": contents.serial_number.hex().upper()})
                return contents
        except ProvisioningError as error:
            self._error = self._error or error
            return unknown("Chips", error)


def _title(kit: FoundKit) -> str:
    return (
        f"{kit.name}, serial number {kit.serial_number}, {kit.mcu}, debugger {kit.debugger_version}, "
        f"serial port {kit.port or 'none'}"
    )


def _title_of_other(other: UnreachableKit) -> str:
    name = other.name or "A kit"
    return f"{name}, serial number {other.serial_number or 'not readable'}, serial port {other.port or 'none'}"


def _row(look: Look) -> Sequence[str]:
    return (look.subject, "foreign" if look.finding.foreign else look.finding.state.value, look.shown)


def _shown_kit(status: KitStatus, looks: Sequence[Look]) -> dict[str, Any]:
    kit = status.kit
    return {
        "serial_number": kit.serial_number,
        "name": kit.name,
        "mcu": kit.mcu,
        "debugger_version": kit.debugger_version,
        "port": kit.port,
        "link": status.link,
        "device": status.device,
        "thing": status.thing,
        "is_in_order": all(look.finding.state is not State.DIFFERENT for look in looks),
        "looks": [look.as_data() for look in looks],
    }


def _shown_other(other: UnreachableKit) -> dict[str, Any]:
    error = other.reason
    return {
        "serial_number": other.serial_number,
        "name": other.name,
        "port": other.port,
        "obstacle": other.obstacle.name.lower().replace("_", "-"),
        "what": error.what,
        "why": error.why,
        "try": error.hint.splitlines(),
    }
