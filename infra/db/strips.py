"""A job's steps in short, for pictures of thousands of them: a letter for each."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import STAGES, Stage

#: What a letter of :attr:`StageStrip.states` says.
LETTERS: Final[dict[str, str]] = {
    "q": "queued",
    "w": "waiting",  # for another try
    "h": "held",  # by a person
    "r": "running",
    "c": "completed",
    "u": "reused",  # completed with an artifact that was there
    "k": "kept-original",
    "f": "failed",
    "x": "canceled",
}

_STRIPS: Final = text("""
SELECT stage, array_agg(id ORDER BY segment_index) AS ids,
       array_agg(frames ORDER BY segment_index) AS sizes,
       string_agg(
         CASE WHEN kept_original THEN 'k' WHEN reused THEN 'u' WHEN held THEN 'h'
              WHEN state = 'queued' AND not_before > clock_timestamp() THEN 'w'
              WHEN state = 'canceled' THEN 'x' ELSE left(state, 1) END,
         '' ORDER BY segment_index) AS states,
       sum(frames) AS frames,
       sum(CASE state WHEN 'completed' THEN frames ELSE frames_done END) AS frames_done,
       min(started_at) AS started_at,
       CASE WHEN bool_and(finished_at IS NOT NULL) THEN max(finished_at) END AS finished_at
FROM steps WHERE job_id = :job GROUP BY stage
""")

_AT_WORK: Final = text("""
SELECT s.id, s.frames, s.frames_done, s.started_at, s.attempt, w.name AS worker
FROM steps s LEFT JOIN workers w ON w.id = s.worker_id
WHERE s.job_id = :job AND s.state = 'running' ORDER BY s.id LIMIT 100
""")


@dataclass(frozen=True, slots=True)
class StageStrip:
    """All steps of one stage, in the order of their segments.

    Attributes:
        ids: of the steps.
        sizes: frames of each.
        states: a letter for each; see :data:`LETTERS`.
        frames, frames_done: of all of them together.
        finished_at: of the last one; None while any is unfinished.
    """

    stage: Stage
    ids: list[int]
    sizes: list[int]
    states: str
    frames: int
    frames_done: int
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepAtWork:
    """A step a worker has in hand; ``worker`` is its name, None if its row is gone."""

    id: int
    frames: int
    frames_done: int
    attempt: int
    started_at: datetime | None
    worker: str | None


def strips_of(session: Session, job_id: uuid.UUID) -> list[StageStrip]:
    """The stages of a job that have begun, in their order."""
    rows = {row.stage: row for row in session.execute(_STRIPS, {"job": job_id})}
    return [
        StageStrip(
            stage,
            list(row.ids),
            list(row.sizes),
            row.states,
            int(row.frames),
            int(row.frames_done),
            row.started_at,
            row.finished_at,
        )
        for stage in STAGES
        if (row := rows.get(stage)) is not None
    ]


def steps_at_work(session: Session, job_id: uuid.UUID) -> list[StepAtWork]:
    """The job's running steps, at most a hundred."""
    return [
        StepAtWork(row.id, row.frames, row.frames_done, row.attempt, row.started_at, row.worker)
        for row in session.execute(_AT_WORK, {"job": job_id})
    ]
