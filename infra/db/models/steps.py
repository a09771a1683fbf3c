"""The units of work, who tried them, and what they made."""

import uuid
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Count, Created, Facts, Flag, Id, Number, Size, is_one_of
from infra.db.states import Queue, Stage, StepState

_READY = text("ready")
_RUNNING = text("state = 'running'")
_WAITING = text("state = 'queued' AND NOT ready")

#: How an attempt may end.
OUTCOMES = ("completed", "failed", "lost", "released", "canceled")


class Artifact(Base):
    """What a step wrote, under the hash of all that determines it. The first to commit counts.

    ``files`` is ``[{"name": …, "size": bytes, "sha256": hex}]``, objects below ``prefix``.
    """

    __tablename__ = "artifacts"
    __table_args__ = (
        UniqueConstraint("project_id", "key"),
        Index("ix_artifacts_last_used_at", "last_used_at"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    id: Mapped[Id]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    key: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    files: Mapped[list[dict[str, Any]]]
    size_bytes: Mapped[Size]
    created_at: Mapped[Created]
    last_used_at: Mapped[Created]


class Step(Base):
    """One stage of one segment, or of the whole job: what a worker claims.

    ``ready`` says that it may be claimed now: it is queued, its job is to run, and it waits for
    nothing. ``held`` says that a person paused its range. ``attempt`` is the fence. ``losses`` are
    attempts whose worker died, ``failures`` those that count against the step.
    """

    __tablename__ = "steps"
    __table_args__ = (
        is_one_of("stage", get_args(Stage)),
        is_one_of("queue", get_args(Queue)),
        is_one_of("state", get_args(StepState)),
        CheckConstraint("NOT ready OR state = 'queued' AND NOT held", name="ready"),
        CheckConstraint("NOT held OR state = 'queued'", name="held"),
        CheckConstraint(
            "state <> 'running' OR (worker_id IS NOT NULL AND lease_until IS NOT NULL)",
            name="leased",
        ),
        UniqueConstraint("job_id", "stage", "segment_index"),
        # The order of the claim; what is included is for those who count.
        Index(
            "ix_steps_ready",
            "queue",
            "rank",
            "project_id",
            "id",
            postgresql_where=_READY,
            postgresql_include=["stage", "frames"],
        ),
        # Counts a project's running steps, and finds all that run. Without the lease in it, a
        # heartbeat touches no index.
        Index("ix_steps_running", "queue", "project_id", postgresql_where=_RUNNING),
        Index("ix_steps_being_made", "artifact_key", postgresql_where=_RUNNING),
        Index(
            "ix_steps_waiting",
            "not_before",
            postgresql_where=_WAITING,
            postgresql_include=["queue"],
        ),
        Index("ix_steps_job_id_stage_state", "job_id", "stage", "state"),
        Index(
            "ix_steps_artifact_id", "artifact_id", postgresql_where=text("artifact_id IS NOT NULL")
        ),
        {
            "postgresql_with": {
                "fillfactor": "70",  # room for heartbeats beside the row
                "autovacuum_vacuum_scale_factor": "0.01",
                "autovacuum_analyze_scale_factor": "0.02",
            }
        },
    )

    id: Mapped[Number]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    project_id: Mapped[uuid.UUID]  # the job's
    stage: Mapped[str]
    segment_index: Mapped[Count]
    queue: Mapped[str]
    rank: Mapped[Count]
    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    ready: Mapped[Flag]
    held: Mapped[Flag]
    attempt: Mapped[Count]
    worker_id: Mapped[uuid.UUID | None]  # whose row may be gone
    lease_until: Mapped[datetime | None]
    progress_at: Mapped[datetime | None]
    frames: Mapped[Count]
    frames_done: Mapped[Count]
    params: Mapped[Facts]
    artifact_key: Mapped[str | None]
    artifact_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("artifacts.id", ondelete="SET NULL")
    )
    kept_original: Mapped[Flag]
    reused: Mapped[Flag]
    losses: Mapped[Count]
    failures: Mapped[Count]
    not_before: Mapped[datetime | None]
    error_class: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Attempt(Base):
    """One execution of a step; open while ``ended_at`` is null."""

    __tablename__ = "attempts"
    __table_args__ = (is_one_of("outcome", OUTCOMES),)

    step_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    started_at: Mapped[Created]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error_class: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    log_tail: Mapped[str | None]
    frames_done: Mapped[Count]
