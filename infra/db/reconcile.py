"""What makes rows agree with the world again: the reconciler's looks, each a short transaction.

Nothing here is needed while all goes well. Every look takes the oldest first and only so many, so
that what cannot be mended does not keep the rest from being.
"""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.crash_points import crash_point
from infra.db.barrier import pass_barrier
from infra.db.failures import lose_step
from infra.db.moves import lock_job
from infra.db.session import Database, note_work
from infra.db.states import STAGES, Queue
from infra.errors import FencedError

#: Rows one look mends at most.
_AT_ONCE: Final = 200

# While the database was down nobody could renew anything; everyone gets a lease's time to.
_EXPIRED: Final = text("""
SELECT s.id, s.attempt FROM steps s
WHERE s.state = 'running' AND s.lease_until < clock_timestamp()
  AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :lease)
ORDER BY s.lease_until LIMIT :most
""")

# SKIP LOCKED: whoever holds the step or its job is changing it, and knows better.
_END_BACKOFFS: Final = text("""
UPDATE steps s SET ready = true, not_before = NULL
FROM (
    SELECT s.id FROM steps s JOIN jobs j ON j.id = s.job_id
    WHERE s.state = 'queued' AND NOT s.ready AND NOT s.held AND s.not_before <= clock_timestamp()
      AND j.desired = 'run'
    ORDER BY s.not_before LIMIT :most FOR NO KEY UPDATE OF s, j SKIP LOCKED) due
WHERE s.id = due.id
RETURNING s.queue
""")

# A live job with nothing to work on and nothing failed: a barrier nobody passed.
_STUCK: Final = text("""
SELECT j.id FROM jobs j
WHERE j.finished_at IS NULL AND j.desired = 'run'
  AND EXISTS (SELECT FROM steps s WHERE s.job_id = j.id)
  AND NOT EXISTS (
    SELECT FROM steps s WHERE s.job_id = j.id AND s.state <> 'completed')
ORDER BY j.created_at LIMIT :most
""")

_STAGES_OF_JOB: Final = text("SELECT DISTINCT stage FROM steps WHERE job_id = :job")

_SILENT: Final = text("""
UPDATE workers SET state = 'offline'
WHERE id IN (
    SELECT id FROM workers
    WHERE state <> 'offline'
      AND heartbeat_at < clock_timestamp() - make_interval(secs => :silence)
      AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :silence)
    ORDER BY heartbeat_at LIMIT :most FOR NO KEY UPDATE SKIP LOCKED)
RETURNING name
""")

_READY_QUEUES: Final = text("""
SELECT queue FROM unnest(ARRAY['cpu', 'gpu', 'stitch']) AS queue
WHERE EXISTS (SELECT FROM steps s WHERE s.ready AND s.queue = queue.queue)
""")


@dataclass(frozen=True, slots=True)
class Mended:
    """How many rows a pass mended, by what was wrong with them."""

    leases_expired: int
    backoffs_over: int
    barriers_passed: int
    workers_silent: int

    def __bool__(self) -> bool:
        return any((self.leases_expired, self.barriers_passed, self.workers_silent))


def reconcile(
    database: Database,
    ring: Callable[[Queue], object],
    *,
    lease_seconds: float,
    silence_seconds: float,
) -> Mended:
    """One pass over the farm; safe to run twice at once, and after being killed anywhere.

    Args:
        database: the farm's.
        ring: told each queue with steps that nobody took.
        lease_seconds: how long workers have, after the database was away, to renew theirs.
        silence_seconds: without a heartbeat for so long, a worker counts as gone.

    Raises:
        ServiceUnavailableError: the database does not answer; the next pass goes on from there.
    """
    leases = _expire_leases(database, lease_seconds)
    crash_point("reconciler.mid_pass")
    with database.transaction() as session:
        backoffs = _end_backoffs(session)
    barriers = _pass_barriers(database)
    with database.transaction() as session:
        silent = _note_silent_workers(session, silence_seconds)
    with database.transaction() as session:
        waiting = session.scalars(_READY_QUEUES).all()
    for queue in waiting:
        ring(queue)
    return Mended(leases, backoffs, barriers, silent)


def _expire_leases(database: Database, lease_seconds: float) -> int:
    """Give up attempts whose lease ran out, a transaction each: no two jobs are locked at once."""
    with database.transaction() as session:
        values = {"lease": lease_seconds, "most": _AT_ONCE}
        expired = session.execute(_EXPIRED, values).all()
    given_up = 0
    for step, attempt in expired:
        # Fenced: the job was deleted meanwhile.
        with contextlib.suppress(FencedError), database.transaction() as session:
            given_up += lose_step(session, step, attempt)
    return given_up


def _end_backoffs(session: Session) -> int:
    queues = session.scalars(_END_BACKOFFS, {"most": _AT_ONCE}).all()
    for queue in set(queues):
        note_work(session, queue)
    return len(queues)


def _pass_barriers(database: Database) -> int:
    with database.transaction() as session:
        stuck = session.scalars(_STUCK, {"most": _AT_ONCE}).all()
    for job_id in stuck:
        with database.transaction() as session:
            _pass_barrier_of(session, job_id)
    return len(stuck)


def _pass_barrier_of(session: Session, job_id: uuid.UUID) -> None:
    job = lock_job(session, job_id)
    if job.is_ended:
        return
    reached = set(session.scalars(_STAGES_OF_JOB, {"job": job_id}))
    pass_barrier(session, job, max(reached, key=STAGES.index))


def _note_silent_workers(session: Session, silence_seconds: float) -> int:
    values = {"silence": silence_seconds, "most": _AT_ONCE}
    return len(session.scalars(_SILENT, values).all())
