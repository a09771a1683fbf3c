"""What people did, who is signed in at the dashboard, and what they look at there."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Created, Facts, Id, Number


class AuditEntry(Base):
    """Who did what. Written in the transaction that does it, and never changed."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_page", "project_id", "id"),
        Index("ix_audit_log_object", "object_kind", "object_id"),
    )

    id: Mapped[Number]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    # No foreign keys: the log outlives what it tells of.
    project_id: Mapped[uuid.UUID | None]
    key_id: Mapped[uuid.UUID | None]
    actor: Mapped[str]  # the key's prefix and name, or the command that did it
    action: Mapped[str]  # ``generation.cancel``
    object_kind: Mapped[str]
    object_id: Mapped[str | None]
    detail: Mapped[Facts]
    request_id: Mapped[str | None]
    address: Mapped[str | None]


class SignIn(Base):
    """A browser that showed a key; of its cookie only a hash is kept."""

    __tablename__ = "sign_ins"

    id: Mapped[Id]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # of 256 random bits
    key_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("api_keys.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]


class SavedView(Base):
    """A list of jobs somebody gave a name; all of the project see it.

    ``filter`` has what of the list's filters is set, by the names they have in requests.
    """

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    filter: Mapped[Facts]
    created_at: Mapped[Created]
