"""A worker: one light process over its runners, from its first sign of life to its last."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from infra.bells import Bell, Listener, Ringer
from infra.db.session import Database
from infra.db.states import Queue, Stage
from infra.db.workers import beat_worker, drain_worker, prove_well, register_worker, retire_worker
from infra.errors import InfraError, NotFoundError
from infra.logs import get_logger
from infra.metrics_port import MetricsPort
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from workers.choices import choose_network
from workers.doorbell import Doorbell
from workers.keeper import LeaseKeeper
from workers.lane import Lane
from workers.metrics import REGISTRY
from workers.runner import Answered, Entry, Patience, Runner
from workers.runner_process import run_pipeline
from workers.seat import Seat
from workers.stages import STAGES, StageWork
from workers.step import Farm
from workers.workspace import Workspace

_logger = get_logger(__name__)

#: Lanes over one runner where steps are claimed ahead.
_LANES: Final = 2
#: Between two self-tests of a worker that does not pass.
_SICK_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
#: What lanes may take to give back their steps once their runners are killed.
_GIVE_BACK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class WorkerChoice:
    """What a worker is for.

    Attributes:
        queues: it claims from, in this order.
        slots: steps computed at once, a runner each.
        device: that networks run on.
        name: for people; unique or not.
        stages: what is done with a step.
        entry: of its runners.
    """

    queues: tuple[Queue, ...]
    slots: int = 1
    device: str = "auto"
    name: str | None = None
    stages: Mapping[Stage, StageWork] | None = None
    entry: Entry = run_pipeline


class Worker:
    """One process.

    Args:
        settings: of the farm.
        choice: what it is for.
    """

    def __init__(self, settings: Settings, choice: WorkerChoice) -> None:
        self._settings, self._choice = settings, choice
        self._name = choice.name or f"{socket.gethostname()}-{os.getpid()}"
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._is_sick = False
        self._doorbell = Doorbell()
        self._worker_id: UUID | None = None

    @property
    def worker_id(self) -> UUID:
        """Of its row; there once it runs."""
        assert self._worker_id is not None  # noqa: S101 -- registered before any lane starts
        return self._worker_id

    def may_claim(self) -> bool:
        """See :class:`workers.lane.Membership`."""
        if self._stop.is_set() or self._is_sick:
            return False
        if self._farm.workspace.has_room():
            return True
        _logger.warning("worker.no_room", folder=str(self._settings.scratch_dir))
        return False

    def stop(self) -> None:
        """Finish what is in hand, if it goes within ``drain_seconds``; a second time, at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            InfraError: a setting is wrong, or the scratch folder cannot be used.
        """
        settings = self._settings
        with ExitStack() as ending:
            metrics = MetricsPort(settings, REGISTRY)
            ending.callback(metrics.close)
            ringer = Ringer(settings.redis_url)
            ending.callback(ringer.close)
            database = Database(
                settings.database_url,
                ring=ringer.ring,
                ring_for_changes=ringer.ring_for_changes,
                pool_size=2 + _LANES * self._choice.slots,
            )
            ending.callback(database.close)
            workspace = Workspace(
                settings.scratch_dir,
                settings.scratch_cache_bytes,
                settings.free_space_floor_bytes,
            )
            ending.callback(workspace.delete)
            self._farm = Farm(
                settings, self._choice.device, database, ObjectStore(settings), workspace
            )
            self._register()
            ending.callback(self._retire)
            seats = self._make_seats()
            for seat in seats:
                ending.callback(seat.kill)
            keeper_database = Database(settings.database_url, pool_size=1)
            ending.callback(keeper_database.close)
            self._keeper = LeaseKeeper(
                keeper_database, settings, lambda: self._beat(keeper_database)
            )
            self._keeper.start()
            ending.callback(self._keeper.stop)
            listener = Listener(
                settings.redis_url, (*self._choice.queues, "changes"), self._on_bell
            )
            listener.start()
            ending.callback(listener.stop)
            lanes = self._start_lanes(seats)
            _logger.info("worker.started", name=self._name, queues=list(self._choice.queues))
            self._watch(seats)
            self._drain(lanes)
            _logger.info("worker.stopped", name=self._name)

    def _make_seats(self) -> list[Seat]:
        settings, slots = self._settings, self._choice.slots
        patience = Patience(settings.first_progress_seconds, settings.progress_seconds)
        threads = max(1, (os.cpu_count() or 1) // slots)
        root = self._farm.workspace.root
        return [
            Seat(Runner(self._choice.entry, threads, root / f"runner-{n}.log"), patience)
            for n in range(slots)
        ]

    def _start_lanes(self, seats: Sequence[Seat]) -> list[Lane]:
        # Fetching ahead pays where computing is dear; a cpu worker's steps are short.
        count = _LANES if "gpu" in self._choice.queues else 1
        for seat in seats:
            seat.start()
        lanes = [
            Lane(
                f"slot-{number}-{lane}",
                self._farm,
                seat,
                self._keeper,
                self._doorbell,
                self._choice.queues,
                self._choice.stages or STAGES,
                self,
                self._stop.is_set,
            )
            for number, seat in enumerate(seats)
            for lane in range(count)
        ]
        for each in lanes:
            each.start()
        return lanes

    def _on_bell(self, bell: Bell) -> None:
        if bell == "changes":
            self._keeper.hurry()
        else:
            self._doorbell.ring()

    def _watch(self, seats: Sequence[Seat]) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            if self._is_sick and not self._prove_well(seats[0]):
                self._stop.wait(_SICK_SECONDS)

    def _drain(self, lanes: Sequence[Lane]) -> None:
        deadline = time.monotonic() + self._settings.drain_seconds
        self._doorbell.ring()
        self._say(drain_worker)
        for lease in self._keeper.leases():
            if not lease.begun:
                lease.interrupt("drain")
        while any(lane.is_alive() for lane in lanes) and not self._hurry.is_set():
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS / 2)
        for lease in self._keeper.leases():
            lease.interrupt("drain")
        deadline = time.monotonic() + _GIVE_BACK_SECONDS
        for lane in lanes:
            lane.join(max(0.0, deadline - time.monotonic()))

    def _register(self) -> None:
        choice = self._choice
        pause = _LOOK_SECONDS
        while not self._stop.is_set():
            try:
                with self._farm.database.transaction() as session:
                    self._worker_id = register_worker(
                        session,
                        name=self._name,
                        hostname=socket.gethostname(),
                        pid=os.getpid(),
                        queues=choice.queues,
                        device=choice.device,
                        slots=choice.slots,
                    )
            except InfraError as error:
                _logger.warning("worker.not_registered", error=str(error))
                self._stop.wait(pause)
                pause = min(2 * pause, 5.0)
            else:
                return

    def _beat(self, database: Database) -> None:
        try:
            with database.transaction() as session:
                free = self._farm.workspace.free_bytes()
                state = beat_worker(session, self.worker_id, free_bytes=free)
        except NotFoundError:
            self._register()
            return
        self._is_sick = state == "sick"

    def _prove_well(self, seat: Seat) -> bool:
        _logger.warning("worker.sick", name=self._name)
        try:
            network = choose_network("auto", self._settings.checkpoint, self._choice.device)
            given = {"network": network, "store": self._farm.workspace.own}
            answer = seat.run_alone("self_test", given)
            if not isinstance(answer, Answered):
                _logger.warning("worker.still_sick", answer=str(answer))
                return False
            with self._farm.database.transaction() as session:
                prove_well(session, self.worker_id)
        except Exception as error:  # anything at all: it is not well
            _logger.warning("worker.still_sick", error=str(error))
            return False
        self._is_sick = False
        self._doorbell.ring()
        _logger.info("worker.well", name=self._name)
        return True

    def _retire(self) -> None:
        self._say(retire_worker)

    def _say(self, what: Callable[[Session, UUID], None]) -> None:
        try:
            with self._farm.database.transaction() as session:
                what(session, self.worker_id)
        except InfraError as error:
            # The reconciler notices by itself.
            _logger.info("worker.unsaid", error=str(error))


def run_worker(settings: Settings, choice: WorkerChoice) -> None:
    """Be a worker until SIGTERM or SIGINT; a second one is more urgent."""
    worker = Worker(settings, choice)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker.run()
