"""What a person wants of a range of one job's frames, whichever steps it takes to have it.

A range means the detect or render steps that overlap it, of the stage the job is in: while it
detects, frames are the source's; after that, the output's.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.barrier import pass_barrier
from infra.db.control import job_of_step, look_after, note_queues, retry_failed
from infra.db.moves import LockedJob, lock_job
from infra.db.session import note_changes
from infra.db.states import Stage, StepState
from infra.errors import IllegalMoveError, NotFoundError

#: - ``pause``: hold what waits or runs there; ``resume`` lets it go.
#: - ``cancel``: stop working there at once, and leave the original picture.
#: - ``keep-original``: the same, but what is being made may be finished.
#: - ``retry``: try again what failed there.
#: - ``priority``: let what waits there go before or after other steps.
RangeAction = Literal["pause", "resume", "cancel", "keep-original", "retry", "priority"]

# Steps of a stage follow each other without gap or overlap.
_SPANS: Final = text("""
SELECT id, stage, state FROM (
    SELECT id, stage, state, frames, segment_index,
           sum(frames) OVER (ORDER BY segment_index) AS "end"
    FROM steps
    WHERE job_id = :job AND stage = CASE
        WHEN EXISTS (SELECT FROM steps WHERE job_id = :job AND stage = 'render') THEN 'render'
        ELSE 'detect' END) spans
WHERE "end" - frames < :end AND "end" > :start
ORDER BY segment_index
""")

_RATE: Final = text(
    "SELECT facts #>> '{prepare,prepared,frame_rate}' FROM jobs WHERE id = :job AND "
    "project_id = :project"
)

_HOLD: Final = text("""
UPDATE steps SET ready = false, held = true WHERE id = ANY (:steps) AND state = 'queued'
RETURNING id
""")

_TAKE: Final = text("""
WITH open AS (
    UPDATE attempts a SET ended_at = clock_timestamp(), outcome = :outcome,
        frames_done = s.frames_done
    FROM steps s WHERE s.id = ANY (:steps) AND s.state = 'running'
      AND a.step_id = s.id AND a.number = s.attempt)
UPDATE steps
SET state = 'queued', ready = false, held = true, worker_id = NULL, lease_until = NULL,
    frames_done = 0
WHERE id = ANY (:steps) AND state = 'running' RETURNING id
""")

_LET_GO: Final = text("""
UPDATE steps SET held = false,
    ready = :runs AND (not_before IS NULL OR not_before <= clock_timestamp())
WHERE id = ANY (:steps) AND held RETURNING id, queue
""")

_KEEP: Final = text("""
UPDATE steps SET state = 'completed', kept_original = true, ready = false, held = false,
    not_before = NULL, finished_at = clock_timestamp()
WHERE id = ANY (:steps) AND state IN ('queued', 'failed') RETURNING id
""")

_RANK: Final = text(
    "UPDATE steps SET rank = :rank WHERE id = ANY (:steps) AND state = 'queued' RETURNING id"
)


@dataclass(frozen=True, slots=True)
class Touched:
    """A step in the range; ``is_done`` says whether the action was for one in its state."""

    step_id: int
    state: StepState
    is_done: bool


def act_on_range(
    session: Session,
    project_id: uuid.UUID,
    job_id: uuid.UUID,
    frames: tuple[int, int],
    action: RangeAction,
    *,
    priority: int = 0,
) -> list[Touched]:
    """Do something to all steps that overlap a range.

    Args:
        session: of the transaction.
        project_id: whose job.
        job_id: the job.
        frames: the range, half-open.
        action: what to do.
        priority: the new one, for ``priority``.

    Returns:
        The steps there, in the film's order, each with the state it was in.

    Raises:
        NotFoundError: there is no such job in the project.
        IllegalMoveError: it has ended, or has no steps there yet.
    """
    job = lock_job(session, job_id, project_id)
    if job.is_ended:
        raise IllegalMoveError(f"job {job.id} is {job.state}")
    values = {"job": job.id, "start": frames[0], "end": frames[1]}
    there = session.execute(_SPANS, values).all()
    if not there:
        raise IllegalMoveError(
            f"job {job.id} is {job.state}: it has no steps in the range {frames[0]} to {frames[1]}"
        )
    ids = [step.id for step in there]
    done = _act(session, job, there[0].stage, ids, action, priority)
    return [Touched(step.id, step.state, step.id in done) for step in there]


def frame_rate_of(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> Fraction | None:
    """Frames per second of a job's source; None before it was prepared.

    Raises:
        NotFoundError: there is no such job in the project.
    """
    row = session.execute(_RATE, {"job": job_id, "project": project_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return None if row[0] is None else Fraction(row[0])


def keep_original(session: Session, project_id: uuid.UUID, step_id: int) -> None:
    """Leave the original picture where a detect or render step waits or failed, and go on.

    Raises:
        NotFoundError: there is no such step in the project.
        IllegalMoveError: it is being worked on or completed, or is not of a range of frames.
    """
    step = job_of_step(session, project_id, step_id)
    if step.job.is_ended or step.stage not in {"detect", "render"}:
        raise IllegalMoveError(f"step {step_id} has no picture to keep")
    if not _keep(session, step.job, step.stage, [step_id]):
        raise IllegalMoveError(f"step {step_id} neither waits nor has failed")


def _act(
    session: Session,
    job: LockedJob,
    stage: Stage,
    steps: Sequence[int],
    action: RangeAction,
    priority: int,
) -> set[int]:
    match action:
        case "pause":
            return _hold(session, steps, "released")
        case "resume":
            return _let_go(session, job, steps)
        case "cancel":
            _hold(session, steps, "canceled")
            return _keep(session, job, stage, steps)
        case "keep-original":
            return _keep(session, job, stage, steps)
        case "retry":
            return retry_failed(session, job, steps)
        case "priority":
            values = {"steps": steps, "rank": -priority}
            return set(session.scalars(_RANK, values))


def _hold(session: Session, steps: Sequence[int], outcome: str) -> set[int]:
    # In this order: the first statement waits for claims under way, the second finds them.
    held = set(session.scalars(_HOLD, {"steps": steps}))
    taken = set(session.scalars(_TAKE, {"steps": steps, "outcome": outcome}))
    if taken:
        note_changes(session)
    return held | taken


def _let_go(session: Session, job: LockedJob, steps: Sequence[int]) -> set[int]:
    runs = job.desired == "run"
    rows = session.execute(_LET_GO, {"steps": steps, "runs": runs}).all()
    if runs:
        note_queues(session, [row.queue for row in rows])
    return {row.id for row in rows}


def _keep(session: Session, job: LockedJob, stage: Stage, steps: Sequence[int]) -> set[int]:
    kept = set(session.scalars(_KEEP, {"steps": steps}))
    if kept:
        look_after(session, job)
        pass_barrier(session, job, stage)
    return kept
