"""What jobs' steps cost so far: worker time by stage, and what was taken from earlier jobs.

Time is that of attempts: what waits between two of them, for a worker or a person, costs nothing.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import QUEUE_OF, Stage

# Of attempts that came to nothing; most steps have none, and are not looked up.
_LOST: Final = """
coalesce(sum(CASE WHEN s.attempt > 1
             OR s.attempt = 1 AND (s.kept_original OR s.state NOT IN ('completed', 'running')) THEN
    (SELECT sum(extract(epoch FROM a.ended_at - a.started_at)) FROM attempts a
     WHERE a.step_id = s.id AND a.outcome <> 'completed') END), 0)
"""

_COUNT: Final = text(f"""
SELECT job_id, stage, count(*) AS steps,
       count(*) FILTER (WHERE reused) AS reused,
       count(*) FILTER (WHERE kept_original) AS kept,
       count(*) FILTER (WHERE state = 'running') AS running,
       coalesce(sum(CASE state WHEN 'completed' THEN greatest(frames, 1)
                    WHEN 'running' THEN least(frames_done, frames) END)
                FILTER (WHERE NOT reused AND NOT kept_original), 0) AS frames_worked,
       coalesce(sum(CASE state WHEN 'completed' THEN extract(epoch FROM finished_at - started_at)
                    WHEN 'running' THEN extract(epoch FROM clock_timestamp() - started_at) END)
                FILTER (WHERE NOT reused AND NOT kept_original), 0) AS seconds,
       {_LOST} AS lost_seconds
FROM steps s WHERE job_id = ANY (:jobs) GROUP BY job_id, stage
""")  # noqa: S608 -- ours

_OF_BATCH: Final = text(f"""
SELECT coalesce(sum(CASE s.state
           WHEN 'completed' THEN extract(epoch FROM s.finished_at - s.started_at)
           WHEN 'running' THEN extract(epoch FROM clock_timestamp() - s.started_at) END)
       FILTER (WHERE NOT s.reused AND NOT s.kept_original), 0) + {_LOST} AS seconds
FROM steps s JOIN jobs j ON j.id = s.job_id
WHERE j.batch_id = :batch AND s.stage = ANY (:stages)
""")  # noqa: S608 -- ours

_DEVICES: Final = text("""
SELECT s.job_id, array_agg(DISTINCT w.device ORDER BY w.device) AS devices
FROM steps s
JOIN attempts a ON a.step_id = s.id AND a.outcome = 'completed'
JOIN workers w ON w.id = a.worker_id
WHERE s.job_id = ANY (:jobs) AND s.stage = 'render' AND NOT s.reused
GROUP BY s.job_id
""")

_GPU_STAGES: Final = [stage for stage, queue in QUEUE_OF.items() if queue == "gpu"]


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """Of one stage of one job.

    Attributes:
        steps, reused, kept, running: how many; ``reused`` took an artifact that was there already,
            ``kept`` keep the original picture.
        frames_worked: by this job's own workers.
        seconds: of workers' time, for these.
        lost_seconds: of attempts that came to nothing: failed, lost, given back or canceled.
    """

    steps: int
    reused: int
    kept: int
    running: int
    frames_worked: int
    seconds: float
    lost_seconds: float


def speeds_of(
    session: Session, job_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[Stage, StageSpeed]]:
    """The stages of some jobs that have begun, in one query."""
    jobs = list(job_ids)
    found: dict[uuid.UUID, dict[Stage, StageSpeed]] = {job: {} for job in jobs}
    for row in session.execute(_COUNT, {"jobs": jobs}):
        found[row.job_id][row.stage] = StageSpeed(
            row.steps,
            row.reused,
            row.kept,
            row.running,
            int(row.frames_worked),
            max(float(row.seconds), 0.0),
            max(float(row.lost_seconds), 0.0),
        )
    return found


def devices_of(session: Session, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """The devices of known workers that rendered ranges of some jobs, in one query."""
    found = session.execute(_DEVICES, {"jobs": list(job_ids)})
    return {row.job_id: list(row.devices) for row in found}


def gpu_seconds(speeds: Mapping[Stage, StageSpeed]) -> float:
    """Workers' time in the stages that take a GPU where there is one, lost attempts with it."""
    used = (speeds[stage] for stage in _GPU_STAGES if stage in speeds)
    return sum(speed.seconds + speed.lost_seconds for speed in used)


def gpu_seconds_of_batch(session: Session, batch_id: uuid.UUID) -> float:
    """The same of all of a batch's jobs that are there."""
    values = {"batch": batch_id, "stages": _GPU_STAGES}
    return max(float(session.execute(_OF_BATCH, values).scalar_one()), 0.0)
