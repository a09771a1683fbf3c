"""Jobs submitted and reported together, row by row."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Count, Created, Facts, Id, is_one_of

#: What a batch was made from: lines of a client's JSONL file, a catalogue's manifest, or one title
#: in several languages.
BATCH_KINDS = ("requests", "catalogue", "languages")


class Batch(Base):
    """Jobs submitted together.

    ``read_at`` is when the last row had been read; until then the same request, sent again, goes on
    where it stopped. ``rows`` counts those read so far, and of these ``refused_rows`` made no job.
    """

    __tablename__ = "batches"
    __table_args__ = (
        is_one_of("state", ("pending", "jobs_created", "processing", "completed", "failed")),
        is_one_of("kind", BATCH_KINDS),
        UniqueConstraint("project_id", "idempotency_key"),
        Index("ix_batches_page", "project_id", "created_at", "id"),
        Index("ix_batches_open", "id", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(server_default=text("'requests'"))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    request: Mapped[Facts]
    webhook_url: Mapped[str | None]
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[str | None]
    rows: Mapped[Count]
    refused_rows: Mapped[Count]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    result_key: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[Created]
    read_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class BatchRow(Base):
    """One row as it was sent: the job made from it, or why there is none."""

    __tablename__ = "batch_rows"
    __table_args__ = (
        # A row that was refused does not take a name from one that can be used.
        Index(
            "ix_batch_rows_request_id",
            "batch_id",
            "request_id",
            unique=True,
            postgresql_where=text("error_code IS NULL"),
        ),
        Index("ix_batch_rows_title", "batch_id", "title", "number"),
    )

    batch_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)  # 1-based, as an editor counts lines
    request_id: Mapped[str | None]
    title: Mapped[str | None]
    language: Mapped[str | None]
    job_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL"), index=True
    )
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
