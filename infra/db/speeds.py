"""What jobs' steps cost so far: worker time by stage, and what was taken from earlier jobs."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import Stage

_COUNT: Final = text("""
SELECT job_id, stage, count(*) AS steps,
       count(*) FILTER (WHERE reused) AS reused,
       count(*) FILTER (WHERE kept_original) AS kept,
       count(*) FILTER (WHERE state = 'running') AS running,
       coalesce(sum(CASE state WHEN 'completed' THEN greatest(frames, 1)
                    WHEN 'running' THEN least(frames_done, frames) END)
                FILTER (WHERE NOT reused), 0) AS frames_worked,
       coalesce(sum(CASE state WHEN 'completed' THEN extract(epoch FROM finished_at - started_at)
                    WHEN 'running' THEN extract(epoch FROM clock_timestamp() - started_at) END)
                FILTER (WHERE NOT reused), 0) AS seconds
FROM steps WHERE job_id = ANY (:jobs) GROUP BY job_id, stage
""")


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """Of one stage of one job.

    Attributes:
        steps, reused, kept, running: how many; ``reused`` took an artifact that was there already,
            ``kept`` keep the original picture.
        frames_worked: by this job's own workers.
        seconds: of workers' time, for these.
    """

    steps: int
    reused: int
    kept: int
    running: int
    frames_worked: int
    seconds: float


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
        )
    return found
