"""What a generation made: the film and the report."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from api.answers import output_url
from api.errors import RefusedError
from api.farm import FarmHere, Reader
from api.jobs import the_job

router = APIRouter(tags=["outputs"])


@router.get("/v2/generate/{generation_id}/output", status_code=307)
def get_output(generation_id: str, caller: Reader, farm: FarmHere) -> RedirectResponse:
    """Where the output can be downloaded, for the next hour."""
    with farm.database.transaction() as session:
        url = output_url(farm, the_job(session, caller, generation_id))
    if url is None:
        raise RefusedError("output_not_ready")
    return RedirectResponse(url, 307)


@router.get("/v2/generate/{generation_id}/report")
def get_report(generation_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """The whole report: frames, shots, streams, digests."""
    with farm.database.transaction() as session:
        report = the_job(session, caller, generation_id).report
    if report is None:
        raise RefusedError("output_not_ready", "the generation has no report yet")
    return report
