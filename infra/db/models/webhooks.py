"""Who is told of what happened, how it is signed, and whether it arrived."""

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Count, Created, Id, NumberRef, is_one_of

_PENDING = text("state = 'pending'")

#: What becomes of a message.
STATES: Final = ("pending", "delivered", "failed")


class WebhookEndpoint(Base):
    """An address that hears of all of a project's jobs.

    ``events`` are kinds such as ``generation.completed``; none means the ends of jobs and batches.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    description: Mapped[str | None]
    created_at: Mapped[Created]
    disabled_at: Mapped[datetime | None]


class WebhookSecret(Base):
    """What a project's webhooks are signed with.

    Kept as it is, for a signature needs it. Until the former one expires, both sign.
    """

    __tablename__ = "webhook_secrets"

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    secret: Mapped[str]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One message to one address; a trigger writes it in the transaction that moves the job.

    The id is the message's own, the same at every attempt.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        is_one_of("state", STATES),
        CheckConstraint(
            "job_id IS NOT NULL OR batch_id IS NOT NULL OR kind = 'webhook.test'", name="subject"
        ),
        Index("ix_webhook_deliveries_due", "next_at", postgresql_where=_PENDING),
        Index(
            "ix_webhook_deliveries_failed",
            "created_at",
            postgresql_where=text("state = 'failed'"),
        ),
        # What was said of a job earlier to the same address goes first.
        Index("ix_webhook_deliveries_order", "job_id", "event_id", postgresql_where=_PENDING),
        Index("ix_webhook_deliveries_page", "project_id", "created_at", "id"),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), index=True
    )
    batch_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("batches.id", ondelete="CASCADE"), index=True
    )
    endpoint_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True
    )
    event_id: Mapped[NumberRef | None]
    kind: Mapped[str]
    url: Mapped[str]
    payload: Mapped[dict[str, Any] | None]  # made by whoever sends it first
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    attempts: Mapped[Count]
    next_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[Created]
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try to deliver: what the other side answered, or why it did not."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    status: Mapped[int | None]
    error: Mapped[str | None]
    milliseconds: Mapped[int | None]
