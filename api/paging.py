"""Where a page of a list ends, as a word a client hands back."""

import base64
import binascii
from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from api.errors import RefusedError
from infra.db.assets import Place as Cursor

__all__ = ["CURSOR_HEADER", "Cursor", "cursor_after", "parse_cursor"]

CURSOR_HEADER: Final = "x-next-cursor"


def cursor_after(place: Cursor) -> str:
    """The cursor of the page after a row."""
    text = f"{place.created_at.isoformat()} {place.id} {place.section}".rstrip()
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str | None, sections: Collection[str] = ("",)) -> Cursor | None:
    """The row a page comes after; None begins the list.

    Args:
        text: as the client hands it back.
        sections: the parts such a list has; a cursor of another kind of list is none of its own.

    Raises:
        RefusedError: nobody here gave out that cursor.
    """
    if text is None:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        words = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(" ")
        when, row_id, section = words if len(words) == 3 else (*words, "")
        created_at = datetime.fromisoformat(when)
        if created_at.tzinfo is None or section not in sections:
            raise ValueError("naive, or of another list")
        return Cursor(created_at, UUID(row_id), section)
    except (ValueError, binascii.Error):
        raise RefusedError("request_invalid", "cursor: it is not one of ours") from None
