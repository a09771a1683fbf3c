"""A batch as a matrix: a row a title, a column a language, a cell what became of it."""

import base64
import binascii
from collections import Counter
from typing import Any

from sqlalchemy.orm import Session

from api.errors import RefusedError
from infra.db.batch_rows import cells_of, titles_page
from infra.db.batches import jobs_by_state
from infra.db.models import Batch

#: A row without a language stands in the column of this name.
UNSAID = ""


def matrix_page(session: Session, batch: Batch, *, after: str | None, limit: int) -> dict[str, Any]:
    """A page of titles.

    Returns:
        ``languages``, the columns; ``titles``, each with ``cells`` by language, and ``states``, its
        cells counted; ``states`` of the whole batch; ``nextCursor``, None on the last page.

    Raises:
        RefusedError: nobody here gave out that cursor.
    """
    titles = titles_page(session, batch.id, after=_title_of(after), limit=limit + 1)
    page = titles[:limit]
    cells: dict[str, dict[str, list[dict[str, Any]]]] = {title: {} for title in page}
    for row in cells_of(session, batch.id, page):
        cells[row.title].setdefault(row.language or UNSAID, []).append(_cell(row))
    return {
        "id": str(batch.id),
        "languages": _columns(batch, cells),
        "titles": [_title(title, cells[title]) for title in page],
        "states": dict(jobs_by_state(session, [batch.id])[batch.id]),
        "refusedRows": batch.refused_rows,
        "nextCursor": _cursor_of(page[-1]) if len(titles) > limit else None,
    }


def _title(title: str, cells: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    states = Counter(cell["state"] for row in cells.values() for cell in row)
    return {"title": title, "cells": cells, "states": dict(states)}


def _cell(row: Any) -> dict[str, Any]:
    refused = row.refusal is not None
    state = row.state or ("refused" if refused else "deleted")
    return {
        "row": row.number,
        "request_id": row.request_id,
        "id": None if row.job_id is None else str(row.job_id),
        "state": state,
        "attention": bool(row.attention),
        "error_code": row.refusal,
    }


def _columns(batch: Batch, cells: dict[str, dict[str, Any]]) -> list[str]:
    """All languages of the batch, and those that stand in refused rows alone."""
    known = list(batch.request.get("languages", ()))
    return known + sorted({name for row in cells.values() for name in row} - set(known))


def _cursor_of(title: str) -> str:
    return base64.urlsafe_b64encode(title.encode()).decode().rstrip("=")


def _title_of(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        title = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        title = "\0"
    if "\0" in title:
        raise RefusedError("request_invalid", "cursor: it is not one of ours")
    return title
