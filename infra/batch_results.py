"""What became of a batch, row by row, as lines of a file; and closing batches with one."""

import csv
import io
import json
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from infra.batch_canceling import finish_canceling
from infra.db.batch_ends import close_batch, ended_batches, note_begun_batches
from infra.db.batch_rows import result_page
from infra.db.session import Database
from infra.spreadsheets import harmless
from infra.storage.names import batch_result_key
from infra.storage.objects import ObjectStore
from infra.wire import STATUS_OF, wire_code

#: Rows of one query.
_PAGE: Final = 1000

#: Lines are handed on in blocks of about this size.
_BLOCK_BYTES: Final = 64 << 10

#: How long addresses of outputs in a result file work: as long as S3 allows. ``output_path`` works
#: for ever.
FILE_URL_SECONDS: Final = 7 * 24 * 3600

COLUMNS: Final = (
    "row",
    "request_id",
    "title",
    "language",
    "id",
    "status",
    "output_url",
    "output_path",
    "output_name",
    "output_sha256",
    "output_duration",
    "error_code",
    "error",
)


def result_rows(
    database: Database, store: ObjectStore, batch_id: uuid.UUID, url_seconds: int
) -> Iterator[dict[str, Any]]:
    """All rows of a batch as they stand, in its order, a transaction a page.

    A row without a job has the status REJECTED and says why; one whose job was deleted, DELETED.
    """
    after = 0
    while True:
        with database.transaction() as session:
            page = result_page(session, batch_id, after=after, limit=_PAGE)
        for row in page:
            yield _result(store, row, url_seconds)
        if len(page) < _PAGE:
            return
        after = page[-1].number


def as_jsonl(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """A line of JSON a row, many at a time."""
    block = bytearray()
    for row in rows:
        block += json.dumps(row, ensure_ascii=False).encode() + b"\n"
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """A table with :data:`COLUMNS`, of which a spreadsheet runs nothing."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({column: harmless(value) for column, value in row.items()})
        if buffer.tell() >= _BLOCK_BYTES:
            yield _taken(buffer)
    yield _taken(buffer)


def close_ended_batches(database: Database, store: ObjectStore) -> int:
    """Note which batches are at work; write the result of each that has ended, and close it.

    What a client canceled is canceled to the end, should the API have died in the middle.

    May be killed anywhere and run twice at once; results nobody counts are collected.

    Returns:
        How many were closed.
    """
    finish_canceling(database)
    with database.transaction() as session:
        note_begun_batches(session)
        ended = ended_batches(session)
    closed = 0
    for batch in ended:
        key = batch_result_key(batch.project_id, batch.id)
        with tempfile.TemporaryDirectory(prefix="lipfarm-batch-") as folder:
            path = Path(folder) / "result.jsonl"
            rows = result_rows(database, store, batch.id, FILE_URL_SECONDS)
            with path.open("wb") as file:
                file.writelines(as_jsonl(rows))
            store.put_file(path, key)
        with database.transaction() as session:
            closed += close_batch(session, batch, key)
    return closed


def _result(store: ObjectStore, row: Any, url_seconds: int) -> dict[str, Any]:
    result: dict[str, Any] = dict.fromkeys(COLUMNS)
    result |= {
        "row": row.number,
        "request_id": row.request_id,
        "title": row.title,
        "language": row.language,
        "status": "DELETED",
    }
    if row.refusal is not None:
        return result | {
            "status": "REJECTED",
            "error_code": row.refusal,
            "error": row.refusal_message,
        }
    if row.job_id is None:
        return result
    result |= {"id": str(row.job_id), "status": STATUS_OF[row.state]}
    if row.state == "canceled":
        return result | {"error_code": wire_code("canceled"), "error": "it was canceled"}
    if row.error_code is not None:
        result |= {"error_code": wire_code(row.error_code), "error": row.error_message}
    if row.output_key is not None:
        name = row.output_name or "output.mp4"
        result |= {
            "output_url": store.presigned_get(row.output_key, name, url_seconds),
            "output_path": f"/v2/generate/{row.job_id}/output",
            "output_name": row.output_name,
            "output_sha256": row.output_sha256,
            "output_duration": row.output_seconds,
        }
    return result


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
