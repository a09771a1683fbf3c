"""Generations: ordered, looked at, listed, deleted."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from api.answers import generations
from api.errors import RefusedError
from api.farm import Farm, FarmHere, Reader, Submitter
from api.jobs import found, the_job
from api.orders import OrderIn, parse_id
from api.paging import CURSOR_HEADER, Cursor, cursor_after, parse_cursor
from api.submitting import submit
from infra.crash_points import crash_point
from infra.db.jobs import delete_job, get_job, list_jobs
from infra.db.models import Job
from infra.db.projects import Caller
from infra.db.session import after_commit
from infra.db.states import JOB_ENDS, JobState
from infra.errors import InfraError, NotFoundError, ServiceUnavailableError
from infra.wire import STATUS_OF

router = APIRouter(tags=["generations"])

#: How long ``wait=true`` holds an answer back, and how often it looks meanwhile.
WAIT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.25

_MOST_IDS: Final = 100


@router.post("/v2/generate", status_code=201)
def create_generation(order: OrderIn, caller: Submitter, farm: FarmHere) -> JSONResponse:
    """Order a dub.

    JSON with two inputs by ``url`` or ``assetId``; or a multipart form with the files ``video`` and
    ``audio`` and the same fields beside them, where those that are no words hold JSON. With an
    ``Idempotency-Key`` the same order sent twice is one job.
    """
    try:
        with farm.database.transaction() as session:
            job, is_new = submit(session, caller, order)
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
    return Response(status_code=204)


@router.get("/v2/generations")
def list_generations(
    response: Response,
    caller: Reader,
    farm: FarmHere,
    status: Annotated[list[str] | None, Query(description="PENDING, FAILED, …")] = None,
    ids: Annotated[list[str] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[dict[str, Any]]:
    """A page of the project's generations, newest first.

    Where there are more, the header ``x-next-cursor`` has the ``cursor`` of the next page.
    """
    wanted, after = _states(status), parse_cursor(cursor)
    with farm.database.transaction() as session:
        if ids is not None:
            named = _named(session, caller, _ids(ids))
            return generations(
                session, farm, caller, [job for job in named if not wanted or job.state in wanted]
            )
        jobs = list_jobs(session, caller.project_id, states=wanted, after=after, limit=limit + 1)
        if len(jobs) > limit:
            jobs = jobs[:limit]
            last = jobs[-1]
            response.headers[CURSOR_HEADER] = cursor_after(Cursor(last.created_at, last.id))
        return generations(session, farm, caller, jobs)


def _states(statuses: Sequence[str] | None) -> list[JobState]:
    """The farm's states for the wire's statuses; some clients send them with commas between."""
    wanted = {word.upper() for text in statuses or () for word in text.split(",") if word}
    known = set(STATUS_OF.values())
    if wanted - known:
        raise RefusedError(
            "request_invalid",
            f"status: {', '.join(sorted(wanted - known))[:100]}: it is any of "
            f"{', '.join(sorted(known))}",
        )
    return [state for state, status in STATUS_OF.items() if status in wanted]


def _ids(texts: Sequence[str]) -> list[UUID]:
    ids = [word for text in texts for word in text.split(",") if word]
    if len(ids) > _MOST_IDS:
        raise RefusedError("request_invalid", f"ids: at most {_MOST_IDS}")
    return [parse_id(text, "generation_not_found") for text in dict.fromkeys(ids)]


def _named(session: Session, caller: Caller, ids: Iterable[UUID]) -> Iterator[Job]:
    """Those of the ids that are the project's."""
    for job_id in ids:
        with contextlib.suppress(NotFoundError):
            yield get_job(session, caller.project_id, job_id)
