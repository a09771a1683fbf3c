"""What a generation made: the film, the report, and pictures of before and after."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from api.answers import OUTPUT_URL_SECONDS, output_url
from api.errors import RefusedError
from api.farm import FarmHere, Reader
from api.jobs import the_job
from infra.db.artifacts import file_of_step
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
        url = output_url(farm, the_job(session, caller, generation_id))
    if url is None:
        raise RefusedError("output_not_ready")
    return RedirectResponse(url, 307)


@router.get("/v2/generate/{generation_id}/preview", status_code=307)
def get_preview(generation_id: str, caller: Reader, farm: FarmHere) -> RedirectResponse:
    """Where before and after, side by side in one small film, can be seen, for the next hour."""
    with farm.database.transaction() as session:
        key = the_job(session, caller, generation_id).preview_key
    if key is None:
        raise RefusedError("output_not_ready", "the generation has no preview")
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
        raise RefusedError("output_not_ready", "the step has no picture")
    return RedirectResponse(farm.store.presigned_get(key, STILL_NAME, OUTPUT_URL_SECONDS), 307)


@router.get("/v2/generate/{generation_id}/report")
def get_report(generation_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """The whole report: frames, shots, streams, digests."""
    with farm.database.transaction() as session:
        report = the_job(session, caller, generation_id).report
    if report is None:
        raise RefusedError("output_not_ready", "the generation has no report yet")
    return report
