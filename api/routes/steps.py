"""The steps of a generation: looked at, and what to do where one failed."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter
from sqlalchemy.orm import Session

from api.answers import step_answer
from api.auditing import note
from api.errors import RefusedError
from api.farm import Farm, FarmHere, Reader, Submitter
from api.jobs import the_job
from infra.db.control import retry_step
from infra.db.jobs import list_steps
from infra.db.models import Step
from infra.db.projects import Caller
from infra.db.ranges import keep_original
from infra.errors import NotFoundError

router = APIRouter(tags=["steps"])

#: As far as the database counts.
_LAST_STEP: Final = 2**63 - 1


@router.get("/v2/generate/{generation_id}/steps")
def list_of_steps(generation_id: str, caller: Reader, farm: FarmHere) -> list[dict[str, Any]]:
    """All steps, in the order they were made."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        return [step_answer(step) for step in list_steps(session, job.id)]


@router.post("/v2/generate/{generation_id}/steps/{step_id}/retry")
def retry(generation_id: str, step_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Try a failed step again, its past forgiven."""
    return _control(farm, caller, generation_id, step_id, "retry", retry_step)


@router.post("/v2/generate/{generation_id}/steps/{step_id}/keep-original")
def keep(generation_id: str, step_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Leave the original picture where the step waits or failed, and go on."""
    return _control(farm, caller, generation_id, step_id, "keep", keep_original)


def _control(
    farm: Farm,
    caller: Caller,
    generation_id: str,
    step_id: str,
    action: str,
    act: Callable[..., object],
) -> dict[str, Any]:
    with farm.database.transaction() as session:
        number = the_step(session, caller, generation_id, step_id).id
        try:
            act(session, caller.project_id, number)
        except NotFoundError:
            raise _no_step(step_id) from None
        note(session, caller, f"step.{action}", number, generation=generation_id)
        session.expire_all()
        step = session.get(Step, number)
        if step is None:
            raise _no_step(step_id)
        return step_answer(step)


def the_step(session: Session, caller: Caller, generation_id: str, step_id: str) -> Step:
    """The step of that number, if it is one of that generation.

    Raises:
        RefusedError: it is none, or the caller's project has no such generation.
    """
    job = the_job(session, caller, generation_id)
    if not (step_id.isascii() and step_id.isdecimal()) or int(step_id) > _LAST_STEP:
        raise _no_step(step_id)
    step = session.get(Step, int(step_id))
    if step is None or step.job_id != job.id:
        raise _no_step(step_id)
    return step


def _no_step(step_id: str) -> RefusedError:
    return RefusedError("step_not_found", f"the generation has no step {step_id[:40]}")
