"""Batches: sent, checked, looked at, listed, called off; their results and their matrix."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy.orm import Session

from api.batches.answers import batch_answer, batches, validated
from api.batches.canceling import cancel_batch
from api.batches.matrix import matrix_page
from api.batches.orders import BatchFields, BatchOrderIn
from api.batches.submitting import check_batch, submit_batch
from api.body_schemas import form_body, shown
from api.errors import RefusedError
from api.farm import FarmHere, Reader, Submitter
from api.orders import parse_id
from api.paging import CURSOR_HEADER, Cursor, cursor_after, parse_cursor
from api.words import words_of
from infra.batch_results import as_csv, as_jsonl, result_rows
from infra.db.batches import BATCH_STATES, BatchState, get_batch, list_batches
from infra.db.models import Batch
from infra.db.projects import Caller
from infra.errors import NotFoundError

_RESULT_LINE: Final = (
    '{"row": 1, "request_id": "harbour-fra", "title": "The Harbour", "language": "fra", '
    '"id": "0199a4de-2c3b-7d54-9a53-6a0e51d7c2f1", "status": "COMPLETED", "output_url": '
    '"https://bucket.example/harbour.fra.mov?X-Amz-Signature=…", "output_duration": 5520.0}\n'
)

_RESULT_TABLE: Final = (
    "row,request_id,title,language,id,status,output_url,output_path,output_name,output_sha256,"
    "output_duration,error_code,error\r\n"
    "1,harbour-fra,The Harbour,fra,0199a4de-2c3b-7d54-9a53-6a0e51d7c2f1,COMPLETED,"
    "https://bucket.example/harbour.fra.mov?X-Amz-Signature=…,,,,5520.0,,\r\n"
)

router = APIRouter(tags=["batches"])

#: How long addresses of outputs in a result that is read now work.
_OUTPUT_URL_SECONDS: Final = 3600


@router.post(
    "/v2/batch",
    status_code=201,
    openapi_extra=form_body(
        BatchFields,
        {"input": "JSONL of requests, or a catalogue's manifest, CSV or JSONL."},
        {"input": "title,language,video,audio\nA film,fra,https://…/film.mp4,https://…/fra.wav"},
    ),
)
def create_batch(order: BatchOrderIn, caller: Submitter, farm: FarmHere) -> JSONResponse:
    """Order many dubs with one file.

    A multipart form with the file as ``input``: JSONL of ``{request_id, endpoint, payload}``, or
    a catalogue's manifest, CSV or JSONL, a row for each title and language. Beside it
    ``webhook_url``, ``dry_run``, ``partial``, ``kind`` and ``name``. With an ``Idempotency-Key`` a
    file sent again is one batch, read on from where an earlier try stopped.
    """
    try:
        if order.fields.dry_run:
            return JSONResponse(validated(check_batch(farm, caller, order)))
        batch, is_new = submit_batch(farm, caller, order)
        with farm.database.transaction() as session:
            return JSONResponse(batch_answer(session, farm, batch), 201 if is_new else 200)
    finally:
        order.manifest.close()


@router.get("/v2/batch")
def list_of_batches(
    response: Response,
    caller: Reader,
    farm: FarmHere,
    status: Annotated[list[str] | None, Query(description="PENDING, COMPLETED, …")] = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> list[dict[str, Any]]:
    """A page of the project's batches, newest first.

    Where there are more, the header ``x-next-cursor`` has the ``cursor`` of the next page.
    """
    wanted, after = _states(status), parse_cursor(cursor)
    with farm.database.transaction() as session:
        found = list_batches(
            session,
            caller.project_id,
            states=wanted,
            created_after=_aware(created_after),
            created_before=_aware(created_before),
            after=after,
            limit=limit + 1,
        )
        if len(found) > limit:
            found = found[:limit]
            response.headers[CURSOR_HEADER] = cursor_after(
                Cursor(found[-1].created_at, found[-1].id)
            )
        return batches(session, farm, found)


@router.get("/v2/batch/{batch_id}")
def one_batch(batch_id: str, caller: Reader, farm: FarmHere) -> dict[str, Any]:
    """A batch as it stands, with the first of its refused rows."""
    with farm.database.transaction() as session:
        return batch_answer(session, farm, _the_batch(session, caller, batch_id))


@router.get(
    "/v2/batch/{batch_id}/result",
    response_class=StreamingResponse,
    responses=shown({"application/x-ndjson": _RESULT_LINE, "text/csv": _RESULT_TABLE}),
)
def batch_result(
    batch_id: str,
    caller: Reader,
    farm: FarmHere,
    format: Annotated[  # noqa: A002 -- the wire's name
        Literal["jsonl", "csv"], Query(description="A line of JSON a row, or a table.")
    ] = "jsonl",
) -> StreamingResponse:
    """What became of every row so far, in the file's order: a line each."""
    with farm.database.transaction() as session:
        batch = _the_batch(session, caller, batch_id)
    rows = result_rows(farm.database, farm.store, batch.id, _OUTPUT_URL_SECONDS)
    lines: Iterator[bytes] = as_csv(rows) if format == "csv" else as_jsonl(rows)
    return StreamingResponse(
        lines,
        media_type="text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson",
        headers={"content-disposition": f'attachment; filename="{batch.id}.{format}"'},
    )


@router.get("/v2/batch/{batch_id}/matrix")
def batch_matrix(
    batch_id: str,
    response: Response,
    caller: Reader,
    farm: FarmHere,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=2000)] = None,
) -> dict[str, Any]:
    """Titles × languages: the state of each cell's job; a page of titles in their order."""
    with farm.database.transaction() as session:
        batch = _the_batch(session, caller, batch_id)
        page = matrix_page(session, batch, after=cursor, limit=limit)
    if page["nextCursor"] is not None:
        response.headers[CURSOR_HEADER] = page["nextCursor"]
    return page


@router.post("/v2/batch/{batch_id}/cancel")
def cancel(batch_id: str, caller: Submitter, farm: FarmHere) -> dict[str, Any]:
    """Stop a batch for good: no more rows are read, and its live generations are canceled."""
    with farm.database.transaction() as session:
        batch = _the_batch(session, caller, batch_id)
    cancel_batch(farm, caller, batch.id)
    with farm.database.transaction() as session:
        return batch_answer(session, farm, get_batch(session, caller.project_id, batch.id))


def _the_batch(session: Session, caller: Caller, batch_id: str) -> Batch:
    number: UUID = parse_id(batch_id, "batch_not_found")
    try:
        return get_batch(session, caller.project_id, number)
    except NotFoundError:
        raise RefusedError(
            "batch_not_found", f"there is no batch {batch_id} in your project"
        ) from None


def _states(statuses: list[str] | None) -> list[BatchState]:
    wanted = {str(word).lower() for word in words_of(statuses or ())}
    if strange := wanted - set(BATCH_STATES):
        known = ", ".join(state.upper() for state in BATCH_STATES)
        raise RefusedError(
            "request_invalid", f"status: {', '.join(sorted(strange))[:100]}: it is any of {known}"
        )
    return [state for state in BATCH_STATES if state in wanted]


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when
