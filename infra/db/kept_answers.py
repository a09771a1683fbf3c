"""Answers kept for a day, for requests that are sent again with the same ``Idempotency-Key``."""

import uuid
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from infra.db.models import KeptAnswer

_FORGET: Final = text("""
DELETE FROM kept_answers WHERE (project_id, key) IN (
  SELECT project_id, key FROM kept_answers WHERE created_at < now() - interval '1 day'
  ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)
""")


def find_answer(session: Session, project_id: uuid.UUID, key: str) -> KeptAnswer | None:
    """What was kept under the key; without ``status``, the answer has not gone out yet."""
    return session.scalar(
        select(KeptAnswer).where(KeptAnswer.project_id == project_id, KeptAnswer.key == key)
    )


def claim_key(session: Session, project_id: uuid.UUID, key: str, digest: str) -> bool:
    """Take the key for a request, in the transaction that does what it asks.

    Waits for a transaction that is about to take it.

    Returns:
        False if another request has it.
    """
    taken = session.execute(
        insert(KeptAnswer)
        .values(project_id=project_id, key=key, request_digest=digest)
        .on_conflict_do_nothing()
        .returning(KeptAnswer.key)
    )
    return taken.first() is not None


def keep_answer(
    session: Session, project_id: uuid.UUID, key: str, digest: str, status: int, body: str
) -> bool:
    """Keep the answer, and forget some that are older than a day.

    Returns:
        False if there is an answer already, or the key is another request's.
    """
    session.execute(_FORGET)
    new = insert(KeptAnswer).values(
        project_id=project_id, key=key, request_digest=digest, status=status, body=body
    )
    kept = session.execute(
        new.on_conflict_do_update(
            index_elements=["project_id", "key"],
            set_={"status": status, "body": body},
            where=KeptAnswer.status.is_(None) & (KeptAnswer.request_digest == digest),
        ).returning(KeptAnswer.key)
    )
    return kept.first() is not None
