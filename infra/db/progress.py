"""How far jobs are: from the frames of their steps, all stages together."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import STAGES, Stage, StepState

#: What of a usual dub each stage takes.
SHARES: Final[dict[Stage, float]] = {
    "prepare": 0.05,
    "detect": 0.25,
    "track": 0.02,
    "render": 0.63,
    "stitch": 0.05,
}

# Steps that count no frames count as one.
_COUNT: Final = text("""
SELECT job_id, stage, state, count(*) AS steps, sum(greatest(frames, 1)) AS frames,
       sum(CASE state WHEN 'completed' THEN greatest(frames, 1)
           WHEN 'running' THEN least(frames_done, frames) ELSE 0 END) AS frames_done
FROM steps WHERE job_id = ANY (:jobs) GROUP BY job_id, stage, state
""")

_AT_WORK: Final = text("""
SELECT DISTINCT job_id, project_id FROM steps
WHERE state = 'running' AND (job_id = ANY (:jobs) OR project_id = ANY (:projects))
LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Of one stage: steps by state, and frames."""

    steps: dict[StepState, int]
    frames: int
    frames_done: int


@dataclass(frozen=True, slots=True)
class JobProgress:
    """``fraction`` is 0 to 1 over all stages; ``stages`` has those that have begun."""

    fraction: float
    stages: dict[Stage, StageProgress]


def job_progress(session: Session, job_id: uuid.UUID) -> JobProgress:
    """How far a job is."""
    return progress_of(session, [job_id])[job_id]


def progress_of(session: Session, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, JobProgress]:
    """How far some jobs are, in one query."""
    jobs = list(job_ids)
    found: dict[uuid.UUID, dict[Stage, StageProgress]] = {job: {} for job in jobs}
    for row in session.execute(_COUNT, {"jobs": jobs}):
        stages = found[row.job_id]
        so_far = stages.get(row.stage, StageProgress({}, 0, 0))
        stages[row.stage] = StageProgress(
            {**so_far.steps, row.state: row.steps},
            so_far.frames + int(row.frames),
            so_far.frames_done + int(row.frames_done),
        )
    return {job: JobProgress(_fraction(stages), stages) for job, stages in found.items()}


def jobs_at_work(
    session: Session, jobs: Collection[uuid.UUID], projects: Collection[uuid.UUID], most: int
) -> dict[uuid.UUID, uuid.UUID]:
    """Jobs with a running step, of those named and of those projects; each with its project."""
    values = {"jobs": list(jobs), "projects": list(projects), "most": most}
    return {row.job_id: row.project_id for row in session.execute(_AT_WORK, values)}


def _fraction(stages: dict[Stage, StageProgress]) -> float:
    done = 0.0
    for index, stage in enumerate(STAGES):
        progress = stages.get(stage)
        if progress is not None:
            done += SHARES[stage] * progress.frames_done / progress.frames
        elif any(later in stages for later in STAGES[index + 1 :]):
            done += SHARES[stage]  # it had no steps
    return min(1.0, round(done, 6))
