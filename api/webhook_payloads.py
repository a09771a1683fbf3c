"""What a webhook carries: the generation or the batch, as GET returns it."""

from typing import Any, Final

from sqlalchemy.orm import Session

from api.answers import generations, output_url
from api.batches.answers import batch_answer
from api.farm import Farm
from infra.db.models import Batch, Job, Project
from infra.db.webhook_queue import Delivery

#: How long an output's address in a message works: longer than the message can be under way.
URL_SECONDS: Final = 7 * 24 * 3600


def build_payload(session: Session, farm: Farm, delivery: Delivery) -> dict[str, Any] | None:
    """The body of a message, with the kind of event as ``event``; None if its subject is gone.

    It tells how things are when it is first sent, which may be later than the event.
    """
    subject = _subject(session, farm, delivery)
    return None if subject is None else {**subject, "event": delivery.kind}


def _subject(session: Session, farm: Farm, delivery: Delivery) -> dict[str, Any] | None:
    if delivery.batch_id is not None:
        batch = session.get(Batch, delivery.batch_id)
        return None if batch is None else batch_answer(session, farm, batch)
    job = session.get(Job, delivery.job_id)
    project = session.get(Project, delivery.project_id)
    if job is None or project is None:
        return None
    (answer,) = generations(session, farm, _Owner(project.name), [job])
    return {**answer, "outputUrl": output_url(farm, job, URL_SECONDS)}


class _Owner:
    """Whose generation it is; nobody asked for it."""

    def __init__(self, project_name: str) -> None:
        self.project_name = project_name
