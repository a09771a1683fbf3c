"""Batches: begun, read row by row, found, listed, called off, closed.

Whoever reads rows in holds the batch's row while a handful of them is committed, and skips those
that are there already. So a batch that was read half is read on from there, and two who read the
same file at once help each other.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from infra.db.assets import Place
from infra.db.jobs import ConflictError
from infra.db.models import Batch, Job
from infra.db.states import JobState
from infra.errors import NotFoundError

BatchKind = Literal["requests", "catalogue", "languages"]
BatchState = Literal["pending", "jobs_created", "processing", "completed", "failed"]
BATCH_STATES: Final[tuple[BatchState, ...]] = get_args(BatchState)

#: What became of a batch that was called off, and of one without a row that could be used.
CANCELED: Final = "batch_canceled"
EMPTY: Final = "batch_insufficient_records"

_COUNT: Final = text("""
SELECT batch_id, state, count(*) AS jobs FROM jobs WHERE batch_id = ANY (:batches)
GROUP BY batch_id, state
""")


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that is about to be read.

    Attributes:
        request: what the client said of it, to be shown.
        idempotency_key: a second batch with it, in this project, is the first one.
        request_digest: by which two batches with one key are told apart.
    """

    kind: BatchKind
    name: str
    request: dict[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


def begin_batch(session: Session, project_id: uuid.UUID, new: NewBatch) -> Batch:
    """The batch to read rows into; with a known idempotency key the earlier one.

    Raises:
        ConflictError: the idempotency key belongs to another batch.
    """
    batch = session.scalar(
        insert(Batch)
        .values(project_id=project_id, **{name: getattr(new, name) for name in NewBatch.__slots__})
        .on_conflict_do_nothing(index_elements=["project_id", "idempotency_key"])
        .returning(Batch)
    )
    return batch or _earlier(session, project_id, new)


def find_earlier(session: Session, project_id: uuid.UUID, new: NewBatch) -> Batch | None:
    """The batch that was begun with the same idempotency key.

    Raises:
        ConflictError: it is another one.
    """
    if new.idempotency_key is None:
        return None
    try:
        return _earlier(session, project_id, new)
    except NotFoundError:
        return None


def get_batch(session: Session, project_id: uuid.UUID, batch_id: uuid.UUID) -> Batch:
    """One batch.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    batch = session.get(Batch, batch_id)
    if batch is None or batch.project_id != project_id:
        raise NotFoundError(f"there is no batch {batch_id}")
    return batch


def lock_batch(session: Session, project_id: uuid.UUID, batch_id: uuid.UUID) -> Batch:
    """A batch nobody else changes until this transaction ends.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    batch = session.scalar(
        select(Batch)
        .where(Batch.id == batch_id, Batch.project_id == project_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if batch is None:
        raise NotFoundError(f"there is no batch {batch_id}")
    return batch


def list_batches(
    session: Session,
    project_id: uuid.UUID,
    *,
    states: Sequence[BatchState] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[Batch]:
    """A page of a project's batches, newest first."""
    query = select(Batch).where(Batch.project_id == project_id)
    if states:
        query = query.where(Batch.state.in_(states))
    if created_after is not None:
        query = query.where(Batch.created_at > created_after)
    if created_before is not None:
        query = query.where(Batch.created_at < created_before)
    if after is not None:
        query = query.where(tuple_(Batch.created_at, Batch.id) < (after.created_at, after.id))
    return list(
        session.scalars(query.order_by(Batch.created_at.desc(), Batch.id.desc()).limit(limit))
    )


def jobs_by_state(
    session: Session, batch_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[JobState, int]]:
    """How many jobs of some batches are in which state, in one query."""
    batches = list(batch_ids)
    found: dict[uuid.UUID, dict[JobState, int]] = {batch: {} for batch in batches}
    for row in session.execute(_COUNT, {"batches": batches}):
        found[row.batch_id][row.state] = row.jobs
    return found


def finish_reading(session: Session, project_id: uuid.UUID, batch_id: uuid.UUID) -> Batch:
    """The last row was read. A batch whose rows were all refused has failed; it is closed later.

    Raises:
        NotFoundError: there is no such batch in the project.
    """
    batch = lock_batch(session, project_id, batch_id)
    if batch.read_at is None:
        batch.read_at = session.scalar(select(func.clock_timestamp()))
        batch.state = "jobs_created"
        if batch.rows == batch.refused_rows:
            batch.state, batch.error_code = "failed", EMPTY
            batch.error_message = "no row of it can be used"
        session.flush()
    return batch


def call_off(session: Session, project_id: uuid.UUID, batch_id: uuid.UUID) -> Batch:
    """Read no more rows of a batch; nothing happens to one that has ended. Its jobs stay.

    Raises:
        NotFoundError: there is no such batch in the project.
    """
    batch = lock_batch(session, project_id, batch_id)
    if batch.finished_at is None and batch.error_code is None:
        batch.error_code, batch.error_message = CANCELED, "it was canceled"
        batch.read_at = batch.read_at or session.scalar(select(func.clock_timestamp()))
        session.flush()
    return batch


def live_jobs(session: Session, batch_id: uuid.UUID, limit: int) -> list[uuid.UUID]:
    """Some jobs of a batch that have not ended."""
    query = select(Job.id).where(Job.batch_id == batch_id, Job.finished_at.is_(None))
    return list(session.scalars(query.order_by(Job.id).limit(limit)))


def _earlier(session: Session, project_id: uuid.UUID, new: NewBatch) -> Batch:
    batch = session.scalar(
        select(Batch).where(
            Batch.project_id == project_id, Batch.idempotency_key == new.idempotency_key
        )
    )
    if batch is None:
        raise NotFoundError("there is no earlier batch")
    if batch.request_digest != new.request_digest:
        raise ConflictError(f"idempotency key {new.idempotency_key!r} was used for another batch")
    return batch
