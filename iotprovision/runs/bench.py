"""What a run works with: the store, boards and accounts that are meant, real or simulated; firmware images."""

from __future__ import annotations

import functools

TYPE_CHECKING = False  # importing it would cost a sixth of the time of --help
if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from iotprovision.boards.board import Board
    from iotprovision.boards.catalogue import KitDescription
    from iotprovision.boards.found import FoundKit
    from iotprovision.boards.other_runs import OtherRuns
    from iotprovision.boards.upgrade_turn import UpgradeTurn
    from iotprovision.cloud.aws.account import Account
    from iotprovision.cloud.azure.enrolment import Enrolments
    from iotprovision.cloud.azure.service import Place
    from iotprovision.environment import Environment
    from iotprovision.firmware.cache import FirmwareCache
    from iotprovision.firmware.choice import Firmware
    from iotprovision.firmware.hex_image import HexImage
    from iotprovision.firmware.index import Image
    from iotprovision.formats.ecc608_zones import Kind
    from iotprovision.formats.factory_certificates import FactoryRoot
    from iotprovision.runs.job import Job
    from iotprovision.runs.report import Reporter
    from iotprovision.simulator.bench import Simulation
    from iotprovision.steps.kept_application import KnownImage

SIMULATOR_FOLDER = "simulator"
SIMULATED_STORE = "certificates"
UPGRADE_LOCK = "debugger-upgrade.lock"
AGREED = "add --yes"


def bench_for(job: Job, environment: Environment, reporter: Reporter, resources: contextlib.ExitStack) -> Bench:
    """The bench that a job is for.

    :param resources: closes what is opened
    """
    kind = SimulatedBench if job.simulate else RealBench
    return kind(job, environment, reporter, resources)


def state_folder(job: Job, environment: Environment) -> Path:
    """Where log and history are: those of simulated runs are never mixed with the others."""
    return environment.store_folder / SIMULATOR_FOLDER if job.simulate else environment.store_folder


class Bench:
    """What a job names. Nothing is opened, and nothing heavy imported, before it is asked for."""

    is_simulated: bool

    def __init__(self, job: Job, environment: Environment, reporter: Reporter, resources: contextlib.ExitStack) -> None:
        from iotprovision.runs.history import History
        from iotprovision.store.folder import Store

        self.environment = environment
        self._job = job
        self._reporter = reporter
        self._resources = resources
        self.store = Store(self._store_folder())
        self.history = History(state_folder(job, environment))

    def open(self, needs_account: bool = True) -> None:
        """Start what has to be started before boards and accounts can be used.

        :param needs_account: whether an account will be asked for anything
        :raises UsageError: there is no such simulated kit
        """

    @property
    def serial_suffix(self) -> str | None:
        """What tells the kit apart; None where nothing was said.

        :raises KitNotFoundError: another serial number was given than the simulated kit has
        """
        return self._job.serial_number

    @property
    def named_kit(self) -> KitDescription | None:
        """What a kit is taken for that does not say which it is; None where nothing was said.

        :raises UsageError: there is no such kit
        """
        from iotprovision.boards.catalogue import kit_by_name

        return None if self._job.kit is None else kit_by_name(self._job.kit)

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
        """Of all runs of this user that can see the same kits."""
        from iotprovision.firmware.cache import images_folder

        return images_folder(self.environment.variables) / UPGRADE_LOCK

    def board(self, kit: FoundKit) -> Board:
        """The board that was found; nothing is asked of it yet."""
        from iotprovision.boards.finding import board_of

        scripts = functools.partial(self.cache().scripts_for, kit.mcu)
        return board_of(kit, self._job.port, scripts, packed=not self._job.no_packed_reports)

    def confirmed(self, question: str, agreed: bool) -> bool:
        """Whether the user wants something done.

        :param agreed: when it was asked for, so that nobody is asked
        :raises UsageError: there is no terminal to ask at
        """
        return agreed or self.environment.confirm(question, AGREED)

    def require_agreement(self, question: str, agreed: bool) -> None:
        """Before anything is done: what :meth:`confirmed` will ask can be asked.

        :raises UsageError: there is no terminal to ask at
        """
        if not agreed:
            self.environment.require_terminal(question, AGREED)

    def account(self) -> Account:
        """The user's AWS account.

        :raises UsageError: the profile is unknown or not complete
        """
        raise NotImplementedError

    def azure(self) -> Enrolments | None:
        """The user's Azure service, None where none was named.

        :raises UsageError: that is no name of one, or azure-identity is not installed
        """
        from iotprovision.cloud.azure.central import CentralApplication
        from iotprovision.cloud.azure.provisioning_service import ProvisioningService
        from iotprovision.methods.azure import CENTRAL, PROVISIONING_SERVICE

        named = self._job.method_options
        if service := named.get(PROVISIONING_SERVICE.name):
            return ProvisioningService(service, self._place_of_azure())
        if application := named.get(CENTRAL.name):
            return CentralApplication(application, self._place_of_azure())
        return None

    def cache(self, announce: bool = True) -> FirmwareCache:
        """The firmware images.

        :param announce: whether a person is told that images are being fetched
        """
        from iotprovision.firmware.cache import FirmwareCache

        if not announce:
            return FirmwareCache(self.environment.variables)
        return FirmwareCache(
            self.environment.variables,
            announce=lambda wheel: self._reporter.notice(f"Fetching firmware images with pip ({wheel.requirement})"),
        )

    def firmware(self, kit: FoundKit, job: str, file: Path | None = None) -> Firmware:
        """What does a job on the kit: the user's own file, or the vendor's image.

        :raises UsageError: the vendor made none
        """
        from iotprovision.firmware.choice import Firmware, name_of
        from iotprovision.firmware.hex_image import HexImage

        if file is not None:
            return Firmware(file.name, lambda: HexImage.load(file, kit.mcu))
        image = kit.kit.image(job)
        return Firmware(name_of(image), functools.partial(_load, self.cache(), image, kit.mcu))

    def known_images(self, kit: FoundKit, file: Path | None = None) -> list[KnownImage]:
        """Images for this kit that are in the cache already, and the application that the user has in a file."""
        from iotprovision.firmware.choice import name_of
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
        raise NotImplementedError

    def join(self) -> str | None:
        """Let a board join the network that it was just told.

        :returns: why it did not, empty when it did; None where that cannot be watched
        """
        return None

    def power_up(self, demo: bool, told: bool) -> Mapping[str, Any]:
        """Let a board do its first power-up; only a simulated one can be watched.

        :param demo: the vendor's AWS demo is on the board
        :param told: it was just told a Wi-Fi network
        """
        raise NotImplementedError

    def _store_folder(self) -> Path:
        raise NotImplementedError

    def _place_of_azure(self) -> Place | None:
        """Where Azure's services are; None for where everybody has them."""
        return None


class RealBench(Bench):
    """Boards on USB, and the user's accounts."""

    is_simulated = False

    def account(self) -> Account:
        """That of the profile."""
        from iotprovision.cloud.aws.account import Account
        from iotprovision.methods.aws import profile_of

        return Account(profile_of(self._job.method_options))

    def factory_roots(self) -> Mapping[Kind, FactoryRoot]:
        """The vendor's."""
        from iotprovision.formats.factory_certificates import VENDOR_ROOTS

        return VENDOR_ROOTS

    def _store_folder(self) -> Path:
        return self.environment.store_folder


class SimulatedBench(Bench):
    """A simulated board and a local cloud, which are there from :meth:`open` on."""

    is_simulated = True
    _opened: Simulation | None = None

    def open(self, needs_account: bool = True) -> None:
        """Start the simulated kit, and the local cloud where it is needed."""
        from iotprovision.methods import named
        from iotprovision.methods.aws import profile_of
        from iotprovision.simulator.bench import Simulation
        from iotprovision.simulator.board.surroundings import AccessPoint

        job = self._job
        method = named(job.cloud, job.method) if job.method or job.actions else None
        access_point = AccessPoint.parse(job.simulated_access_point) if job.simulated_access_point else None
        assert job.simulate is not None, "a simulated kit is what is meant"
        simulation = Simulation(
            self.environment.store_folder / SIMULATOR_FOLDER,
            job.simulate,
            profile_of(job.method_options),
            method is not None and method.uses_vendors_account,
            needs_account,
            access_point,
        )
        self._opened = self._resources.enter_context(simulation)

    @property
    def serial_suffix(self) -> str | None:
        """The whole serial number: the simulated kit is known by its name."""
        from iotprovision.errors import KitNotFoundError

        given, named = self._job.serial_number, self._simulation.serial_number
        if given and not named.lower().endswith(given.lower()):
            raise KitNotFoundError(
                f"The simulated kit {self._job.simulate} has another serial number than {given}",
                f"It is {named}.",
                "leave out -s, or simulate the kit that is meant",
            )
        return named

    @property
    def _upgrade_lock(self) -> Path:
        """Simulated kits are on no bus of this machine."""
        return state_folder(self._job, self.environment) / UPGRADE_LOCK

    def account(self) -> Account:
        """The one in the local cloud."""
        return self._simulation.account()

    def factory_roots(self) -> Mapping[Kind, FactoryRoot]:
        """Those of the simulated factory."""
        return self._simulation.factory_roots()

    def join(self) -> str | None:
        """Some emulated boards tell whether they have joined."""
        return self._simulation.join()

    def power_up(self, demo: bool, told: bool) -> Mapping[str, Any]:
        """The first one of the simulated board."""
        return self._simulation.power_up(demo, told)

    @property
    def _simulation(self) -> Simulation:
        assert self._opened is not None, "the bench was opened"
        return self._opened

    def _store_folder(self) -> Path:
        return self.environment.store_folder / SIMULATOR_FOLDER / SIMULATED_STORE

    def _place_of_azure(self) -> Place | None:
        return self._simulation.azure()


def simulated_kits() -> tuple[str, ...]:
    """The names of all kits that can be simulated."""
    from iotprovision.simulator.kit.catalogue import names

    return names()


def default_simulated_kit() -> str:
    """The simulated kit that is meant where none is named."""
    from iotprovision.simulator.kit.catalogue import DEFAULT

    return DEFAULT


def kits_with_radio() -> tuple[str, ...]:
    """Simulated kits whose programs can join a simulated network; others have none, or no program that would."""
    from iotprovision.simulator.kit.catalogue import EMULATED
    from iotprovision.simulator.kit.kinds import KINDS

    return tuple(f"{name}{EMULATED}" for name, kind in KINDS.items() if kind.has_radio)


def _load(cache: FirmwareCache, image: Image, mcu: str) -> HexImage:
    from iotprovision.firmware.hex_image import HexImage

    return HexImage.load(cache.path(image), mcu)
