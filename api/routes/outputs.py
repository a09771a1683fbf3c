"""What a generation made: the film, the report, and pictures of before and after."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from api.answers import OUTPUT_URL_SECONDS, output_url
from api.errors import RefusedError
from api.farm import FarmHere, Reader
from api.jobs import the_job
from infra.db.artifacts import file_of_step
from infra.db.models import Job
from infra.db.states import JOB_ENDS
from infra.errors import NotFoundError

#: As the pipeline names them; a test compares.
PREVIEW_NAME: Final = "preview.mp4"
STILL_NAME: Final = "still.jpg"

#: More than this no step's number has, as the database counts.
_DIGITS: Final = 19

router = APIRouter(tags=["outputs"])


@router.get("/v2/generate/{generation_id}/output", status_code=307)
def get_output(generation_id: str, caller: Reader, farm: FarmHere) -> RedirectResponse:
    """Where the output can be downloaded, for the next hour."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        url = output_url(farm, job)
        if url is None:
            raise _not_there(job, "output")
    return RedirectResponse(url, 307)


@router.get("/v2/generate/{generation_id}/preview", status_code=307)
def get_preview(generation_id: str, caller: Reader, farm: FarmHere) -> RedirectResponse:
    """Where before and after, side by side in one small film, can be seen, for the next hour."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        key = job.preview_key
        if key is None:
            raise _not_there(job, "preview")
    return RedirectResponse(farm.store.presigned_get(key, PREVIEW_NAME, OUTPUT_URL_SECONDS), 307)


@router.get("/v2/generate/{generation_id}/steps/{step_id}/still", status_code=307)
def get_still(generation_id: str, step_id: str, caller: Reader, farm: FarmHere) -> RedirectResponse:
    """Where before and after of a rendered range, as one picture, can be seen for an hour."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        if not (step_id.isascii() and step_id.isdecimal() and len(step_id) < _DIGITS):
            raise RefusedError("step_not_found")
        try:
            key = file_of_step(session, job.id, int(step_id), STILL_NAME)
        except NotFoundError:
            raise RefusedError("step_not_found") from None
        if key is None:
            code = "output_missing" if job.state in JOB_ENDS else "output_not_ready"
            raise RefusedError(code, "the step has no picture")
    return RedirectResponse(farm.store.presigned_get(key, STILL_NAME, OUTPUT_URL_SECONDS), 307)


@router.get("/v2/generate/{generation_id}/report")
def get_report(generation_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """The whole report: frames, shots, streams, digests."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        if job.report is None:
            raise _not_there(job, "report")
        return job.report


def _not_there(job: Job, what: str) -> RefusedError:
    """Not yet; or never, and why."""
    if job.state not in JOB_ENDS:
        return RefusedError("output_not_ready", f"the generation has no {what} yet")
    if job.state == "completed":
        return RefusedError("output_missing", f"the generation completed without {what}")
    is_told = job.error_message and job.state != "canceled"
    why = f": {job.error_message}" if is_told else ""
    was = "failed" if job.state == "failed" else f"was {job.state}"
    return RefusedError("output_missing", f"the generation {was} and has no {what}{why}")
