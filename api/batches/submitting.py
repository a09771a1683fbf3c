"""Reading a batch in: checked as a whole where that is wanted, then entered chunk by chunk.

The reading happens within the request, so its answer tells all. When it breaks off (the API dies,
the client gives up, the project may have no more unfinished jobs), the same file sent again with
the same ``Idempotency-Key`` is read on from the last chunk that was committed.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from api.auditing import note
from api.batches.entering import CHUNK_ROWS, check_rows, enter_rows
from api.batches.lines import Record
from api.batches.orders import BatchOrder
from api.batches.records import read_records
from api.batches.rows import Row, check_columns, kind_of, read_row
from api.errors import RefusedError
from api.farm import Farm
from api.live_jobs import check_live_jobs
from api.s3_places import allowed_to
from infra.db.batch_rows import CheckedRows, NewRow, last_row
from infra.db.batches import (
    BatchKind,
    NewBatch,
    begin_batch,
    find_earlier,
    finish_reading,
    lock_batch,
)
from infra.db.jobs import ConflictError
from infra.db.models import Batch
from infra.db.projects import Caller

#: Refused rows an answer shows; the result has all.
MOST_SHOWN: Final = 100

#: Characters of one chunk, so that long rows do not make a large one.
_CHUNK_SIZE: Final = 4 << 20

_NAMED: Final = 5


@dataclass(slots=True)
class Checked:
    """What a look at the whole file found; the first :data:`MOST_SHOWN` refused rows are kept."""

    rows: int = 0
    refused: int = 0
    shown: list[NewRow] = field(default_factory=list)


def check_batch(farm: Farm, caller: Caller, order: BatchOrder) -> Checked:
    """Look at every row; nothing is ordered.

    Raises:
        RefusedError: the file cannot be read, or has no row that can be used; or any row cannot,
            and the batch is to be taken as a whole.
    """
    kind, records = _open(order)
    found, allow = Checked(), allowed_to(farm, caller)
    with farm.database.transaction() as session:
        checked = CheckedRows(session)
        for rows in _chunks(kind, records):
            for row in check_rows(session, caller.project_id, rows, checked, allow):
                found.rows += 1
                if row.error_code is not None:
                    found.refused += 1
                    if len(found.shown) < MOST_SHOWN:
                        found.shown.append(row)
    if found.refused and not _is_partial(order, kind):
        raise _refusal(found)
    if found.refused == found.rows:
        raise _refusal(found)
    return found


def submit_batch(farm: Farm, caller: Caller, order: BatchOrder) -> tuple[Batch, bool]:
    """Read a batch in, from wherever an earlier try stopped.

    Returns:
        The batch, and whether any of it was read now.

    Raises:
        RefusedError: as :func:`check_batch`, if the batch is to be taken as a whole; its key was
            another one's; it was canceled meanwhile; or the project has too many unfinished jobs,
            and the rows up to there are entered.
    """
    kind, records = _open(order)
    new = _new_batch(order, kind)
    try:
        with farm.database.transaction() as session:
            earlier = find_earlier(session, caller.project_id, new)
        if earlier is not None and earlier.read_at is not None:
            return earlier, False
        if earlier is None and not _is_partial(order, kind):
            check_batch(farm, caller, order)
            kind, records = _open(order)
        with farm.database.transaction() as session:
            if earlier is None:
                check_live_jobs(session, farm, caller)
            batch = begin_batch(session, caller.project_id, new)
            done = last_row(session, batch.id)
            note(session, caller, "batch.create", batch.id, name=batch.name, from_row=done)
    except ConflictError as error:
        raise RefusedError("idempotency_key_conflict", str(error)) from None
    unread = (record for record in records if record.number > done)
    for rows in _chunks(kind, unread):
        _enter(farm, caller, batch.id, rows)
    with farm.database.transaction() as session:
        return finish_reading(session, caller.project_id, batch.id), True


def _enter(farm: Farm, caller: Caller, batch_id: UUID, rows: list[Row]) -> None:
    with farm.database.transaction() as session:
        batch = lock_batch(session, caller.project_id, batch_id)
        if batch.error_code is not None:
            raise RefusedError("batch_canceled")
        # Somebody else may be reading the same file.
        done = last_row(session, batch_id)
        if rest := [row for row in rows if row.number > done]:
            enter_rows(session, batch, rest, allowed_to(farm, caller))
            check_live_jobs(session, farm, caller)


def _open(order: BatchOrder) -> tuple[BatchKind, Iterator[Record]]:
    found = read_records(order.manifest.file, order.manifest.name)
    if found.columns is not None:
        check_columns(found.columns)
    first: list[Record] = []
    # What cannot be read does not say of what kind the file is.
    for record in itertools.islice(found.records, CHUNK_ROWS):
        first.append(record)
        if record.mistake is None:
            break
    if not first:
        raise RefusedError("batch_insufficient_records", "the file has no rows")
    kind = order.fields.kind or kind_of(first[-1].values)
    return (
        "catalogue" if found.columns is not None else kind,
        itertools.chain(first, found.records),
    )


def _chunks(kind: BatchKind, records: Iterator[Record]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    size = 0
    for record in records:
        rows.append(read_row(kind, record))
        size += record.size
        if len(rows) == CHUNK_ROWS or size > _CHUNK_SIZE:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _new_batch(order: BatchOrder, kind: BatchKind) -> NewBatch:
    return NewBatch(
        kind=kind,
        name=order.fields.name or order.manifest.name,
        request={
            "file": order.manifest.name,
            "sha256": order.manifest.sha256,
            "partial": _is_partial(order, kind),
        },
        webhook_url=order.fields.webhook_url,
        idempotency_key=order.idempotency_key,
        request_digest=order.digest,
    )


def _is_partial(order: BatchOrder, kind: BatchKind) -> bool:
    return kind == "catalogue" if order.fields.partial is None else order.fields.partial


def _refusal(found: Checked) -> RefusedError:
    named = [f"line {row.number}: {row.error_message}" for row in found.shown[:_NAMED]]
    if found.refused > _NAMED:
        named.append(f"and {found.refused - _NAMED} more of {found.rows} rows")
    return RefusedError(found.shown[0].error_code or "request_invalid", "; ".join(named))
