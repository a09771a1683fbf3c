"""Generations: ordered, looked at, listed, deleted."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.answers import generations
from api.auditing import note
from api.body_schemas import either_body, form_body, json_body
from api.errors import RefusedError
from api.farm import Farm, FarmHere, Reader, Submitter
from api.filters import SECTIONS, ListQuery
from api.jobs import found, the_job
from api.live_jobs import check_live_jobs
from api.orders import OrderIn, parse_id
from api.paging import CURSOR_HEADER, cursor_after, parse_cursor
from api.requests import GenerationRequest
from api.s3_places import allowed_to, verify_places
from api.submitting import submit
from infra.crash_points import crash_point
from infra.db.finding import find_jobs, place_of
from infra.db.jobs import delete_job
from infra.db.projects import Caller
from infra.db.session import after_commit
from infra.db.states import JOB_ENDS
from infra.errors import InfraError, ServiceUnavailableError

router = APIRouter(tags=["generations"])

#: How long ``wait=true`` holds an answer back, and how often it looks meanwhile.
WAIT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.25

_MOST_IDS: Final = 100


_EXAMPLE: Final = {
    "model": "auto",
    "input": [
        {"type": "video", "url": "https://media.example/film.mp4"},
        {"type": "audio", "url": "https://media.example/fra.wav"},
    ],
    "options": {"sync_mode": "cut_off"},
    "language": "fra",
    "labels": ["season 1"],
}
_FILES: Final = {"video": "The film.", "audio": "The dialogue."}


@router.post(
    "/v2/generate",
    status_code=201,
    openapi_extra=either_body(
        json_body(GenerationRequest, _EXAMPLE),
        form_body(GenerationRequest, _FILES, {"model": "auto", "language": "fra"}),
    ),
)
def create_generation(order: OrderIn, caller: Submitter, farm: FarmHere) -> JSONResponse:
    """Order a dub.

    JSON with two inputs by ``url`` or ``assetId``; or a multipart form with the files ``video`` and
    ``audio`` and the same fields beside them, where those that are no words hold JSON. With an
    ``Idempotency-Key`` the same order sent twice is one job.
    """
    try:
        verify_places(farm, caller, (given.url for given in order.request.input))
        with farm.database.transaction() as session:
            job, is_new = submit(session, caller, order, allowed_to(farm, caller))
            if is_new:
                check_live_jobs(session, farm, caller)
                note(session, caller, "generation.create", job.id, name=job.name)
            after_commit(session, lambda: crash_point("api.after_job_commit_before_bell"))
            (answer,) = generations(session, farm, caller, [job])
    except ServiceUnavailableError:
        # It may be committed; then the files are the job's. If not, they are collected later.
        raise
    except (RefusedError, InfraError):
        order.files.discard()
        raise
    if not is_new:
        order.files.discard()
    return JSONResponse(answer, 201 if is_new else 200)


async def _wait_for_end(
    generation_id: str,
    caller: Reader,
    farm: FarmHere,
    *,
    wait: Annotated[bool, Query(description="Answer when it ends, or after 10 s.")] = False,
) -> None:
    """Hold the request back, with neither a thread nor a transaction in hand between two looks."""
    give_up = time.monotonic() + WAIT_SECONDS
    while wait and time.monotonic() < give_up:
        if await run_in_threadpool(_has_ended, farm, caller, generation_id):
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _has_ended(farm: Farm, caller: Caller, generation_id: str) -> bool:
    with farm.database.transaction() as session:
        return the_job(session, caller, generation_id).state in JOB_ENDS


@router.get("/v2/generate/{generation_id}", dependencies=[Depends(_wait_for_end)])
def get_generation(generation_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """A generation as it stands."""
    with farm.database.transaction() as session:
        job = the_job(session, caller, generation_id)
        return generations(session, farm, caller, [job])[0]


@router.delete("/v2/generate/{generation_id}", status_code=204)
def delete_generation(generation_id: str, caller: Submitter, farm: FarmHere) -> Response:
    """Forget a generation; one at work is canceled first."""
    job_id = parse_id(generation_id, "generation_not_found")
    with farm.database.transaction() as session, found(generation_id):
        delete_job(session, caller.project_id, job_id)
        note(session, caller, "generation.delete", job_id)
    return Response(status_code=204)


@router.get("/v2/generations")
def list_generations(
    response: Response,
    caller: Reader,
    farm: FarmHere,
    query: Annotated[ListQuery, Query()],
) -> list[dict[str, Any]]:
    """A page of the project's generations.

    Where there are more, the header ``x-next-cursor`` has the ``cursor`` of the next page; it is
    good for the same ``order`` alone.
    """
    wanted, order, limit = query.wanted(), query.order, query.limit
    after = parse_cursor(query.cursor, SECTIONS[order])
    if query.ids is not None:
        wanted = replace(wanted, ids=_ids(query.ids))
    with farm.database.transaction() as session:
        jobs = find_jobs(
            session, caller.project_id, wanted, order=order, after=after, limit=limit + 1
        )
        if len(jobs) > limit:
            jobs = jobs[:limit]
            response.headers[CURSOR_HEADER] = cursor_after(place_of(jobs[-1], order))
        return generations(session, farm, caller, jobs)


def _ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    if len(texts) > _MOST_IDS:
        raise RefusedError("request_invalid", f"ids: at most {_MOST_IDS}")
    return tuple(parse_id(text, "generation_not_found") for text in dict.fromkeys(texts))
