"""What attempts and jobs came to since the last look, each counted once.

Read from the log of events in the order of :class:`infra.db.models.Event`, so that nothing is
missed that was under way at the last look, and nothing is seen twice.
"""

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from infra.db.events import Place, horizon
from infra.db.figures import STEP_SECONDS, Figures, add_figures, read_figures, set_figures
from infra.db.states import JOB_ENDS, QUEUE_OF, Queue

#: Events one look reads at most; the next one goes on from there.
_AT_ONCE: Final = 20_000
#: Of completed steps, after which what was measured before counts half.
_HALF_LIFE_STEPS: Final = 200

# Two leaders, at a change of them, take turns; the number is any nobody else takes.
_ALONE: Final = text("SELECT pg_advisory_xact_lock(4211874)")

_NEW: Final = text("""
SELECT e.xact, e.id, e.kind, e.data ->> 'stage' AS stage,
       coalesce(CAST(e.data ->> 'reused' AS boolean), false) AS reused,
       a.outcome, coalesce(a.error_class, '') AS error_class,
       greatest(s.frames, 1) AS units, extract(epoch FROM a.ended_at - a.started_at) AS seconds
FROM (
    SELECT * FROM events
    WHERE (xact, id) > (:xact, :id)
      AND xact < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)
    ORDER BY xact, id LIMIT :most) e
LEFT JOIN attempts a ON e.data ->> 'from' = 'running' AND a.step_id = e.step_id
    AND a.number = CAST(e.data ->> 'attempt' AS integer)
LEFT JOIN steps s ON s.id = a.step_id
ORDER BY e.xact, e.id
""")


@dataclass
class Tally:
    """Counts; labels as in :mod:`infra.db.figures`.

    Attributes:
        attempts: ended, by stage, outcome and class of failure.
        steps: completed by a worker of their own, by stage and duration.
        seconds: of workers' time, for these.
        units: frames of these, and one for each step that counts none.
        completed: how many these are, by stage.
        jobs: that ended, by state.
        created: jobs.
    """

    attempts: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    units: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    created: int = 0

    def count(self, row: Any) -> None:
        """One event."""
        state = row.kind.removeprefix("job.")
        if row.kind == "job.created":
            self.created += 1
        elif row.kind.startswith("job.") and state in JOB_ENDS:
            self.jobs[state] += 1
        elif row.outcome is not None:
            self.attempts[f"{row.stage}/{row.outcome}/{row.error_class}"] += 1
            if row.outcome == "completed" and not row.reused:
                self._count_step(row)

    def _count_step(self, row: Any) -> None:
        seconds = max(0.0, float(row.seconds))
        limit = STEP_SECONDS[bisect.bisect_left(STEP_SECONDS, seconds)]
        self.steps[f"{row.stage}/{limit:g}"] += 1
        self.completed[row.stage] += 1
        self.seconds[row.stage] += seconds
        self.units[row.stage] += row.units

    def of_queue(self, queue: Queue) -> tuple[int, int]:
        """Frames and steps completed by the workers of a queue."""
        stages = [stage for stage, its in QUEUE_OF.items() if its == queue]
        return sum(self.units[stage] for stage in stages), sum(
            self.completed[stage] for stage in stages
        )


def take_tally(session: Session) -> Tally:
    """Count what is new and add it to the farm's figures."""
    session.execute(_ALONE)
    figures = read_figures(session)
    tally = Tally()
    place = _place(session, figures)
    for row in session.execute(_NEW, {**place, "most": _AT_ONCE}):
        tally.count(row)
        place = {"xact": row.xact, "id": row.id}
    add_figures(
        session,
        {
            "attempts": tally.attempts,
            "step_seconds": tally.steps,
            "step_seconds_sum": tally.seconds,
            "frames": tally.units,
            "jobs_ended": tally.jobs,
            "jobs_created": {"": tally.created},
        },
    )
    set_figures(session, {"place": place, **_speeds(figures, tally)})
    return tally


def _place(session: Session, figures: Figures) -> dict[str, int]:
    """Up to where events are counted; a farm that was never looked at begins now.

    So does one that was restored from a dump and knows a place in the future.
    """
    now = horizon(session)
    known = figures.get("place", {"xact": now.xact, "id": now.id})
    place = min(now, Place(int(known["xact"]), int(known["id"])))  # exact: far below 2 ** 53
    return place._asdict()


def _speeds(figures: Figures, tally: Tally) -> Figures:
    """What steps cost, the newest counting most."""
    speeds: Figures = {}
    for name, new in (("speed_seconds", tally.seconds), ("speed_units", tally.units)):
        speeds[name] = dict(figures.get(name, {}))
        for stage, count in tally.completed.items():
            faded: float = 0.5 ** (count / _HALF_LIFE_STEPS)
            speeds[name][stage] = speeds[name].get(stage, 0.0) * faded + new[stage]
    return speeds
