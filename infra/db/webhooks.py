"""A project's webhooks: who is told, what they are signed with, and what became of each."""

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, or_, select, text, tuple_, update
from sqlalchemy.orm import Session

from infra.db.assets import Place
from infra.db.models import (
    Project,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from infra.webhook_signatures import new_secret

#: How long a former secret signs along with the new one.
SECRET_GRACE: Final = timedelta(hours=24)

#: A message somebody asked for, to see whether it arrives.
TEST_KIND: Final = "webhook.test"

_FORGET: Final = text("""
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries
    WHERE state <> 'pending' AND created_at < clock_timestamp() - make_interval(secs => :seconds)
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING 1
""")


def create_endpoint(
    session: Session,
    project_id: uuid.UUID,
    url: str,
    events: Sequence[str] = (),
    description: str | None = None,
) -> WebhookEndpoint:
    """Have an address told of a project's jobs; without kinds, of the ends."""
    endpoint = WebhookEndpoint(
        project_id=project_id, url=url, events=list(events), description=description
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def list_endpoints(session: Session, project_id: uuid.UUID) -> list[WebhookEndpoint]:
    """A project's addresses, oldest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.project_id == project_id)
    return list(session.scalars(query.order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)))


def get_endpoint(
    session: Session, project_id: uuid.UUID, endpoint_id: uuid.UUID
) -> WebhookEndpoint | None:
    """One of them; None if the project has none of that id."""
    endpoint = session.get(WebhookEndpoint, endpoint_id)
    return None if endpoint is None or endpoint.project_id != project_id else endpoint


def delete_endpoint(session: Session, project_id: uuid.UUID, endpoint_id: uuid.UUID) -> bool:
    """Forget an address and what was sent to it; False if there is none of that id."""
    deleted = session.scalar(
        delete(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.project_id == project_id)
        .returning(WebhookEndpoint.id)
    )
    return deleted is not None


def signing_secrets(session: Session, project_id: uuid.UUID) -> list[WebhookSecret]:
    """Secrets that are good now, the newest first; a project without any gets one."""
    found = _live_secrets(session, project_id)
    if found:
        return found
    # Two at once must not make one each.
    session.execute(
        select(Project.id).where(Project.id == project_id).with_for_update(key_share=True)
    )
    return _live_secrets(session, project_id) or [_add_secret(session, project_id)]


def rotate_secret(session: Session, project_id: uuid.UUID) -> WebhookSecret:
    """A new secret; those there were sign along for a day."""
    session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.project_id == project_id)
        .values(expires_at=func.least(WebhookSecret.expires_at, func.now() + SECRET_GRACE))
    )
    return _add_secret(session, project_id)


def list_deliveries(
    session: Session,
    project_id: uuid.UUID,
    *,
    states: Collection[str] = (),
    job_id: uuid.UUID | None = None,
    endpoint_id: uuid.UUID | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[WebhookDelivery]:
    """Messages to a project's addresses, newest first, after a place."""
    where = [WebhookDelivery.project_id == project_id]
    if states:
        where.append(WebhookDelivery.state.in_(states))
    if job_id is not None:
        where.append(WebhookDelivery.job_id == job_id)
    if endpoint_id is not None:
        where.append(WebhookDelivery.endpoint_id == endpoint_id)
    order = tuple_(WebhookDelivery.created_at, WebhookDelivery.id)
    if after is not None:
        where.append(order < tuple_(after.created_at, after.id))
    query = select(WebhookDelivery).where(*where)
    query = query.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc())
    return list(session.scalars(query.limit(limit)))


def get_delivery(
    session: Session, project_id: uuid.UUID, delivery_id: uuid.UUID
) -> WebhookDelivery | None:
    """One message; None if the project has none of that id."""
    delivery = session.get(WebhookDelivery, delivery_id)
    return None if delivery is None or delivery.project_id != project_id else delivery


def list_attempts(session: Session, delivery_id: uuid.UUID) -> list[WebhookAttempt]:
    """Its tries, oldest first."""
    query = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id)
    return list(session.scalars(query.order_by(WebhookAttempt.number)))


def replay_delivery(session: Session, delivery: WebhookDelivery) -> None:
    """Send a message again, the same under the same id, at once."""
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery.id)
        .values(state="pending", next_at=func.clock_timestamp(), delivered_at=None)
    )
    session.refresh(delivery)


def create_test_delivery(
    session: Session,
    project_id: uuid.UUID,
    url: str,
    payload: dict[str, Any],
    endpoint_id: uuid.UUID | None = None,
) -> WebhookDelivery:
    """A message of no job, to see whether it arrives."""
    delivery = WebhookDelivery(
        project_id=project_id, kind=TEST_KIND, url=url, payload=payload, endpoint_id=endpoint_id
    )
    session.add(delivery)
    session.flush()
    return delivery


def forget_deliveries(session: Session, seconds: float, most: int = 1000) -> int:
    """Delete what ended so long ago, with its tries; how many, of ``most`` at most."""
    return len(session.execute(_FORGET, {"seconds": seconds, "most": most}).all())


def _live_secrets(session: Session, project_id: uuid.UUID) -> list[WebhookSecret]:
    query = select(WebhookSecret).where(
        WebhookSecret.project_id == project_id,
        or_(WebhookSecret.expires_at.is_(None), WebhookSecret.expires_at > func.now()),
    )
    return list(session.scalars(query.order_by(WebhookSecret.created_at.desc())))


def _add_secret(session: Session, project_id: uuid.UUID) -> WebhookSecret:
    made = WebhookSecret(project_id=project_id, secret=new_secret())
    session.add(made)
    session.flush()
    return made
