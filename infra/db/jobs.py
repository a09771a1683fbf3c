"""Jobs: ordered, found, listed, deleted. What a client wants of them is in :mod:`.control`."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from infra.db.barrier import begin_jobs
from infra.db.control import cancel_job
from infra.db.models import Asset, Job, JobBoxes, JobDialogue, Step
from infra.db.moves import lock_job
from infra.errors import InfraError, NotFoundError


class ConflictError(InfraError):
    """The idempotency key was used for another order."""

    code: ClassVar[str] = "idempotency_conflict"
    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class NewJob:
    """An order.

    Attributes:
        params: what the stages work by: ``{"options": {…}, "network": …}``.
        request: what the client sent, to be echoed.
        priority: higher comes first, before any fair share.
        idempotency_key: a second order with it, in this project, is the first one.
        request_digest: by which two orders with one key are told apart.
        more_dialogue_ids: those of a timeline beyond the first, in their order.
        boxes: of the face to dub, by frame; null where nobody is.
    """

    source_id: uuid.UUID
    dialogue_id: uuid.UUID
    params: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    labels: tuple[str, ...] = ()
    language: str | None = None
    output_name: str | None = None
    priority: int = 0
    idempotency_key: str | None = None
    request_digest: str | None = None
    webhook_url: str | None = None
    batch_id: uuid.UUID | None = None
    more_dialogue_ids: tuple[uuid.UUID, ...] = ()
    boxes: list[Any] | None = None

    @property
    def input_ids(self) -> set[uuid.UUID]:
        """All assets it needs."""
        return {self.source_id, self.dialogue_id, *self.more_dialogue_ids}


def create_job(session: Session, project_id: uuid.UUID, order: NewJob) -> tuple[Job, bool]:
    """Order a dub; its prepare is ready at once.

    Returns:
        The job, and whether it is new: with a known idempotency key it is the earlier one.

    Raises:
        ConflictError: the idempotency key belongs to another order.
        NotFoundError: an input is not there, or is another project's.
    """
    _check_inputs(session, project_id, order.input_ids)
    statement = (
        insert(Job)
        .values(_values(project_id, order))
        .on_conflict_do_nothing(index_elements=["project_id", "idempotency_key"])
        .returning(Job)
    )
    job = session.scalar(statement)
    if job is None:
        return _earlier(session, project_id, order), False
    _add_parts(session, [(job.id, order)])
    begin_jobs(session, [job.id])
    return job, True


def create_jobs(
    session: Session, project_id: uuid.UUID, orders: Sequence[NewJob]
) -> list[uuid.UUID]:
    """Order many dubs at once, each as :func:`create_job` does; idempotency keys must be new.

    Returns:
        The jobs' ids, in the order of the orders.

    Raises:
        NotFoundError: an input is not there, or is another project's.
    """
    if not orders:
        return []
    _check_inputs(session, project_id, set[uuid.UUID]().union(*(o.input_ids for o in orders)))
    ids = [uuid.uuid4() for _ in orders]
    rows = [
        {"id": job, **_values(project_id, order)} for job, order in zip(ids, orders, strict=True)
    ]
    session.execute(insert(Job), rows)
    _add_parts(session, list(zip(ids, orders, strict=True)))
    begin_jobs(session, ids)
    return ids


def get_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> Job:
    """One job.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    job = session.get(Job, job_id)
    if job is None or job.project_id != project_id:
        raise NotFoundError(f"there is no job {job_id}")
    return job


def boxes_of(session: Session, job_id: uuid.UUID) -> list[Any] | None:
    """The boxes of the face to dub, by frame; None where the job was ordered without."""
    return session.scalar(select(JobBoxes.boxes).where(JobBoxes.job_id == job_id))


def list_steps(session: Session, job_id: uuid.UUID) -> list[Step]:
    """A job's steps in the order they were made."""
    return list(session.scalars(select(Step).where(Step.job_id == job_id).order_by(Step.id)))


def delete_job(session: Session, project_id: uuid.UUID, job_id: uuid.UUID) -> None:
    """Forget a job, canceling it first; its output and artifacts are left to the collector.

    Raises:
        NotFoundError: there is none, or it is another project's.
    """
    job = lock_job(session, job_id, project_id)
    if not job.is_ended:
        cancel_job(session, project_id, job_id)
    session.execute(text("DELETE FROM jobs WHERE id = :job"), {"job": job_id})


def _values(project_id: uuid.UUID, order: NewJob) -> dict[str, Any]:
    elsewhere = {"priority", "more_dialogue_ids", "boxes"}
    values = {name: getattr(order, name) for name in order.__slots__ if name not in elsewhere}
    return values | {
        "project_id": project_id,
        "rank": -order.priority,
        "labels": list(order.labels),
    }


def _add_parts(session: Session, jobs: Sequence[tuple[uuid.UUID, NewJob]]) -> None:
    """Enter what of new jobs has tables of its own."""
    boxes = [{"job_id": job, "boxes": each.boxes} for job, each in jobs if each.boxes is not None]
    if boxes:
        session.execute(insert(JobBoxes), boxes)
    rows = [
        {"job_id": job, "position": position, "asset_id": asset}
        for job, order in jobs
        for position, asset in enumerate(order.more_dialogue_ids, 1)
    ]
    if rows:
        session.execute(insert(JobDialogue), rows)


def _check_inputs(session: Session, project_id: uuid.UUID, ids: set[uuid.UUID]) -> None:
    found = session.scalars(
        select(Asset.id).where(Asset.project_id == project_id, Asset.id.in_(ids))
    ).all()
    for missing in ids - set(found):
        raise NotFoundError(f"there is no asset {missing}")


def _earlier(session: Session, project_id: uuid.UUID, order: NewJob) -> Job:
    job = session.scalars(
        select(Job).where(
            Job.project_id == project_id, Job.idempotency_key == order.idempotency_key
        )
    ).one()
    if job.request_digest != order.request_digest:
        raise ConflictError(f"idempotency key {order.idempotency_key!r} was used for another order")
    return job
