"""From stage to stage: when the last step of one is completed, the next one's steps are made.

In the transaction that completes the last step and under the job's lock, so the next stage begins
exactly once and never not.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.moves import LockedJob, begin_job, move_job
from infra.db.orders import NewStep
from infra.db.session import note_work
from infra.db.states import JOB_STATE_OF, QUEUE_OF, STAGES, Stage

#: Probes of an index; ``<>`` would walk over all that is completed.
UNFINISHED: Final = "state IN ('queued', 'running', 'failed', 'canceled')"

_ANY_UNFINISHED = """
SELECT EXISTS (SELECT FROM steps WHERE job_id = :job AND stage = :stage AND {unfinished})
"""
_UNFINISHED: Final = text(_ANY_UNFINISHED.format(unfinished=UNFINISHED))

# An artifact in use again is young again; once an hour is enough, and keeps other jobs from waiting
# for these rows. Always in the same order, so two jobs cannot wait for each other.
_TOUCH: Final = text("""
UPDATE artifacts SET last_used_at = now()
WHERE id IN (
    SELECT id FROM artifacts
    WHERE project_id = :project AND key = ANY (:keys) AND last_used_at < now() - interval '1 hour'
    ORDER BY id FOR NO KEY UPDATE)
""")

# A step whose artifact is there already is completed as it is made.
_INSERT: Final = text("""
INSERT INTO steps (job_id, project_id, stage, segment_index, queue, rank, frames, params,
                   artifact_key, artifact_id, state, ready, reused, frames_done, finished_at)
SELECT :job, :project, :stage, n.segment_index, :queue, :rank, n.frames, n.params,
       n.artifact_key, a.id,
       CASE WHEN a.id IS NULL THEN 'queued' ELSE 'completed' END,
       a.id IS NULL AND :ready,
       a.id IS NOT NULL,
       CASE WHEN a.id IS NULL THEN 0 ELSE n.frames END,
       CASE WHEN a.id IS NOT NULL THEN clock_timestamp() END
FROM jsonb_to_recordset(CAST(:steps AS jsonb))
     AS n (segment_index integer, frames integer, params jsonb, artifact_key text)
LEFT JOIN artifacts a ON a.project_id = :project AND a.key = n.artifact_key
ORDER BY n.segment_index
ON CONFLICT (job_id, stage, segment_index) DO NOTHING
RETURNING ready
""")

# The first step of new jobs, in the order they are given.
_BEGIN: Final = text("""
INSERT INTO steps (job_id, project_id, stage, segment_index, queue, rank, ready)
SELECT j.id, j.project_id, 'prepare', 0, :queue, j.rank, j.desired = 'run'
FROM unnest(CAST(:jobs AS uuid[])) WITH ORDINALITY AS new (id, place) JOIN jobs j USING (id)
ORDER BY new.place
""")


def begin_jobs(session: Session, job_ids: Sequence[uuid.UUID]) -> None:
    """Make the prepare of jobs that were just ordered; it is ready at once."""
    queue = QUEUE_OF["prepare"]
    session.execute(_BEGIN, {"jobs": list(job_ids), "queue": queue})
    note_work(session, queue)


def pass_barrier(
    session: Session, job: LockedJob, stage: Stage, next_steps: Sequence[NewStep] = ()
) -> LockedJob:
    """Go on to the next stage, if this one is all completed; and on from there, if that is too.

    Args:
        session: of the transaction that holds the job's lock.
        job: the job, locked.
        stage: where it is.
        next_steps: of the next stage, where ``stage`` is prepare or track.

    Returns:
        The job as it is now.
    """
    while not session.scalar(_UNFINISHED, {"job": job.id, "stage": stage}):
        if stage == "stitch":
            return move_job(session, job, "completed")
        job = begin_job(session, job)
        following = STAGES[STAGES.index(stage) + 1]
        steps = next_steps if stage in {"prepare", "track"} else (NewStep(0),)
        job = move_job(session, job, JOB_STATE_OF[following])
        add_steps(session, job, following, steps)
        stage = following
    return job


def add_steps(session: Session, job: LockedJob, stage: Stage, steps: Sequence[NewStep]) -> None:
    """Make the steps of a stage; those that are there stay as they are."""
    if not steps:
        return
    keys = [step.artifact_key for step in steps if step.artifact_key is not None]
    if keys:
        session.execute(_TOUCH, {"project": job.project_id, "keys": keys})
    rows = [
        {
            "segment_index": step.segment_index,
            "frames": step.frames,
            "params": step.params,
            "artifact_key": step.artifact_key,
        }
        for step in steps
    ]
    queue = QUEUE_OF[stage]
    made = session.scalars(
        _INSERT,
        {
            "job": job.id,
            "project": job.project_id,
            "stage": stage,
            "queue": queue,
            "rank": job.rank,
            "ready": job.desired == "run",
            "steps": json.dumps(rows),
        },
    ).all()
    if any(made):
        note_work(session, queue)
