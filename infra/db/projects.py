"""Tenants and their keys. Of a key's secret only a hash is kept; it is shown once."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from infra.db.models import ApiKey, Project
from infra.errors import NotFoundError

_MARK: Final = "lf_"
_PREFIX_CHARACTERS: Final = 11


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; ``secret`` is what the client sends, and is nowhere else."""

    id: uuid.UUID
    secret: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_prefix, key_name: what tells the key from others; no secret.
        requests_per_minute, live_jobs: the project's own limits; None where it has the farm's.
        sign_in_id: of the cookie it came with; None where it came with the key itself.
    """

    project_id: uuid.UUID
    project_name: str
    key_id: uuid.UUID
    key_prefix: str
    key_name: str
    scopes: tuple[str, ...]
    requests_per_minute: int | None = None
    live_jobs: int | None = None
    sign_in_id: uuid.UUID | None = None


def create_project(session: Session, name: str, weight: int = 1) -> uuid.UUID:
    """Make a project, or find the one of that name; then the weight stays as it was."""
    session.execute(insert(Project).values(name=name, weight=weight).on_conflict_do_nothing())
    return session.execute(select(Project.id).where(Project.name == name)).scalar_one()


def list_projects(session: Session) -> list[Project]:
    """All of them, by name."""
    return list(session.scalars(select(Project).order_by(Project.name)))


def get_project(session: Session, name: str) -> Project:
    """The project of that name.

    Raises:
        NotFoundError: there is none.
    """
    project = session.scalar(select(Project).where(Project.name == name))
    if project is None:
        raise NotFoundError(f"there is no project {name}")
    return project


def create_api_key(
    session: Session,
    project_id: uuid.UUID,
    name: str,
    *,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key of 256 random bits."""
    secret = _MARK + secrets.token_urlsafe(32)
    key = ApiKey(
        project_id=project_id,
        name=name,
        prefix=secret[:_PREFIX_CHARACTERS],
        secret_hash=hash_of(secret),
        scopes=list(scopes),
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return NewKey(key.id, secret)


def authenticate(session: Session, secret: str) -> Caller | None:
    """Whose key this is; None if nobody's, or if it is revoked or expired."""
    # Looked up by hash: what comparing it gives away by its time is of no use to anyone.
    row = session.execute(
        callers().where(ApiKey.secret_hash == hash_of(secret), key_is_live())
    ).one_or_none()
    if row is None:
        return None
    caller = caller_of(row[0], row[1])
    note_use(session, caller.key_id)
    return caller


def callers() -> Select[Project, ApiKey]:
    """Keys with their projects, for :func:`caller_of`."""
    return select(Project, ApiKey).join(ApiKey, ApiKey.project_id == Project.id)


def key_is_live() -> ColumnElement[bool]:
    """Neither revoked nor expired, by the database's clock."""
    return ApiKey.revoked_at.is_(None) & func.coalesce(ApiKey.expires_at > func.now(), True)


def caller_of(project: Project, key: ApiKey, sign_in_id: uuid.UUID | None = None) -> Caller:
    """The caller a row of :func:`callers` tells of."""
    return Caller(
        project_id=project.id,
        project_name=project.name,
        key_id=key.id,
        key_prefix=key.prefix,
        key_name=key.name,
        scopes=tuple(key.scopes),
        requests_per_minute=project.requests_per_minute,
        live_jobs=project.live_jobs,
        sign_in_id=sign_in_id,
    )


def note_use(session: Session, key_id: uuid.UUID) -> None:
    """Write down that a key was used."""
    # Once a minute, and never waiting: a busy client does not queue up at its own key's row.
    session.execute(
        text(
            "UPDATE api_keys SET last_used_at = now() WHERE id = (SELECT id FROM api_keys "
            "WHERE id = :key AND (last_used_at IS NULL OR last_used_at < now() - interval '1 min') "
            "FOR NO KEY UPDATE SKIP LOCKED)"
        ),
        {"key": key_id},
    )


def hash_of(secret: str) -> bytes:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
