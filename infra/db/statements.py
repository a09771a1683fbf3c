"""SQL that is put together from parts, parsed once."""

import functools

from sqlalchemy import TextClause, text


@functools.lru_cache(maxsize=64)
def statement(sql: str) -> TextClause:
    """The statement for this text, ``:names`` bound; parsing it takes as long as sending it."""
    return text(sql)
