"""The fleet at work: who has which step in hand, and who leaves what to others."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from infra.db.models import Worker
from infra.db.states import Stage

#: Workers that are gone are shown for so long.
GONE_MINUTES: Final = 60

_IN_HAND: Final = text("""
SELECT s.worker_id, s.id, s.job_id, s.project_id, j.name, s.stage, s.segment_index, s.attempt,
       s.frames, s.frames_done, s.started_at,
       extract(epoch FROM coalesce(s.progress_at, clock_timestamp()) - s.started_at) AS seconds
FROM steps s JOIN jobs j ON j.id = s.job_id WHERE s.state = 'running' ORDER BY s.started_at
""")

_BENCHED: Final = text("""
SELECT b.worker_id, b.job_id, j.name, b.stage, b.created_at
FROM benches b JOIN jobs j ON j.id = b.job_id
WHERE j.project_id = :project AND j.finished_at IS NULL ORDER BY b.created_at DESC LIMIT 500
""")


@dataclass(frozen=True, slots=True)
class StepInHand:
    """A step at work. ``frames_per_second`` is None before its first frames."""

    worker_id: uuid.UUID
    step_id: int
    job_id: uuid.UUID
    project_id: uuid.UUID
    job_name: str | None
    stage: Stage
    segment_index: int
    attempt: int
    frames: int
    frames_done: int
    started_at: datetime | None
    frames_per_second: float | None


@dataclass(frozen=True, slots=True)
class Benched:
    """This worker leaves that stage of that job to others."""

    worker_id: uuid.UUID
    job_id: uuid.UUID
    job_name: str | None
    stage: Stage
    at: datetime


def seen_workers(session: Session, *, offline: bool = False) -> Sequence[Worker]:
    """The fleet by name; with those that left during the last hour on request."""
    recently = text(f"heartbeat_at > clock_timestamp() - interval '{GONE_MINUTES} minutes'")
    is_there = Worker.state != "offline"
    query = select(Worker).where(is_there | recently if offline else is_there)
    return session.scalars(query.order_by(Worker.name, Worker.started_at)).all()


def steps_in_hand(session: Session) -> list[StepInHand]:
    """Everything that is being worked on, of all projects; the oldest first."""
    return [
        StepInHand(
            row.worker_id,
            row.id,
            row.job_id,
            row.project_id,
            row.name,
            row.stage,
            row.segment_index,
            row.attempt,
            row.frames,
            row.frames_done,
            row.started_at,
            round(row.frames_done / float(row.seconds), 2)
            if row.frames_done and row.seconds and row.seconds > 0
            else None,
        )
        for row in session.execute(_IN_HAND)
    ]


def benched_of(session: Session, project_id: uuid.UUID) -> list[Benched]:
    """Who leaves which of a project's unfinished jobs to others."""
    return [
        Benched(row.worker_id, row.job_id, row.name, row.stage, row.created_at)
        for row in session.execute(_BENCHED, {"project": project_id})
    ]
