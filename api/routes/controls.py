"""What a client wants of a generation: cancel, pause, resume, another try."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from api.answers import generations
from api.farm import Farm, FarmHere, Submitter
from api.jobs import found, the_job
from infra.db.control import cancel_job, pause_job, resume_job, retry_job
from infra.db.projects import Caller

router = APIRouter(tags=["generations"])


@router.post("/v2/generate/{generation_id}/cancel")
def cancel(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Stop for good; what ran is taken from its workers at once."""
    return _control(farm, caller, generation_id, cancel_job)


@router.post("/v2/generate/{generation_id}/pause")
def pause(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Hold where it is; finished steps stay finished."""
    return _control(farm, caller, generation_id, pause_job)


@router.post("/v2/generate/{generation_id}/resume")
def resume(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Go on after a pause."""
    return _control(farm, caller, generation_id, resume_job)


@router.post("/v2/generate/{generation_id}/retry")
def retry(generation_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Try everything that failed again."""
    return _control(farm, caller, generation_id, retry_job)


def _control(
    farm: Farm, caller: Caller, generation_id: str, act: Callable[..., object]
) -> dict[str, Any]:
    with farm.database.transaction() as session, found(generation_id):
        job_id = the_job(session, caller, generation_id).id
        act(session, caller.project_id, job_id)
        return _answer(session, farm, caller, generation_id)


def _answer(session: Session, farm: Farm, caller: Caller, generation_id: str) -> dict[str, Any]:
    # What was read before the change is stale.
    session.expire_all()
    return generations(session, farm, caller, [the_job(session, caller, generation_id)])[0]
