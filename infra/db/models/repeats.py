"""What was answered to requests that may be sent again."""

import uuid

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Created


class KeptAnswer(Base):
    """A request that had an ``Idempotency-Key``, and its answer.

    Written in the transaction that does what was asked; ``status`` and ``body`` follow when the
    answer goes out.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (Index("ix_kept_answers_created_at", "created_at"),)

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[str | None]
    created_at: Mapped[Created]
