"""Jobs found again: by what a client remembers of them, in the order it looks at them."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import Session

from infra.db.assets import Place
from infra.db.models import Job
from infra.db.states import JobState

#: ``attention`` has the jobs that need a person first; within both halves the newest is first.
Order = Literal["newest", "oldest", "attention"]

#: Which half of a list in the order of ``attention`` a place is in.
ATTENTION: Final = "attention"
REST: Final = "rest"

_BEGINNING_OF_AN_ID: Final = re.compile(r"[0-9a-f-]{4,36}")
_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job must be to be found; what is empty asks for nothing.

    Attributes:
        states: any of these; None asks for nothing, and an empty one finds nothing.
        labels: all of these.
        text: in the name, in any case; or the beginning of the id.
        created_after, created_before: not at that moment itself.
        ids: any of these; None asks for nothing.
    """

    states: frozenset[JobState] | None = None
    labels: tuple[str, ...] = ()
    language: str | None = None
    batch_id: uuid.UUID | None = None
    attention: bool | None = None
    text: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    ids: tuple[uuid.UUID, ...] | None = None


def find_jobs(
    session: Session,
    project_id: uuid.UUID,
    wanted: Wanted,
    *,
    order: Order = "newest",
    after: Place | None = None,
    limit: int = 50,
) -> list[Job]:
    """A page of a project's jobs.

    Args:
        session: of the transaction.
        project_id: whose jobs.
        wanted: which of them.
        order: of the list.
        after: the last row of the page before, in the same order.
        limit: rows of a page.
    """
    query = select(Job).where(Job.project_id == project_id, *_conditions(wanted))
    if order != "attention":
        return _page(session, query, after, limit, oldest_first=order == "oldest")
    # Two walks along two indexes; one sort by the flag would read all of a project's jobs.
    found: list[Job] = []
    if after is None or after.section == ATTENTION:
        found = _page(session, query.where(_needs_attention(True)), after, limit)
        after = None
    if len(found) < limit:
        found += _page(session, query.where(_needs_attention(False)), after, limit - len(found))
    return found


def place_of(job: Job, order: Order) -> Place:
    """Where a job is in a list of that order."""
    section = "" if order != "attention" else ATTENTION if job.attention else REST
    return Place(job.created_at, job.id, section)


def _page(
    session: Session,
    query: Select[Job],
    after: Place | None,
    limit: int,
    *,
    oldest_first: bool = False,
) -> list[Job]:
    keys = (Job.created_at, Job.id)
    if after is not None:
        place = tuple_(*keys)
        values = (after.created_at, after.id)
        query = query.where(place > values if oldest_first else place < values)
    ordered = query.order_by(*(key.asc() if oldest_first else key.desc() for key in keys))
    return list(session.scalars(ordered.limit(limit)))


def _conditions(wanted: Wanted) -> Sequence[ColumnElement[bool]]:
    given: list[ColumnElement[bool]] = []
    if wanted.ids is not None:
        given.append(Job.id.in_(wanted.ids))
    if wanted.states is not None:
        given.append(Job.state.in_(sorted(wanted.states)))
    if wanted.labels:
        given.append(Job.labels.contains(list(wanted.labels)))
    if wanted.language is not None:
        given.append(Job.language == wanted.language)
    if wanted.batch_id is not None:
        given.append(Job.batch_id == wanted.batch_id)
    if wanted.attention is not None:
        given.append(_needs_attention(wanted.attention))
    if wanted.text:
        given.append(_tells(wanted.text))
    if wanted.created_after is not None:
        given.append(Job.created_at > wanted.created_after)
    if wanted.created_before is not None:
        given.append(Job.created_at < wanted.created_before)
    return given


def _needs_attention(does: bool) -> ColumnElement[bool]:
    # In this form an index of those that do is found.
    return Job.attention.expression if does else ~Job.attention


def _tells(text: str) -> ColumnElement[bool]:
    """Whether a job's name has the text in it, or its id begins with it."""
    named: ColumnElement[bool] = Job.name.icontains(text, autoescape=True)
    beginning = text.strip().lower()
    if not _BEGINNING_OF_AN_ID.fullmatch(beginning):
        return named
    digits = beginning.replace("-", "")
    if not digits or len(digits) > _ID_DIGITS:
        return named
    first, last = (uuid.UUID(digits.ljust(_ID_DIGITS, filler)) for filler in "0f")
    return named | Job.id.between(first, last)
