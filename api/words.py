"""Lists of words in a query, however a client writes them."""

import json
from collections.abc import Iterable


def words_of(given: Iterable[object]) -> list[object]:
    """The words of a list: repeated, with commas between them, or as JSON; others stay.

    The JavaScript client writes lists as JSON, and a single word with its quotes.
    """
    words: list[object] = []
    for each in given:
        words += _words(each) if isinstance(each, str) else [each]
    return words


def _words(text: str) -> list[object]:
    if text.startswith(("[", '"')):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        return found if isinstance(found, list) else [found]
    return [word.strip() for word in text.split(",") if word.strip()]
