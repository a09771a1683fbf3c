"""What happens to generations, as it happens: server-sent events, and pages of the same list."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from api.body_schemas import shown
from api.errors import RefusedError
from api.event_streams import Stream, Wants
from api.event_wire import (
    event_answer,
    format_place,
    parse_place,
    place_of,
    table_kind,
    told,
)
from api.farm import Farm, FarmHere, Reader
from api.jobs import the_job
from infra.db.events import START, Place, events_after, horizon
from infra.db.models import Event
from infra.db.projects import Caller
from infra.db.sign_ins import is_still_allowed
from infra.errors import InfraError

router = APIRouter(tags=["events"])

#: Proxies close what is silent for long.
HEARTBEAT_SECONDS: Final = 15.0

#: How often a stream asks whether its key still counts.
RECHECK_SECONDS: Final = 60.0

#: When a client whose stream ended comes back.
_RETRY_MILLISECONDS: Final = 3000

#: Events a stream reads at once on its way to where the others are.
_AT_ONCE: Final = 500

_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_STREAM: Final = """\
id: 81273-44102
event: step.completed
data: {"id": "81273-44102", "kind": "step.completed", "at": "2026-11-20T21:16:40.002000Z", …}

"""
_CONTENT: Final = shown({"text/event-stream": _STREAM})


class _Asked:
    """What part of the events, and how."""

    def __init__(
        self,
        after: Annotated[
            str | None, Query(description="The id of the last event that is known.")
        ] = None,
        kind: Annotated[
            list[str] | None,
            Query(max_length=20, description="generation.completed; or step, for all of it."),
        ] = None,
        form: Annotated[
            Literal["stream", "json"],
            Query(alias="format", description="json is a page, oldest first."),
        ] = "stream",
        limit: Annotated[int, Query(ge=1, le=1000, description="Of a page.")] = 200,
        last_event_id: Annotated[
            str | None, Header(description="The same; browsers send it by themselves.")
        ] = None,
    ) -> None:
        # What the browser noted itself is newer than the address the page gave it.
        self.after = parse_place(last_event_id or after)
        self.kinds, self.form, self.limit = frozenset(kind or ()), form, limit


@router.get("/v2/generate/{generation_id}/events", response_model=None, responses=_CONTENT)
async def generation_events(
    generation_id: str, caller: Reader, farm: FarmHere, asked: Annotated[_Asked, Depends()]
) -> Response:
    """What happens to one generation and its steps.

    Without ``after`` or ``Last-Event-ID`` a stream begins now and a page with the first event.
    ``generation.progress`` comes once a second at most, has no id and stands on no page.
    """
    job_id = await run_in_threadpool(_job_id, farm, caller, generation_id)
    return await _answer(farm, caller, asked, Wants(caller.project_id, job_id, asked.kinds))


@router.get("/v2/events", response_model=None, responses=_CONTENT)
async def project_events(
    caller: Reader, farm: FarmHere, asked: Annotated[_Asked, Depends()]
) -> Response:
    """What happens to all of the project's generations; the same otherwise."""
    return await _answer(farm, caller, asked, Wants(caller.project_id, None, asked.kinds))


async def _answer(farm: Farm, caller: Caller, asked: _Asked, wants: Wants) -> Response:
    if asked.form == "json":
        return JSONResponse(await run_in_threadpool(_page, farm, wants, asked))
    farm.events.admit(wants)  # here, where an answer can still say so
    frames = _frames(farm, caller, wants, asked.after)
    return StreamingResponse(frames, media_type="text/event-stream", headers=_HEADERS)


def _job_id(farm: Farm, caller: Caller, generation_id: str) -> UUID:
    with farm.database.transaction() as session:
        return the_job(session, caller, generation_id).id


def _page(farm: Farm, wants: Wants, asked: _Asked) -> dict[str, Any]:
    events = _read(farm, wants, asked.after or START, limit=asked.limit + 1)
    shown = events[: asked.limit]
    return {
        "items": [event_answer(event) for event in shown],
        "nextCursor": format_place(place_of(shown[-1])) if len(events) > asked.limit else None,
    }


async def _frames(
    farm: Farm, caller: Caller, wants: Wants, after: Place | None
) -> AsyncIterator[bytes]:
    """Everything after a place, for as long as the process runs and the caller may hear it.

    The first bytes say that nothing is missed from now on: who asks for the state of things after
    them, and not before, has it whole.
    """
    place, stream = after, None
    check_at = time.monotonic() + RECHECK_SECONDS
    try:
        while True:
            stream = await run_in_threadpool(farm.events.join, wants, asyncio.get_running_loop())
            place = await run_in_threadpool(_begin, farm, stream, place)
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            # Up to where the hub is; from there on it brings what comes.
            while place < stream.joined_at:
                missed = await run_in_threadpool(
                    _read, farm, wants, place, until=stream.joined_at, limit=_AT_ONCE
                )
                yield b"".join(told(event).frame for event in missed)
                place = place_of(missed[-1]) if missed else stream.joined_at
            while not stream.is_behind:
                news = await stream.take(HEARTBEAT_SECONDS)
                if stream.is_ended:
                    return
                fresh = [each for each in news if each.place is None or each.place > place]
                yield b"".join(each.frame for each in fresh) or b":\n\n"
                place = max([place, *(each.place for each in fresh if each.place is not None)])
                if time.monotonic() > check_at:
                    if not await run_in_threadpool(_may_hear, farm, caller):
                        return
                    check_at = time.monotonic() + RECHECK_SECONDS
            stream.leave()
    except (RefusedError, InfraError):
        return  # the client comes back, and an answer can say why not
    finally:
        if stream is not None:
            stream.leave()


def _begin(farm: Farm, stream: Stream, place: Place | None) -> Place:
    """Where to begin: where the client says, unless that is of another life of the database."""
    if place is None:
        return stream.joined_at
    with farm.database.transaction() as session:
        return place if place < horizon(session) else stream.joined_at


def _read(
    farm: Farm, wants: Wants, after: Place, *, until: Place | None = None, limit: int
) -> list[Event]:
    with farm.database.transaction() as session:
        return events_after(
            session,
            after,
            until=until,
            project_id=wants.project_id,
            job_id=wants.job_id,
            kinds=[table_kind(kind) for kind in wants.kinds],
            limit=limit,
        )


def _may_hear(farm: Farm, caller: Caller) -> bool:
    with farm.database.transaction() as session:
        return is_still_allowed(session, caller)
