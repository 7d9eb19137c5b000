"""Where a command works: the store, the kits and the account that are meant, real or simulated; firmware images."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iotprovision.commands.perform import SIMULATOR_FOLDER, state_folder
from iotprovision.errors import KitNotFoundError
from iotprovision.formats.winc_flash import CLIENT_AREA
from iotprovision.runs.history import History
from iotprovision.store.folder import Store

if TYPE_CHECKING:
    import argparse

    from iotprovision.boards.catalogue import KitDescription
    from iotprovision.boards.found import FoundKit
    from iotprovision.boards.nedbg.board import Target
    from iotprovision.boards.other_runs import OtherRuns
    from iotprovision.boards.upgrade_turn import UpgradeTurn
    from iotprovision.cloud.aws.account import Account
    from iotprovision.cloud.azure.enrolment import Enrolments
    from iotprovision.environment import Environment
    from iotprovision.firmware.cache import FirmwareCache
    from iotprovision.firmware.hex_image import HexImage
    from iotprovision.firmware.index import Image
    from iotprovision.formats.ecc608_zones import Kind
    from iotprovision.formats.factory_certificates import FactoryRoot
    from iotprovision.formats.winc_flash import FlashArea
    from iotprovision.methods.work import Firmware
    from iotprovision.runs.report import Reporter
    from iotprovision.simulator.bench import SimulatedBench
    from iotprovision.steps.kept_application import KnownImage

SIMULATED_STORE = "certificates"
UPGRADE_LOCK = "debugger-upgrade.lock"
AGREED = "add --yes"


class Workplace:
    """What the command line names. Nothing is opened, and nothing heavy imported, before it is asked for.

    :param options: those that ``options.py`` declares for all: ``simulate``, and where the command has them
        ``serial_number``, ``aws_profile``, ``kit``, ``port`` and ``no_packed_reports``
    :param resources: closes what is opened
    """

    def __init__(
        self,
        options: argparse.Namespace,
        environment: Environment,
        reporter: Reporter,
        resources: contextlib.ExitStack,
    ) -> None:
        self._options = options
        self._environment = environment
        self._reporter = reporter
        self._resources = resources
        self._bench: SimulatedBench | None = None
        self.is_simulated = bool(options.simulate)
        folder = environment.store_folder
        self.store = Store(folder / SIMULATOR_FOLDER / SIMULATED_STORE if self.is_simulated else folder)
        self.history = History(state_folder(options, environment))

    def open(self, needs_account: bool = True) -> None:
        """Start the simulated kit and the local cloud, where they are what is meant.

        :param needs_account: whether the local cloud will be asked for anything
        :raises UsageError: there is no such simulated kit
        """
        if self.is_simulated:
            self._bench = self._resources.enter_context(self._simulated_bench(needs_account))

    @property
    def serial_suffix(self) -> str | None:
        """What tells the kit apart: the simulated kit is known by its name.

        :raises KitNotFoundError: another serial number was given than the simulated kit has
        """
        given: str | None = self._options.serial_number
        if self._bench is None:
            return given
        named = self._bench.serial_number
        if given and not named.lower().endswith(given.lower()):
            raise KitNotFoundError(
                f"The simulated kit {self._options.simulate} has another serial number than {given}",
                f"It is {named}.",
                "leave out -s, or simulate the kit that is meant",
            )
        return named

    @property
    def named_kit(self) -> KitDescription | None:
        """What a kit is taken for that does not say which it is; None where nothing was said.

        :raises UsageError: there is no such kit
        """
        from iotprovision.boards.catalogue import kit_by_name

        return None if self._options.kit is None else kit_by_name(self._options.kit)

    @property
    def upgrade_turn(self) -> UpgradeTurn:
        """The turn of this run among those that upgrade debuggers on this machine."""
        from iotprovision.boards.upgrade_turn import UpgradeTurn

        return UpgradeTurn(self._upgrade_lock, self._reporter.notice)

    @property
    def other_runs(self) -> OtherRuns:
        """Tells which kits other runs are using; to be asked before this run locks its own."""
        from iotprovision.boards.other_runs import OtherRuns

        return OtherRuns(self.store, self._upgrade_lock)

    @property
    def _upgrade_lock(self) -> Path:
        """Of all runs of this user that can see the same kits; simulated ones are on no bus of this machine."""
        from iotprovision.firmware.cache import images_folder

        if self.is_simulated:
            return state_folder(self._options, self._environment) / UPGRADE_LOCK
        return images_folder(self._environment.variables) / UPGRADE_LOCK

    def target(self, kit: FoundKit, owned: tuple[FlashArea, ...] = (CLIENT_AREA,)) -> Target:
        """The MCU of a kit; nothing is asked of it yet.

        :param owned: areas of the Wi-Fi module's flash that may be written
        """
        from iotprovision.boards.nedbg.board import Target

        scripts = functools.partial(self.cache().scripts_for, kit.mcu)
        packed = not self._options.no_packed_reports
        return Target(kit, given_port=self._options.port, pack=scripts, owned=owned, packed=packed)

    def confirmed(self, question: str, agreed: bool) -> bool:
        """Whether the user wants something done.

        :param agreed: on the command line, so that nobody is asked
        :raises UsageError: there is no terminal to ask at
        """
        return agreed or self._environment.confirm(question, AGREED)

    def require_agreement(self, question: str, agreed: bool) -> None:
        """Before anything is done: what :meth:`confirmed` will ask can be asked.

        :raises UsageError: there is no terminal to ask at
        """
        if not agreed:
            self._environment.require_terminal(question, AGREED)

    def account(self) -> Account:
        """The user's AWS account.

        :raises UsageError: the profile is unknown or not complete
        """
        from iotprovision.cloud.aws.account import Account

        return self._bench.account() if self._bench else Account(self._options.aws_profile)

    def azure(self) -> Enrolments | None:
        """The user's Azure service, None where none was named.

        :raises UsageError: that is no name of one, or azure-identity is not installed
        """
        from iotprovision.cloud.azure.central import CentralApplication
        from iotprovision.cloud.azure.provisioning_service import ProvisioningService

        options = self._options
        if options.azure_dps is None and options.azure_central is None:
            return None
        local = self._bench.azure() if self._bench else None
        if options.azure_dps is not None:
            return ProvisioningService(options.azure_dps, local)
        return CentralApplication(options.azure_central, local)

    def cache(self, announce: bool = True) -> FirmwareCache:
        """The firmware images.

        :param announce: whether a person is told that images are being fetched
        """
        from iotprovision.firmware.cache import FirmwareCache

        if not announce:
            return FirmwareCache(self._environment.variables)
        return FirmwareCache(
            self._environment.variables,
            announce=lambda wheel: self._reporter.notice(f"Fetching firmware images with pip ({wheel.requirement})"),
        )

    def firmware(self, kit: FoundKit, job: str, file: Path | None = None) -> Firmware:
        """What does a job on the kit: the user's own file, or the vendor's image.

        :raises UsageError: the vendor made none
        """
        from iotprovision.firmware.hex_image import HexImage
        from iotprovision.methods.work import Firmware

        if file is not None:
            return Firmware(file.name, lambda: HexImage.load(file, kit.mcu))
        image = kit.kit.image(job)
        return Firmware(name_of(image), functools.partial(_load, self.cache(), image, kit.mcu))

    def known_images(self, kit: FoundKit, file: Path | None = None) -> list[KnownImage]:
        """Images for this kit that are in the cache already, and the application that the user has in a file."""
        from iotprovision.firmware.hex_image import HexImage
        from iotprovision.steps.kept_application import KnownImage

        cache = self.cache(announce=False)
        known = [
            KnownImage(
                name_of(image),
                functools.partial(_load, cache, image, kit.mcu),
                is_application=any(job.startswith("demo-") for job in image.jobs),
            )
            for image in cache.index.for_kit(kit.name)
            if image.mcu and cache.is_present(image)
        ]
        if file is not None:
            known.insert(0, KnownImage(file.name, lambda: HexImage.load(file, kit.mcu), is_application=True))
        return known

    def factory_roots(self) -> Mapping[Kind, FactoryRoot]:
        """What the factory certificates of the kit's chips come from."""
        from iotprovision.formats.factory_certificates import VENDOR_ROOTS

        return self._bench.factory_roots() if self._bench else VENDOR_ROOTS

    def join(self) -> str | None:
        """Let the simulated board join the network that it was just told.

        :returns: why it did not, empty when it did; None where that cannot be watched
        """
        return self._bench.join() if self._bench else None

    def power_up(self, demo: bool, told: bool) -> Mapping[str, Any]:
        """Let the simulated board do its first power-up.

        :param demo: the vendor's AWS demo is on the board
        :param told: it was just told a Wi-Fi network
        """
        assert self._bench is not None, "only a simulated board can be watched"
        return self._bench.power_up(demo, told)

    def _simulated_bench(self, needs_account: bool) -> SimulatedBench:
        from iotprovision.simulator.bench import SimulatedBench
        from iotprovision.simulator.board.surroundings import AccessPoint

        options = self._options
        sandbox = getattr(options, "provision_method", None) == "sandbox"
        folder = self._environment.store_folder / SIMULATOR_FOLDER
        profile = getattr(options, "aws_profile", "default")
        given = getattr(options, "simulated_access_point", None)
        access_point = None if given is None else AccessPoint.parse(given)
        return SimulatedBench(folder, options.simulate, profile, sandbox, needs_account, access_point)


def name_of(image: Image) -> str:
    """What a person calls an image."""
    return f"{image.name} {image.version or ''}".strip()


def _load(cache: FirmwareCache, image: Image, mcu: str) -> HexImage:
    from iotprovision.firmware.hex_image import HexImage

    return HexImage.load(cache.path(image), mcu)
