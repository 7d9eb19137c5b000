"""The whole of ``doctor``: everything that a run needs, one finding each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from iotprovision.errors import ExitCode
from iotprovision.inspection.account_health import AccountHealth
from iotprovision.inspection.computer_health import check_clock, check_firmware, check_store
from iotprovision.inspection.diagnosis import CHECKS, Diagnosis, Verdict, exit_code, fine, guarded
from iotprovision.inspection.kit_health import check_kits
from iotprovision.inspection.udev_rule import UdevRules
from iotprovision.runs.report import Reporter

if TYPE_CHECKING:
    from iotprovision.runs.bench import Workplace

PAGE = "docs/troubleshooting.md"
METHODS = {None: ("mar", "jitr"), "jitr": ("jitr",), "custom": ("jitr",), "mar": ("mar",), "sandbox": ()}


class Doctor:
    """Looks at everything and shows what it found.

    :param method: that is meant; None for any
    :param needs_account: whether the user named a profile
    :param rules: of this computer; None where there are no such rules, or they do not matter
    """

    def __init__(
        self, place: Workplace, reporter: Reporter, method: str | None, needs_account: bool, rules: UdevRules | None
    ) -> None:
        self._place = place
        self._reporter = reporter
        self._methods = METHODS[method]
        self._needs_account = needs_account or method is not None
        self._rules = rules

    def show(self, port: str | None) -> ExitCode:
        """Say each finding, with its cure.

        :param port: serial port of the kit, where it was given
        :returns: that of the first problem, OK where there is none
        """
        self._place.open(needs_account=bool(self._methods))
        order = list(CHECKS)
        diagnoses = sorted(self._all(port), key=lambda diagnosis: order.index(diagnosis.check))
        self._reporter.add("findings", [diagnosis.as_data() for diagnosis in diagnoses])
        for diagnosis in diagnoses:
            self._reporter.text(_shown(diagnosis))
        problems = sum(diagnosis.verdict is Verdict.PROBLEM for diagnosis in diagnoses)
        self._reporter.notice(
            f"{problems} problem{'s' * (problems != 1)}; {PAGE} has a section for each finding"
            if problems
            else "No problem was found"
        )
        return exit_code(diagnoses)

    def _all(self, port: str | None) -> Iterator[Diagnosis]:
        place, rules = self._place, self._rules
        if rules:
            yield from guarded("udev-rule", lambda: [rules.check()])
        suffix, named = place.serial_suffix or "", place.named_kit
        yield from guarded("kit-access", lambda: check_kits(suffix, port, named, place.other_runs))
        yield from guarded("store-access", lambda: check_store(place.store, place.history))
        yield from guarded("firmware-cache", lambda: check_firmware(place.cache(announce=False)))
        account = AccountHealth(place.account, self._methods, self._needs_account)
        if self._methods:
            yield from guarded("aws-connection", account.check)
        else:
            yield fine("aws-profile", "the sandbox needs none")
        yield check_clock(datetime.now(timezone.utc), account.time)


def _shown(diagnosis: Diagnosis) -> str:
    """Lines, not a table: a cure is to be copied."""
    lines = [f"{diagnosis.verdict.value:<8} {diagnosis.check}: {diagnosis.found}"]
    for number, cure in enumerate(diagnosis.cure.splitlines()):
        lines.append(f"{'':<8} {'Try: ' if number == 0 else '     '}{cure}")
    return "\n".join(lines)
