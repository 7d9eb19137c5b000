"""Everything that a run needs, one finding each: all that ``doctor`` knows, as data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from iotprovision.inspection.account_health import AccountHealth
from iotprovision.inspection.computer_health import check_clock, check_firmware, check_store
from iotprovision.inspection.diagnosis import CHECKS, Diagnosis, fine, guarded
from iotprovision.inspection.kit_health import check_kits
from iotprovision.inspection.udev_rule import UdevRules
from iotprovision.methods import default, named, of_cloud

if TYPE_CHECKING:
    from iotprovision.runs.bench import Bench


class Doctor:
    """Looks at everything.

    :param method: that is meant; None for any
    :param needs_account: whether the user named a profile
    :param rules: of this computer; None where there are no such rules, or they do not matter
    """

    def __init__(self, bench: Bench, method: str | None, needs_account: bool, rules: UdevRules | None) -> None:
        self._bench = bench
        meant = of_cloud(default().cloud) if method is None else (named(None, method),)
        self._methods = tuple(one.rights for one in meant if one.rights)
        self._needs_account = needs_account or method is not None
        self._rules = rules

    def diagnoses(self, port: str | None) -> list[Diagnosis]:
        """All findings, in the order of the checks.

        :param port: serial port of the kit, where it was given
        """
        self._bench.open(needs_account=bool(self._methods))
        order = list(CHECKS)
        return sorted(self._all(port), key=lambda diagnosis: order.index(diagnosis.check))

    def _all(self, port: str | None) -> Iterator[Diagnosis]:
        bench, rules = self._bench, self._rules
        if rules:
            yield from guarded("udev-rule", lambda: [rules.check()])
        suffix = bench.serial_suffix or ""
        yield from guarded("kit-access", lambda: check_kits(bench, suffix, port))
        yield from guarded("store-access", lambda: check_store(bench.store, bench.history))
        yield from guarded("firmware-cache", lambda: check_firmware(bench.cache(announce=False)))
        account = AccountHealth(bench.account, self._methods, self._needs_account)
        if self._methods:
            yield from guarded("aws-connection", account.check)
        else:
            yield fine("aws-profile", "the sandbox needs none")
        yield check_clock(datetime.now(UTC), account.time)
