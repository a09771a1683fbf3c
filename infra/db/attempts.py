"""The attempts of a step, for people who ask why it failed."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.models import Attempt, Worker

#: A step that is lost again and again has no end of them.
MOST_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class SeenAttempt:
    """An attempt and the name of its worker; None where nobody worked or the row is gone."""

    attempt: Attempt
    worker: str | None


def attempts_of(session: Session, step_id: int) -> list[SeenAttempt]:
    """The newest attempts of a step, newest first."""
    query = (
        select(Attempt, Worker.name)
        .outerjoin(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.step_id == step_id)
        .order_by(Attempt.number.desc())
        .limit(MOST_ATTEMPTS)
    )
    return [SeenAttempt(attempt, name) for attempt, name in session.execute(query)]
