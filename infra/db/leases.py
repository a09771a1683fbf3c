"""What the holder of a lease may do with its step, each under the fence.

The fence is the attempt number: a worker that was thought dead and comes back holds an older one,
and every statement here asks for the current one.
"""

import json
from dataclasses import asdict
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db import fence
from infra.db.barrier import UNFINISHED, pass_barrier
from infra.db.claims import LEASE_SECONDS
from infra.db.failures import settle_failure
from infra.db.moves import StepOfJob, lock_job_of_step
from infra.db.orders import Failure, JobOutput, NewArtifact, StepResult
from infra.db.session import note_work
from infra.db.statements import statement
from infra.db.states import Desired

_HEARTBEAT = """
UPDATE steps s
SET lease_until = clock_timestamp() + make_interval(secs => :lease),
    progress_at = CASE WHEN :frames > s.frames_done THEN clock_timestamp() ELSE s.progress_at END,
    frames_done = greatest(:frames, s.frames_done)
FROM jobs j WHERE j.id = s.job_id AND {fence}
RETURNING j.desired
"""

# The first to commit an artifact counts; a twin's stays an orphan in the bucket. Nothing but the
# step's own columns is set from what the worker says.
_COMPLETE = """
WITH mine AS (SELECT s.id, s.project_id FROM steps s WHERE {fence}),
added AS (
    INSERT INTO artifacts (project_id, key, prefix, files, size_bytes)
    SELECT project_id, CAST(:key AS text), :prefix, CAST(:files AS jsonb), :size FROM mine
    WHERE CAST(:key AS text) IS NOT NULL
    ON CONFLICT (project_id, key) DO NOTHING RETURNING id),
made AS (
    SELECT id FROM added UNION ALL
    SELECT a.id FROM artifacts a JOIN mine m ON m.project_id = a.project_id AND a.key = :key),
done AS (
    UPDATE steps s
    SET state = 'completed', artifact_id = (SELECT id FROM made LIMIT 1),
        artifact_key = coalesce(CAST(:key AS text), s.artifact_key), reused = :reused,
        frames_done = s.frames, lease_until = NULL, finished_at = clock_timestamp()
    WHERE {fence}
    RETURNING s.id, s.attempt, s.worker_id, s.frames_done),
closed AS (
    UPDATE attempts a
    SET ended_at = clock_timestamp(), outcome = 'completed', frames_done = done.frames_done
    FROM done WHERE a.step_id = done.id AND a.number = done.attempt),
proven AS (
    UPDATE workers w SET failed_jobs = '{{}}'
    FROM done WHERE w.id = done.worker_id AND w.failed_jobs <> '{{}}' AND NOT :reused)
SELECT NOT EXISTS (
    SELECT FROM steps
    WHERE job_id = :job AND stage = :stage AND id <> :step AND {unfinished}) AS last
FROM done
"""

_WAS_COMPLETED: Final = text(
    "SELECT EXISTS (SELECT FROM attempts "
    "WHERE step_id = :step AND number = :attempt AND outcome = 'completed')"
)

_ADD_FACTS: Final = text("""
UPDATE jobs SET facts = facts || jsonb_build_object(
    CAST(:stage AS text),
    coalesce(facts -> CAST(:stage AS text), '{}'::jsonb) || CAST(:facts AS jsonb))
WHERE id = :job
""")

_SET_OUTPUT: Final = text("""
UPDATE jobs SET output_key = :object_key, output_sha256 = :sha256, output_size_bytes = :size_bytes,
                output_seconds = :seconds, report = CAST(:report AS jsonb),
                preview_key = :preview_key
WHERE id = :job
""")

_RELEASE = """
WITH given AS (
    UPDATE steps s
    SET state = 'queued', ready = :ready, worker_id = NULL, lease_until = NULL, frames_done = 0
    WHERE {fence} RETURNING s.id, s.attempt)
UPDATE attempts a SET ended_at = clock_timestamp(), outcome = 'released'
FROM given WHERE a.step_id = given.id AND a.number = given.attempt
RETURNING a.step_id
"""


def heartbeat(
    session: Session,
    step_id: int,
    attempt: int,
    frames_done: int,
    lease_seconds: float = LEASE_SECONDS,
) -> Desired:
    """Renew the lease and tell how far it is.

    Returns:
        What a client wants of the job.

    Raises:
        FencedError: the step is not this attempt's any more: lost, paused or canceled.
    """
    desired: Desired | None = session.scalar(
        statement(_HEARTBEAT.format(fence=fence.HELD)),
        {"step": step_id, "attempt": attempt, "frames": frames_done, "lease": lease_seconds},
    )
    if desired is None:
        raise fence.refusal(step_id, attempt)
    return desired


def complete_step(session: Session, step_id: int, attempt: int, result: StepResult) -> None:
    """Complete a step with what it made, and go on to the next stage if it was the last.

    May be called again when the answer to the first call was lost.

    Raises:
        FencedError: the step is not this attempt's any more; nothing was changed.
    """
    step = lock_job_of_step(session, step_id)
    is_last: bool | None = session.scalar(
        statement(_COMPLETE.format(fence=fence.HELD, unfinished=UNFINISHED)),
        {
            "step": step_id,
            "attempt": attempt,
            "job": step.job.id,
            "stage": step.stage,
            "reused": result.reused,
            **_artifact_values(result.artifact),
        },
    )
    if is_last is None:
        if session.scalar(_WAS_COMPLETED, {"step": step_id, "attempt": attempt}):
            return
        raise fence.refusal(step_id, attempt)
    if result.facts:
        facts = json.dumps(result.facts)
        session.execute(_ADD_FACTS, {"job": step.job.id, "stage": step.stage, "facts": facts})
    if result.output is not None:
        _set_output(session, step, result.output)
    if is_last:
        pass_barrier(session, step.job, step.stage, result.next_steps)


def fail_step(session: Session, step_id: int, attempt: int, failure: Failure) -> None:
    """Report a failure; :mod:`infra.db.verdicts` decides what comes of it.

    Raises:
        FencedError: the step is not this attempt's any more.
    """
    settle_failure(session, step_id, attempt, failure)


def release_step(session: Session, step_id: int, attempt: int) -> None:
    """Give a step back, at no charge: the next worker starts it at once.

    Raises:
        FencedError: the step is not this attempt's any more.
    """
    step = lock_job_of_step(session, step_id)
    ready = step.job.desired == "run"
    given = session.scalar(
        statement(_RELEASE.format(fence=fence.HELD)),
        {"step": step_id, "attempt": attempt, "ready": ready},
    )
    if given is None:
        raise fence.refusal(step_id, attempt)
    if ready:
        note_work(session, step.queue)


def _artifact_values(artifact: NewArtifact | None) -> dict[str, object]:
    if artifact is None:
        return {"key": None, "prefix": None, "files": "[]", "size": 0}
    return {
        "key": artifact.key,
        "prefix": artifact.prefix,
        "files": json.dumps([asdict(file) for file in artifact.files]),
        "size": artifact.size_bytes,
    }


def _set_output(session: Session, step: StepOfJob, output: JobOutput) -> None:
    values = asdict(output) | {"report": json.dumps(output.report), "job": step.job.id}
    session.execute(_SET_OUTPUT, values)
