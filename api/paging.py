"""Where a page of a list ends, as a word a client hands back."""

import base64
import binascii
from datetime import datetime
from typing import Final
from uuid import UUID

from api.errors import RefusedError
from infra.db.assets import Place as Cursor

__all__ = ["CURSOR_HEADER", "Cursor", "cursor_after", "parse_cursor"]

CURSOR_HEADER: Final = "x-next-cursor"


def cursor_after(place: Cursor) -> str:
    """The cursor of the page after a row."""
    text = f"{place.created_at.isoformat()} {place.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str | None) -> Cursor | None:
    """The row a page comes after; None begins the list.

    Raises:
        RefusedError: nobody here gave out that cursor.
    """
    if text is None:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        when, _, row_id = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(" ")
        )
        created_at = datetime.fromisoformat(when)
        if created_at.tzinfo is None:
            raise ValueError("naive")
        return Cursor(created_at, UUID(row_id))
    except (ValueError, binascii.Error):
        raise RefusedError("request_invalid", "cursor: it is not one of ours") from None
