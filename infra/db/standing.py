"""How the farm stands at this moment, all projects together.

Counts of partial indexes: what is completed costs nothing here. Steps that wait do cost, so one
process counts them for all; see :mod:`infra.db.samples`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.states import Queue, Stage

_READY: Final = text("""
SELECT queue, stage, count(*) AS steps, sum(greatest(frames, 1)) AS units, min(id) AS oldest
FROM steps WHERE ready GROUP BY queue, stage
""")
_WAITING: Final = text("""
SELECT queue, count(*) AS steps FROM steps WHERE state = 'queued' AND NOT ready GROUP BY queue
""")
_RUNNING: Final = text("""
SELECT queue, count(*) AS steps FROM steps WHERE state = 'running' GROUP BY queue
""")
_MADE_AT: Final = text("SELECT created_at FROM steps WHERE id = :id")
_WORKERS: Final = text("""
SELECT queue, count(*) AS workers FROM workers, unnest(queues) AS queue
WHERE state = 'online' GROUP BY queue
""")
_JOBS: Final = text(
    "SELECT state, count(*) AS jobs FROM jobs WHERE finished_at IS NULL GROUP BY state"
)
_ATTENTION: Final = text("SELECT count(*) FROM jobs WHERE attention")


@dataclass
class QueueStanding:
    """Of one queue.

    Attributes:
        ready: steps a worker could claim now.
        waiting: steps that are paused, or are not to be tried again yet.
        running: steps some worker has.
        workers: online.
        units: by stage, the frames of steps that are ready; a step that counts none is one.
        oldest_at: when the oldest ready step was made.
    """

    ready: int = 0
    waiting: int = 0
    running: int = 0
    workers: int = 0
    units: Counter[Stage] = field(default_factory=Counter)
    oldest_at: datetime | None = None


def queues_now(session: Session) -> dict[Queue, QueueStanding]:
    """Every queue."""
    queues: dict[Queue, QueueStanding] = {
        queue: QueueStanding() for queue in ("cpu", "gpu", "stitch")
    }
    oldest: dict[Queue, int] = {}
    for row in session.execute(_READY):
        queues[row.queue].ready += row.steps
        queues[row.queue].units[row.stage] += int(row.units)
        oldest[row.queue] = min(row.oldest, oldest.get(row.queue, row.oldest))
    for queue, step_id in oldest.items():
        queues[queue].oldest_at = session.scalar(_MADE_AT, {"id": step_id})
    for row in session.execute(_WAITING):
        queues[row.queue].waiting = row.steps
    for row in session.execute(_RUNNING):
        queues[row.queue].running = row.steps
    for row in session.execute(_WORKERS):
        queues[row.queue].workers = row.workers
    return queues


def live_jobs(session: Session) -> dict[str, int]:
    """Jobs that have not ended, by state."""
    return {row.state: row.jobs for row in session.execute(_JOBS)}


def jobs_in_need(session: Session) -> int:
    """Jobs that need a person."""
    return int(session.scalar(_ATTENTION) or 0)
