"""Keys of a project: listed, revoked, replaced."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from infra.db.models import ApiKey
from infra.db.projects import NewKey, create_api_key, key_is_live
from infra.errors import NotFoundError

#: How long a key that was replaced goes on working, unless it is said otherwise.
GRACE: Final = timedelta(hours=24)


def list_api_keys(session: Session, project_id: uuid.UUID) -> list[ApiKey]:
    """A project's keys, newest first, revoked ones too."""
    query = select(ApiKey).where(ApiKey.project_id == project_id)
    return list(session.scalars(query.order_by(ApiKey.created_at.desc(), ApiKey.id)))


def get_api_key(session: Session, project_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey | None:
    """One of them; None if the project has none of that id."""
    key = session.get(ApiKey, key_id)
    return None if key is None or key.project_id != project_id else key


def revoke_api_key(session: Session, project_id: uuid.UUID, key_id: uuid.UUID) -> bool:
    """Make a key worthless from now on; False if there is none of that id to revoke."""
    revoked = session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    return revoked is not None


def rotate_api_key(
    session: Session,
    project_id: uuid.UUID,
    key_id: uuid.UUID,
    *,
    grace: timedelta = GRACE,
    expires_at: datetime | None = None,
) -> NewKey:
    """A new key of the same name and scopes; the former one works for a while yet.

    Args:
        session: any.
        project_id: whose key.
        key_id: the former one's.
        grace: how long it goes on working; never longer than it would have.
        expires_at: of the new one.

    Raises:
        NotFoundError: there is none of that id that still works.
    """
    former = session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.project_id == project_id, key_is_live())
        .values(expires_at=func.least(ApiKey.expires_at, func.now() + grace))
        .returning(ApiKey)
    )
    if former is None:
        raise NotFoundError(f"there is no key {key_id} that works")
    return create_api_key(
        session, project_id, former.name, scopes=former.scopes, expires_at=expires_at
    )
