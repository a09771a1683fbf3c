"""Browsers that showed a key: the dashboard's cookies, of which only hashes are kept."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from infra.db.models import ApiKey, SignIn
from infra.db.projects import Caller, caller_of, callers, hash_of, key_is_live, note_use

#: A working day; who is still there then shows the key again.
LIFETIME: Final = timedelta(hours=12)

# A few at each sign-in; SKIP LOCKED, so that two of them do not wait for each other.
_FORGET_ENDED: Final = text("""
DELETE FROM sign_ins WHERE id IN (
    SELECT id FROM sign_ins WHERE expires_at < now() ORDER BY expires_at LIMIT 100
    FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class NewSignIn:
    """A sign-in just made; ``secret`` goes into the cookie, and is nowhere else."""

    secret: str
    expires_at: datetime


def sign_in(session: Session, caller: Caller) -> NewSignIn:
    """Let a browser act with the caller's key, until it ends or the key does."""
    session.execute(_FORGET_ENDED)
    secret = secrets.token_urlsafe(32)
    ends = func.least(func.now() + LIFETIME, ApiKey.expires_at)  # LEAST passes over NULL
    made = SignIn(
        secret_hash=hash_of(secret),
        key_id=caller.key_id,
        expires_at=session.execute(select(ends).where(ApiKey.id == caller.key_id)).scalar_one(),
    )
    session.add(made)
    session.flush()
    return NewSignIn(secret, made.expires_at)


def authenticate_sign_in(session: Session, secret: str) -> Caller | None:
    """Whose cookie this is; None if nobody's, or if it or its key has ended."""
    row = session.execute(
        callers()
        .add_columns(SignIn.id)
        .join(SignIn, SignIn.key_id == ApiKey.id)
        .where(SignIn.secret_hash == hash_of(secret), SignIn.expires_at > func.now(), key_is_live())
    ).one_or_none()
    if row is None:
        return None
    caller = caller_of(row[0], row[1], sign_in_id=row[2])
    note_use(session, caller.key_id)
    return caller


def is_still_allowed(session: Session, caller: Caller) -> bool:
    """Whether the key, and the sign-in if it came with one, are as good as they were."""
    query = select(ApiKey.id).where(ApiKey.id == caller.key_id, key_is_live())
    if caller.sign_in_id is not None:
        query = query.join(SignIn, SignIn.key_id == ApiKey.id).where(
            SignIn.id == caller.sign_in_id, SignIn.expires_at > func.now()
        )
    return session.scalar(query) is not None


def sign_out(session: Session, sign_in_id: uuid.UUID) -> None:
    """Make a cookie worthless."""
    session.execute(delete(SignIn).where(SignIn.id == sign_in_id))
