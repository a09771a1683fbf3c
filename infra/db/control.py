"""What a client or a person wants of a job: run, pause, cancel, another try, another priority.

Each takes effect in the transaction that asks for it. A running step is taken from its worker there
and then: the worker's next heartbeat is refused, and whatever it still sends comes too late.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.moves import LockedJob, StepOfJob, lock_job, lock_job_of_step, move_job
from infra.db.session import note_changes, note_work
from infra.db.states import JOB_STATE_OF, Desired, Queue
from infra.errors import FencedError, IllegalMoveError, NotFoundError

_WANT: Final = text("UPDATE jobs SET desired = :desired WHERE id = :job")

_TAKE_RUNNING: Final = text("""
WITH open AS (
    UPDATE attempts a SET ended_at = clock_timestamp(), outcome = :outcome,
        frames_done = s.frames_done
    FROM steps s WHERE s.job_id = :job AND s.state = 'running'
      AND a.step_id = s.id AND a.number = s.attempt),
taken AS (
    UPDATE steps
    SET state = :state, ready = false, worker_id = NULL, lease_until = NULL, frames_done = 0,
        finished_at = CASE WHEN :state = 'canceled' THEN clock_timestamp() END
    WHERE job_id = :job AND state = 'running' RETURNING id)
SELECT count(*) FROM taken
""")

_CANCEL_WAITING: Final = text("""
UPDATE steps SET state = 'canceled', ready = false, held = false, finished_at = clock_timestamp()
WHERE job_id = :job AND state IN ('queued', 'failed')
""")

# Those in backoff too: whoever is just ending it has their rows, and is waited for.
_HOLD: Final = text("UPDATE steps SET ready = false WHERE job_id = :job AND state = 'queued'")

_LET_GO: Final = text("""
UPDATE steps SET ready = true
WHERE job_id = :job AND state = 'queued' AND NOT ready AND NOT held
  AND (not_before IS NULL OR not_before <= clock_timestamp())
RETURNING queue
""")

_RETRY: Final = text("""
UPDATE steps SET state = 'queued', ready = :ready, failures = 0, losses = 0, not_before = NULL,
    finished_at = NULL, worker_id = NULL
WHERE job_id = :job AND state = 'failed'
  AND (CAST(:steps AS bigint[]) IS NULL OR id = ANY (:steps))
RETURNING id, stage, queue
""")

_DESCRIBE: Final = text("""
UPDATE jobs SET name = coalesce(:name, name), labels = coalesce(CAST(:labels AS text[]), labels)
WHERE id = :job
""")

# A person's retry deserves every worker again.
_UNBENCH: Final = text("DELETE FROM benches WHERE job_id = :job AND stage = ANY (:stages)")

_LOOK_AFTER: Final = text("""
UPDATE jobs SET attention = EXISTS (
    SELECT FROM steps WHERE job_id = :job AND state = 'failed' AND stage IN ('detect', 'render'))
WHERE id = :job
""")


def cancel_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Stop a job for good; nothing happens to one that has ended.

    Raises:
        NotFoundError: there is no such job in the project.
    """
    job = lock_job(session, job_id, project_id)
    if job.is_ended:
        return
    _want(session, job, "cancel")
    # In this order: the first statement waits for claims under way, the second finds them.
    session.execute(_CANCEL_WAITING, {"job": job.id})
    _take_running(session, job, "canceled")
    look_after(session, job)
    move_job(session, job, "canceled")


def pause_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Hold a job where it is; running steps go back to the queue.

    Raises:
        NotFoundError: there is no such job in the project.
        IllegalMoveError: it has ended.
    """
    job = _live(lock_job(session, job_id, project_id), "paused")
    _want(session, job, "pause")
    session.execute(_HOLD, {"job": job.id})  # waits for claims under way
    _take_running(session, job, "queued")


def resume_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Let a paused job go on.

    Raises:
        NotFoundError: there is no such job in the project.
        IllegalMoveError: it has ended.
    """
    job = _live(lock_job(session, job_id, project_id), "resumed")
    _want(session, job, "run")
    note_queues(session, session.scalars(_LET_GO, {"job": job.id}).all())


def set_priority(session: Session, project_id: uuid.UUID, job_id: uuid.UUID, priority: int) -> None:
    """Let a job go before (higher) or after (lower) others; for steps not yet claimed, too.

    Raises:
        NotFoundError: there is no such job in the project.
    """
    job = lock_job(session, job_id, project_id)
    values = {"job": job.id, "rank": -priority}
    session.execute(text("UPDATE jobs SET rank = :rank WHERE id = :job"), values)
    session.execute(
        text("UPDATE steps SET rank = :rank WHERE job_id = :job AND state = 'queued'"), values
    )


def retry_step(session: Session, project_id: uuid.UUID, step_id: int) -> None:
    """Try a failed step again, its past forgiven.

    Raises:
        NotFoundError: there is no such step in the project.
        IllegalMoveError: it has not failed, or its job has ended otherwise.
    """
    job = job_of_step(session, project_id, step_id).job
    if not retry_failed(session, job, [step_id]):
        raise IllegalMoveError(f"step {step_id} has not failed")


def retry_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> int:
    """Try everything of a job that failed again; returns how many steps that were.

    Raises:
        NotFoundError: there is no such job in the project.
        IllegalMoveError: it was canceled, rejected or completed.
    """
    return len(retry_failed(session, lock_job(session, job_id, project_id)))


def describe_job(
    session: Session,
    project_id: uuid.UUID,
    job_id: uuid.UUID,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
) -> None:
    """Call a job something else, or label it otherwise; None leaves what is there.

    Raises:
        NotFoundError: there is no such job in the project.
    """
    job = lock_job(session, job_id, project_id)
    values = {"job": job.id, "name": name, "labels": None if labels is None else list(labels)}
    session.execute(_DESCRIBE, values)


def retry_failed(session: Session, job: LockedJob, steps: Sequence[int] | None = None) -> set[int]:
    """Try failed steps of a locked job again, all or some of them; returns which these were.

    Raises:
        IllegalMoveError: the job was canceled, rejected or completed.
    """
    if job.is_ended and job.state != "failed":
        raise IllegalMoveError(f"job {job.id} is {job.state}")
    ready = job.desired == "run"
    values = {"job": job.id, "steps": None if steps is None else list(steps), "ready": ready}
    rows = session.execute(_RETRY, values).all()
    if not rows:
        return set()
    session.execute(_UNBENCH, {"job": job.id, "stages": [row.stage for row in rows]})
    if job.state == "failed":
        job = move_job(session, job, JOB_STATE_OF[rows[0].stage])
    look_after(session, job)
    if ready:
        note_queues(session, [row.queue for row in rows])
    return {row.id for row in rows}


def job_of_step(session: Session, project_id: uuid.UUID, step_id: int) -> StepOfJob:
    """A step and its job, locked.

    Raises:
        NotFoundError: there is no such step in the project.
    """
    try:
        step = lock_job_of_step(session, step_id)
    except FencedError:
        raise NotFoundError(f"there is no step {step_id}") from None
    if step.job.project_id != project_id:
        raise NotFoundError(f"there is no step {step_id}")
    return step


def look_after(session: Session, job: LockedJob) -> None:
    """See that the job says it needs attention when one of its segments failed, and only then."""
    session.execute(_LOOK_AFTER, {"job": job.id})


def note_queues(session: Session, queues: Iterable[Queue]) -> None:
    """Ring for each of these queues once the transaction counts."""
    for queue in set(queues):
        note_work(session, queue)


def _live(job: LockedJob, what: str) -> LockedJob:
    if job.is_ended:
        raise IllegalMoveError(f"job {job.id} is {job.state}: it cannot be {what}")
    return job


def _want(session: Session, job: LockedJob, desired: Desired) -> None:
    session.execute(_WANT, {"job": job.id, "desired": desired})


def _take_running(session: Session, job: LockedJob, state: str) -> None:
    outcome = "canceled" if state == "canceled" else "released"
    if session.scalar(_TAKE_RUNNING, {"job": job.id, "state": state, "outcome": outcome}):
        note_changes(session)
