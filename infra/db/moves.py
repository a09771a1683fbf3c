"""A job's row: locking it, and moving the job to another state.

One order of locks everywhere: the job's row, then rows of its steps. Whoever changes a step's state
holds the job's row, so no two of them can each take the other's step for unfinished. A claim alone
does without; it locks one free step and waits for nothing.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.statements import statement
from infra.db.states import JOB_ENDS, Desired, JobState, Queue, Stage
from infra.errors import FencedError, NotFoundError

#: What makes the barrier hold; a test takes it away and sees jobs get stuck.
JOB_LOCK = "FOR NO KEY UPDATE OF j"

_JOB = """
SELECT j.id, j.project_id, j.state, j.desired, j.rank FROM jobs j WHERE j.id = :job {lock}
"""
# The step's other columns would be those of before the wait.
_JOB_OF_STEP = """
SELECT s.stage, s.queue, j.id, j.project_id, j.state, j.desired, j.rank
FROM steps s JOIN jobs j ON j.id = s.job_id WHERE s.id = :step {lock}
"""

_MOVE: Final = text("""
UPDATE jobs SET state = :state, finished_at = CASE WHEN :ended THEN clock_timestamp() END,
    error_code = nullif(CAST(:code AS text), ''),
    error_message = nullif(CAST(:message AS text), '')
WHERE id = :job
""")


@dataclass(frozen=True, slots=True)
class LockedJob:
    """A job nobody else changes until this transaction ends."""

    id: uuid.UUID
    project_id: uuid.UUID
    state: JobState
    desired: Desired
    rank: int

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in JOB_ENDS


@dataclass(frozen=True, slots=True)
class StepOfJob:
    """What never changes about a step, and its job, locked."""

    id: int
    stage: Stage
    queue: Queue
    job: LockedJob


def lock_job(session: Session, job_id: uuid.UUID, project_id: uuid.UUID | None = None) -> LockedJob:
    """Lock a job's row, waiting for whoever has it.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    row = session.execute(
        statement(_JOB.format(lock=JOB_LOCK)),
        {"job": job_id},
    ).one_or_none()
    if row is None or project_id not in {None, row.project_id}:
        raise NotFoundError(f"there is no job {job_id}")
    return LockedJob(row.id, row.project_id, row.state, row.desired, row.rank)


def lock_job_of_step(session: Session, step_id: int) -> StepOfJob:
    """Lock the row of the job a step belongs to.

    Raises:
        FencedError: the step is gone, with its job.
    """
    row = session.execute(
        statement(_JOB_OF_STEP.format(lock=JOB_LOCK)),
        {"step": step_id},
    ).one_or_none()
    if row is None:
        raise FencedError(f"step {step_id} is gone")
    job = LockedJob(row.id, row.project_id, row.state, row.desired, row.rank)
    return StepOfJob(step_id, row.stage, row.queue, job)


def move_job(
    session: Session, job: LockedJob, state: JobState, *, code: str = "", message: str = ""
) -> LockedJob:
    """Move a locked job to a state; an end gets its time, and its error if it has one.

    Raises:
        IllegalMoveError: there is no such move; found when the statement runs.
    """
    session.execute(
        _MOVE,
        {
            "state": state,
            "ended": state in JOB_ENDS,
            "code": code,
            "message": message,
            "job": job.id,
        },
    )
    return LockedJob(job.id, job.project_id, state, job.desired, job.rank)


def begin_job(session: Session, job: LockedJob) -> LockedJob:
    """See that a job whose prepare ran is preparing; the claim may have found its row locked."""
    return move_job(session, job, "preparing") if job.state == "queued" else job
