"""A project's jobs at a glance: how many there are of each state, and which do not get on."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Of the project's jobs at work, the oldest so many are looked at.
_LOOKED_AT: Final = 500

_COUNT: Final = text("""
SELECT state, count(*) AS jobs FROM jobs WHERE project_id = :project GROUP BY state
""")
_ATTENTION: Final = text("SELECT count(*) FROM jobs WHERE project_id = :project AND attention")

# Begun, to run, nothing of it waits for a worker, and yet for so long no step of it was claimed,
# got a frame further or ended. Moves are in the log; frames are not, so running steps are asked.
_STUCK: Final = text("""
SELECT j.id, j.name, j.state, j.language, moved.at AS since
FROM (
    SELECT id, name, state, language, project_id FROM jobs
    WHERE project_id = :project AND desired = 'run'
      AND state IN ('preparing', 'detecting', 'tracking', 'rendering', 'stitching')
      AND started_at < clock_timestamp() - make_interval(secs => :seconds)
    ORDER BY created_at, id LIMIT :looked_at) j
CROSS JOIN LATERAL (
    SELECT at FROM events WHERE job_id = j.id ORDER BY xact DESC, id DESC LIMIT 1) moved
WHERE moved.at < clock_timestamp() - make_interval(secs => :seconds)
  AND NOT EXISTS (
    SELECT FROM steps s WHERE s.job_id = j.id AND s.state = 'queued' AND s.ready)
  AND NOT EXISTS (
    SELECT FROM steps s WHERE s.job_id = j.id AND s.state = 'running'
      AND s.progress_at > clock_timestamp() - make_interval(secs => :seconds))
ORDER BY moved.at LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class StuckJob:
    """A job nothing happened to since a moment, though it is to run."""

    id: uuid.UUID
    name: str | None
    state: str
    language: str | None
    since: datetime


def count_jobs(session: Session, project_id: uuid.UUID) -> dict[str, int]:
    """How many jobs a project has, by state; states of none are left out."""
    rows = session.execute(_COUNT, {"project": project_id})
    return {row.state: row.jobs for row in rows}


def count_attention(session: Session, project_id: uuid.UUID) -> int:
    """How many of a project's jobs need a person."""
    return int(session.scalar(_ATTENTION, {"project": project_id}) or 0)


def stuck_jobs(
    session: Session, project_id: uuid.UUID, seconds: float, most: int = 20
) -> list[StuckJob]:
    """Jobs that were begun and did not get on for so many seconds, the longest first.

    One that waits for a worker is not among them: how long that takes is the queue's to say.
    """
    values: dict[str, Any] = {
        "project": project_id,
        "seconds": seconds,
        "looked_at": _LOOKED_AT,
        "most": most,
    }
    rows = session.execute(_STUCK, values)
    return [StuckJob(row.id, row.name, row.state, row.language, row.since) for row in rows]
