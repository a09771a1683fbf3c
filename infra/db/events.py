"""What happened, in an order nobody misses anything by. The database itself writes it down.

Ids are given out before the commit, so a reader that goes by id alone passes over what commits
late. Every event has its transaction's number, and no reader looks beyond the oldest transaction
still under way: what lies before that is complete for ever, and ``(xact, id)`` is its order.
"""

import uuid
from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import Session

from infra.db.models import Event

_OLDEST_UNDER_WAY: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_HORIZON: Final = text(_OLDEST_UNDER_WAY)
_COMPLETE: Final[ColumnElement[bool]] = literal_column(
    f"events.xact < ({_OLDEST_UNDER_WAY})", Boolean()
)

# The oldest by the one order there is an index for; times follow it but for the longest of
# transactions.
_FORGET: Final = text("""
WITH oldest AS (SELECT id, xact, at FROM events ORDER BY xact, id LIMIT :most)
DELETE FROM events e USING oldest o
WHERE e.id = o.id AND o.at < clock_timestamp() - make_interval(secs => :seconds)
RETURNING 1
""")

# A dump keeps the numbers of the server it was made on; they may lie in this one's future, where
# no reader looks.
_HEAL: Final = text("""
UPDATE events SET xact = 0
WHERE xact > (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
RETURNING 1
""")


class Place(NamedTuple):
    """Where a reader stands: after the event of that transaction and id."""

    xact: int
    id: int


START: Final = Place(-1, 0)


def horizon(session: Session) -> Place:
    """The place from which on readers still have to hear; what comes before can be seen now."""
    return Place(session.execute(_HORIZON).scalar_one(), 0)


def events_after(
    session: Session,
    after: Place,
    *,
    until: Place | None = None,
    project_id: uuid.UUID | None = None,
    job_id: uuid.UUID | None = None,
    kinds: Collection[str] = (),
    limit: int = 500,
) -> list[Event]:
    """What happened after a place, in order; never anything that another could still precede.

    Args:
        session: any.
        after: the last event that is known.
        until: the last one that is wanted; None goes as far as can be seen.
        project_id: None means all projects.
        job_id: None means all jobs.
        kinds: ``job.completed``, or ``job`` for all of a job's; none means all.
        limit: at most so many.
    """
    where: list[ColumnElement[bool]] = [tuple_(Event.xact, Event.id) > tuple_(*after), _COMPLETE]
    if until is not None:
        where.append(tuple_(Event.xact, Event.id) <= tuple_(*until))
    if project_id is not None:
        where.append(Event.project_id == project_id)
    if job_id is not None:
        where.append(Event.job_id == job_id)
    if kinds:
        noun = func.split_part(Event.kind, ".", 1)
        where.append(or_(Event.kind.in_(kinds), noun.in_(kinds)))
    query = select(Event).where(and_(*where)).order_by(Event.xact, Event.id)
    return list(session.scalars(query.limit(limit)))


def forget_events(session: Session, seconds: float, most: int = 5000) -> int:
    """Delete the oldest that are older than so many seconds; how many, of ``most`` at most."""
    return len(session.execute(_FORGET, {"seconds": seconds, "most": most}).all())


def heal_after_restore(session: Session) -> int:
    """Bring events of a restored dump back from the future, before everything that comes."""
    return len(session.execute(_HEAL).all())
