"""What a client wants of a generation: cancel, pause, resume, another try."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.orm import Session

from api.actions import Changes, Priority
from api.answers import generations
from api.auditing import note
from api.farm import Farm, FarmHere, Submitter
from api.jobs import found, the_job
from infra.db.control import (
    cancel_job,
    describe_job,
    pause_job,
    resume_job,
    retry_job,
    set_priority,
)
from infra.db.projects import Caller

router = APIRouter(tags=["generations"])


@router.post("/v2/generate/{generation_id}/cancel")
def cancel(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Stop for good; what ran is taken from its workers at once."""
    return _control(farm, caller, generation_id, "cancel", cancel_job)


@router.post("/v2/generate/{generation_id}/pause")
def pause(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Hold where it is; finished steps stay finished."""
    return _control(farm, caller, generation_id, "pause", pause_job)


@router.post("/v2/generate/{generation_id}/resume")
def resume(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Go on after a pause."""
    return _control(farm, caller, generation_id, "resume", resume_job)


@router.post("/v2/generate/{generation_id}/retry")
def retry(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Try everything that failed again."""
    return _control(farm, caller, generation_id, "retry", retry_job)


@router.post("/v2/generate/{generation_id}/priority")
def rank(generation_id: str, wanted: Priority, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Let it go before (higher) or after (lower) other generations."""
    return _control(
        farm,
        caller,
        generation_id,
        "priority",
        lambda session, project, job: set_priority(session, project, job, wanted.priority),
    )


@router.patch("/v2/generate/{generation_id}")
def change(
    generation_id: str, changes: Changes, caller: Submitter, farm: FarmHere
) -> dict[str, Any]:
    """Give it another name, other labels or another priority; what is not named stays."""

    def apply(session: Session, project: UUID, job: UUID) -> None:
        describe_job(session, project, job, name=changes.name, labels=changes.labels)
        if changes.priority is not None:
            set_priority(session, project, job, changes.priority)

    return _control(farm, caller, generation_id, "change", apply)


def _control(
    farm: Farm, caller: Caller, generation_id: str, action: str, act: Callable[..., object]
) -> dict[str, Any]:
    with farm.database.transaction() as session, found(generation_id):
        job_id = the_job(session, caller, generation_id).id
        act(session, caller.project_id, job_id)
        note(session, caller, f"generation.{action}", job_id)
        return _answer(session, farm, caller, generation_id)


def _answer(session: Session, farm: Farm, caller: Caller, generation_id: str) -> dict[str, Any]:
    # What was read before the change is stale.
    session.expire_all()
    return generations(session, farm, caller, [the_job(session, caller, generation_id)])[0]
