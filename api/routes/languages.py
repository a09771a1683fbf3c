"""One title in several languages with one call."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from api.answers import generations
from api.auditing import note
from api.batches.answers import batch_answer
from api.batches.languages import LanguagesIn, LanguagesRequest, submit_languages
from api.body_schemas import json_body
from api.farm import Farm, FarmHere, Submitter
from api.live_jobs import check_live_jobs
from api.s3_places import allowed_to
from infra.db.batch_rows import result_page
from infra.db.models import Job
from infra.db.projects import Caller

router = APIRouter(tags=["batches"])


_EXAMPLE: Final = {
    "model": "wav2lip",
    "input": [{"type": "video", "url": "https://media.example/film.mp4"}],
    "dialogues": [
        {"language": "fra", "url": "https://media.example/fra.wav"},
        {"language": "pt-BR", "url": "https://media.example/pt-BR.wav"},
    ],
}


@router.post(
    "/v2/generate/languages",
    status_code=201,
    openapi_extra=json_body(LanguagesRequest, _EXAMPLE),
)
def create_languages(order: LanguagesIn, caller: Submitter, farm: FarmHere) -> JSONResponse:
    """Order one film in several languages: all of them or none.

    JSON as for one generation, but the dialogues stand in ``dialogues``, each with its
    ``language``. Answers with the batch and its generations. With an ``Idempotency-Key`` the same
    request sent twice is one batch.
    """
    with farm.database.transaction() as session:
        batch, is_new = submit_languages(session, caller, order, allowed_to(farm, caller))
        if is_new:
            check_live_jobs(session, farm, caller)
            note(session, caller, "batch.create", batch.id, name=batch.name)
        answer = {
            "batch": batch_answer(session, farm, batch),
            "generations": _generations(session, farm, caller, batch.id),
        }
    return JSONResponse(answer, 201 if is_new else 200)


def _generations(
    session: Session, farm: Farm, caller: Caller, batch_id: UUID
) -> list[dict[str, Any]]:
    """In the order of the dialogues."""
    rows = result_page(session, batch_id)
    jobs = [session.get_one(Job, row.job_id) for row in rows if row.job_id is not None]
    return generations(session, farm, caller, jobs)
