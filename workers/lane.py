"""A lane: claims one step after another and works on it, until the process is to end."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from infra.db.claims import claim_step
from infra.db.orders import Claim
from infra.db.states import Queue, Stage
from infra.logs import bound, get_logger
from infra.outages import Outages
from workers.attempt import attempt_step
from workers.doorbell import Doorbell
from workers.keeper import LeaseKeeper
from workers.lease import Lease
from workers.metrics import BUSY_SECONDS
from workers.seat import Seat
from workers.stages import StageWork
from workers.step import Farm, StepAtWork

_logger = get_logger(__name__)

#: How soon a lane whose seat is taken asks again.
_TAKEN_SECONDS = 0.2
_UNREACHABLE_SECONDS = 1.0


class Membership(Protocol):
    """What a lane must know of its process."""

    @property
    def worker_id(self) -> UUID:
        """Of its row, which may be a new one after the database lost the old."""

    def may_claim(self) -> bool:
        """Whether it is well, has room, and is not about to end."""


class Lane(threading.Thread):
    """One of the threads that work; those of a seat take turns at its runner.

    Args:
        name: in the log.
        farm: what it works with.
        seat: what computes for it.
        keeper: renews its leases.
        doorbell: wakes it.
        queues: to claim from, in order.
        stages: what to do with a step.
        member: the process.
        is_stopping: whether to end.
    """

    def __init__(
        self,
        name: str,
        farm: Farm,
        seat: Seat,
        keeper: LeaseKeeper,
        doorbell: Doorbell,
        queues: Sequence[Queue],
        stages: Mapping[Stage, StageWork],
        member: Membership,
        is_stopping: Callable[[], bool],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._farm, self._seat, self._keeper, self._doorbell = farm, seat, keeper, doorbell
        self._queues, self._stages = queues, stages
        self._member, self._is_stopping = member, is_stopping

    def run(self) -> None:
        """Claim, work, again; wait when there is nothing."""
        outages = Outages(_logger, "lane")
        while not self._is_stopping():
            heard = self._doorbell.rings()
            pause = _UNREACHABLE_SECONDS
            with outages.outlived():  # a lane that ends would be missed by nobody
                pause = self._take_turn()
            if pause and not self._is_stopping():
                self._doorbell.wait(heard, pause)

    def _take_turn(self) -> float:
        """Work on a step if there is one; how long to wait before the next look."""
        with self._seat.may_claim() as free:
            if not free:
                return _TAKEN_SECONDS
            asked_at = time.monotonic()
            claim = self._claim() if self._member.may_claim() else None
            if claim is None:
                return self._farm.settings.poll_seconds
            lease = Lease(claim, asked_at)
            self._seat.take(lease)
        try:
            self._work(lease)
        finally:
            self._seat.leave(lease)
            BUSY_SECONDS.labels(claim.stage).inc(time.monotonic() - asked_at)
        return 0.0

    def _claim(self) -> Claim | None:
        for queue in self._queues:
            with self._farm.database.transaction() as session:
                claim = claim_step(
                    session,
                    self._member.worker_id,
                    queue,
                    lease_seconds=self._farm.settings.lease_seconds,
                )
            if claim is not None:
                return claim
        return None

    def _work(self, lease: Lease) -> None:
        claim = lease.claim
        context = {
            "job": str(claim.job_id),
            "step": claim.step_id,
            "stage": claim.stage,
            "segment": claim.segment_index,
            "attempt": claim.attempt,
        }
        with (
            bound(**context),
            self._keeper.keeping(lease),
            self._farm.workspace.using(claim.project_id) as pins,
        ):
            step = StepAtWork(self._farm, lease, self._seat, pins)
            attempt_step(step, self._stages[claim.stage])
