"""Who did what: one row for each change, written in the transaction that makes it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.db.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and where from.

    Attributes:
        name: the key's prefix and name, or the command.
        request_id: as the log has it.
        address: of the client.
    """

    name: str
    project_id: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    request_id: str | None = None
    address: str | None = None


def note_action(
    session: Session,
    actor: Actor,
    action: str,
    object_id: object = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down a change, if the transaction makes it.

    Args:
        session: of the transaction.
        actor: who.
        action: noun and verb; the noun is the kind of object: ``generation.cancel``.
        object_id: which one; None for several, of which ``detail`` tells.
        detail: JSON-able, and no secret.
    """
    session.add(
        AuditEntry(
            project_id=actor.project_id,
            key_id=actor.key_id,
            actor=actor.name,
            action=action,
            object_kind=action.partition(".")[0],
            object_id=None if object_id is None else str(object_id),
            detail=dict(detail or {}),
            request_id=actor.request_id,
            address=actor.address,
        )
    )


def list_actions(
    session: Session,
    project_id: uuid.UUID,
    *,
    action: str | None = None,
    object_id: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """What was done in a project, newest first.

    Args:
        session: any.
        project_id: whose.
        action: only this, or with a noun alone all that is done to such objects.
        object_id: only to this one.
        before: the id where an earlier page ended.
        limit: at most so many.
    """
    query = select(AuditEntry).where(AuditEntry.project_id == project_id)
    if action is not None:
        column = AuditEntry.action if "." in action else AuditEntry.object_kind
        query = query.where(column == action)
    if object_id is not None:
        query = query.where(AuditEntry.object_id == object_id)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)))
