"""Samples of how the queues stand: taken every few seconds by one process, read by all.

A million steps that wait take a fraction of a second to count. So the leading reconciler alone
counts; whoever shows or exports the numbers reads the last sample, whose cost does not grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from infra.db.figures import Figures, read_figures, seconds_a_unit, set_figures
from infra.db.models import QueueSample
from infra.db.standing import QueueStanding, jobs_in_need, live_jobs, queues_now
from infra.db.states import Queue, Stage
from infra.db.tally import take_tally

KEPT_DAYS: Final = 7

_NOW: Final = text("SELECT clock_timestamp()")
_FORGET: Final = text(
    "DELETE FROM queue_samples WHERE at < clock_timestamp() - make_interval(days => :days)"
)
_LATEST: Final = select(QueueSample).where(
    QueueSample.at == text("(SELECT max(at) FROM queue_samples)")
)
_SERIES: Final = text("""
SELECT queue, date_bin(make_interval(secs => :width), at, 'epoch') AS bucket,
       avg(ready) AS ready, avg(waiting) AS waiting, avg(running) AS running,
       avg(workers) AS workers, avg(queued_seconds) AS queued_seconds,
       sum(frames) AS frames, sum(steps) AS steps
FROM queue_samples WHERE at > clock_timestamp() - make_interval(secs => :seconds)
GROUP BY queue, bucket ORDER BY bucket, queue
""")


@dataclass(frozen=True, slots=True)
class QueueBucket:
    """A stretch of time of one queue: means of what stood, sums of what was done."""

    queue: Queue
    begins_at: datetime
    ready: float
    waiting: float
    running: float
    workers: float
    queued_seconds: float
    frames: int
    steps: int


def take_sample(session: Session) -> None:
    """Count what was done since the last sample and how all stands now; forget old samples."""
    tally = take_tally(session)
    costs = seconds_a_unit(read_figures(session))
    now = session.scalar(_NOW)
    queues = queues_now(session)
    for queue, standing in queues.items():
        frames, steps = tally.of_queue(queue)
        session.add(
            QueueSample(
                at=now,
                queue=queue,
                ready=standing.ready,
                waiting=standing.waiting,
                running=standing.running,
                workers=standing.workers,
                queued_seconds=queued_seconds(standing, costs),
                frames=frames,
                steps=steps,
            )
        )
    set_figures(session, _standing_figures(session, queues))
    session.execute(_FORGET, {"days": KEPT_DAYS})


def queued_seconds(standing: QueueStanding, costs: dict[Stage, float]) -> float:
    """Seconds of one worker's time that a queue's ready steps will take."""
    return round(sum(units * costs[stage] for stage, units in standing.units.items()), 3)


def latest_samples(session: Session) -> Sequence[QueueSample]:
    """The last sample of every queue; none before the first."""
    return session.scalars(_LATEST).all()


def sample_series(session: Session, seconds: float, width: float) -> list[QueueBucket]:
    """Samples of the last while, in buckets, oldest first.

    Args:
        session: of the transaction.
        seconds: how far back.
        width: of a bucket, in seconds.
    """
    values = {"seconds": seconds, "width": width}
    return [_bucket(row) for row in session.execute(_SERIES, values)]


def _bucket(row: Any) -> QueueBucket:
    return QueueBucket(
        row.queue,
        row.bucket,
        float(row.ready),
        float(row.waiting),
        float(row.running),
        float(row.workers),
        float(row.queued_seconds),
        int(row.frames),
        int(row.steps),
    )


def _standing_figures(session: Session, queues: dict[Queue, QueueStanding]) -> Figures:
    oldest: dict[str, float] = {
        queue: standing.oldest_at.timestamp()
        for queue, standing in queues.items()
        if standing.oldest_at is not None
    }
    return {
        "live_jobs": {state: float(count) for state, count in live_jobs(session).items()},
        "attention": {"": float(jobs_in_need(session))},
        "oldest_ready_at": oldest,
    }
