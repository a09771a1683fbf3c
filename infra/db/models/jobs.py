"""What was ordered, what became of it, and who is told."""

import uuid
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import (
    Base,
    Count,
    Created,
    Facts,
    Flag,
    Id,
    Number,
    NumberRef,
    Size,
    is_one_of,
)
from infra.db.states import Desired, JobState

_LIVE = text("finished_at IS NULL")


class Batch(Base):
    """Jobs submitted and reported together."""

    __tablename__ = "batches"
    __table_args__ = (
        is_one_of("state", ("pending", "jobs_created", "processing", "completed", "failed")),
        Index("ix_batches_page", "project_id", "created_at", "id"),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    request: Mapped[Facts]
    webhook_url: Mapped[str | None]
    created_at: Mapped[Created]
    finished_at: Mapped[datetime | None]


class Job(Base):
    """One dub order.

    ``state`` is what is, ``desired`` what a client wants; ``rank`` is minus the priority, so that
    the lowest comes first. ``params`` is what the stages work by, ``request`` what the client sent,
    ``facts`` what the stages learned, by stage.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        is_one_of("state", get_args(JobState)),
        is_one_of("desired", get_args(Desired)),
        UniqueConstraint("project_id", "idempotency_key"),
        Index("ix_jobs_page", "project_id", "created_at", "id"),
        Index("ix_jobs_page_of_state", "project_id", "state", "created_at", "id"),
        Index("ix_jobs_live", "created_at", "id", postgresql_where=_LIVE),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id"), index=True)
    source_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    dialogue_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    params: Mapped[Facts]
    request: Mapped[Facts]
    name: Mapped[str | None]
    label: Mapped[str | None]
    language: Mapped[str | None]
    output_name: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    desired: Mapped[str] = mapped_column(server_default=text("'run'"))
    attention: Mapped[Flag]
    rank: Mapped[Count]
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[str | None]
    webhook_url: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    output_key: Mapped[str | None]
    output_sha256: Mapped[str | None]
    output_size_bytes: Mapped[Size | None]
    output_seconds: Mapped[float | None]
    report: Mapped[dict[str, Any] | None]
    facts: Mapped[Facts]
    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Event(Base):
    """One thing that happened. A trigger writes down every move of a job or a step."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project_id_id", "project_id", "id"),
        Index("ix_events_job_id_id", "job_id", "id"),
    )

    id: Mapped[Number]
    # No foreign keys: a log outlives what it tells of.
    project_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID]
    step_id: Mapped[NumberRef | None]
    kind: Mapped[str]
    data: Mapped[Facts]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class WebhookDelivery(Base):
    """What a client is to be told; a trigger writes it in the transaction that ends the job."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        is_one_of("state", ("pending", "delivered", "failed")),
        Index("ix_webhook_deliveries_due", "next_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    event_id: Mapped[NumberRef | None]
    url: Mapped[str]
    payload: Mapped[dict[str, Any] | None]  # made by whoever sends it first
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    attempts: Mapped[Count]
    next_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[Created]
    delivered_at: Mapped[datetime | None]
