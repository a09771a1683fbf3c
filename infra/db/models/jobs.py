"""What was ordered, and what became of it."""

import uuid
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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
        Index(
            "ix_jobs_live",
            "created_at",
            "id",
            postgresql_where=_LIVE,
            postgresql_include=["state"],
        ),
        Index(
            "ix_jobs_attention",
            "project_id",
            "created_at",
            "id",
            postgresql_where=text("attention"),
        ),
        Index("ix_jobs_batch_id_state", "batch_id", "state"),
        Index("ix_jobs_labels", "labels", postgresql_using="gin"),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id"))
    source_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    dialogue_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    params: Mapped[Facts]
    request: Mapped[Facts]
    name: Mapped[str | None]
    labels: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
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
    preview_key: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]
    facts: Mapped[Facts]
    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobDialogue(Base):
    """A dialogue of a job's timeline beyond the first, which is the job's ``dialogue_id``."""

    __tablename__ = "job_dialogues"
    __table_args__ = (CheckConstraint("position > 0", name="position"),)

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    asset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)


class JobBoxes(Base):
    """The box of the face to dub for each frame, or null, as the client sent them.

    As long as the film, so they are not in the job's row: prepare alone reads them.
    """

    __tablename__ = "job_boxes"

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    boxes: Mapped[list[Any]] = mapped_column(JSONB)


class Event(Base):
    """One thing that happened. A trigger writes down every move of a job or a step.

    Ids are given out before the commit, so they are not the order in which readers may see rows.
    ``(xact, id)`` is, for rows whose ``xact`` is below every transaction still under way.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project_id_xact_id", "project_id", "xact", "id"),
        Index("ix_events_job_id_xact_id", "job_id", "xact", "id"),
        Index("ix_events_xact_id", "xact", "id"),
    )

    id: Mapped[Number]
    xact: Mapped[NumberRef] = mapped_column(
        server_default=text("((pg_current_xact_id())::text)::bigint")
    )
    # No foreign keys: a log outlives what it tells of.
    project_id: Mapped[uuid.UUID]
    job_id: Mapped[uuid.UUID]
    step_id: Mapped[NumberRef | None]
    kind: Mapped[str]
    data: Mapped[Facts]
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
