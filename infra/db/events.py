"""What happened, in order. Moves of jobs and steps are recorded by the database itself."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.models import Event


def record(
    session: Session,
    project_id: uuid.UUID,
    job_id: uuid.UUID,
    kind: str,
    data: Mapping[str, Any] | None = None,
    step_id: int | None = None,
) -> None:
    """Write down what no trigger sees.

    Args:
        session: of the transaction it belongs to.
        project_id, job_id, step_id: whose event it is.
        kind: noun and past participle: ``webhook.delivered``.
        data: JSON-able.
    """
    session.add(
        Event(
            project_id=project_id, job_id=job_id, step_id=step_id, kind=kind, data=dict(data or {})
        )
    )


def list_events(
    session: Session,
    project_id: uuid.UUID,
    *,
    job_id: uuid.UUID | None = None,
    after: int = 0,
    limit: int = 200,
) -> list[Event]:
    """Events with a higher id, oldest first.

    Ids are given out before the commit, so one with a lower id may still appear later.
    """
    query = select(Event).where(Event.project_id == project_id, Event.id > after)
    if job_id is not None:
        query = query.where(Event.job_id == job_id)
    return list(session.scalars(query.order_by(Event.id).limit(limit)))
