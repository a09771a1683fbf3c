"""What ``/metrics`` tells of the whole farm, in a few queries whose cost the farm's size leaves be.

What would grow with the steps that wait is in the last sample; the rest are rows of machines and
partial indexes of what is under way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.figures import Figures, read_figures
from infra.db.models import QueueSample
from infra.db.samples import latest_samples

#: Deliveries under way are counted up to here.
MOST_COUNTED: Final = 100_000

_NOW: Final = text("SELECT extract(epoch FROM clock_timestamp())")
_WORKERS: Final = text("""
SELECT state, count(*) AS workers FROM workers WHERE state <> 'offline' GROUP BY state
""")
_LEASES: Final = text("""
SELECT queue, extract(epoch FROM clock_timestamp() - min(started_at)) AS age,
       extract(epoch FROM clock_timestamp() - min(lease_until)) AS overdue
FROM steps WHERE state = 'running' GROUP BY queue
""")
_DELIVERIES: Final = text("""
SELECT (SELECT count(*) FROM (
            SELECT FROM webhook_deliveries WHERE state = 'pending' LIMIT :most) p) AS pending,
       (SELECT count(*) FROM (
            SELECT FROM webhook_deliveries
            WHERE state = 'failed' AND created_at > now() - interval '2 days'
            LIMIT :most) f) AS failed,
       (SELECT extract(epoch FROM clock_timestamp() - min(next_at))
        FROM webhook_deliveries WHERE state = 'pending') AS overdue
""")


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the farm is.

    Attributes:
        now: the database's clock, as the others are.
        samples: the last one of each queue.
        figures: what the farm counted since it began.
        workers: by state; those that are gone are not counted.
        leases: by queue, seconds since the oldest was claimed, and since the one that should have
            been renewed first; negative as long as none is late.
        deliveries: webhooks that are pending, and those given up in the last two days.
        delivery_overdue: seconds since the first pending one was due; negative before.
    """

    now: float
    samples: Sequence[QueueSample]
    figures: Figures
    workers: dict[str, int]
    leases: dict[str, tuple[float, float]]
    deliveries: dict[str, int]
    delivery_overdue: float


def read_vitals(session: Session) -> Vitals:
    """Look at the farm; some milliseconds."""
    deliveries = session.execute(_DELIVERIES, {"most": MOST_COUNTED}).one()
    return Vitals(
        now=_seconds(session.scalar(_NOW)),
        samples=latest_samples(session),
        figures=read_figures(session),
        workers={row.state: row.workers for row in session.execute(_WORKERS)},
        leases={
            row.queue: (_seconds(row.age), _seconds(row.overdue))
            for row in session.execute(_LEASES)
        },
        deliveries={"pending": deliveries.pending, "failed": deliveries.failed},
        delivery_overdue=_seconds(deliveries.overdue),
    )


def _seconds(value: Any) -> float:
    return 0.0 if value is None else float(value)
