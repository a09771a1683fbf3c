"""Rows of a batch: entered by the hundred with all that belongs to them, and paged through."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.orm import Session

from infra.db.assets import AssetKind, ref_of
from infra.db.jobs import NewJob, create_jobs
from infra.db.models import Asset, Batch, BatchRow
from infra.db.orders import AssetRef

#: Languages a batch remembers, for the columns of its matrix.
_MOST_LANGUAGES: Final = 500

_RESULTS: Final = text("""
SELECT r.number, r.request_id, r.title, r.language, r.error_code AS refusal,
       r.error_message AS refusal_message, j.id AS job_id, j.state, j.attention, j.error_code,
       j.error_message, j.output_key, j.output_name, j.output_sha256, j.output_seconds
FROM batch_rows r LEFT JOIN jobs j ON j.id = r.job_id
WHERE r.batch_id = :batch AND r.number > :after ORDER BY r.number LIMIT :limit
""")

_TITLES: Final = text("""
SELECT DISTINCT title FROM batch_rows
WHERE batch_id = :batch AND title IS NOT NULL
  AND title > coalesce(CAST(:after AS text), '') ORDER BY title LIMIT :limit
""")

_CELLS: Final = text("""
SELECT r.number, r.request_id, r.title, r.language, r.error_code AS refusal, j.id AS job_id,
       j.state, j.attention
FROM batch_rows r LEFT JOIN jobs j ON j.id = r.job_id
WHERE r.batch_id = :batch AND r.title = ANY (:titles) ORDER BY r.title, r.number
""")

_MAKE_SCRATCH: Final = text(
    "CREATE TEMPORARY TABLE checked_rows (request_id text PRIMARY KEY) ON COMMIT DROP"
)
_NOTE: Final = text("""
INSERT INTO checked_rows SELECT unnest(CAST(:ids AS text[])) ON CONFLICT DO NOTHING
RETURNING request_id
""")


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that was read: an order, or why there is none.

    Attributes:
        number: the line it begins at, 1-based.
        order: without a batch; :func:`add_rows` says which.
    """

    number: int
    request_id: str | None
    title: str | None
    language: str | None
    order: NewJob | None
    error_code: str | None = None
    error_message: str | None = None


def last_row(session: Session, batch_id: uuid.UUID) -> int:
    """The number of the last row that was entered; 0 before the first."""
    query = select(BatchRow.number).where(BatchRow.batch_id == batch_id)
    return session.scalar(query.order_by(BatchRow.number.desc()).limit(1)) or 0


def known_request_ids(session: Session, batch_id: uuid.UUID, ids: Iterable[str]) -> set[str]:
    """Those of the ids that usable rows of the batch have already."""
    query = select(BatchRow.request_id).where(
        BatchRow.batch_id == batch_id,
        BatchRow.request_id.in_(list(ids)),
        BatchRow.error_code.is_(None),
    )
    return {found for found in session.scalars(query) if found is not None}


def add_rows(session: Session, batch: Batch, rows: Sequence[NewRow]) -> None:
    """Enter rows that come after the last one, with a job for each that has an order.

    Args:
        session: of the transaction that holds the batch's lock.
        batch: locked.
        rows: in order.
    """
    orders = [replace(row.order, batch_id=batch.id) for row in rows if row.order is not None]
    jobs = iter(create_jobs(session, batch.project_id, orders))
    session.execute(
        insert(BatchRow),
        [
            {
                "batch_id": batch.id,
                "number": row.number,
                "request_id": row.request_id,
                "title": row.title,
                "language": row.language,
                "job_id": next(jobs) if row.order is not None else None,
                "error_code": row.error_code,
                "error_message": row.error_message,
            }
            for row in rows
        ],
    )
    batch.rows += len(rows)
    batch.refused_rows += len(rows) - len(orders)
    _remember_languages(batch, rows)
    session.flush()


def find_assets(
    session: Session, project_id: uuid.UUID, ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, AssetRef]:
    """Those of the ids that are assets of the project."""
    query = select(Asset).where(Asset.project_id == project_id, Asset.id.in_(list(ids)))
    return {asset.id: ref_of(asset) for asset in session.scalars(query)}


def asset_of_url(batch_id: uuid.UUID, kind: AssetKind, url: str, name: str) -> AssetRef:
    """The input all rows of a batch share that name the same URL; not yet in the database."""
    return AssetRef(
        id=uuid.uuid5(batch_id, f"{kind} {url}"),
        kind=kind,
        name=name,
        object_key=None,
        source_url=url,
        size_bytes=None,
        sha256=None,
    )


def enter_assets(session: Session, project_id: uuid.UUID, assets: Iterable[AssetRef]) -> None:
    """Enter inputs given by URL; those that are there stay as they are."""
    rows: list[dict[str, Any]] = [
        {
            "id": asset.id,
            "project_id": project_id,
            "kind": asset.kind,
            "name": asset.name,
            "source_url": asset.source_url,
        }
        for asset in assets
    ]
    if rows:
        session.execute(insert_or_not(Asset).on_conflict_do_nothing(index_elements=["id"]), rows)


def result_page(
    session: Session, batch_id: uuid.UUID, *, after: int = 0, limit: int = 1000
) -> Sequence[Any]:
    """Rows with what became of them, by number.

    Each has ``number``, ``request_id``, ``title``, ``language``; ``refusal`` and
    ``refusal_message`` if no job was made; ``job_id``, which is None too when the job was deleted,
    and its ``state``, ``attention``, ``error_…`` and ``output_…``.
    """
    return session.execute(_RESULTS, {"batch": batch_id, "after": after, "limit": limit}).all()


def refused_rows(session: Session, batch_id: uuid.UUID, limit: int) -> list[BatchRow]:
    """The first rows no job was made of."""
    query = select(BatchRow).where(BatchRow.batch_id == batch_id, BatchRow.error_code.is_not(None))
    return list(session.scalars(query.order_by(BatchRow.number).limit(limit)))


def titles_page(
    session: Session, batch_id: uuid.UUID, *, after: str | None = None, limit: int = 50
) -> list[str]:
    """Titles of a batch, in their order."""
    values = {"batch": batch_id, "after": after, "limit": limit}
    return list(session.scalars(_TITLES, values))


def cells_of(session: Session, batch_id: uuid.UUID, titles: Sequence[str]) -> Sequence[Any]:
    """All rows of some titles, with their jobs' ids and states."""
    return session.execute(_CELLS, {"batch": batch_id, "titles": list(titles)}).all()


class CheckedRows:
    """Which request ids a file had so far, kept by the database for as long as the transaction."""

    def __init__(self, session: Session) -> None:
        """Begin with none."""
        self._session = session
        session.execute(_MAKE_SCRATCH)

    def note(self, ids: Iterable[str]) -> set[str]:
        """Remember these; those that were there before."""
        given = set(ids)
        return given - set(self._session.scalars(_NOTE, {"ids": list(given)}))


def _remember_languages(batch: Batch, rows: Sequence[NewRow]) -> None:
    known = list(batch.request.get("languages", ()))
    new = dict.fromkeys(r.language for r in rows if r.language is not None and r.order is not None)
    added = [language for language in new if language not in known][: _MOST_LANGUAGES - len(known)]
    if added:
        batch.request = batch.request | {"languages": known + added}
