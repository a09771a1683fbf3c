"""The fleet as the database sees it: one row for each life of each process."""

import json
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from infra.db.models import Worker
from infra.db.states import Queue
from infra.errors import NotFoundError

WorkerState = Literal["online", "draining", "offline", "sick"]


def register_worker(
    session: Session,
    *,
    name: str,
    hostname: str,
    pid: int,
    queues: Sequence[Queue],
    device: str,
    slots: int,
    facts: dict[str, Any] | None = None,
) -> uuid.UUID:
    """Enter a process that just started; its id is the worker's for the whole of its life."""
    worker = Worker(
        name=name,
        hostname=hostname,
        pid=pid,
        queues=list(queues),
        device=device,
        slots=slots,
        facts=facts or {},
    )
    session.add(worker)
    session.flush()
    return worker.id


def beat_worker(
    session: Session,
    worker_id: uuid.UUID,
    *,
    free_bytes: int | None = None,
    facts: dict[str, Any] | None = None,
) -> WorkerState:
    """Say that the process lives; one that was taken for gone is online again.

    Args:
        session: of the transaction.
        worker_id: whose heart beats.
        free_bytes: room on its scratch disk.
        facts: merged into the row's.

    Returns:
        The state the farm has it in: a sick one must prove itself.

    Raises:
        NotFoundError: the row is gone; register anew.
    """
    state: WorkerState | None = session.scalar(
        text(
            "UPDATE workers SET heartbeat_at = clock_timestamp(), "
            "free_bytes = coalesce(:free, free_bytes), facts = facts || CAST(:facts AS jsonb), "
            "state = CASE state WHEN 'offline' THEN 'online' ELSE state END "
            "WHERE id = :worker RETURNING state"
        ),
        {"worker": worker_id, "free": free_bytes, "facts": json.dumps(facts or {})},
    )
    if state is None:
        raise NotFoundError(f"there is no worker {worker_id}")
    return state


def drain_worker(session: Session, worker_id: uuid.UUID) -> None:
    """It finishes what it has and claims no more."""
    _set_state(session, worker_id, "draining")


def retire_worker(session: Session, worker_id: uuid.UUID) -> None:
    """The process ends now."""
    _set_state(session, worker_id, "offline")


def mark_sick(session: Session, worker_id: uuid.UUID) -> None:
    """It must prove itself before it claims again."""
    _set_state(session, worker_id, "sick")


def prove_well(session: Session, worker_id: uuid.UUID) -> None:
    """A sick worker passed its self-test: back to work, the past forgiven."""
    session.execute(
        text(
            "UPDATE workers SET failed_jobs = '{}', "
            "state = CASE state WHEN 'sick' THEN 'online' ELSE state END WHERE id = :worker"
        ),
        {"worker": worker_id},
    )


def list_workers(session: Session, *, offline: bool = False) -> list[Worker]:
    """The fleet, by name; with those that are gone on request."""
    query = select(Worker).order_by(Worker.name, Worker.started_at)
    if not offline:
        query = query.where(Worker.state != "offline")
    return list(session.scalars(query))


def _set_state(session: Session, worker_id: uuid.UUID, state: WorkerState) -> None:
    session.execute(
        text("UPDATE workers SET state = :state WHERE id = :worker"),
        {"state": state, "worker": worker_id},
    )
