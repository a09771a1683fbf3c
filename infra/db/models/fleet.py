"""Who works: processes, what they may not touch, and whose turn it was."""

import uuid
from datetime import datetime
from typing import get_args

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.models.base import Base, Count, Created, Facts, Id, Size, is_one_of
from infra.db.states import Queue, Stage

WORKER_STATES = ("online", "draining", "offline", "sick")


class Worker(Base):
    """One life of one process. Only an online one may claim."""

    __tablename__ = "workers"
    __table_args__ = (
        is_one_of("state", WORKER_STATES),
        Index("ix_workers_alive", "state", postgresql_where=text("state <> 'offline'")),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[Id]
    name: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[str]]
    device: Mapped[str]
    slots: Mapped[int]
    state: Mapped[str] = mapped_column(server_default=text("'online'"))
    started_at: Mapped[Created]
    heartbeat_at: Mapped[Created]
    # Jobs whose steps failed here since the last step that did not; three make the worker sick.
    failed_jobs: Mapped[list[uuid.UUID]] = mapped_column(server_default=text("'{}'"))
    free_bytes: Mapped[Size | None]
    facts: Mapped[Facts]


class Bench(Base):
    """This worker leaves this stage of this job to others."""

    __tablename__ = "benches"
    __table_args__ = (is_one_of("stage", get_args(Stage)),)

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    stage: Mapped[str] = mapped_column(primary_key=True)
    worker_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[Created]


class Turn(Base):
    """When a project was last served from a queue; a trigger makes the rows with the project."""

    __tablename__ = "turns"
    __table_args__ = (
        is_one_of("queue", get_args(Queue)),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    queue: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    served_at: Mapped[datetime]


class QueueSample(Base):
    """How a queue stood at a moment, for charts; the leading reconciler takes them."""

    __tablename__ = "queue_samples"
    __table_args__ = (is_one_of("queue", get_args(Queue)),)

    at: Mapped[datetime] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    ready: Mapped[Count]
    waiting: Mapped[Count]
    running: Mapped[Count]
    workers: Mapped[Count]
    queued_seconds: Mapped[float]  # of one worker's time, by measured speeds
    frames: Mapped[Size]  # finished since the sample before
    steps: Mapped[Count]  # finished since the sample before


class Figure(Base):
    """A number about the whole farm, such as attempts that failed since it began.

    Kept here and not in a process, so that it is never counted twice and outlives them all.
    ``label`` says of what, several words with slashes between them.
    """

    __tablename__ = "farm_figures"
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)

    name: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
