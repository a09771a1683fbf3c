"""From checked rows to jobs: inputs found, doubles told, a chunk at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from api.batches.rows import Row
from api.errors import RefusedError
from api.output_names import name_of, safe_name
from api.s3_places import Allow
from api.submitting import new_job
from infra.db.assets import AssetKind
from infra.db.batch_rows import (
    CheckedRows,
    NewRow,
    add_rows,
    asset_of_url,
    enter_assets,
    find_assets,
    known_request_ids,
)
from infra.db.jobs import NewJob
from infra.db.models import Batch
from infra.db.orders import AssetRef

#: Rows of one transaction: enough to be fast, few enough that others wait for milliseconds.
CHUNK_ROWS: Final = 500

_INACCESSIBLE: Final[dict[AssetKind, str]] = {
    "video": "generation_input_video_inaccessible",
    "image": "generation_input_video_inaccessible",
    "audio": "generation_input_audio_inaccessible",
}

_Place = tuple[AssetKind, UUID | str]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows ready to be entered, and the inputs by URL that they use."""

    rows: list[NewRow]
    assets: dict[UUID, AssetRef]


def enter_rows(session: Session, batch: Batch, rows: Sequence[Row], allow: Allow) -> list[NewRow]:
    """Make jobs of rows, in the transaction that holds the batch's lock."""
    chunk = _prepare(
        session,
        batch.project_id,
        batch.id,
        rows,
        lambda ids: known_request_ids(session, batch.id, ids),
        allow,
    )
    enter_assets(session, batch.project_id, chunk.assets.values())
    add_rows(session, batch, chunk.rows)
    return chunk.rows


def check_rows(
    session: Session, project_id: UUID, rows: Sequence[Row], checked: CheckedRows, allow: Allow
) -> list[NewRow]:
    """What :func:`enter_rows` would enter; nothing is kept but the request ids, in ``checked``."""
    return _prepare(session, project_id, project_id, rows, checked.note, allow).rows


def _prepare(
    session: Session,
    project_id: UUID,
    batch_id: UUID,
    rows: Sequence[Row],
    known: Callable[[set[str]], set[str]],
    allow: Allow,
) -> _Chunk:
    rows = _without_doubles(rows, known)
    uploaded = find_assets(
        session,
        project_id,
        {place for row in rows for _, place in _places_of(row) if isinstance(place, UUID)},
    )
    chunk = _Chunk([], {})
    for row in rows:
        try:
            found = list(_refs_of(row, batch_id, uploaded, allow))
            order = _order_of(row, found)
        except RefusedError as error:
            chunk.rows.append(_entered(row.refused(error.code, str(error)), None))
        else:
            chunk.rows.append(_entered(row, order))
            chunk.assets.update({each.id: each for each in found if each.id not in uploaded})
    return chunk


def _without_doubles(rows: Iterable[Row], known: Callable[[set[str]], set[str]]) -> list[Row]:
    ids = {row.request_id for row in rows if row.request is not None and row.request_id is not None}
    taken: set[str] = set(known(ids))
    kept = []
    for row in rows:
        if row.request is None or row.request_id is None:
            kept.append(row)
        elif row.request_id in taken:
            mistake = f"an earlier row has the request_id {row.request_id!r}"
            kept.append(row.refused("batch_duplicate_request_id", mistake))
        else:
            taken.add(row.request_id)
            kept.append(row)
    return kept


def _places_of(row: Row) -> Iterator[_Place]:
    """Where the film is, then the dialogues."""
    if row.inputs is not None:
        yield "image" if row.inputs.source_is_image else "video", row.inputs.source  # type: ignore[misc]
        for dialogue in (row.inputs.dialogue, *row.inputs.more_dialogues):
            yield "audio", dialogue  # type: ignore[misc]  # nothing is uploaded with a batch


def _refs_of(
    row: Row, batch_id: UUID, uploaded: dict[UUID, AssetRef], allow: Allow
) -> Iterator[AssetRef]:
    for kind, place in _places_of(row):
        if isinstance(place, str):
            allow(place)
            name = safe_name(name_of(place), default=kind)
            yield asset_of_url(batch_id, kind, place, name)
        elif place in uploaded:
            yield uploaded[place]
        else:
            raise RefusedError(_INACCESSIBLE[kind], f"there is no asset {place} in your project")


def _order_of(row: Row, found: Sequence[AssetRef]) -> NewJob | None:
    if row.request is None:
        return None
    source, dialogue, *more = found
    return new_job(row.request, source, dialogue, more)


def _entered(row: Row, order: NewJob | None) -> NewRow:
    return NewRow(row.number, row.request_id, row.title, row.language, order, row.code, row.mistake)
